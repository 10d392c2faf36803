//! What was measured, as Markdown.

mod cost;
mod encodings;
mod targets;

use std::fmt::Write;

use crate::{
    figures::Spread,
    logins::Logins,
    pages::Pages,
    postgres::{CLIENTS, WRITERS, Writes},
    scale::{self, Scale},
    start::Starts,
    stores::{Case, Stores},
    writers::Writers,
};

pub use cost::{cores, flames, instructions, latencies, memory};
pub use encodings::comparisons;
pub use targets::targets;

/// SQLite beside the disk and the memory store.
pub fn writers(all: &[Writers]) -> String {
    let mut text = "## Writers\n\ngRPC, values of 100 B. Raw: a block of 4 KiB is appended to a file and synced, by one thread.\n\n\
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
    text
}

/// Writers to PostgreSQL.
pub fn postgres(all: &[Writes]) -> String {
    let mut text = format!(
        "## PostgreSQL\n\n{WRITERS} gRPC writers, values of 100 B; pgbench: {CLIENTS} clients that upsert rows of the same size, prepared, \
         each in a transaction of its own.\n\n| organizations | pgbench/s | writes/s | writes / pgbench |\n\
         |--:|--:|--:|--:|\n"
    );
    for Writes { organizations, pgbench, metagate, to_pgbench } in all {
        let [pgbench, metagate] = [pgbench, metagate].map(|rate| thousands(rate.median));
        let to_pgbench = ratio(*to_pgbench);
        text += &format!("| {organizations} | {pgbench} | {metagate} | {to_pgbench} |\n");
    }
    text
}

/// Stores.
pub fn stores(all: &Stores) -> String {
    let mut text =
        "## Stores\n\nCPU is the server's, a call; what PostgreSQL itself uses is not in it.\n".to_owned();
    if let Some(reason) = &all.without_postgres {
        text += &format!("Without PostgreSQL: {reason}.\n");
    }
    text += "\n| | | bytes | memory store CPU µs | store | CPU µs | store / memory store |\n|---|---|--:|--:|---|--:|--:|\n";
    for Case { value_bytes, encoding, operation, memory, stores } in &all.cases {
        for (name, cpu, to_memory) in stores {
            let (bytes, to_memory) = (thousands(*value_bytes as f64), ratio(*to_memory));
            text += &format!("| {} | {operation:?} | {bytes} | {:.1} ", encoding.name(), memory.median);
            text += &format!("| {name} | {:.1} | {to_memory} |\n", cpu.median);
        }
    }
    text
}

/// Logins.
pub fn logins(measured: &Logins) -> String {
    let Logins { logins, gets, verify, sign } = measured;
    let mut text = format!(
        "## Logins\n\nCPU is the server's, a request. An RSA signature of 2,048 bits takes {verify:.0} µs to verify and {sign:.0} µs to \
         make.\n\n| | CPU µs |\n|---|--:|\n"
    );
    let all = logins.iter().map(|(name, cpu)| (format!("login {name}"), cpu));
    let gets = gets.iter().map(|(name, cpu)| (format!("Get (REST), {name}"), cpu));
    for (name, cpu) in all.chain(gets) {
        text += &format!("| {name} | {:.1} |\n", cpu.median);
    }
    text
}

/// Pages.
pub fn pages(sizes: [u64; 3], all: &[Pages]) -> String {
    let sizes = sizes.map(|size| thousands(size as f64)).join(" keys | ");
    let mut text = format!(
        "## Pages\n\n100 entries of 100 B over REST, one call after the other; µs from request to answer, of an organization with\n\n\
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
    let mut text = format!(
        "## Scale\n\nSQLite, {} organizations with {} keys of 100 B each: a file of {} MB, imported at {} records a second.\n\n",
        thousands(*organizations as f64),
        scale::KEYS,
        megabytes(*file_bytes),
        thousands(*import_rate),
    );
    text += "| | median (95 %) |\n|---|--:|\n";
    text += &row("to the first answer, ms", first_answer);
    text += &row("resident memory after it, MB", resident);
    let calls = thousands(scale::CALLS as f64);
    text += &row(&format!("most memory during {calls} Gets of other organizations, MB"), peak);
    text
}

/// Starts.
pub fn starts(starts: &Starts) -> String {
    let Starts { count, first_answer, resident } = starts;
    let mut text = format!("## Start\n\n{count} starts on a SQLite store with 1,000 keys.\n\n");
    text += "| | median (95 %) |\n|---|--:|\n";
    text += &row("to the first answer, ms", first_answer);
    text += &row("resident memory after it, MB", resident);
    text
}

fn row(name: &str, spread: &Spread) -> String {
    format!("| {name} | {} |\n", tenths(*spread))
}

/// A quotient, and its interval.
fn ratio(Spread { median, low, high }: Spread) -> String {
    format!("**{median:.2}** ({low:.2}–{high:.2})")
}

/// A figure with one decimal, and its interval.
fn tenths(Spread { median, low, high }: Spread) -> String {
    format!("{median:.1} ({low:.1}–{high:.1})")
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
