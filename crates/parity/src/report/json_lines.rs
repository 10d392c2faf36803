//! For machines: a line of JSON for each step in each dialect, and one for the whole.

use std::io::{self, Write};

use serde_json::json;

use super::{Report, Summary};
use crate::run::{Cell, ScenarioReport, State};

/// A report in JSON lines: objects with `kind` `step`, and at the end one with `kind` `summary`.
pub struct JsonLines<W> {
    out: W,
}

impl<W: Write> JsonLines<W> {
    /// A report to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }
}

/// A state's name in reports.
pub(super) fn name(state: State) -> &'static str {
    match state {
        State::Passed => "passed",
        State::Failed => "failed",
        State::Known => "known",
        State::Skipped => "skipped",
    }
}

fn findings(cell: &Cell) -> Vec<serde_json::Value> {
    let findings = cell.findings.iter().map(|judged| {
        let finding = &judged.finding;
        let values = finding.values.as_ref();
        json!({
            "rule": finding.rule,
            "place": finding.place,
            "text": finding.text,
            "want": values.map(|(want, _)| want),
            "got": values.map(|(_, got)| got),
            "known": judged.known,
        })
    });
    findings.collect()
}

impl<W: Write> Report for JsonLines<W> {
    fn scenario(&mut self, report: &ScenarioReport) -> io::Result<()> {
        for (step, reported) in report.steps() {
            for cell in &reported.cells {
                let took = cell
                    .exchange
                    .as_ref()
                    .and_then(|exchange| exchange.answer.as_ref().ok())
                    .map(|answer| answer.took);
                let line = json!({
                    "kind": "step",
                    "scenario": report.scenario.name,
                    "step": step.name,
                    "file": report.scenario.file,
                    "line": step.line,
                    "rpc": step.method.full_name(),
                    "encoding": cell.dialect.to_string(),
                    "state": name(cell.state()),
                    "skipped": cell.skipped,
                    "message": cell.message,
                    "findings": findings(cell),
                    "answer": cell.document,
                    "microseconds": took.map(|took| took.as_micros() as u64),
                });
                writeln!(self.out, "{line}")?;
            }
        }
        Ok(())
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        let findings = summary.findings.iter().map(|(rule, count)| (rule.id().to_owned(), (*count).into()));
        let line = json!({
            "kind": "summary",
            "scenarios": summary.scenarios,
            "steps": summary.steps,
            "calls": summary.calls,
            "passed": summary.count(State::Passed),
            "failed": summary.count(State::Failed),
            "known": summary.count(State::Known),
            "skipped": summary.count(State::Skipped),
            "findings": findings.collect::<serde_json::Map<_, _>>(),
            "milliseconds": summary.took.as_millis() as u64,
        });
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }
}
