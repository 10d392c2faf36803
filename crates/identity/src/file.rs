//! The directory file as it is written: its form, and where each of its parts stands.

use serde::Deserialize;
use toml::{Spanned, value::Datetime};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) instance: Instance,
    #[serde(default)]
    pub(crate) organization: Vec<Organization>,
    #[serde(default)]
    pub(crate) user: Vec<User>,
    #[serde(default)]
    pub(crate) membership: Vec<Spanned<Membership>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Instance {
    pub(crate) id: Spanned<String>,
    #[serde(default)]
    pub(crate) domains: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Organization {
    pub(crate) id: Spanned<String>,
    pub(crate) name: String,
    pub(crate) state: OrganizationState,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OrganizationState {
    Active,
    Inactive,
    Removed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) id: Spanned<String>,
    /// For whoever reads the file.
    #[serde(rename = "name")]
    pub(crate) _name: String,
    pub(crate) organization: Spanned<String>,
    pub(crate) state: UserState,
    pub(crate) preferred_language: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) token: Vec<Spanned<Token>>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum UserState {
    Active,
    Inactive,
    Locked,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    pub(crate) value: Option<Spanned<String>>,
    pub(crate) sha256: Option<Spanned<String>>,
    pub(crate) expires: Option<Spanned<Datetime>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Membership {
    pub(crate) user: Spanned<String>,
    pub(crate) organization: Option<Spanned<String>>,
    pub(crate) instance: Option<Spanned<bool>>,
    pub(crate) roles: Vec<Spanned<String>>,
}
