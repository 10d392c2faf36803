//! Files and an API become steps that can be made.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::HeaderName;
use prost_reflect::MethodDescriptor;

use super::{
    At, Expect, File, Mistake, Node, Row,
    check::{self, Known},
    file::{RawText, ScenarioText, StepText},
    template::{self, Variables},
};
use crate::{api::Api, dialect::Encoding, place::Place, rule::Rule};

/// Variables that every step has.
const BUILT_IN: [&str; 3] = ["run", "encoding", "dialect"];

/// A header: its value, or that it is not sent.
pub type Header = (HeaderName, At<Node>);

/// All that is to be done.
#[derive(Clone, Debug, Default)]
pub struct Suite {
    /// In the order of the files.
    pub scenarios: Vec<Arc<Scenario>>,
}

/// Which scenarios are compiled.
#[derive(Clone, Debug, Default)]
pub struct Tags {
    /// Those with one of these; all, if there are none.
    pub with: Vec<String>,
    /// But not those with one of these.
    pub without: Vec<String>,
}

impl Tags {
    fn keep(&self, of_file: &[String], of_scenario: &[String]) -> bool {
        let has = |tag: &String| of_file.contains(tag) || of_scenario.contains(tag);
        (self.with.is_empty() || self.with.iter().any(has)) && !self.without.iter().any(has)
    }
}

/// Steps in an order.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its sentence, with its row filled in.
    pub name: String,
    /// Where it stands.
    pub file: PathBuf,
    /// Its line.
    pub line: u64,
    /// The file's and its own.
    pub tags: Vec<String>,
    /// The file's, then the row's, filled in when it begins.
    pub variables: Vec<(String, At<Node>)>,
    /// Setup, steps and teardown.
    pub steps: Vec<Step>,
    /// How many of the steps are setup.
    pub setup: usize,
    /// How many of the steps, at their end, are teardown.
    pub teardown: usize,
}

/// A call, but for what only the run can fill in.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it shows, with its row filled in. No other step of its scenario has the name.
    pub name: String,
    /// Its line.
    pub line: u64,
    /// Its column.
    pub column: u64,
    /// Its row's variables, filled in when it is made.
    pub variables: Vec<(String, At<Node>)>,
    /// What is called.
    pub method: MethodDescriptor,
    /// The request, as proto3 JSON.
    pub message: At<Node>,
    /// Bytes in place of the message.
    pub raw: BTreeMap<Encoding, Body>,
    /// The outermost first; later ones count.
    pub headers: Vec<Header>,
    /// What the server is told.
    pub timeout: Option<Duration>,
    /// The encodings that make it.
    pub encodings: Vec<Encoding>,
    /// Whether answers are compared with each other.
    pub same: bool,
    /// What must come of it.
    pub expect: Expect,
    /// What may differ.
    pub mask: Vec<Place>,
    /// Lists without an order.
    pub unordered: Vec<Place>,
    /// Headers that are compared, in lower case.
    pub compare_headers: Vec<String>,
    /// Rules that do not hold.
    pub without: BTreeSet<Rule>,
    /// Variables, and where they are found.
    pub capture: Vec<(String, Place)>,
}

/// Bytes of a body.
#[derive(Clone, Debug)]
pub enum Body {
    /// Known from the beginning.
    Bytes(Bytes),
    /// Text that is filled in.
    Text(At<Node>),
}

impl Suite {
    /// Compiles files against an API. `given` are variables that stand above those of the files; they may hold `${…}`.
    ///
    /// # Errors
    /// With the first mistake in each file.
    pub fn compile(
        files: &[(PathBuf, File)],
        api: &Api,
        given: &BTreeMap<String, String>,
        tags: &Tags,
    ) -> Result<Self, Vec<Mistake>> {
        let (mut scenarios, mut mistakes) = (Vec::<Arc<Scenario>>::new(), Vec::new());
        for (path, file) in files {
            let mistake = |line, column, text| Mistake { file: path.clone(), line, column, text };
            match compile(path, file, api, given, tags) {
                Ok(compiled) => {
                    // Golden files and deviations know scenarios by their names.
                    let twice = compiled.iter().filter_map(|scenario| {
                        let other = scenarios.iter().find(|other| other.name == scenario.name)?;
                        let place = format!("{}:{}", other.file.display(), other.line);
                        let text = format!("the scenario of {place} is called {:?}, too", scenario.name);
                        Some(mistake(scenario.line, 1, text))
                    });
                    mistakes.extend(twice);
                    scenarios.extend(compiled.into_iter().map(Arc::new));
                }
                Err(At { value: text, line, column }) => mistakes.push(mistake(line, column, text)),
            }
        }
        if mistakes.is_empty() { Ok(Self { scenarios }) } else { Err(mistakes) }
    }

    /// Keeps the scenarios whose name has `part` in it.
    pub fn retain_names(&mut self, part: &str) {
        self.scenarios.retain(|scenario| scenario.name.contains(part));
    }
}

