//! For people: a matrix, and what differs.

use std::io::{self, Write};

use super::{
    Report, Summary, repro,
    words::{Words, words},
};
use crate::{
    dialect::Dialect,
    run::{Cell, Judged, ScenarioReport, State, StepReport},
    scenario::Step,
};

/// Findings of one step that are shown; the others are counted.
const FINDINGS_MAX: usize = 12;

/// A report on a terminal, or in a log.
pub struct Terminal<W> {
    out: W,
    dialects: Vec<Dialect>,
    style: Style,
    shows_steps: bool,
    shows_repro: bool,
    is_begun: bool,
}

#[derive(Clone, Copy)]
struct Style {
    is_colored: bool,
}

impl Style {
    fn paint(self, color: &str, text: &str) -> String {
        if self.is_colored { format!("\x1b[{color}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn mark(self, state: State, width: usize) -> String {
        let (color, mark) = match state {
            State::Passed => ("32", "✓"),
            State::Failed => ("1;31", "✗"),
            State::Known => ("33", "~"),
            State::Skipped => ("2", "·"),
        };
        format!("{}{}", self.paint(color, mark), " ".repeat(width.saturating_sub(1)))
    }
}

impl<W: Write> Terminal<W> {
    /// A report of these dialects. `shows_steps`: those of scenarios that passed, too; `shows_repro`: commands that repeat
    /// what failed.
    pub fn new(
        out: W,
        dialects: Vec<Dialect>,
        is_colored: bool,
        shows_steps: bool,
        shows_repro: bool,
    ) -> Self {
        Self { out, dialects, style: Style { is_colored }, shows_steps, shows_repro, is_begun: false }
    }

    fn widths(&self) -> Vec<usize> {
        self.dialects.iter().map(|dialect| dialect.to_string().len() + 2).collect()
    }

    fn row(&mut self, states: impl Iterator<Item = State>, text: &str) -> io::Result<()> {
        let widths = self.widths();
        let marks: String = states.zip(widths).map(|(state, width)| self.style.mark(state, width)).collect();
        writeln!(self.out, "{marks}{text}")
    }

    /// What several dialects have in common is said once.
    fn findings(&mut self, step: &Step, report: &StepReport) -> io::Result<()> {
        let mut all: Vec<(&Judged, Vec<String>)> = Vec::new();
        for cell in &report.cells {
            for judged in &cell.findings {
                match all.iter_mut().find(|(other, _)| other.finding == judged.finding) {
                    Some((_, dialects)) => dialects.push(cell.dialect.to_string()),
                    None => all.push((judged, vec![cell.dialect.to_string()])),
                }
            }
        }
        for (judged, dialects) in all.iter().take(FINDINGS_MAX) {
            let finding = &judged.finding;
            let head = format!("{}: {}", dialects.join(", "), finding.rule);
            match &judged.known {
                Some(reason) => {
                    writeln!(
                        self.out,
                        "    {}: {reason}",
                        self.style.paint("33", &format!("{head} (known)"))
                    )?;
                }
                None => {
                    writeln!(self.out, "    {}: {}", self.style.paint("31", &head), finding.text)?;
                    if let Some((want, got)) = &finding.values {
                        self.difference(want, got)?;
                    }
                }
            }
        }
        if let Some(more) = all.len().checked_sub(FINDINGS_MAX).filter(|more| *more > 0) {
            writeln!(self.out, "    and {more} more")?;
        }
        report.cells.iter().try_for_each(|cell| self.repro(step, cell))
    }

    /// Only where words are left in common: else the finding has said it.
    fn difference(&mut self, want: &str, got: &str) -> io::Result<()> {
        let words = words(want, got);
        if !words.iter().any(|words| matches!(words, Words::Same(text) if text.trim().len() > 2)) {
            return Ok(());
        }
        let words = words.iter().map(|words| match words {
            Words::Same(text) => text.clone(),
            Words::Missing(text) if self.style.is_colored => self.style.paint("32;9", text),
            Words::Extra(text) if self.style.is_colored => self.style.paint("31;4", text),
            Words::Missing(text) => format!("[-{text}-]"),
            Words::Extra(text) => format!("{{+{text}+}}"),
        });
        let line: String = words.collect();
        writeln!(self.out, "      {line}")
    }

    fn repro(&mut self, step: &Step, cell: &Cell) -> io::Result<()> {
        let Some(exchange) = cell.exchange.as_ref().filter(|_| self.shows_repro) else { return Ok(()) };
        if cell.state() == State::Failed {
            writeln!(self.out, "    $ {}", repro(step, cell.dialect, exchange))?;
        }
        Ok(())
    }
}

impl<W: Write> Report for Terminal<W> {
    fn scenario(&mut self, report: &ScenarioReport) -> io::Result<()> {
        if !self.is_begun {
            self.is_begun = true;
            let heads: String = self.dialects.iter().map(|dialect| format!("{dialect}  ")).collect();
            writeln!(self.out, "{}", self.style.paint("2", heads.trim_end()))?;
        }
        let dialects = self.dialects.len();
        let worst = (0..dialects).map(|column| {
            let cells = report.steps.iter().filter_map(|step| step.cells.get(column));
            cells.map(Cell::state).max().unwrap_or(State::Skipped)
        });
        self.row(worst, &self.style.paint("1", &report.scenario.name))?;
        let shows_all = self.shows_steps;
        for (step, reported) in report.steps() {
            let worst = reported.cells.iter().map(Cell::state).max().unwrap_or(State::Skipped);
            if shows_all || worst >= State::Known {
                let place = format!("{}:{}", report.scenario.file.display(), step.line);
                let text = format!("  {} {}", step.name, self.style.paint("2", &place));
                self.row(reported.cells.iter().map(Cell::state), &text)?;
                self.findings(step, reported)?;
            }
        }
        Ok(())
    }

    fn end(&mut self, summary: &Summary) -> io::Result<()> {
        if !summary.is_good() {
            writeln!(self.out)?;
            for (rule, count) in &summary.findings {
                writeln!(self.out, "{count:>6}  {rule}: {}", rule.meaning())?;
            }
        }
        let color = if summary.is_good() { "32" } else { "31" };
        writeln!(self.out, "\n{}", self.style.paint(color, &summary.to_string()))?;
        self.out.flush()
    }
}
