//! What was asked of the figures, as Markdown.

use super::{ratio, thousands};
use crate::{
    figures::Spread,
    targets::{Bound, Target, Verdict},
};

/// All targets, and how many are missed.
pub fn targets(all: &[Target]) -> String {
    let count = |verdict| all.iter().filter(|target| target.verdict() == verdict).count();
    let mut text = format!(
        "## Targets\n\n{} met, {} open (the median misses it, the interval does not rule it out), {} missed.\n\n\
         | | asked | measured (95 %) | |\n|---|--:|--:|---|\n",
        count(Verdict::Met),
        count(Verdict::Open),
        count(Verdict::Missed),
    );
    for target in all {
        let asked = match target.bound {
            Bound::AtMost(most) => format!("≤ {}", short(most)),
            Bound::AtLeast(least) => format!("≥ {}", short(least)),
        };
        let verdict = match target.verdict() {
            Verdict::Met => "met",
            Verdict::Open => "open",
            Verdict::Missed => "**missed**",
        };
        let Spread { median, low, high } = target.measured;
        let measured = if low < high { ratio(target.measured) } else { format!("**{median:.2}**") };
        text += &format!("| {} | {asked} | {measured} | {verdict} |\n", target.what);
    }
    text
}

/// As many decimals as the bounds have.
fn short(bound: f64) -> String {
    if bound >= 1_000.0 { thousands(bound) } else { bound.to_string() }
}
