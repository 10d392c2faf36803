//! Calls that nobody has written: messages made from the descriptors, said in every encoding, and made small where the
//! answers differ.

mod generate;
mod limits;
mod malform;
mod shrink;
pub mod written;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use fastrand::Rng;
use prost_reflect::MethodDescriptor;
use serde_json::Value;

use crate::{
    dialect::{Dialect, Encoding},
    place::Place,
    rule::Rule,
    run::{Runner, ScenarioReport, State},
    scenario::{At, Body, Expect, Header, Node, Scenario, Step},
};

/// What is explored, and how far.
#[derive(Clone, Debug)]
pub struct Exploration {
    /// The methods, each as often as the others.
    pub methods: Vec<MethodDescriptor>,
    /// The beginning of all chance: the same seed makes the same calls.
    pub seed: u64,
    /// How many calls are made up.
    pub count: usize,
    /// When no more are begun.
    pub time: Duration,
    /// Headers, which may hold `${run}`.
    pub headers: Vec<Header>,
    /// What may differ.
    pub mask: Vec<Place>,
    /// Lists without an order.
    pub unordered: Vec<Place>,
    /// Rules that are not looked at.
    pub without: BTreeSet<Rule>,
}

/// A call that was made up.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) method: MethodDescriptor,
    /// The message; of a raw call, what its URL is made of.
    pub(crate) message: Value,
    pub(crate) raw: Option<Raw>,
}

/// Bytes that are no message, or not one in its usual form.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    /// What was done to the message.
    pub(crate) what: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_json: bool,
}

/// What became of an exploration.
#[derive(Clone, Debug, Default)]
pub struct Explored {
    /// How many calls were made up.
    pub cases: usize,
    /// Those that differ, as small as they could be made.
    pub disagreements: usize,
    /// Those that differed once and not again: they depend on what was called before.
    pub unsteady: usize,
}

/// Which rules were broken in which encodings: what makes two disagreements the same one.
type Signature = BTreeSet<(Dialect, Rule)>;

/// Calls under way at the same time.
const BATCH: usize = 64;

/// How often a disagreement must show.
const REPEATS: usize = 2;

/// How many smaller calls are tried for a disagreement.
const TRIES_MAX: usize = 400;

/// Disagreements of one signature and method that are shown; the others are counted.
const ALIKE_MAX: usize = 1;

impl Exploration {
    /// Makes calls up, and hands over the report of each disagreement. `seen` is told how many calls there were.
    pub async fn run(
        &self,
        runner: &Arc<Runner>,
        report: &mut dyn FnMut(ScenarioReport),
        seen: &mut dyn FnMut(usize),
    ) -> Explored {
        let (mut explored, begun) = (Explored::default(), Instant::now());
        let mut alike: BTreeMap<(String, Vec<Rule>), usize> = BTreeMap::new();
        let mut index = 0;
        while explored.cases < self.count && begun.elapsed() < self.time {
            let batch: Vec<(String, Case)> = (explored.cases..self.count.min(explored.cases + BATCH))
                .map(|number| (format!("{}:{number}", self.seed), self.case(number)))
                .collect();
            explored.cases += batch.len();
            seen(batch.len());
            let scenarios = batch.iter().map(|(name, case)| self.scenario(name, case)).collect();
            let mut reports = Vec::new();
            runner.run(&crate::scenario::Suite { scenarios }, &mut |done| reports.push(done)).await;
            for ((name, case), done) in batch.into_iter().zip(reports) {
                if done.state() != State::Failed {
                    continue;
                }
                let mut trial = Trial { exploration: self, runner, name: &name, index: &mut index };
                let Some((smallest, signature)) = trial.smallest(case, signature(&done)).await else {
                    explored.unsteady += 1;
                    continue;
                };
                explored.disagreements += 1;
                let rules: Vec<Rule> = signature.iter().map(|(_, rule)| *rule).collect();
                let count = alike.entry((smallest.method.full_name().to_owned(), rules)).or_default();
                *count += 1;
                if *count <= ALIKE_MAX {
                    report(trial.play(&smallest).await);
                }
            }
        }
        explored
    }

