//! metagate beside bare servers, as Markdown.

use super::{megabytes, ratio, thousands};
use crate::{
    comparison::{Against, Case, Comparison, Comparisons},
    side::{Figures, IN_FLIGHT},
};

/// A table for each size of values, and the floor.
pub fn comparisons(comparisons: &Comparisons) -> String {
    let mut text =
        format!("## Encodings\n\n{IN_FLIGHT} calls in flight; memory store; CPU is the server's, a call.\n");
    if let Some(reason) = &comparisons.without_go {
        text += &format!("Without the servers in Go: {reason}.\n");
    }
    for Comparison { size, cases, .. } in &comparisons.sizes {
        text += &format!("\n### Values of {size}\n\n");
        text += "| metagate | | req/s | p50 µs | p99 µs | CPU µs | peak MB | beside | CPU µs | peak MB | metagate / it | it / metagate |\n";
        text += "|---|---|--:|--:|--:|--:|--:|---|--:|--:|--:|--:|\n";
        for case in cases {
            text += &rows(case);
        }
    }
    text += "\n### The floor: hyper, which sends back what it is sent\n\n";
    text += "| | | req/s | p50 µs | p99 µs | CPU µs | peak MB |\n|---|---|--:|--:|--:|--:|--:|\n";
    for Comparison { size, echoes, .. } in &comparisons.sizes {
        for (protocol, echo) in echoes {
            text += &format!("| {size} | {protocol} | {} |\n", figures(echo));
        }
    }
    text
}

/// metagate's figures stand in the first row, each of the others in one of its own.
fn rows(case: &Case) -> String {
    let mut text = String::new();
    let mut ours = format!("{} | {:?} | {}", case.encoding.name(), case.operation, figures(&case.metagate));
    for Against { other, cpu, peak_bytes, ratio: spread } in &case.against {
        let peak = peak_bytes.map(megabytes).unwrap_or_default();
        let ratios =
            if other.is_go() { format!("| {}", ratio(*spread)) } else { format!("{} | ", ratio(*spread)) };
        text += &format!("| {ours} | {} | {:.1} | {peak} | {ratios} |\n", other.name(), cpu.median);
        " | | | | | | ".clone_into(&mut ours);
    }
    text
}

fn figures(figures: &Figures) -> String {
    let Figures { rate, p50, p99, cpu, peak_bytes } = figures;
    format!("{} | {p50} | {p99} | {:.1} | {}", thousands(*rate), cpu.median, megabytes(*peak_bytes))
}
