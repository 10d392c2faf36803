//! For machines that know tests: JUnit's XML, a test case for each step in each dialect.

use std::io::{self, Write};

use super::{Report, Summary};
use crate::run::{Cell, ScenarioReport, State};

/// A report in JUnit's XML. Scenarios are kept, for the numbers stand in front.
pub struct Junit<W> {
    out: W,
    suites: String,
}

impl<W: Write> Junit<W> {
    /// A report to `out`, written at the end.
    pub fn new(out: W) -> Self {
        Self { out, suites: String::new() }
    }
}

/// Text inside of XML; what XML cannot hold is `U+FFFD`.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' => escaped.push(character),
            character if character < ' ' || ('\u{fffe}'..='\u{ffff}').contains(&character) => {
                escaped.push('\u{fffd}');
            }
            character => escaped.push(character),
        }
    }
    escaped
}

fn case(report: &ScenarioReport, step: &str, cell: &Cell) -> String {
    let took = cell.exchange.as_ref().and_then(|exchange| exchange.answer.as_ref().ok());
    let seconds = took.map_or(0.0, |answer| answer.took.as_secs_f64());
    let class = escape(&report.scenario.name);
    let name = escape(&format!("{step} [{}]", cell.dialect));
    let inside = match (cell.state(), &cell.skipped) {
        (State::Failed, _) => {
            let failed = cell.findings.iter().filter(|judged| judged.known.is_none());
            let findings: Vec<String> =
                failed.map(|judged| format!("{}: {}", judged.finding.rule, judged.finding.text)).collect();
            let first = findings.first().map_or("", String::as_str);
            format!("<failure message=\"{}\">{}</failure>", escape(first), escape(&findings.join("\n")))
        }
        (State::Known, _) => {
            let reason = cell.findings.iter().find_map(|judged| judged.known.as_deref()).unwrap_or_default();
            format!("<skipped message=\"known: {}\"/>", escape(reason))
        }
        (_, Some(why)) => format!("<skipped message=\"{}\"/>", escape(why)),
        _ => String::new(),
    };
    format!("    <testcase classname=\"{class}\" name=\"{name}\" time=\"{seconds:.6}\">{inside}</testcase>\n")
}

impl<W: Write> Report for Junit<W> {
    fn scenario(&mut self, report: &ScenarioReport) -> io::Result<()> {
        let cells = || report.steps.iter().flat_map(|step| &step.cells);
        let count = |state: State| cells().filter(|cell| cell.state() == state).count();
        self.suites.push_str(&format!(
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" time=\"{:.6}\">\n",
            escape(&report.scenario.name),
            cells().count(),
            count(State::Failed),
            count(State::Skipped) + count(State::Known),
            report.took.as_secs_f64()
        ));
        for (step, reported) in report.steps() {
            for cell in &reported.cells {
                self.suites.push_str(&case(report, &step.name, cell));
            }
        }
        self.suites.push_str("  </testsuite>\n");
        Ok(())
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        let tests: usize = summary.cells.values().sum();
        writeln!(
            self.out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"metagate parity\" tests=\"{tests}\" \
             failures=\"{}\" skipped=\"{}\" time=\"{:.6}\">\n{}</testsuites>",
            summary.count(State::Failed),
            summary.count(State::Skipped) + summary.count(State::Known),
            summary.took.as_secs_f64(),
            self.suites
        )?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn xml_holds_any_text() {
        assert_eq!(
            super::escape("a<b>&\"c\"\0\u{ffff}ä\n"),
            "a&lt;b&gt;&amp;&quot;c&quot;\u{fffd}\u{fffd}ä\n"
        );
    }
}
