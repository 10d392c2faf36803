//! Who there is, and by what each is known.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use domain::Timestamp;
use jsonwebtoken::DecodingKey;

use crate::{Caller, bearer::TokenHash, caller::User};

/// Users, with what shows who they are. Of tokens and secrets it holds nothing but their SHA-256.
#[derive(Clone, Default)]
pub struct Accounts {
    users: HashMap<Arc<str>, Arc<User>>,
    /// In lower case.
    names: HashMap<String, Arc<User>>,
    /// By [`TokenHash::prefix`].
    tokens: HashMap<u64, Vec<Token>>,
    keys: HashMap<String, Key>,
    clients: HashMap<String, Arc<Client>>,
}

/// A personal access token.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) hash: TokenHash,
    pub(crate) id: String,
    /// When it was made, where that is known.
    pub(crate) created: Option<Timestamp>,
    /// It is good until just before this.
    pub(crate) expires: Option<Timestamp>,
    pub(crate) user: Arc<User>,
}

/// A public key, by which a user or client signs assertions.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) owner: Arc<str>,
    pub(crate) key: DecodingKey,
    /// It is good until just before this.
    pub(crate) expires: Option<Timestamp>,
}

/// An application that may ask what a token is (RFC 7662).
pub struct Client {
    pub(crate) id: String,
    /// The project that it is of: tokens for the project are tokens for it.
    pub(crate) project: String,
    pub(crate) secrets: Vec<TokenHash>,
}

impl Client {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The id of its project.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Whether `secret` is one of the client's. Takes the same time whatever it is.
    pub fn has_secret(&self, secret: &str) -> bool {
        TokenHash::of(secret).is_any_of(&self.secrets)
    }
}

impl Accounts {
    /// The user of this id.
    pub(crate) fn user(&self, id: &str) -> Option<&Arc<User>> {
        self.users.get(id)
    }

    /// The user of this name, whatever its letters' case.
    pub fn user_named(&self, name: &str) -> Option<Caller> {
        self.names.get(&name.to_lowercase()).cloned().map(Caller)
    }

    /// The client of this id.
    pub fn client(&self, id: &str) -> Option<&Arc<Client>> {
        self.clients.get(id)
    }

    /// The key of this id.
    pub(crate) fn key(&self, id: &str) -> Option<&Key> {
        self.keys.get(id)
    }

    /// The token with this hash. Found by a part of the hash, then compared as a whole in constant time: how long it
    /// takes tells nothing that helps to find a token.
    pub(crate) fn token(&self, hash: &TokenHash) -> Option<&Token> {
        self.tokens.get(&hash.prefix())?.iter().find(|token| token.hash.is(hash))
    }

    /// Adds a user whose id is new. `false` if its name is another's, who keeps it.
    pub(crate) fn add_user(&mut self, user: &Arc<User>) -> bool {
        self.users.insert(user.id.as_str().into(), user.clone());
        match self.names.entry(user.name.to_lowercase()) {
            Entry::Occupied(_) => false,
            Entry::Vacant(vacant) => {
                vacant.insert(user.clone());
                true
            }
        }
    }

    /// `false`, and nothing changes, if the token is there already.
    pub(crate) fn add_token(&mut self, token: Token) -> bool {
        let is_new = self.token(&token.hash).is_none();
        if is_new {
            self.tokens.entry(token.hash.prefix()).or_default().push(token);
        }
        is_new
    }

    /// `false`, and nothing changes, if the id is another key's.
    pub(crate) fn add_key(&mut self, id: String, key: Key) -> bool {
        let is_new = !self.keys.contains_key(&id);
        if is_new {
            self.keys.insert(id, key);
        }
        is_new
    }

    /// `false`, and nothing changes, if the id is another client's.
    pub(crate) fn add_client(&mut self, client: Client) -> bool {
        let is_new = !self.clients.contains_key(&client.id);
        if is_new {
            self.clients.insert(client.id.clone(), Arc::new(client));
        }
        is_new
    }

    /// How many users there are.
    pub(crate) fn user_count(&self) -> usize {
        self.users.len()
    }
}
