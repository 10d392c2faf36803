//! Other authorization servers: which of their tokens are good, and of whom they tell.
//!
//! What has to be fetched, keys and answers about tokens, is handed in: nothing here speaks to anybody.

mod claims;
mod keys;
mod token;
mod url;

pub use claims::TokenClaims;
pub use keys::{IssuerKeys, MalformedKeys};
pub use token::{Foreign, SignedToken, Verdict};
pub use url::{UrlError, check_url};

use std::collections::BTreeMap;

use domain::{OrganizationId, Role};

/// An authorization server whose access tokens are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    pub(crate) url: String,
    pub(crate) jwks: Option<String>,
    pub(crate) ca: Option<String>,
    /// Not empty.
    pub(crate) audience: Vec<String>,
    /// How far its clock and ours may differ.
    pub(crate) skew_seconds: u16,
    /// The claim that holds the id of a user that is known here.
    pub(crate) user_claim: Option<String>,
    /// Who it is if no user is known.
    pub(crate) stranger: Option<Stranger>,
    pub(crate) introspection: Option<Introspection>,
}

/// How a token tells what somebody may do who is not known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stranger {
    /// The claim that holds the names of roles.
    pub(crate) roles_claim: String,
    /// What they are called here.
    pub(crate) roles: BTreeMap<String, Vec<Role>>,
    pub(crate) home: Home,
}

/// The home of somebody who is not known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    Organization(OrganizationId),
    /// The claim that holds its id.
    Claim(String),
}

/// Where it can be asked what a token is that nobody else can read (RFC 7662).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introspection {
    /// Where to ask.
    pub url: String,
    /// As whom to ask.
    pub client_id: String,
    /// The path of the file with the secret of who asks.
    pub client_secret_file: String,
}

impl Issuer {
    /// By what its tokens name it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its keys are, if it need not be asked where they are.
    pub fn jwks(&self) -> Option<&str> {
        self.jwks.as_deref()
    }

    /// The path of the PEM file with what its certificate must lead to; without it, the system's roots count.
    pub fn ca(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// Where it tells what a token is.
    pub fn introspection(&self) -> Option<&Introspection> {
        self.introspection.as_ref()
    }
}
