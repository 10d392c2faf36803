//! `metagate token`, `key` and `secret`: what users show to be who they are. What is secret is shown once, and kept nowhere.

use std::{
    fmt::{self, Display},
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use domain::Timestamp;
use identity::{
    Account,
    oauth::service_account_key,
    record::{KeyRecord, TokenRecord, new_id},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::value::RawValue;

use super::{
    Work,
    records::{Accounts, find},
    time_text,
};
use crate::store::CommandError;

/// What is done to personal access tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Give a user a token, and print it: it cannot be shown again
    Create {
        /// The user's id or name
        user: String,
        /// Until when it is good, such as 2030-01-01T00:00:00Z; without it, as long as it is not revoked
        #[arg(long, value_name = "TIME", value_parser = time)]
        expires: Option<Timestamp>,
    },
    /// List a user's tokens, without what is secret
    List {
        /// The user's id or name
        user: String,
    },
    /// Take a token away
    Revoke {
        /// The user's id or name
        user: String,
        /// The token's id
        token: String,
    },
}

/// What is done to keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key for a user, and write the file by which it logs in, as ZITADEL's console does: it is kept nowhere else
    Create {
        /// The user's id or name
        user: String,
        /// Until when it is good, such as 2030-01-01T00:00:00Z; without it, as long as it is not removed
        #[arg(long, value_name = "TIME", value_parser = time)]
        expires: Option<Timestamp>,
        /// The new file; without it, stdout
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// List a user's keys
    List {
        /// The user's id or name
        user: String,
    },
    /// Take a key away; what was got by it stays good
    Remove {
        /// The user's id or name
        user: String,
        /// The key's id
        key: String,
    },
}

/// What is done to secrets.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Give a user a secret in place of the one it has, and print it: it cannot be shown again
    Create {
        /// The user's id or name
        user: String,
    },
    /// Take a user's secret away; what was got by it stays good
    Remove {
        /// The user's id or name
        user: String,
    },
}

fn time(text: &str) -> Result<Timestamp, String> {
    let time = text.parse::<jiff::Timestamp>();
    let time =
        time.map_err(|_| "a time has date, time of day and offset, such as 2030-01-01T00:00:00Z".to_owned())?;
    Ok(Timestamp::from_micros(time.as_microsecond()))
}

fn no_chance(error: &dyn Display) -> CommandError {
    CommandError::Refused(error.to_string())
}

/// Something that a user has, without what is secret.
#[derive(Serialize)]
pub(super) struct Listed {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

impl From<&TokenRecord> for Listed {
    fn from(token: &TokenRecord) -> Self {
        Self {
            id: token.id.clone(),
            created: Some(time_text(token.created)),
            expires: token.expires.map(time_text),
        }
    }
}

impl From<&KeyRecord> for Listed {
    fn from(key: &KeyRecord) -> Self {
        Self { id: key.id.clone(), created: None, expires: key.expires.map(time_text) }
    }
}

impl Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        if let Some(created) = &self.created {
            write!(f, "  made {created}")?;
        }
        match &self.expires {
            Some(expires) => write!(f, "  good until {expires}"),
            None => f.write_str("  good for ever"),
        }
    }
}

/// What was done.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Done {
    Token {
        id: String,
        #[serde(serialize_with = "in_clear")]
        token: SecretString,
    },
    Secret {
        client_id: String,
        #[serde(serialize_with = "in_clear")]
        client_secret: SecretString,
    },
    /// The file of a key as it is; it was written somewhere else if there is a path.
    Key(#[serde(serialize_with = "as_json")] SecretString),
    KeyFile {
        id: String,
        file: PathBuf,
    },
    Tokens {
        tokens: Vec<Listed>,
    },
    Keys {
        keys: Vec<Listed>,
    },
    Gone {
        removed: String,
    },
}

/// Printed once, for whoever has asked for it.
fn in_clear<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

/// The same, of a secret that is JSON.
fn as_json<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    let json: &RawValue = serde_json::from_str(secret.expose_secret()).map_err(S::Error::custom)?;
    json.serialize(serializer)
}

