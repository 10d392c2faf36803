//! What was measured, as Markdown.

use std::fmt::Write;

use crate::{
    comparison::{Comparison, Figures, IN_FLIGHT},
    figures::Spread,
    logins::Logins,
    pages::Pages,
    postgres::{CLIENTS, WRITERS, Writes},
    reads::Reads,
    scale::{self, Scale},
    start::Starts,
    writers::Writers,
};

/// metagate beside bare servers.
pub fn comparisons(comparisons: &[Comparison]) -> String {
    let mut text =
        format!("### Encodings\n\n{IN_FLIGHT} calls in flight; memory store; CPU is the server's, a call.\n");
    for Comparison { size, cases, .. } in comparisons {
        text += &format!("\n#### Values of {size}\n\n");
        text += "| | | req/s | p50 µs | p99 µs | CPU µs | peak MB | bare | req/s | p50 µs | p99 µs | CPU µs | peak MB | CPU ratio (min–max) |\n";
        text += "|---|---|--:|--:|--:|--:|--:|---|--:|--:|--:|--:|--:|--:|\n";
        for case in cases {
            let (bare, bare_figures) = &case.bare;
            text += &format!(
                "| {} | {:?} | {} | {} | {} | {} |\n",
                case.encoding.name(),
                case.operation,
                figures(&case.metagate),
                bare.name(),
                figures(bare_figures),
                ratio(case.ratio),
            );
        }
    }
    text += "\n#### The floor: hyper, which sends back what it is sent\n\n";
    text += "| | | req/s | p50 µs | p99 µs | CPU µs | peak MB |\n|---|---|--:|--:|--:|--:|--:|\n";
    for Comparison { size, echoes, .. } in comparisons {
        for (protocol, echo) in echoes {
            text += &format!("| {size} | {protocol} | {} |\n", figures(echo));
        }
    }
    text
}

/// SQLite beside the disk and the memory store.
pub fn writers(all: &[Writers]) -> String {
    let mut text = "### Writers\n\ngRPC, values of 100 B. Raw: a block of 4 KiB is appended to a file and synced, by one thread.\n\n\
        | writers | raw/s | SQLite writes/s | memory store writes/s | SQLite / raw | SQLite / memory store | writes, syncs, writes a sync |\n\
        |--:|--:|--:|--:|--:|--:|--:|\n"
        .to_owned();
    for Writers { count, raw, sqlite, memory, to_raw, to_memory, syncs, .. } in all {
        let [raw, sqlite, memory] = [raw, sqlite, memory].map(|rate| thousands(rate.median));
        let [to_raw, to_memory] = [to_raw, to_memory].map(|spread| ratio(*spread));
        let (writes, calls) = (syncs.writes as f64, syncs.calls as f64);
        let syncs = format!("{}, {}, {:.1}", thousands(writes), thousands(calls), writes / calls);
        text += &format!("| {count} | {raw} | {sqlite} | {memory} | {to_raw} | {to_memory} | {syncs} |\n");
    }
    text.push('\n');
    let are_enough = all.iter().all(|writers| writers.syncs.are_enough(writers.count));
    text += &target("a sync for every batch, however many writers", are_enough);
    if let Some(most) = all.last() {
        let count = most.count;
        text += &target(&format!("{count} writers: at most one sync for 8 writes"), most.syncs.are_shared());
        let fast = format!("{count} writers: the smaller of 20 × raw and 0.6 × the memory store");
        text += &target(&fast, most.to_target.median >= 1.0);
        text += &format!("  (SQLite to this: {})\n", ratio(most.to_target));
    }
    text
}

/// Writers to PostgreSQL.
pub fn postgres(all: &[Writes]) -> String {
    let mut text = format!(
        "### PostgreSQL\n\n{WRITERS} gRPC writers, values of 100 B; pgbench: {CLIENTS} clients that upsert rows of the same size, prepared, \
         each in a transaction of its own.\n\n| organizations | pgbench/s | writes/s | writes / pgbench |\n\
         |--:|--:|--:|--:|\n"
    );
    for Writes { organizations, pgbench, metagate, to_pgbench } in all {
        let [pgbench, metagate] = [pgbench, metagate].map(|rate| thousands(rate.median));
        let to_pgbench = ratio(*to_pgbench);
        text += &format!("| {organizations} | {pgbench} | {metagate} | {to_pgbench} |\n");
    }
    text.push('\n');
    let is_met = all.iter().all(|writes| writes.to_pgbench.median >= 0.9);
    text + &target("0.9 × pgbench", is_met)
}

