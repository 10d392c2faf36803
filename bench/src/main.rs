//! metagate's figures: beside bare servers, beside the disk, and by itself. README.md says what they mean.

mod binaries;
mod call;
mod comparison;
mod cores;
mod directory;
mod disk;
mod figures;
mod filled;
mod flames;
mod go;
mod instructions;
mod latency;
mod load;
mod logins;
mod machine;
mod memory;
mod pages;
mod postgres;
mod process;
mod scale;
mod side;
mod start;
mod stores;
mod streams;
mod tables;
mod targets;
mod writers;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, ValueEnum};

use binaries::Binaries;
use targets::Target;

/// Where the tables of whole runs are kept.
const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results");

/// Why a run stops: it is told, and ends.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// Measures metagate, and prints tables in Markdown on stdout.
#[derive(Parser)]
struct Cli {
    /// What to measure; all but the pictures if nothing is named.
    #[arg(value_enum)]
    sections: Vec<Section>,
    /// How the servers are built.
    #[arg(long, default_value = "dist")]
    profile: String,
    /// Takes the servers as they were built last.
    #[arg(long)]
    skip_build: bool,
    /// Another metagate, such as the last release, to compare with in place of the bare servers.
    #[arg(long)]
    beside: Option<PathBuf>,
    /// Rounds of each server, in turn.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..))]
    pairs: u16,
    /// Calls of a round, at most; there are fewer of large values.
    #[arg(long, default_value_t = 4_000)]
    requests: usize,
    /// A look at everything, too short for figures.
    #[arg(long, conflicts_with_all = ["pairs", "requests"])]
    quick: bool,
    /// Where the stores are: a folder on the disk that is measured.
    #[arg(long, default_value = "target")]
    folder: PathBuf,
    /// Where the tables are written to besides; of a run of everything that is not quick, `bench/results/DATE-MACHINE.md`.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Every encoding beside bare servers.
    Encodings,
    /// How long calls take at half of the peak.
    Latency,
    /// Large values in flight, and idle connections.
    Memory,
    /// One core beside all of them.
    Cores,
    /// SQLite and PostgreSQL beside the memory store.
    Stores,
    /// Writers to SQLite beside the disk and the memory store.
    Writers,
    /// Writers to PostgreSQL, beside what pgbench does with it.
    Postgres,
    /// A page of organizations with few and with many keys.
    Pages,
    /// Logins, and Gets with each kind of token.
    Logins,
    /// A store of a million organizations.
    Scale,
    /// From the start to the first answer, and idle memory.
    Start,
    /// Instructions a call, counted by valgrind.
    Instructions,
    /// Pictures of where the time goes; only if named.
    Flames,
}

/// How much is measured.
struct Extent {
    pairs: u16,
    requests: usize,
    /// Of a round that counts what is done in it.
    duration: Duration,
    starts: u16,
    is_quick: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("metagate-bench: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprint!(": {error}");
                cause = error.source();
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<(), Error> {
    let binaries = Binaries::of(&cli.profile, cli.skip_build, cli.beside)?;
    let extent = if cli.quick {
        Extent { pairs: 2, requests: 200, duration: Duration::from_millis(100), starts: 3, is_quick: true }
    } else {
        Extent {
            pairs: cli.pairs,
            requests: cli.requests,
            duration: Duration::from_secs(1),
            starts: 20,
            is_quick: false,
        }
    };
    let is_named = |section: &&Section| match cli.sections.as_slice() {
        [] => **section != Section::Flames,
        named => named.contains(section),
    };
    let sections = Section::value_variants().iter().filter(is_named);
    fs::create_dir_all(&cli.folder)?;
    let folder = tempfile::tempdir_in(&cli.folder)?;
    let (mut tables, mut targets, mut outcome) = (String::new(), Vec::new(), Ok::<_, Error>(()));
    for section in sections {
        let report = match section.report(&binaries, folder.path(), &extent).await {
            Ok(report) => report,
            Err(error) => {
                outcome = Err(format!("{section:?}: {error}").into());
                break;
            }
        };
        tables.push('\n');
        tables.push_str(&report.tables);
        targets.extend(report.targets);
    }
    let machine = machine::description(folder.path());
    let mut text = format!("# Figures of {}\n\n{machine}; profile {}\n", machine::date(), cli.profile);
    if !targets.is_empty() {
        text.push('\n');
        text.push_str(&tables::targets(&targets));
    }
    text.push_str(&tables);
    print!("{text}");
    let results = || PathBuf::from(RESULTS).join(format!("{}-{}.md", machine::date(), machine::name()));
    let is_whole = cli.sections.is_empty() && !cli.quick && binaries.is_alone();
    // What was measured before a failure is shown, and not kept.
    outcome?;
    if let Some(out) = cli.out.or_else(|| is_whole.then(results)) {
        if let Some(folder) = out.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(out, text)?;
    }
    Ok(())
}

/// What a section has found.
struct Report {
    /// Markdown.
    tables: String,
    targets: Vec<Target>,
}

impl Section {
    async fn report(self, binaries: &Binaries, folder: &Path, extent: &Extent) -> Result<Report, Error> {
        let (tables, targets) = match self {
            Self::Encodings => {
                let all = comparison::run(binaries, folder, extent).await?;
                (tables::comparisons(&all), all.targets())
            }
            Self::Latency => {
                let all = latency::run(binaries, folder, extent).await?;
                (tables::latencies(&all), all.targets())
            }
            Self::Memory => {
                let all = memory::run(binaries, folder, extent).await?;
                (tables::memory(&all), all.targets())
            }
            Self::Cores => (tables::cores(&cores::run(binaries, folder, extent).await?), Vec::new()),
            Self::Stores => {
                let all = stores::run(binaries, folder, extent).await?;
                (tables::stores(&all), all.targets())
            }
            Self::Writers => {
                let all = writers::run(binaries, folder, extent).await?;
                (tables::writers(&all), writers::targets(&all))
            }
            Self::Postgres => match postgres::run(binaries, folder, extent)? {
                Ok(all) => (tables::postgres(&all), postgres::targets(&all)),
                Err(reason) => (format!("## PostgreSQL\n\nSkipped: {reason}.\n"), Vec::new()),
            },
            Self::Pages => {
                let all = pages::run(binaries, folder, extent).await?;
                (tables::pages(pages::sizes(extent), &all), Vec::new())
            }
            Self::Logins => (tables::logins(&logins::run(binaries, folder, extent).await?), Vec::new()),
            Self::Scale => {
                let all = scale::run(binaries, folder, extent).await?;
                (tables::scale(&all), all.targets())
            }
            Self::Start => {
                let all = start::run(binaries, folder, extent).await?;
                (tables::starts(&all), all.targets())
            }
            Self::Instructions => match instructions::run(binaries, folder, extent).await {
                Ok(all) => (tables::instructions(&all), Vec::new()),
                Err(reason) => (format!("## Instructions\n\nSkipped: {reason}.\n"), Vec::new()),
            },
            Self::Flames => match flames::run(binaries, folder, Path::new(RESULTS), extent).await? {
                Ok(files) => (tables::flames(&files), Vec::new()),
                Err(reason) => (format!("## Flames\n\nSkipped: {reason}.\n"), Vec::new()),
            },
        };
        Ok(Report { tables, targets })
    }
}