impl Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Alone, so that scripts can take it.
            Self::Token { token, .. } => f.write_str(token.expose_secret()),
            Self::Secret { client_id, client_secret } => {
                write!(f, "client_id: {client_id}\nclient_secret: {}", client_secret.expose_secret())
            }
            Self::Key(file) => f.write_str(file.expose_secret()),
            Self::KeyFile { id, file } => write!(f, "key {id} is in {}", file.display()),
            Self::Tokens { tokens: all } | Self::Keys { keys: all } => {
                f.write_str(&all.iter().map(Listed::to_string).collect::<Vec<_>>().join("\n"))
            }
            Self::Gone { removed } => write!(f, "{removed} is gone"),
        }
    }
}

impl Work for TokenCommand {
    type Done = Done;

    async fn run(self, accounts: &Accounts) -> Result<Done, CommandError> {
        match self {
            Self::Create { user, expires } => {
                let create = |_: &str, account: &mut Account, now| {
                    let (id, token) = account.add_token(expires, now).map_err(|error| no_chance(&error))?;
                    Ok(Done::Token { id, token })
                };
                accounts.edit(&user, create).await
            }
            Self::List { user } => {
                let (_, records) = accounts.read().await?;
                let tokens = find(&records, &user)?.1.tokens.iter().map(Listed::from).collect();
                Ok(Done::Tokens { tokens })
            }
            Self::Revoke { user, token } => {
                let revoke = |id: &str, account: &mut Account, _| {
                    let at = account.tokens.iter().position(|known| known.id == token);
                    account.tokens.remove(at.ok_or_else(|| absent(id, "token", &token))?);
                    Ok(Done::Gone { removed: token.clone() })
                };
                accounts.edit(&user, revoke).await
            }
        }
    }
}

fn absent(user: &str, what: &str, id: &str) -> CommandError {
    CommandError::Refused(format!("user {user:?} has no {what} {id:?}"))
}

impl Work for KeyCommand {
    type Done = Done;

    async fn run(self, accounts: &Accounts) -> Result<Done, CommandError> {
        match self {
            Self::Create { user, expires, output } => {
                let id = new_id().map_err(|error| no_chance(&error))?;
                let (_, records) = accounts.read().await?;
                let owner = find(&records, &user)?.0.to_owned();
                let (public_key, file) =
                    service_account_key(&owner, &id, expires).map_err(|error| no_chance(&error))?;
                // Before anybody can log in by it, so that no key is there that nobody has.
                if let Some(path) = &output {
                    write_private(path, &file)
                        .map_err(|error| CommandError::File { path: path.clone(), error })?;
                }
                let expires = expires.map(Timestamp::as_micros);
                let add = |_: &str, account: &mut Account, _| {
                    account.keys.push(KeyRecord { id: id.clone(), public_key: public_key.clone(), expires });
                    Ok(())
                };
                accounts.edit(&owner, add).await?;
                Ok(match output {
                    Some(file) => Done::KeyFile { id, file },
                    None => Done::Key(file),
                })
            }
            Self::List { user } => {
                let (_, records) = accounts.read().await?;
                let keys = find(&records, &user)?.1.keys.iter().map(Listed::from).collect();
                Ok(Done::Keys { keys })
            }
            Self::Remove { user, key } => {
                let remove = |id: &str, account: &mut Account, _| {
                    let at = account.keys.iter().position(|known| known.id == key);
                    account.keys.remove(at.ok_or_else(|| absent(id, "key", &key))?);
                    Ok(Done::Gone { removed: key.clone() })
                };
                accounts.edit(&user, remove).await
            }
        }
    }
}

/// A new file that nobody else can read.
fn write_private(path: &Path, text: &SecretString) -> io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(text.expose_secret().as_bytes())?;
    file.sync_all()
}

impl Work for SecretCommand {
    type Done = Done;

    async fn run(self, accounts: &Accounts) -> Result<Done, CommandError> {
        match self {
            Self::Create { user } => {
                let create = |_: &str, account: &mut Account, _| {
                    let client_secret = account.set_secret().map_err(|error| no_chance(&error))?;
                    Ok(Done::Secret { client_id: account.name.clone(), client_secret })
                };
                accounts.edit(&user, create).await
            }
            Self::Remove { user } => {
                let remove = |id: &str, account: &mut Account, _| {
                    account
                        .secret
                        .take()
                        .ok_or_else(|| CommandError::Refused(format!("user {id:?} has no secret")))?;
                    Ok(Done::Gone { removed: "the secret".to_owned() })
                };
                accounts.edit(&user, remove).await
            }
        }
    }
}
