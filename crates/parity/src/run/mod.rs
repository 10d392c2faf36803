//! Scenarios are made: each in every dialect at the same time, several side by side; answers are compared step by step.

mod play;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::join_all, stream};
use http::HeaderMap;
use serde_json::Value;

use play::Play;

use crate::{
    api::Api,
    compare::{self, Against},
    deviation::Deviations,
    dialect::Dialect,
    exchange::Exchange,
    golden::Golden,
    rule::{Finding, Rule},
    scenario::{Scenario, Step, Suite},
    transport::{Target, Transport},
};

/// What the answers are held against, besides each other.
#[derive(Debug)]
pub enum Reference {
    /// Another server, which makes the same steps.
    Server(Target),
    /// Answers that were recorded.
    Golden(Golden),
}

/// Is told what is done while it is done, from all of a run's tasks.
pub trait Watcher: Send + Sync {
    /// A scenario has begun.
    fn begun(&self, _: &Scenario) {}

    /// A call has been answered.
    fn called(&self) {}

    /// A scenario has ended. Its report is handed over when those before it have been.
    fn ended(&self, _: &ScenarioReport) {}
}

/// Looks at nothing.
impl Watcher for () {}

/// All that a run needs.
pub struct Runner {
    /// What can be called.
    pub api: Api,
    /// How bytes get there.
    pub transport: Transport,
    /// Where they go.
    pub target: Target,
    /// What the answers are held against, besides each other.
    pub reference: Option<Reference>,
    /// In which dialects each step is made, in the order in which they are shown.
    pub dialects: Vec<Dialect>,
    /// Headers of every call; those of the scenarios stand above them.
    pub headers: HeaderMap,
    /// Letters and digits with which each namespace begins, so that one run does not meet another's.
    pub run_id: String,
    /// How many scenarios are under way.
    pub jobs: usize,
    /// What is known to deviate.
    pub deviations: Deviations,
    /// Who looks on.
    pub watcher: Arc<dyn Watcher>,
}

/// What became of a scenario.
#[derive(Clone, Debug)]
pub struct ScenarioReport {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// Its steps.
    pub steps: Vec<StepReport>,
    /// From the first step's beginning to the last one's end.
    pub took: Duration,
}

/// What became of a step.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// In each dialect.
    pub cells: Vec<Cell>,
}

/// What became of a step in one dialect.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The dialect.
    pub dialect: Dialect,
    /// Why the step was not made, if it was not.
    pub skipped: Option<String>,
    /// The message that was said, as proto3 JSON.
    pub message: Option<Value>,
    /// What was sent and came back.
    pub exchange: Option<Exchange>,
    /// What was compared, if the answer could be read.
    pub document: Option<Value>,
    /// What is wrong.
    pub findings: Vec<Judged>,
}

/// A finding, and whether it is known.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The finding.
    pub finding: Finding,
    /// The reason why it does not count.
    pub known: Option<String>,
}

/// A cell in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Not made.
    Skipped,
    /// As it must be.
    Passed,
    /// Not as it must be, for known reasons.
    Known,
    /// Not as it must be.
    Failed,
}

impl Cell {
    /// The cell in a word.
    pub fn state(&self) -> State {
        if self.findings.iter().any(|judged| judged.known.is_none()) {
            State::Failed
        } else if !self.findings.is_empty() {
            State::Known
        } else if self.skipped.is_some() {
            State::Skipped
        } else {
            State::Passed
        }
    }
}

impl ScenarioReport {
    /// Steps and their reports.
    pub fn steps(&self) -> impl Iterator<Item = (&Step, &StepReport)> {
        self.scenario.steps.iter().zip(&self.steps)
    }

    /// The worst of all cells.
    pub fn state(&self) -> State {
        let cells = self.steps.iter().flat_map(|step| &step.cells);
        cells.map(Cell::state).max().unwrap_or(State::Skipped)
    }
}

impl Runner {
    /// Makes every scenario, and hands each report over as it is there, in the suite's order.
    pub async fn run(self: &Arc<Self>, suite: &Suite, report: &mut dyn FnMut(ScenarioReport)) {
        let scenarios = suite.scenarios.iter().cloned().enumerate();
        let mut reports = stream::iter(scenarios)
            .map(|(index, scenario)| {
                let runner = Arc::clone(self);
                tokio::spawn(async move { runner.scenario(index, scenario).await })
            })
            .buffered(self.jobs.max(1));
        while let Some(done) = reports.next().await {
            match done {
                Ok(done) => report(done),
                // A scenario that panicked must not look like one that passed.
                Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
            }
        }
    }

