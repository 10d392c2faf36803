//! `metagate user`, `token`, `key`, `secret`, `member`, `org` and `signing-key`: who may use the gateways of a store.
//!
//! Works on records in the store; gateways that serve it see each change with the next call. Users of the directory's file
//! are not here: they are changed there, and where both name the same user, the file's is meant.

mod credential;
mod member;
mod organization;
mod records;
mod signing_key;
mod user;

use clap::{Args, Subcommand};

use crate::{
    config::{Config, StoreFlags},
    logging::{Log, LogFormat},
    store::{CommandError, Failed, Report},
};
use records::Accounts;

/// What is done to one kind of thing.
#[derive(Args, Debug)]
pub struct Arguments<C: Subcommand> {
    #[command(subcommand)]
    command: C,
    #[command(flatten)]
    at: StoreFlags,
}

/// `metagate user …`
pub type User = Arguments<user::Command>;
/// `metagate token …`
pub type Token = Arguments<credential::TokenCommand>;
/// `metagate key …`
pub type Key = Arguments<credential::KeyCommand>;
/// `metagate secret …`
pub type Secret = Arguments<credential::SecretCommand>;
/// `metagate signing-key …`
pub type SigningKey = Arguments<signing_key::Command>;
/// `metagate member …`
pub type Member = Arguments<member::Command>;
/// `metagate org …`
pub type Organization = Arguments<organization::Command>;

/// A time, in microseconds since the Unix epoch, as people and machines read it.
fn time_text(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros).map_or_else(|_| micros.to_string(), |time| time.to_string())
}

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
        let _log = Log::start(LogFormat::Text, tracing::Level::WARN).map_err(CommandError::log)?;
        let json = self.at.json;
        let work = async {
            let config = Config::load(self.at.into())?;
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
