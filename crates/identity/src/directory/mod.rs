//! The directory: who there is, with which tokens, and who may do what where.

use std::{collections::HashMap, fmt, sync::Arc};

use domain::{OrganizationId, OrganizationState, Refusal, Timestamp};

use crate::{
    Caller, DirectoryError, Problem,
    caller::User,
    file::File,
    position::Source,
    resolve::resolve,
    token::{TokenHash, bearer},
};

/// Who there is and who may do what; never changes. Of tokens it holds nothing but their SHA-256.
pub struct Directory {
    pub(crate) instance_id: String,
    pub(crate) domains: Vec<String>,
    pub(crate) organizations: Vec<DirectoryOrganization>,
    pub(crate) tokens: Tokens,
    pub(crate) references: Vec<Reference>,
    pub(crate) warnings: Vec<Problem>,
}

/// An organization as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryOrganization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name.
    pub name: String,
    /// The state that it is to be brought to.
    pub state: OrganizationState,
    /// Where its id stands in the file; without a text.
    pub place: Problem,
}

/// An organization that a user or membership names and the file does not define: it must be in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its id.
    pub organization: OrganizationId,
    /// What to say if it is not there.
    pub problem: Problem,
}

/// Tokens by [`TokenHash::prefix`].
#[derive(Default)]
pub(crate) struct Tokens(HashMap<u64, Vec<Token>>);

struct Token {
    hash: TokenHash,
    /// It is good until just before this.
    expires: Option<Timestamp>,
    user: Arc<User>,
}

impl Directory {
    /// Reads a directory from the `text` of a TOML file; `name` is the file's, for errors.
    ///
    /// `text` holds tokens in clear and remains with the caller; the directory keeps no part of it that is one.
    ///
    /// # Errors
    /// If it is not TOML: the first mistake. Else, if it has not the right form: all unknown and missing fields and
    /// values of a wrong type. Else all that contradicts itself or the roles of contract 5.4.
    pub fn parse(text: &str, name: &str) -> Result<Self, DirectoryError> {
        let source = Source::new(name, text);
        let file = File::read(&source, text)?;
        resolve(file, &source)
    }

    /// The id of the instance; not empty.
    pub fn instance_id(&self) -> &str {
        &self.instance_id
    }

    /// The hosts that are served; empty for any (departure D7).
    pub fn domains(&self) -> &[String] {
        &self.domains
    }

    /// The organizations that the file defines, in its order, each once.
    pub fn organizations(&self) -> &[DirectoryOrganization] {
        &self.organizations
    }

    /// The organizations that must be in the store, in the file's order; one may be named more than once.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// What is allowed, but hardly meant: a user without a token, a membership without roles, whatever belongs to a
    /// removed organization. In the file's order.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Who the token in an `authorization` header belongs to (contract 5.1, departure D21).
    ///
    /// `authorization` is the first header's value as it came, `now` decides about expiry. Whether the *store* calls
    /// the user's organization removed is for the gateway to ask.
    ///
    /// # Errors
    /// - [`Refusal::AuthorizationMissing`] for no header, or an empty one.
    /// - [`Refusal::AuthorizationMalformed`] for one that holds no token.
    /// - [`Refusal::TokenInvalid`] for a token that is unknown or expired, or whose user is inactive, locked or of an
    ///   organization that the file calls removed; no caller learns which.
    pub fn authenticate(&self, authorization: Option<&[u8]>, now: Timestamp) -> Result<Caller, Refusal> {
        let hash = TokenHash::of(bearer(authorization)?);
        let token = self.tokens.get(&hash).ok_or(Refusal::TokenInvalid)?;
        let expired = token.expires.is_some_and(|expires| expires <= now);
        if expired || !token.user.is_active {
            return Err(Refusal::TokenInvalid);
        }
        Ok(Caller(token.user.clone()))
    }
}

/// Counts tokens instead of showing them: the keys of their map are parts of hashes too.
impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory")
            .field("instance_id", &self.instance_id)
            .field("domains", &self.domains)
            .field("organizations", &self.organizations)
            .field("tokens", &self.tokens.0.values().map(Vec::len).sum::<usize>())
            .field("references", &self.references)
            .field("warnings", &self.warnings)
            .finish()
    }
}

impl Tokens {
    /// `false`, and nothing changes, if the token is there already.
    pub(crate) fn insert(&mut self, hash: TokenHash, expires: Option<Timestamp>, user: &Arc<User>) -> bool {
        let is_new = self.get(&hash).is_none();
        if is_new {
            let token = Token { hash, expires, user: user.clone() };
            self.0.entry(hash.prefix()).or_default().push(token);
        }
        is_new
    }

    /// Found by a part of the hash, then compared as a whole in constant time: how long it takes tells nothing that
    /// helps to find a token.
    fn get(&self, hash: &TokenHash) -> Option<&Token> {
        self.0.get(&hash.prefix())?.iter().find(|token| token.hash.is(hash))
    }
}
