//! What users and clients show to be who they are.

use std::sync::Arc;

use domain::Timestamp;
use jsonwebtoken::DecodingKey;
use toml::{Spanned, value::Datetime};

use super::{file, resolve::Resolver};
use crate::{
    Accounts, Client,
    accounts::{Key, Token},
    bearer::TokenHash,
    caller::User,
    oauth::public_key,
};

/// With where it stands, in bytes.
pub(super) struct ResolvedToken(usize, TokenHash, Option<Timestamp>);

/// A key without its owner.
pub(super) struct ResolvedKey(Spanned<String>, DecodingKey, Option<Timestamp>);

impl Resolver<'_> {
    pub(super) fn clients(&mut self, written: Vec<file::Client>, accounts: &mut Accounts) {
        for file::Client { id, project, secrets, keys } in written {
            self.filled(&project, "a client's project");
            if secrets.is_empty() && keys.is_empty() {
                self.warn(&id, format!("client {:?} has no secret or key", id.get_ref()));
            }
            let secrets = secrets.iter().filter_map(|secret| self.hash(secret, "secret")).collect();
            let keys = keys.into_iter().filter_map(|key| self.key(key)).collect();
            let Some(name) = self.filled(&id, "a client's id") else { continue };
            self.add_keys(keys, &name, accounts);
            if !accounts.add_client(Client { id: name, project: project.into_inner(), secrets }) {
                self.problem(&id, format!("client {:?} is already defined", id.get_ref()));
            }
        }
    }

    pub(super) fn add_tokens(
        &mut self,
        tokens: Vec<ResolvedToken>,
        user: &Arc<User>,
        accounts: &mut Accounts,
    ) {
        for ResolvedToken(at, hash, expires) in tokens {
            let token = Token { hash, id: hash.to_id(), created: None, expires, user: user.clone() };
            if !accounts.add_token(token) {
                self.problems.note(at, "this token is already defined");
            }
        }
    }

    pub(super) fn add_keys(&mut self, keys: Vec<ResolvedKey>, owner: &str, accounts: &mut Accounts) {
        for ResolvedKey(id, key, expires) in keys {
            if !accounts.add_key(id.get_ref().clone(), Key { owner: owner.into(), key, expires }) {
                self.problem(&id, format!("key {:?} is already defined", id.get_ref()));
            }
        }
    }

    pub(super) fn token(&mut self, token: file::Secret) -> Option<ResolvedToken> {
        let hash = self.hash(&token, "token");
        let expires = self.expiry(token.expires.as_ref())?;
        Some(ResolvedToken(token.at, hash?, expires))
    }

    pub(super) fn key(&mut self, written: file::Key) -> Option<ResolvedKey> {
        self.filled(&written.id, "a key's id");
        let key = public_key(written.public_key.get_ref());
        if let Err(error) = &key {
            self.problem(&written.public_key, error.to_string());
        }
        let expires = self.expiry(written.expires.as_ref())?;
        Some(ResolvedKey(written.id, key.ok()?, expires))
    }

    /// The hash of a token or secret; what is in clear ends here.
    pub(super) fn hash(&mut self, written: &file::Secret, what: &str) -> Option<TokenHash> {
        match (&written.value, &written.sha256) {
            (Some(value), None) => {
                let text = value.get_ref();
                // What could never come in a header must not be a token.
                let sendable = text.bytes().all(|b| b.is_ascii_graphic()) && !text.is_empty();
                if !sendable {
                    let text = format!("a {what} is one or more visible ASCII characters, without spaces");
                    self.problem(value, text);
                }
                sendable.then(|| TokenHash::of(text))
            }
            (None, Some(hex)) => {
                let hash = TokenHash::from_hex(hex.get_ref());
                if hash.is_none() {
                    self.problem(hex, "a SHA-256 is 64 hexadecimal digits");
                }
                hash
            }
            _ => {
                self.problems.note(written.at, format!("a {what} has exactly one of `value` and `sha256`"));
                None
            }
        }
    }

    /// `None` for a time that is none, `Some(None)` for none at all.
    fn expiry(&mut self, written: Option<&Spanned<Datetime>>) -> Option<Option<Timestamp>> {
        let Some(written) = written else { return Some(None) };
        let time = written.get_ref().to_string().parse::<jiff::Timestamp>();
        if time.is_err() {
            let text = "a time has date, time of day and offset, such as 2099-01-01T00:00:00Z";
            self.problem(written, text);
        }
        time.ok().map(|time| Some(Timestamp::from_micros(time.as_microsecond())))
    }
}
