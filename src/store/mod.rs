//! `metagate store`: what an operator does with a store.

mod archive;
mod error;
mod export;
mod export_file;
mod import;
mod progress;
mod report;
mod secret;
mod zitadel;

use std::path::PathBuf;

pub(crate) use archive::for_reading;
use clap::{ArgGroup, Args, Subcommand};
pub use error::CommandError;
use import::Verified;
use progress::Bar;
use report::{Checked, Counted, Moved};
pub(crate) use report::{Failed, Report};
use secrecy::SecretString;
pub(crate) use secret::read as read_secret;
use storage::{Archive, archive::Records};

use crate::{
    config::{Config, StoreFlags},
    logging::{Log, LogFormat},
};

/// What `metagate store` can be told.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    at: StoreFlags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look for damage: pages, indexes, sequences, counts, orphans. Exit code 1 if something is wrong
    Check,
    /// Copy a SQLite store, as it is at one moment, to a new file
    Backup {
        /// The new file
        file: PathBuf,
    },
    /// Make the SQLite store what a backup holds; nobody may be serving it
    Restore {
        /// The backup
        file: PathBuf,
        /// Restore also if there are organizations in the store: they are lost
        #[arg(long)]
        replace: bool,
    },
    /// Write all organizations and metadata, as they are at one moment, as lines of JSON
    Export {
        /// The new file; `-` is stdout
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    /// Read what was exported, or what a ZITADEL has. What was broken off goes on when it is started again
    Import(ImportArguments),
    /// Copy all organizations and metadata from one store to another
    ///
    /// A URL with a password is better in the environment than on the command line, where others on the machine can read it:
    /// `env:NAME` is what the variable NAME says.
    Copy {
        /// The store to read: a URL, or `env:NAME`
        from: SecretString,
        /// The store to write; it is made if it is not there
        to: SecretString,
        /// Replace organizations that are there, with all their metadata
        #[arg(long)]
        replace: bool,
    },
    /// Count organizations, keys and bytes
    Stats {
        /// How many of the largest values to name
        #[arg(long, value_name = "COUNT", default_value_t = 10)]
        largest: u32,
    },
}

#[derive(Args, Debug)]
#[command(group(ArgGroup::new("credential").multiple(true)))]
struct ImportArguments {
    /// The export; `-` is stdin
    #[arg(required_unless_present = "from_zitadel", conflicts_with = "from_zitadel")]
    file: Option<PathBuf>,
    /// Read the organizations of a ZITADEL, and their metadata, through its API: `https://…`
    #[arg(long, value_name = "URL", requires = "credential")]
    from_zitadel: Option<String>,
    /// The file with the token of somebody who may read all organizations of the ZITADEL (IAM_OWNER_VIEWER); `-` is stdin
    #[arg(long, value_name = "FILE", group = "credential")]
    token_file: Option<PathBuf>,
    /// The token itself: better in the environment than here, where others on the machine can read it
    #[arg(long, env = "METAGATE_ZITADEL_TOKEN", hide_env_values = true, group = "credential")]
    token: Option<SecretString>,
    /// Replace organizations that are there, with all their metadata
    #[arg(long)]
    replace: bool,
}

/// Does what the arguments say, and says on stdout what it did.
///
/// # Errors
/// What was wrong, in one line.
pub async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let _log = Log::start(LogFormat::Text, tracing::Level::WARN).map_err(CommandError::log)?;
    // On stdout is what is exported.
    let exports = matches!(&arguments.command, Command::Export { file } if file.as_os_str() == "-");
    let json = arguments.at.json && !exports;
    let outcome = arguments.run().await;
    match &outcome {
        // It was said which.
        Ok(()) | Err(CommandError::Problems(_)) => {}
        Err(error) if json => Failed { error: error.to_string() }.print(json)?,
        Err(_) => {}
    }
    outcome
}

impl Arguments {
    async fn run(self) -> Result<(), CommandError> {
        let Self { command, at } = self;
        let json = at.json;
        let config = Config::load(at.into())?;
        let storage = &config.storage;
        match command {
            Command::Check => {
                let problems = archive::for_reading(storage, &config).await?.check().await?;
                let found = problems.len();
                Checked { problems }.print(json)?;
                if found == 0 { Ok(()) } else { Err(CommandError::Problems(found)) }
            }
            Command::Backup { file } => archive::backup(storage, &file)?.print(json),
            Command::Restore { file, replace } => archive::restore(storage, &file, replace)?.print(json),
            Command::Export { file } => {
                let archive = archive::for_reading(storage, &config).await?;
                if file.as_os_str() == "-" {
                    export::to_stdout(&*archive).await?.print_to_stderr(json)
                } else {
                    export::to_file(&*archive, &file).await?.print(json)
                }
            }
            Command::Import(arguments) => {
                let replace = arguments.replace;
                let source = arguments.source()?;
                let archive = archive::for_writing(storage, &config).await?;
                source.import(&*archive, replace).await?.print(json)
            }
            Command::Copy { from, to, replace } => {
                let (from, to) = (secret::storage(&from)?, secret::storage(&to)?);
                let from = archive::for_reading(&from, &config).await?;
                let total = Bar::total(&*from).await?;
                let to = archive::for_writing(&to, &config).await?;
                import::from_records(&*to, "copy", from.records(), total, replace).await?.print(json)
            }
            Command::Stats { largest } => {
                let stats = archive::for_reading(storage, &config).await?.stats(largest).await?;
                Counted::from(stats).print(json)
            }
        }
    }
}

/// What is imported.
enum Source {
    Records(Records),
    File(Verified),
    Stdin,
}

impl ImportArguments {
    /// What is wrong with it is told before there is a store.
    fn source(self) -> Result<Source, CommandError> {
        Ok(match (self.from_zitadel, self.file) {
            (Some(url), _) => {
                let token = match self.token_file {
                    Some(path) => secret::read(&path)?,
                    None => self.token.unwrap_or_default(),
                };
                Source::Records(zitadel::records(&url, &token)?)
            }
            (None, Some(file)) if file.as_os_str() != "-" => Source::File(Verified::new(file)?),
            _ => Source::Stdin,
        })
    }
}

impl Source {
    async fn import(self, archive: &dyn Archive, replace: bool) -> Result<Moved, CommandError> {
        match self {
            Self::Records(records) => import::from_records(archive, "zitadel", records, None, replace).await,
            Self::File(file) => import::from_file(archive, file, replace).await,
            Self::Stdin => import::from_stdin(archive, replace).await,
        }
    }
}
