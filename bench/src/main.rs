//! metagate's figures: beside bare servers, beside the disk, and at its start. README.md says what they mean.

mod binaries;
mod call;
mod comparison;
mod directory;
mod disk;
mod figures;
mod filled;
mod load;
mod logins;
mod machine;
mod pages;
mod postgres;
mod process;
mod reads;
mod scale;
mod start;
mod streams;
mod tables;
mod writers;

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};

use binaries::Binaries;

/// Why a run stops: it is told, and ends.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// Measures metagate, and prints tables in Markdown on stdout.
#[derive(Parser)]
struct Cli {
    /// What to measure; all if nothing is named.
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
    /// Rounds of each of two servers, in turn.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
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
    /// Writes the tables to a file too.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Every encoding beside a bare server.
    Encodings,
    /// SQLite beside the disk and the memory store.
    Writers,
    /// PostgreSQL, beside what pgbench does with it.
    Postgres,
    /// A Get on SQLite beside the memory store.
    Reads,
    /// A page of organizations with few and with many keys.
    Pages,
    /// Logins, and Gets with each kind of token.
    Logins,
    /// A store of a million organizations.
    Scale,
    /// From the start to the first answer, and idle memory.
    Start,
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
    let sections = if cli.sections.is_empty() { Section::value_variants() } else { &cli.sections };
    fs::create_dir_all(&cli.folder)?;
    let folder = tempfile::tempdir_in(&cli.folder)?;
    let mut text = format!("{}; profile {}\n", machine::description(folder.path()), cli.profile);
    for section in sections {
        let table = match section {
            Section::Encodings => {
                tables::comparisons(&comparison::run(&binaries, folder.path(), &extent).await?)
            }
            Section::Writers => tables::writers(&writers::run(&binaries, folder.path(), &extent).await?),
            Section::Postgres => match postgres::run(&binaries, folder.path(), &extent)? {
                Ok(all) => tables::postgres(&all),
                Err(reason) => format!("skipped: {reason}\n"),
            },
            Section::Reads => tables::reads(&reads::run(&binaries, folder.path(), &extent).await?),
            Section::Pages => {
                tables::pages(pages::sizes(&extent), &pages::run(&binaries, folder.path(), &extent).await?)
            }
            Section::Logins => tables::logins(&logins::run(&binaries, folder.path(), &extent).await?),
            Section::Scale => tables::scale(&scale::run(&binaries, folder.path(), &extent).await?),
            Section::Start => tables::starts(&start::run(&binaries, folder.path(), &extent).await?),
        };
        text.push('\n');
        text.push_str(&table);
    }
    print!("{text}");
    if let Some(out) = cli.out {
        fs::write(out, text)?;
    }
    Ok(())
}
