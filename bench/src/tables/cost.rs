//! Latency, memory, cores and instructions, as Markdown.

use std::path::PathBuf;

use super::{ratio, tenths, thousands};
use crate::{
    cores::{self, Cores},
    instructions::Instructions,
    latency::{self, CONNECTIONS, Latencies},
    memory::{CLIENTS, Idle, Memory},
};

/// Latencies at half of the peak.
pub fn latencies(latencies: &Latencies) -> String {
    let mut text = format!(
        "## Latency\n\nValues of 100 B; each server at half of its own peak, open loop; {CONNECTIONS} calls in flight at most, \
         and at the peak.\n\n\
         | | | | peak, calls/s | p50 µs | p99 µs | p99.9 µs | p99 by round (95 %) |\n|---|---|---|--:|--:|--:|--:|--:|\n"
    );
    for latency::Case { encoding, operation, servers, .. } in &latencies.cases {
        for latency::AtHalf { name, peak, p50, p99, p999, p99s } in servers {
            let peak = thousands(*peak);
            text += &format!("| {} | {operation:?} | {name} ", encoding.name());
            text += &format!("| {peak} | {p50} | {p99} | {p999} | {} |\n", tenths(*p99s));
        }
    }
    let Latencies { disk_p50, disk_p99, .. } = latencies;
    text + &format!(
        "\nThe disk appends a block of 4 KiB and syncs it in {disk_p50} µs (p50), {} µs (p99).\n",
        tenths(*disk_p99)
    )
}

/// Memory.
pub fn memory(memory: &Memory) -> String {
    let mut text = format!(
        "## Memory\n\n{CLIENTS} clients, each over a connection of its own, set and get values of 500 KB:\n\n\
         | store | | most resident, MB |\n|---|---|--:|\n"
    );
    for (store, encoding, peak) in &memory.large {
        text += &format!("| {store} | {} | {peak:.1} |\n", encoding.name());
    }
    let Idle { connections, before, http1, http2 } = &memory.idle;
    text + &format!(
        "\n{} idle connections, each behind one call: {http1:.1} MB over HTTP/1.1, {http2:.1} MB over HTTP/2; without them \
         {before:.1} MB.\n",
        thousands(*connections as f64)
    )
}

/// One core, and all of them.
pub fn cores(cores: &Cores) -> String {
    let count = cores.count;
    let mut text = format!(
        "## Cores\n\nMemory store, values of 100 B; CPU is the server's, a call.\n\n\
         | | | 1 core: CPU µs | calls a second of CPU | {count} cores: CPU µs | calls a second of CPU | {count} cores / 1 core \
         | calls/s, 1 core | calls/s, {count} cores |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for cores::Case { encoding, operation, one, all, ratio: spread, rates } in &cores.cases {
        let each = |cpu: f64| thousands(1e6 / cpu);
        text += &format!(
            "| {} | {operation:?} | {} | {} | {} | {} | {} | {} | {} |\n",
            encoding.name(),
            tenths(*one),
            each(one.median),
            tenths(*all),
            each(all.median),
            ratio(*spread),
            thousands(rates[0]),
            thousands(rates[1]),
        );
    }
    text
}

/// Instructions a call.
pub fn instructions(all: &[Instructions]) -> String {
    let mut text = "## Instructions\n\nOf the whole server without the kernel, a call.\n\n\
        | | | bytes | metagate | axum + tonic-web | metagate / it |\n|---|---|--:|--:|--:|--:|\n"
        .to_owned();
    for Instructions { encoding, operation, value_bytes, metagate, mux } in all {
        text += &format!(
            "| {} | {operation:?} | {} | {} | {} | {:.2} |\n",
            encoding.name(),
            thousands(*value_bytes as f64),
            thousands(*metagate),
            thousands(*mux),
            metagate / mux,
        );
    }
    text
}

/// The pictures that were drawn.
pub fn flames(files: &[PathBuf]) -> String {
    let names = files.iter().filter_map(|file| file.file_name());
    let lines: Vec<_> = names.map(|name| format!("- [{0}]({0})\n", name.display())).collect();
    format!("## Flames\n\n{}", lines.concat())
}