/// What holds for a step because of where it stands.
#[derive(Clone)]
struct Scope<'a> {
    /// Variables that must be given, and are not.
    missing: &'a BTreeSet<String>,
    file: &'a File,
    api: &'a Api,
    headers: Vec<Header>,
    mask: Vec<Place>,
    unordered: Vec<Place>,
    without: BTreeSet<Rule>,
}

fn compile(
    path: &Path,
    file: &File,
    api: &Api,
    given: &BTreeMap<String, String>,
    tags: &Tags,
) -> Result<Vec<Scenario>, At<String>> {
    let (mut variables, mut missing) = (Vec::new(), BTreeSet::new());
    for (name, node) in &file.variables {
        match given.get(name) {
            Some(value) => variables.push((name.clone(), node.with(Node::Text(value.clone())))),
            None if node.value == Node::Null => drop(missing.insert(name.clone())),
            None => variables.push((name.clone(), node.clone())),
        }
    }
    let outer = Scope {
        missing: &missing,
        file,
        api,
        headers: Vec::new(),
        mask: Vec::new(),
        unordered: Vec::new(),
        without: BTreeSet::new(),
    };
    let outer = outer.inside(&file.headers, &file.mask, &file.unordered, &file.without)?;
    let mut all = Vec::new();
    for row in rows(&file.each) {
        let variables: Vec<_> = row.0.into_iter().chain(variables.iter().cloned()).collect();
        let known = before_the_run(&variables);
        let of_file = file.tags.iter().map(|tag| filled("a tag", tag, &known));
        let of_file: Vec<String> = of_file.collect::<Result<_, _>>()?;
        for text in file.scenarios.iter().filter(|text| tags.keep(&of_file, &text.tags)) {
            for row in rows(&text.each) {
                let variables = variables.iter().cloned().chain(row.0).collect();
                let mut compiled = scenario(path, text, &of_file, &outer, variables)?;
                unique(&mut compiled.name, all.iter().map(|other: &Scenario| &other.name));
                all.push(compiled);
            }
        }
    }
    Ok(all)
}

fn scenario(
    path: &Path,
    text: &ScenarioText,
    tags_of_file: &[String],
    outer: &Scope<'_>,
    variables: Vec<(String, At<Node>)>,
) -> Result<Scenario, At<String>> {
    let scope = outer.inside(&text.headers, &text.mask, &text.unordered, &text.without)?;
    let mut known = Known { names: BUILT_IN.map(str::to_owned).into(), missing: outer.missing.clone() };
    for (name, node) in &variables {
        check::known(node, &known)?;
        known.names.insert(name.clone());
    }
    let mut steps: Vec<Step> = Vec::new();
    let mut counts = Vec::new();
    for (phase, is_setup) in [(&text.setup, true), (&text.steps, false), (&text.teardown, false)] {
        let before = steps.len();
        for text in phase {
            for row in rows(&text.each) {
                let mut step = scope.step(text, row, &variables, &known)?;
                if is_setup && step.expect.code.is_none() {
                    step.expect.code = Some(text.rpc.with(Node::Text("ok".to_owned())));
                }
                unique(&mut step.name, steps.iter().map(|other| &other.name));
                steps.push(step);
            }
            known.names.extend(text.capture.keys().cloned());
        }
        counts.push(steps.len() - before);
    }
    let name = filled("a name", &text.name, &before_the_run(&variables))?;
    let tags = tags_of_file.iter().chain(&text.tags).cloned().collect();
    Ok(Scenario {
        name,
        file: path.to_owned(),
        line: text.name.line,
        tags,
        variables,
        steps,
        setup: counts[0],
        teardown: counts[2],
    })
}

