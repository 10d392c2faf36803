//! The directory: who there is, with which tokens, and who may do what where.

use std::{fmt, sync::Arc};

use domain::{OrganizationId, OrganizationState};

use crate::{Accounts, issuer::Issuer};

mod credentials;
mod development;
mod fields;
mod file;
mod issuers;
mod position;
mod resolve;

pub use development::{Development, DevelopmentError};
pub use position::{DirectoryError, Problem};

use file::File;
use position::Source;
use resolve::resolve;

/// Who there is and who may do what; never changes. Of tokens it holds nothing but their SHA-256.
pub struct Directory {
    pub(crate) instance_id: String,
    pub(crate) domains: Vec<String>,
    pub(crate) organizations: Vec<DirectoryOrganization>,
    pub(crate) project: Option<String>,
    pub(crate) accounts: Accounts,
    pub(crate) issuers: Vec<DirectoryIssuer>,
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

/// Another issuer, as the file has it.
#[derive(Clone, Debug)]
pub struct DirectoryIssuer {
    /// The issuer.
    pub issuer: Arc<Issuer>,
    /// Where the file says where the secret for introspection is, else where the issuer's URL stands; without a text.
    pub place: Problem,
    /// Where it says what the issuer's certificate must lead to, else where the issuer's URL stands; without a text.
    pub ca_place: Problem,
}

/// An organization that a user or membership names and the file does not define: it must be in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its id.
    pub organization: OrganizationId,
    /// What to say if it is not there.
    pub problem: Problem,
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

    /// The users and clients that the file defines.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Other issuers, whose tokens are accepted.
    pub fn issuers(&self) -> &[DirectoryIssuer] {
        &self.issuers
    }

    /// The id of the project that the API is, if the file gives it one.
    pub fn project(&self) -> Option<&str> {
        self.project.as_deref()
    }
}

/// Counts users, and shows nothing of their tokens: even the keys of their map are parts of hashes.
impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory")
            .field("instance_id", &self.instance_id)
            .field("domains", &self.domains)
            .field("organizations", &self.organizations)
            .field("project", &self.project)
            .field("users", &self.accounts.user_count())
            .field("issuers", &self.issuers)
            .field("references", &self.references)
            .field("warnings", &self.warnings)
            .finish()
    }
}