/// Gets on SQLite.
pub fn reads(all: &[Reads]) -> String {
    let mut text = "### Get on SQLite\n\nValues of 100 B; CPU is the server's, a call.\n\n\
        | | SQLite CPU µs | memory store CPU µs | SQLite / memory store |\n|---|--:|--:|--:|\n"
        .to_owned();
    for Reads { encoding, sqlite, memory, to_memory } in all {
        let (name, to_memory) = (encoding.name(), ratio(*to_memory));
        text += &format!("| {name} | {:.1} | {:.1} | {to_memory} |\n", sqlite.median, memory.median);
    }
    text.push('\n');
    text + &target("below 1.5 × the memory store", all.iter().all(|reads| reads.to_memory.median < 1.5))
}

/// Logins.
pub fn logins(measured: &Logins) -> String {
    let Logins { logins, gets, verify, sign } = measured;
    let mut text = format!(
        "### Logins\n\nCPU is the server's, a request. An RSA signature of 2,048 bits takes {verify:.0} µs to verify and {sign:.0} µs to \
         make.\n\n| | CPU µs |\n|---|--:|\n"
    );
    let all = logins.iter().map(|(name, cpu)| (format!("login {name}"), cpu));
    let gets = gets.iter().map(|(name, cpu)| (format!("Get (REST) with a {name}"), cpu));
    for (name, cpu) in all.chain(gets) {
        text += &format!("| {name} | {:.1} |\n", cpu.median);
    }
    text
}

/// Pages.
pub fn pages(sizes: [u64; 3], all: &[Pages]) -> String {
    let sizes = sizes.map(|size| thousands(size as f64)).join(" keys | ");
    let mut text = format!(
        "### Pages\n\n100 entries of 100 B over REST, one call after the other; µs from request to answer, of an organization with\n\n\
         | | | {sizes} keys |\n|---|---|--:|--:|--:|\n"
    );
    for Pages { store, page, took } in all {
        let took: Vec<_> = took.iter().map(|took| thousands(took.median)).collect();
        text += &format!("| {store} | {page} | {} |\n", took.join(" | "));
    }
    text
}

/// A store of many organizations.
pub fn scale(scale: &Scale) -> String {
    let Scale { organizations, file_bytes, import_rate, first_answer, resident, peak } = scale;
    let row = |name: &str, Spread { median, min, max }: &Spread| {
        format!("| {name} | {median:.1} | {min:.1} | {max:.1} |\n")
    };
    let mut text = format!(
        "### Scale\n\nSQLite, {} organizations with {} keys of 100 B each: a file of {} MB, imported at {} records a second.\n\n",
        thousands(*organizations as f64),
        scale::KEYS,
        megabytes(*file_bytes),
        thousands(*import_rate),
    );
    text += "| | median | min | max |\n|---|--:|--:|--:|\n";
    text += &row("to the first answer, ms", first_answer);
    text += &row("resident memory after it, MB", resident);
    let calls = thousands(scale::CALLS as f64);
    text += &row(&format!("most memory during {calls} Gets of other organizations, MB"), peak);
    text.push('\n');
    text += &target("first answer below 1 s", first_answer.median < 1_000.0);
    text + &target("memory below 100 MB", peak.median < 100.0)
}

/// Starts.
pub fn starts(starts: &Starts) -> String {
    let Starts { count, first_answer, resident } = starts;
    let row = |name: &str, Spread { median, min, max }: &Spread| {
        format!("| {name} | {median:.1} | {min:.1} | {max:.1} |\n")
    };
    let mut text = format!("### Start\n\n{count} starts on a SQLite store with 1,000 keys.\n\n");
    text += "| | median | min | max |\n|---|--:|--:|--:|\n";
    text += &row("to the first answer, ms", first_answer);
    text += &row("resident memory after it, MB", resident);
    text.push('\n');
    text += &target("first answer below 50 ms", first_answer.median < 50.0);
    text += &target("resident memory below 20 MB", resident.median < 20.0);
    text
}

fn target(what: &str, is_met: bool) -> String {
    format!("- {what}: {}\n", if is_met { "met" } else { "**not met**" })
}

fn figures(figures: &Figures) -> String {
    let Figures { rate, p50, p99, cpu, peak_bytes } = figures;
    format!("{} | {p50} | {p99} | {cpu:.1} | {}", thousands(*rate), megabytes(*peak_bytes))
}

fn ratio(Spread { median, min, max }: Spread) -> String {
    format!("**{median:.2}** ({min:.2}–{max:.2})")
}

/// Bytes in MB, of a million.
fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

/// A whole number with a comma before each three digits.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        let _ = text.write_char(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, want) in [(0.4, "0"), (999.0, "999"), (1_000.0, "1,000"), (1_234_567.8, "1,234,568")] {
            assert_eq!(thousands(number), want);
        }
    }
}
