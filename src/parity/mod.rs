//! `metagate parity`: one call through every encoding of a server, compared.

mod explore;
mod live;
mod reports;
mod selection;
mod server;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Instant,
};

use clap::{Args, Subcommand};
use live::Live;
use parity::{
    deviation::Deviations,
    golden::Golden,
    report::{Report, Summary},
    rule::Rule,
    run::{Reference, Runner, ScenarioReport, Watcher},
    scenario::{self, Mistake, Suite},
    transport::Target,
};
use reports::Output;
use selection::Selection;
use server::Server;

/// What `metagate parity` can be told.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make scenarios in every encoding, and compare the answers. Exit code 1 if they differ
    Run(Box<Run>),
    /// Make scenarios, and keep the answers in a file, for `run --golden`
    Record(Box<Record>),
    /// Make calls up from the descriptors, and show the smallest ones that are answered differently. Exit code 1 if there are any
    Explore(Box<explore::Explore>),
    /// Say what is looked at: every rule, and what it asks for
    Rules,
    /// Print the JSON Schema of scenarios, for editors
    Schema,
}

#[derive(Args, Debug)]
struct Run {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    selection: Selection,
    /// Another server, which makes the same steps: its answers must be the same. Like --target
    #[arg(long, value_name = "[ENCODING=]URL")]
    against: Vec<String>,
    /// Answers that were recorded: they must be the same
    #[arg(long, value_name = "FILE", conflicts_with = "against")]
    golden: Option<PathBuf>,
    /// Findings that are known, with their reasons: they do not count
    #[arg(long, value_name = "FILE")]
    deviations: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

#[derive(Args, Debug)]
struct Record {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    selection: Selection,
    /// The file
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// Why nothing was compared.
#[derive(Debug, thiserror::Error)]
pub enum ParityError {
    /// Scenarios that are not as they must be.
    #[error("{}", .0.iter().map(Mistake::to_string).collect::<Vec<_>>().join("\nmetagate: "))]
    Scenarios(Vec<Mistake>),
    /// Something else that was said, or that the server does not do.
    #[error("{0}")]
    Setup(String),
    /// A report that could not be written.
    #[error("the report cannot be written: {0}")]
    Report(#[from] io::Error),
}

/// All is as it must be.
const SAME: u8 = 0;
/// Something is not.
const DIFFERENT: u8 = 1;
/// It could not be found out.
const UNKNOWN: u8 = 2;

/// Does what the arguments say. The exit code is 0 if all is as it must be, 1 if something is not, 2 if it could not be
/// found out.
pub async fn run(arguments: Arguments) -> ExitCode {
    match arguments.run().await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("metagate: {error}");
            ExitCode::from(UNKNOWN)
        }
    }
}

impl Arguments {
    async fn run(self) -> Result<u8, ParityError> {
        match self.command {
            Command::Run(command) => command.run().await,
            Command::Record(command) => command.run().await,
            Command::Explore(command) => command.run().await,
            Command::Rules => {
                let width = Rule::ALL.iter().map(|rule| rule.id().len()).max().unwrap_or_default();
                let mut out = io::stdout().lock();
                for rule in Rule::ALL {
                    writeln!(out, "{rule:width$}  {}", rule.meaning())?;
                }
                Ok(SAME)
            }
            Command::Schema => {
                let text = serde_json::to_string_pretty(&scenario::schema()).map_err(io::Error::from)?;
                writeln!(io::stdout(), "{text}")?;
                Ok(SAME)
            }
        }
    }
}

impl Run {
    async fn run(self) -> Result<u8, ParityError> {
        let reference = match (&self.golden, self.against.is_empty()) {
            (Some(file), _) => Some(Reference::Golden(Golden::read(file).map_err(ParityError::Setup)?)),
            (None, false) => {
                Some(Reference::Server(Target::parse(&self.against).map_err(ParityError::Setup)?))
            }
            (None, true) => None,
        };
        let deviations = self.deviations.as_deref().map(Deviations::read).transpose();
        let deviations =
            deviations.map_err(|mistake| ParityError::Scenarios(vec![mistake]))?.unwrap_or_default();
        let (runner, suite, live) = prepare(&self.server, &self.selection, reference, deviations).await?;
        let title = format!("Parity of {}", self.server.target.join(", "));
        let mut reports = self.output.open(&title, &runner.dialects)?;
        let summary = make(&runner, &suite, &live, &mut |report| reports.scenario(report)).await?;
        reports.end(&summary)?;
        for unseen in runner.deviations.unseen(&suite, &runner.dialects) {
            eprintln!("metagate: {unseen}");
        }
        Ok(if summary.is_good() { SAME } else { DIFFERENT })
    }
}

impl Record {
    async fn run(self) -> Result<u8, ParityError> {
        let (runner, suite, live) =
            prepare(&self.server, &self.selection, None, Deviations::default()).await?;
        let mut file = BufWriter::new(File::create(&self.output)?);
        Golden::begin(&mut file)?;
        let summary = make(&runner, &suite, &live, &mut |report| Golden::write(&mut file, report)).await?;
        file.flush()?;
        println!("{}: {summary}", self.output.display());
        Ok(SAME)
    }
}

/// Reads scenarios, asks what the server offers, and brings both together.
async fn prepare(
    server: &Server,
    selection: &Selection,
    reference: Option<Reference>,
    deviations: Deviations,
) -> Result<(Arc<Runner>, Suite, Arc<Live>), ParityError> {
    let files = selection.read()?;
    let types = files.iter().flat_map(|(_, file)| file.types.clone()).chain(server.types.clone()).collect();
    let mut prefixes: BTreeMap<String, String> =
        files.iter().flat_map(|(_, file)| file.rest_prefixes.clone()).collect();
    prefixes.extend(server.rest_prefixes.iter().cloned());
    let transport = server.transport().map_err(ParityError::Setup)?;
    let target = Target::parse(&server.target).map_err(ParityError::Setup)?;
    let headers = server.headers().map_err(ParityError::Setup)?;
    let mut api = server.api(&transport, &target, &headers, types).await.map_err(ParityError::Setup)?;
    for (service, prefix) in &prefixes {
        api.mount(service, prefix);
    }
    let mut suite = Suite::compile(&files, &api, &selection.variables(), &selection.tags())
        .map_err(ParityError::Scenarios)?;
    selection.narrow(&mut suite)?;
    let live = Live::new(suite.scenarios.len(), "scenarios");
    let runner = Runner {
        api,
        transport,
        target,
        reference,
        dialects: selection.dialects(),
        headers,
        run_id: selection::run_id(selection.run_id.as_deref()).map_err(ParityError::Setup)?,
        jobs: selection.jobs,
        deviations,
        watcher: Arc::clone(&live) as Arc<dyn Watcher>,
    };
    Ok((Arc::new(runner), suite, live))
}

/// Makes all scenarios; stops showing, but not making, when a report cannot be written.
async fn make(
    runner: &Arc<Runner>,
    suite: &Suite,
    live: &Live,
    show: &mut dyn FnMut(&ScenarioReport) -> io::Result<()>,
) -> Result<Summary, ParityError> {
    let (mut summary, begun, mut written) = (Summary::default(), Instant::now(), Ok(()));
    runner
        .run(suite, &mut |report| {
            summary.add(&report);
            live.above(|| {
                if written.is_ok() {
                    written = show(&report);
                }
            });
            live.done(1);
        })
        .await;
    live.end();
    summary.took = begun.elapsed();
    written?;
    Ok(summary)
}