impl Scope<'_> {
    fn inside(
        &self,
        headers: &Row,
        mask: &[At<String>],
        unordered: &[At<String>],
        without: &[At<Rule>],
    ) -> Result<Self, At<String>> {
        let mut scope = self.clone();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| value.with(format!("{name:?} is no name of a header")))?;
            scope.headers.push((name, value.clone()));
        }
        let place = |text: &At<String>| Place::parse(text).map_err(|error| text.with(error));
        scope.mask.extend(mask.iter().map(place).collect::<Result<Vec<_>, _>>()?);
        scope.unordered.extend(unordered.iter().map(place).collect::<Result<Vec<_>, _>>()?);
        scope.without.extend(without.iter().map(|rule| rule.value));
        Ok(scope)
    }

    fn step(
        &self,
        text: &StepText,
        row: Row,
        outer: &[(String, At<Node>)],
        known: &Known,
    ) -> Result<Step, At<String>> {
        let scope = self.inside(&text.headers, &text.mask, &text.unordered, &text.without)?;
        let variables = row.0;
        let values = before_the_run(&outer.iter().chain(&variables).cloned().collect::<Vec<_>>());
        let mut rpc = filled("an rpc", &text.rpc, &values)?;
        if let Some(service) = self.file.service.as_ref().filter(|_| !rpc.contains('/')) {
            rpc = format!("{}/{rpc}", filled("a service", service, &values)?);
        }
        let method = self.api.method(&rpc).map_err(|error| text.rpc.with(error))?;
        let message = text.message.clone().unwrap_or_else(|| text.rpc.with(Node::Map(Vec::new())));
        check::message(&method.input(), &message, &values)?;
        let mut expect = text.expect.clone().unwrap_or_default();
        if let Some(response) = &expect.response {
            check::message(&method.output(), response, &values)?;
            expect.code.get_or_insert_with(|| response.with(Node::Text("ok".to_owned())));
        }

        let mut known = known.clone();
        for (name, node) in &variables {
            check::known(node, &known)?;
            known.names.insert(name.clone());
        }
        let parts = [&expect.code, &expect.message, &expect.details, &expect.response];
        let nodes = parts.into_iter().flatten().chain(expect.headers.into_iter().map(|(_, value)| value));
        let nodes = nodes.chain([&message]).chain(scope.headers.iter().map(|(_, value)| value));
        nodes.into_iter().try_for_each(|node| check::known(node, &known))?;

        let name = text.name.clone().unwrap_or_else(|| text.rpc.with(method.name().to_owned()));
        let name = filled("a name", &name, &values)?;
        let capture = text.capture.iter().map(|(name, place)| {
            let place = Place::parse(place).map_err(|error| place.with(error))?;
            Ok((name.clone(), place))
        });
        let timeout = text.timeout.as_ref().map(duration).transpose()?;
        let raw = text.raw.iter().map(|(encoding, raw)| Ok((*encoding, body(raw, &text.rpc, &values)?)));
        let mut raw: BTreeMap<Encoding, Body> = raw.collect::<Result<_, At<String>>>()?;
        for encoding in Encoding::ALL.into_iter().filter(|encoding| encoding.is_at_url()) {
            if let Some(body) = raw.get(&encoding.base()).filter(|_| !raw.contains_key(&encoding)) {
                raw.insert(encoding, body.clone());
            }
        }
        let encodings = match &text.encodings {
            Some(named) => Encoding::ALL.into_iter().filter(|encoding| encoding.is_in(named)).collect(),
            None if raw.is_empty() => Encoding::ALL.to_vec(),
            None => raw.keys().copied().collect(),
        };
        Ok(Step {
            name,
            line: text.rpc.line,
            column: text.rpc.column,
            variables,
            method,
            message,
            raw,
            headers: scope.headers,
            timeout,
            encodings,
            same: text.same,
            expect,
            mask: scope.mask,
            unordered: scope.unordered,
            compare_headers: self.file.compare_headers.iter().map(|name| name.to_lowercase()).collect(),
            without: scope.without,
            capture: capture.collect::<Result<_, At<String>>>()?,
        })
    }
}

/// The rows of a table; one without variables, if there is no table.
fn rows(each: &[Row]) -> Vec<Row> {
    if each.is_empty() { vec![Row::default()] } else { each.to_vec() }
}

/// The variables that are the same in every dialect: all but those that are made of `${run}` and its like.
fn before_the_run(variables: &[(String, At<Node>)]) -> Variables {
    let mut known = Variables::new();
    for (name, node) in variables {
        if let Ok(value) = template::fill(node, &known) {
            known.insert(name.clone(), value);
        }
    }
    known
}

/// What must be the same in every dialect, with what is known before the run.
fn filled(what: &str, text: &At<String>, known: &Variables) -> Result<String, At<String>> {
    let value = template::fill_text(text, known).map_err(|error| text.with(format!("in {what}: {error}")))?;
    Ok(template::text_of(&value))
}

/// Gives a name that is taken a number.
fn unique<'a>(name: &mut String, taken: impl Iterator<Item = &'a String> + Clone) {
    let first = name.clone();
    let mut number = 2;
    while taken.clone().any(|other| other == name) {
        *name = format!("{first} ({number})");
        number += 1;
    }
}

fn body(raw: &RawText, rpc: &At<String>, known: &Variables) -> Result<Body, At<String>> {
    match raw {
        RawText::Text(text) => Ok(Body::Text(rpc.with(Node::Text(text.clone())))),
        RawText::Hex(digits) => {
            let digits = filled("hex", &rpc.with(digits.clone()), known)?;
            let digits: Vec<u8> = digits.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
            let bytes: Option<Vec<u8>> = digits
                .chunks(2)
                .map(|pair| {
                    u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok().filter(|_| pair.len() == 2)
                })
                .collect();
            let bytes =
                bytes.ok_or_else(|| rpc.with("hex: these are no pairs of hexadecimal digits".to_owned()))?;
            Ok(Body::Bytes(bytes.into()))
        }
    }
}

/// `500ms`, `2s`.
fn duration(text: &At<String>) -> Result<Duration, At<String>> {
    let wrong = || text.with(format!("{:?} is no duration: it is like 500ms or 2s", text.value));
    let (digits, unit) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(digits), _) => (digits, 1),
        (None, Some(digits)) => (digits, 1000),
        _ => return Err(wrong()),
    };
    let milliseconds: u64 = digits.parse().map_err(|_| wrong())?;
    Ok(Duration::from_millis(milliseconds.saturating_mul(unit)))
}