    /// The call of that number: chance is the seed's and the number's alone.
    fn case(&self, number: usize) -> Case {
        let mut rng =
            Rng::with_seed(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number as u64));
        let method = self.methods[number % self.methods.len()].clone();
        let message = generate::message(&mut rng, &method.input());
        let raw = if rng.u8(..4) == 0 { malform::raw(&mut rng, &method, &message) } else { None };
        Case { method, message, raw }
    }

    /// A scenario of one step.
    fn scenario(&self, name: &str, case: &Case) -> Arc<Scenario> {
        let at = |value| At { value, line: 0, column: 0 };
        let mut raw = BTreeMap::new();
        for encoding in case.raw.iter().flat_map(|raw| encodings(raw.is_json)) {
            let bytes = case.raw.as_ref().map(|raw| raw.bytes.clone()).unwrap_or_default();
            raw.insert(encoding, Body::Bytes(bytes.into()));
        }
        let what = case.raw.as_ref().map_or("a message", |raw| raw.what);
        let step = Step {
            name: format!("{} with {what}", case.method.name()),
            line: 0,
            column: 0,
            variables: Vec::new(),
            method: case.method.clone(),
            message: at(node(&case.message)),
            encodings: if raw.is_empty() { Encoding::ALL.to_vec() } else { raw.keys().copied().collect() },
            raw,
            headers: self.headers.clone(),
            timeout: None,
            same: true,
            expect: Expect::default(),
            mask: self.mask.clone(),
            unordered: self.unordered.clone(),
            compare_headers: Vec::new(),
            without: self.without.clone(),
            capture: Vec::new(),
        };
        Arc::new(Scenario {
            name: format!("seed {name}"),
            file: case.method.full_name().into(),
            line: 0,
            tags: Vec::new(),
            variables: Vec::new(),
            steps: vec![step],
            setup: 0,
            teardown: 0,
        })
    }
}

fn encodings(is_json: bool) -> impl Iterator<Item = Encoding> {
    Encoding::ALL.into_iter().filter(move |encoding| encoding.is_json() == is_json)
}

/// A value as YAML would have it; a dollar in a text is only that.
fn node(value: &Value) -> Node {
    let at = |value| At { value, line: 0, column: 0 };
    match value {
        Value::Null => Node::Null,
        Value::Bool(value) => Node::Bool(*value),
        Value::Number(number) => Node::Number(number.clone()),
        Value::String(text) => Node::Text(text.replace('$', "$$").replace("$${run}", "${run}")),
        Value::Array(items) => Node::List(items.iter().map(|item| at(node(item))).collect()),
        Value::Object(members) => {
            let members = members.iter();
            Node::Map(
                members
                    .map(|(name, value)| {
                        (At { value: name.replace('$', "$$"), line: 0, column: 0 }, at(node(value)))
                    })
                    .collect(),
            )
        }
    }
}

fn signature(report: &ScenarioReport) -> Signature {
    let cells = report.steps.iter().flat_map(|step| &step.cells);
    cells
        .flat_map(|cell| {
            let counted = cell.findings.iter().filter(|judged| judged.known.is_none());
            counted.map(|judged| (cell.dialect, judged.finding.rule))
        })
        .collect()
}

/// Calls that are made again, and smaller.
struct Trial<'a> {
    exploration: &'a Exploration,
    runner: &'a Arc<Runner>,
    name: &'a str,
    /// Counts calls, so that each has a namespace of its own.
    index: &'a mut usize,
}

impl Trial<'_> {
    async fn play(&mut self, case: &Case) -> ScenarioReport {
        *self.index += 1;
        // Behind all namespaces of the batches.
        let index = 0x10000 + *self.index;
        self.runner.scenario(index, self.exploration.scenario(self.name, case)).await
    }

    /// The smallest call that differs in the same way; none if it does not differ again.
    async fn smallest(&mut self, mut case: Case, wanted: Signature) -> Option<(Case, Signature)> {
        for _ in 0..REPEATS {
            if signature(&self.play(&case).await) != wanted {
                return None;
            }
        }
        let mut tries = 0;
        loop {
            let mut is_smaller = false;
            for smaller in shrink::candidates(&case) {
                tries += 1;
                if tries > TRIES_MAX {
                    return Some((case, wanted));
                }
                if signature(&self.play(&smaller).await) == wanted {
                    case = smaller;
                    is_smaller = true;
                    break;
                }
            }
            if !is_smaller {
                return Some((case, wanted));
            }
        }
    }
}
