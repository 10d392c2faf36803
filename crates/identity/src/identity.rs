//! Everything that decides who somebody is, as of one moment.

use std::sync::Arc;

use domain::{Refusal, Timestamp};

use crate::{
    Accounts, Caller, Directory, Records,
    bearer::{TokenHash, bearer},
    oauth::{AccessToken, KeyRing},
};

/// Who there is, and the keys that tokens are made with.
#[derive(Clone, Default)]
pub struct Identity {
    /// Users and clients.
    pub accounts: Arc<Accounts>,
    /// The keys that sign.
    pub keys: Arc<KeyRing>,
    /// The id of the project that the API is: a token must be for it. Empty before the first gateway of a store has
    /// started: then there are no tokens either.
    pub project: Arc<str>,
}

/// A token that is good, and whose it is.
pub struct Identified {
    /// The user.
    pub caller: Caller,
    /// The token.
    pub token: Token,
}

/// What is known of a token.
pub enum Token {
    /// It was made for a user to use as long as it likes.
    Personal {
        /// Its id, if it has one.
        id: String,
        /// When it was made, if that is known.
        created: Option<Timestamp>,
        /// It is good until just before this.
        expires: Option<Timestamp>,
    },
    /// It was got by a login.
    Access(AccessToken),
}

impl Identity {
    /// From the directory's file and the records beside it. Takes the keys that `before` has ready from there.
    pub fn new(directory: &Directory, records: &Records, before: &Self) -> Self {
        let project = directory.project().or(records.instance().map(|instance| instance.project.as_str()));
        Self {
            accounts: Arc::new(records.accounts_beside(directory.accounts())),
            keys: Arc::new(records.key_ring(&before.keys)),
            project: project.unwrap_or_default().into(),
        }
    }

    /// Who calls with an `authorization` header (contract 5.1, departure D21; contract-identity 1.7).
    ///
    /// `authorization` is the first header's value as it came, `issuer` what the call speaks with, `now` decides about expiry.
    /// Whether the *store* calls the user's organization removed is for the gateway to ask.
    ///
    /// # Errors
    /// - [`Refusal::AuthorizationMissing`] for no header, or an empty one.
    /// - [`Refusal::AuthorizationMalformed`] for one that holds no token.
    /// - [`Refusal::TokenInvalid`] for a token that is none, or not good any more, or not for the API, or whose user may not do
    ///   anything; no caller learns which.
    pub fn authenticate(
        &self,
        authorization: Option<&[u8]>,
        issuer: &dyn Fn() -> String,
        now: Timestamp,
    ) -> Result<Caller, Refusal> {
        let text = bearer(authorization)?;
        let found = self.identify(text, issuer, now).ok_or(Refusal::TokenInvalid)?;
        match found.token {
            Token::Access(token) if !token.audience.iter().any(|audience| **audience == *self.project) => {
                Err(Refusal::TokenInvalid)
            }
            _ => Ok(found.caller),
        }
    }

    /// Whose token `text` is; `None` if it is not good. `issuer` is asked for when a token says by whom it was issued.
    pub fn identify(&self, text: &str, issuer: &dyn Fn() -> String, now: Timestamp) -> Option<Identified> {
        let (user, token) = match self.accounts.token(&TokenHash::of(text)) {
            Some(token) => {
                let (id, created, expires) = (token.id.clone(), token.created, token.expires);
                let is_good = expires.is_none_or(|expires| expires > now)
                    && created.is_none_or(|created| created >= token.user.valid_from);
                (is_good.then_some(&token.user)?, Token::Personal { id, created, expires })
            }
            None => {
                let token = AccessToken::read(text, &self.keys, &issuer(), &self.project)?;
                let user = self.accounts.user(&token.user)?;
                let is_good = token.expires() > now && token.issued() >= user.valid_from;
                (is_good.then_some(user)?, Token::Access(token))
            }
        };
        user.is_active.then(|| Identified { caller: Caller(user.clone()), token })
    }

    /// Whether a token was made here, be it good or not any more: then nobody else knows it, or need see it.
    pub fn is_own(&self, text: &str) -> bool {
        self.accounts.token(&TokenHash::of(text)).is_some() || AccessToken::names_key_of(text, &self.keys)
    }

    /// The user of this id, whatever its state.
    pub fn user(&self, id: &str) -> Option<Caller> {
        self.accounts.user(id).cloned().map(Caller)
    }
}

impl Caller {
    /// Whether the user may do anything at all.
    pub fn is_active(&self) -> bool {
        self.0.is_active
    }

    /// Whether the user has a secret, and whether this is it.
    pub fn has_secret(&self, secret: &str) -> Option<bool> {
        (!self.0.secrets.is_empty()).then(|| TokenHash::of(secret).is_any_of(&self.0.secrets))
    }
}
