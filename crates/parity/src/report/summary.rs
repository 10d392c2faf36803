//! A run in numbers.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::{
    dialect::Dialect,
    rule::Rule,
    run::{ScenarioReport, State},
};

/// A run in numbers.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How many scenarios were made.
    pub scenarios: usize,
    /// How many steps they have.
    pub steps: usize,
    /// How many calls were made.
    pub calls: usize,
    /// Cells by their state.
    pub cells: BTreeMap<State, usize>,
    /// Findings that count, by rule.
    pub findings: BTreeMap<Rule, usize>,
    /// Cells that failed, by dialect.
    pub failed: BTreeMap<Dialect, usize>,
    /// How long it took; set by who has the clock.
    pub took: Duration,
}

impl Summary {
    /// Counts a scenario.
    pub fn add(&mut self, report: &ScenarioReport) {
        self.scenarios += 1;
        self.steps += report.steps.len();
        for cell in report.steps.iter().flat_map(|step| &step.cells) {
            self.calls += usize::from(cell.exchange.is_some());
            *self.cells.entry(cell.state()).or_default() += 1;
            if cell.state() == State::Failed {
                *self.failed.entry(cell.dialect).or_default() += 1;
            }
            for judged in cell.findings.iter().filter(|judged| judged.known.is_none()) {
                *self.findings.entry(judged.finding.rule).or_default() += 1;
            }
        }
    }

    /// How many cells are in a state.
    pub fn count(&self, state: State) -> usize {
        self.cells.get(&state).copied().unwrap_or_default()
    }

    /// Whether all is as it must be, known deviations aside.
    pub fn is_good(&self) -> bool {
        self.count(State::Failed) == 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural =
            |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        write!(
            f,
            "{}, {}, {} in {:.1} s: {} failed, {} known, {} skipped",
            plural(self.scenarios, "scenario"),
            plural(self.steps, "step"),
            plural(self.calls, "call"),
            self.took.as_secs_f64(),
            self.count(State::Failed),
            self.count(State::Known),
            self.count(State::Skipped)
        )
    }
}
