//! What is done at the moment, on a terminal; else nothing.

use std::{
    io::IsTerminal,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use parity::{
    run::{ScenarioReport, State, Watcher},
    scenario::Scenario,
};

/// Three lines below what is shown: how far the run is, what is under way, and what was found last.
pub(super) struct Live {
    lines: MultiProgress,
    bar: ProgressBar,
    under_way: ProgressBar,
    found: ProgressBar,
    /// Names, in the order in which they began.
    names: Mutex<Vec<String>>,
    calls: AtomicU64,
    failed: AtomicU64,
    begun: Instant,
}

/// Calls after which the rate is shown anew.
const SHOWN_EVERY: u64 = 32;

impl Live {
    pub(super) fn new(all: usize, what: &'static str) -> Arc<Self> {
        let target = match std::io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let lines = MultiProgress::with_draw_target(target);
        let line = |template: &str| {
            let style = ProgressStyle::with_template(template);
            lines.add(
                ProgressBar::new(all as u64)
                    .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())),
            )
        };
        Arc::new(Self {
            bar: line("{bar:30} {pos}/{len} {prefix}, {msg}, {eta} left").with_prefix(what),
            under_way: line("{wide_msg}"),
            found: line("{wide_msg}"),
            lines,
            names: Mutex::default(),
            calls: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            begun: Instant::now(),
        })
    }

    /// Shows something else, above the lines.
    pub(super) fn above(&self, show: impl FnOnce()) {
        self.lines.suspend(show);
    }

    /// As many more are done.
    pub(super) fn done(&self, count: usize) {
        self.bar.inc(count as u64);
    }

    /// Takes the lines away.
    pub(super) fn end(&self) {
        for line in [&self.bar, &self.under_way, &self.found] {
            line.finish_and_clear();
        }
    }

    fn rate(&self) {
        let (calls, failed) = (self.calls.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed));
        let rate = calls as f64 / self.begun.elapsed().as_secs_f64().max(0.001);
        self.bar.set_message(format!("{calls} calls, {rate:.0} a second, {failed} failed"));
    }

    fn names(&self, change: impl FnOnce(&mut Vec<String>)) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut names);
        let others = if names.len() > 1 { format!(", and {} more", names.len() - 1) } else { String::new() };
        let first = names.first().map(|name| format!("now: {name}{others}"));
        self.under_way.set_message(first.unwrap_or_default());
    }
}

impl Watcher for Live {
    fn begun(&self, scenario: &Scenario) {
        self.names(|names| names.push(scenario.name.clone()));
    }

    fn called(&self) {
        if self.calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(SHOWN_EVERY) {
            self.rate();
        }
    }

    fn ended(&self, report: &ScenarioReport) {
        let name = &report.scenario.name;
        self.names(|names| {
            if let Some(at) = names.iter().position(|other| other == name) {
                names.remove(at);
            }
        });
        if report.state() == State::Failed {
            self.failed.fetch_add(1, Ordering::Relaxed);
            let cells = report.steps.iter().flat_map(|step| &step.cells);
            let mut findings = cells.flat_map(|cell| cell.findings.iter().map(move |judged| (cell, judged)));
            if let Some((cell, judged)) = findings.find(|(_, judged)| judged.known.is_none()) {
                let finding = &judged.finding;
                let text = finding.text.lines().next().unwrap_or_default();
                self.found.set_message(format!("found: {name}: {}: {}: {text}", cell.dialect, finding.rule));
            }
        }
        self.rate();
    }
}