    /// Makes one scenario. `index` tells its namespaces from those of others.
    pub(crate) async fn scenario(&self, index: usize, scenario: Arc<Scenario>) -> ScenarioReport {
        let begun = Instant::now();
        self.watcher.begun(&scenario);
        let dialects = self.dialects.iter().enumerate();
        let plays = dialects.clone().map(|(number, &dialect)| {
            let run = namespace(&self.run_id, index, number);
            play::play(self, &self.target, &scenario, dialect, run)
        });
        let others = dialects.map(|(number, &dialect)| {
            let run = namespace(&self.run_id, index, number + self.dialects.len());
            let scenario = &scenario;
            async move {
                match &self.reference {
                    Some(Reference::Server(target)) => {
                        Some(play::play(self, target, scenario, dialect, run).await)
                    }
                    _ => None,
                }
            }
        });
        let (plays, others) = tokio::join!(join_all(plays), join_all(others));
        let mut plays: Vec<_> = plays.into_iter().map(Vec::into_iter).collect();
        let mut others: Vec<_> = others.into_iter().map(|other| other.map(Vec::into_iter)).collect();
        let mut steps = Vec::new();
        for step in &scenario.steps {
            let row = plays.iter_mut().map(|play| play.next().unwrap_or_default());
            let references = others.iter_mut().map(|other| other.as_mut().and_then(Iterator::next));
            steps.push(self.judge(&scenario, step, row.collect(), references.collect()));
        }
        let report = ScenarioReport { scenario, steps, took: begun.elapsed() };
        self.watcher.ended(&report);
        report
    }

    /// Compares what came of a step in all dialects.
    fn judge(
        &self,
        scenario: &Scenario,
        step: &Step,
        row: Vec<Play>,
        references: Vec<Option<Play>>,
    ) -> StepReport {
        let mut compared = BTreeMap::new();
        if step.same {
            let documents = self.dialects.iter().zip(&row);
            let documents: Vec<_> =
                documents.filter_map(|(dialect, play)| Some((*dialect, play.document.as_ref()?))).collect();
            compared = compare::same(&documents);
        }
        let cells = self.dialects.iter().zip(row).zip(references).map(|((&dialect, mut play), reference)| {
            let mut findings = std::mem::take(&mut play.findings);
            findings.extend(compared.remove(&dialect).unwrap_or_default());
            findings.extend(self.held_against(scenario, step, dialect, play.document.as_ref(), reference));
            findings.retain(|finding| !step.without.contains(&finding.rule));
            findings.sort_by_key(|finding| finding.rule);
            let judged = findings.into_iter().map(|finding| {
                let known = self.deviations.reason(&scenario.name, &step.name, dialect, &finding);
                Judged { known: known.map(str::to_owned), finding }
            });
            let findings = judged.collect();
            let Play { skipped, message, exchange, document, .. } = play;
            Cell { dialect, skipped, message, exchange, document, findings }
        });
        StepReport { cells: cells.collect() }
    }

    /// What differs from the other server, or from the golden file.
    fn held_against(
        &self,
        scenario: &Scenario,
        step: &Step,
        dialect: Dialect,
        document: Option<&Value>,
        other: Option<Play>,
    ) -> Vec<Finding> {
        let missing = |text: String| vec![Finding::new(Rule::ReferenceCode, "", text)];
        let Some(document) = document else { return Vec::new() };
        match (&self.reference, other) {
            (Some(Reference::Golden(golden)), _) => {
                match golden.document(&scenario.name, &step.name, dialect) {
                    Some(want) => {
                        compare::findings(Against::Reference, "the golden file has", want, document)
                    }
                    None => missing("the golden file does not have this step".to_owned()),
                }
            }
            (Some(Reference::Server(_)), Some(Play { document: Some(want), .. })) => {
                compare::findings(Against::Reference, "the other server has", &want, document)
            }
            (Some(Reference::Server(_)), Some(Play { findings, skipped, .. })) => {
                let why =
                    findings.first().map(|finding| finding.text.clone()).or(skipped).unwrap_or_default();
                missing(format!("the other server has no answer: {why}"))
            }
            _ => Vec::new(),
        }
    }
}

/// As long for one dialect as for another: a server that counts must count the same.
fn namespace(run_id: &str, scenario: usize, dialect: usize) -> String {
    format!("{run_id}x{scenario:04x}x{dialect:02x}")
}
