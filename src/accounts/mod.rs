//! `metagate user`, `token`, `key`, `secret`, `member` and `org`: who may use the gateways of a store.
//!
//! Works on records in the store; gateways that serve it see each change with the next call. Users of the directory's file
//! are not here: they are changed there, and where both name the same user, the file's is meant.

mod credential;
mod member;
mod organization;
mod records;
mod user;

use clap::{Args, Subcommand};

use crate::{
    config::{Config, Flags},
    logging::{Log, LogFormat},
    store::{CommandError, Failed, Report},
};
use records::Accounts;

/// What all of these commands can be told.
#[derive(Args, Clone, Debug)]
struct Where {
    /// TOML file with settings, as `metagate serve` has it [env: METAGATE_CONFIG]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<String>,
    /// The store, as `metagate serve` has it [env: METAGATE_STORAGE] [default: sqlite:metagate-data/metagate.db]
    #[arg(long, value_name = "URL", global = true)]
    storage: Option<String>,
    /// Say what was done as one JSON object
    #[arg(long, global = true)]
    json: bool,
}

/// What is done to one kind of thing.
#[derive(Args, Debug)]
pub struct Arguments<C: Subcommand> {
    #[command(subcommand)]
    command: C,
    #[command(flatten)]
    at: Where,
}

/// `metagate user …`
pub type User = Arguments<user::Command>;
/// `metagate token …`
pub type Token = Arguments<credential::TokenCommand>;
/// `metagate key …`
pub type Key = Arguments<credential::KeyCommand>;
/// `metagate secret …`
pub type Secret = Arguments<credential::SecretCommand>;
/// `metagate member …`
pub type Member = Arguments<member::Command>;
/// `metagate org …`
pub type Organization = Arguments<organization::Command>;

/// What a command does with the accounts of a store.
trait Work: Subcommand {
    type Done: Report;

    async fn run(self, accounts: &Accounts) -> Result<Self::Done, CommandError>;
}

#[expect(private_bounds, reason = "each kind of command is named above")]
impl<C: Work> Arguments<C> {
    /// Does what the arguments say, and says on stdout what it did.
    ///
    /// # Errors
    /// What was wrong, in one line.
    pub async fn run(self) -> Result<(), CommandError> {
        Log::start(LogFormat::Text, tracing::Level::WARN);
        let Where { config, storage, json } = self.at;
        let work = async {
            let config = Config::load(Flags { config, storage, ..Flags::default() })?;
            let accounts = Accounts::open(&config).await?;
            self.command.run(&accounts).await?.print(json)
        };
        let outcome = work.await;
        if let Err(error) = &outcome
            && json
        {
            Failed { error: error.to_string() }.print(json)?;
        }
        outcome
    }
}
