//! A scenario in one dialect.

use http::{HeaderMap, HeaderValue};
use prost_reflect::{DeserializeOptions, DynamicMessage};
use serde_json::Value;

use super::Runner;
use crate::{
    compare,
    dialect::Dialect,
    encoding::{self, Call},
    exchange::Exchange,
    rule::{Finding, Rule},
    scenario::{
        At, Body, Node, Scenario, Step,
        template::{self, Variables},
    },
    transport::Target,
};

/// What came of a step.
#[derive(Debug, Default)]
pub(super) struct Play {
    pub(super) skipped: Option<String>,
    pub(super) message: Option<Value>,
    pub(super) exchange: Option<Exchange>,
    pub(super) document: Option<Value>,
    pub(super) findings: Vec<Finding>,
}

impl Play {
    fn skipped(why: impl Into<String>) -> Self {
        Self { skipped: Some(why.into()), ..Self::default() }
    }

    /// What could not be filled in, where.
    fn impossible(error: &At<String>) -> Self {
        let finding = Finding::new(Rule::Step, "", format!("line {}: {}", error.line, error.value));
        Self { findings: vec![finding], ..Self::default() }
    }
}

/// Makes all steps, one after the other.
pub(super) async fn play(
    runner: &Runner,
    target: &Target,
    scenario: &Scenario,
    dialect: Dialect,
    run: String,
) -> Vec<Play> {
    let mut variables = Variables::from([
        ("run".to_owned(), run.clone().into()),
        ("encoding".to_owned(), dialect.encoding.name().into()),
        ("dialect".to_owned(), dialect.to_string().replace('/', "-").into()),
    ]);
    if let Err(error) = extend(&mut variables, &scenario.variables) {
        return scenario.steps.iter().map(|_| Play::impossible(&error)).collect();
    }
    let mut failed: Option<String> = None;
    let mut plays = Vec::with_capacity(scenario.steps.len());
    for (index, step) in scenario.steps.iter().enumerate() {
        let is_teardown = index + scenario.teardown >= scenario.steps.len();
        if let Some(failed) = failed.as_ref().filter(|_| !is_teardown) {
            plays.push(Play::skipped(format!("the setup failed: {failed}")));
            continue;
        }
        let mut scope = variables.clone();
        if let Err(error) = extend(&mut scope, &step.variables) {
            plays.push(Play::impossible(&error));
            continue;
        }
        let player = Player { runner, target, step, dialect, run: &run };
        let play = player.step(&scope, &mut variables).await;
        if index < scenario.setup {
            failed =
                play.findings.first().map(|finding| finding.text.clone()).or_else(|| play.skipped.clone());
        }
        plays.push(play);
    }
    plays
}

/// Fills variables in, in their order.
fn extend(variables: &mut Variables, more: &[(String, At<Node>)]) -> Result<(), At<String>> {
    for (name, node) in more {
        let value = template::fill(node, variables)?;
        variables.insert(name.clone(), value);
    }
    Ok(())
}

struct Player<'a> {
    runner: &'a Runner,
    target: &'a Target,
    step: &'a Step,
    dialect: Dialect,
    run: &'a str,
}

impl Player<'_> {
    /// Makes the step; what it captures goes to `captured`.
    async fn step(&self, scope: &Variables, captured: &mut Variables) -> Play {
        let Self { runner, step, dialect, .. } = *self;
        if !step.encodings.contains(&dialect.encoding) {
            return Play::skipped("not of this step");
        }
        let call = match self.call(scope) {
            Ok(call) => call,
            Err(error) => return Play::impossible(&error),
        };
        let request = match call.to_request(&runner.api, dialect.encoding) {
            Ok(request) => request,
            Err(unspeakable) => return Play::skipped(unspeakable.0),
        };
        let mut play = Play { message: serde_json::to_value(&call.message).ok(), ..Play::default() };
        if let Some(preflight) =
            encoding::preflight(&request).filter(|_| encoding::is_for_browsers(dialect.encoding))
        {
            match runner.transport.send(self.target, dialect, preflight).await.answer {
                Ok(answer) => play.findings.extend(encoding::judge_preflight(&request, &answer)),
                Err(error) => play.findings.push(Finding::new(Rule::CorsPreflight, "", error)),
            }
        }
        let exchange = runner.transport.send(self.target, dialect, request).await;
        runner.watcher.called();
        match &exchange.answer {
            Err(error) => play.findings.push(Finding::new(Rule::Answer, "", error)),
            Ok(answer) => {
                let reading = call.read(&runner.api, dialect.encoding, answer);
                play.findings.extend(reading.findings);
                if let Some(outcome) = reading.outcome {
                    match compare::expected(step, &outcome, scope) {
                        Ok(findings) => play.findings.extend(findings),
                        Err(error) => play.findings.extend(Play::impossible(&error).findings),
                    }
                    let document = outcome.to_document();
                    for (name, place) in &step.capture {
                        match place.find(&document) {
                            Some(value) => {
                                captured.insert(name.clone(), value.clone());
                            }
                            None => {
                                let text = format!("there is nothing to capture as {name}");
                                play.findings.push(Finding::new(Rule::ExpectedResponse, "response", text));
                            }
                        }
                    }
                    play.document = Some(compare::comparable(&outcome, step, self.run));
                }
            }
        }
        play.exchange = Some(exchange);
        play
    }

    /// The call, with everything filled in.
    fn call(&self, scope: &Variables) -> Result<Call, At<String>> {
        let step = self.step;
        let filled = template::fill(&step.message, scope)?;
        let options = DeserializeOptions::new();
        let message = DynamicMessage::deserialize_with_options(step.method.input(), filled, &options)
            .map_err(|error| step.message.with(error.to_string()))?;
        let raw = match step.raw.get(&self.dialect.encoding) {
            None => None,
            Some(Body::Bytes(bytes)) => Some(bytes.clone()),
            Some(Body::Text(node)) => Some(template::text_of(&template::fill(node, scope)?).into()),
        };
        let mut headers: HeaderMap = self.runner.headers.clone();
        for (name, node) in &step.headers {
            match template::fill(node, scope)? {
                Value::Null => {
                    headers.remove(name);
                }
                value => {
                    let value = HeaderValue::from_bytes(template::text_of(&value).as_bytes());
                    headers.insert(
                        name,
                        value.map_err(|_| node.with(format!("{name}: this is no header's value")))?,
                    );
                }
            }
        }
        Ok(Call { method: step.method.clone(), message, raw, headers, timeout: step.timeout })
    }
}
