//! The directory file as it is written: its form, and where each of its parts stands.

use domain::OrganizationState;
use toml::{Spanned, de::DeTable, value::Datetime};

use super::{
    fields::{BOOLEAN, Fields, TEXT, TIME},
    issuers,
    position::{DirectoryError, Problems, Source},
};
use crate::{AccessTokens, UserState};

/// What a file says. That it hangs together is not known yet.
pub(crate) struct File {
    pub(crate) instance: Instance,
    pub(crate) organizations: Vec<Organization>,
    pub(crate) users: Vec<User>,
    pub(crate) memberships: Vec<Membership>,
    pub(crate) clients: Vec<Client>,
    pub(crate) issuers: Vec<issuers::Written>,
}

pub(crate) struct Instance {
    pub(crate) id: Spanned<String>,
    pub(crate) project: Option<Spanned<String>>,
    pub(crate) domains: Vec<Spanned<String>>,
}

pub(crate) struct Organization {
    pub(crate) id: Spanned<String>,
    pub(crate) name: String,
    pub(crate) state: OrganizationState,
}

pub(crate) struct User {
    pub(crate) id: Spanned<String>,
    pub(crate) name: Spanned<String>,
    pub(crate) display_name: Option<Spanned<String>>,
    pub(crate) organization: Spanned<String>,
    pub(crate) state: UserState,
    pub(crate) preferred_language: Option<Spanned<String>>,
    pub(crate) access_tokens: AccessTokens,
    pub(crate) tokens: Vec<Secret>,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) keys: Vec<Key>,
}

/// A token or secret. Holds it in clear, and so is dropped as soon as it is hashed.
pub(crate) struct Secret {
    /// Where it begins, in bytes.
    pub(crate) at: usize,
    pub(crate) value: Option<Spanned<String>>,
    pub(crate) sha256: Option<Spanned<String>>,
    pub(crate) expires: Option<Spanned<Datetime>>,
}

/// A public key.
pub(crate) struct Key {
    pub(crate) id: Spanned<String>,
    pub(crate) public_key: Spanned<String>,
    pub(crate) expires: Option<Spanned<Datetime>>,
}

/// Who may ask what tokens are.
pub(crate) struct Client {
    pub(crate) id: Spanned<String>,
    pub(crate) project: Spanned<String>,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) keys: Vec<Key>,
}

pub(crate) struct Membership {
    /// Where it begins, in bytes.
    pub(crate) at: usize,
    pub(crate) user: Spanned<String>,
    pub(crate) organization: Option<Spanned<String>>,
    pub(crate) instance: Option<Spanned<bool>>,
    pub(crate) roles: Vec<Spanned<String>>,
}

impl File {
    /// # Errors
    /// The first mistake in its TOML; without one, all unknown and missing fields and all values of a wrong type.
    pub(crate) fn read(source: &Source<'_>, text: &str) -> Result<Self, DirectoryError> {
        let mut problems = Problems::new(source);
        let document = DeTable::parse(text);
        let file = match &document {
            Ok(document) => file(document.get_ref(), &mut problems),
            Err(error) => {
                let offset = error.span().map_or(0, |span| span.start);
                problems.note(offset, error.message().replace('\n', " "));
                None
            }
        };
        match file {
            Some(file) => problems.into_result().map(|()| file),
            None => Err(problems.into_error()),
        }
    }
}

fn file<'t>(document: &'t DeTable<'t>, problems: &mut Problems<'_>) -> Option<File> {
    let known = ["instance", "organization", "user", "membership", "client", "issuer"];
    let mut fields = Fields::of(document, 0, &known, problems);
    let written_instance = fields.table("instance");
    let written_organizations = fields.tables("organization", "organization");
    let written_users = fields.tables("user", "user");
    let written_memberships = fields.tables("membership", "membership");
    let written_clients = fields.tables("client", "client");
    let written_issuers = fields.tables("issuer", "issuer");

    let instance = written_instance.and_then(|(table, at)| instance(table, at, problems));
    let organizations =
        written_organizations.into_iter().filter_map(|(table, at)| organization(table, at, problems));
    let organizations = organizations.collect();
    let users = written_users.into_iter().filter_map(|(table, at)| user(table, at, problems)).collect();
    let memberships =
        written_memberships.into_iter().filter_map(|(table, at)| membership(table, at, problems)).collect();
    let clients = written_clients.into_iter().filter_map(|(table, at)| client(table, at, problems)).collect();
    let issuers = written_issuers
        .into_iter()
        .filter_map(|(table, at)| issuers::Written::read(table, at, problems))
        .collect();
    Some(File { instance: instance?, organizations, users, memberships, clients, issuers })
}

fn instance<'t>(table: &'t DeTable<'t>, at: usize, problems: &mut Problems<'_>) -> Option<Instance> {
    let mut fields = Fields::of(table, at, &["id", "domains", "project"], problems);
    let (id, domains) = (fields.required("id", TEXT), fields.texts("domains"));
    let project = fields.optional("project", TEXT);
    Some(Instance { id: id?, project, domains })
}

fn organization<'t>(table: &'t DeTable<'t>, at: usize, problems: &mut Problems<'_>) -> Option<Organization> {
    let states = [
        ("active", OrganizationState::Active),
        ("inactive", OrganizationState::Inactive),
        ("removed", OrganizationState::Removed),
    ];
    let mut fields = Fields::of(table, at, &["id", "name", "state"], problems);
    let (id, name) = (fields.required("id", TEXT), fields.required("name", TEXT));
    let state = fields.choice("state", &states);
    Some(Organization { id: id?, name: name?.into_inner(), state: state? })
}

fn user<'t>(table: &'t DeTable<'t>, at: usize, problems: &mut Problems<'_>) -> Option<User> {
    let states =
        [("active", UserState::Active), ("inactive", UserState::Inactive), ("locked", UserState::Locked)];
    let known = [
        "id",
        "name",
        "display_name",
        "organization",
        "state",
        "preferred_language",
        "access_token_type",
        "token",
        "secret",
        "key",
    ];
    let forms = [("bearer", AccessTokens::Bearer), ("jwt", AccessTokens::Jwt)];
    let mut fields = Fields::of(table, at, &known, problems);
    let (id, name) = (fields.required("id", TEXT), fields.required("name", TEXT));
    let display_name = fields.optional("display_name", TEXT);
    let organization = fields.required("organization", TEXT);
    let state = fields.choice("state", &states);
    let preferred_language = fields.optional("preferred_language", TEXT);
    let access_tokens = fields.optional_choice("access_token_type", &forms).unwrap_or_default();
    let written_tokens = fields.tables("token", "user.token");
    let written_secrets = fields.tables("secret", "user.secret");
    let written_keys = fields.tables("key", "user.key");
    let tokens = written_tokens.into_iter().map(|(table, at)| secret(table, at, true, problems)).collect();
    let secrets = written_secrets.into_iter().map(|(table, at)| secret(table, at, false, problems)).collect();
    let keys = written_keys.into_iter().filter_map(|(table, at)| key(table, at, problems)).collect();
    Some(User {
        id: id?,
        name: name?,
        display_name,
        organization: organization?,
        state: state?,
        preferred_language,
        access_tokens,
        tokens,
        secrets,
        keys,
    })
}

fn secret<'t>(table: &'t DeTable<'t>, at: usize, may_expire: bool, problems: &mut Problems<'_>) -> Secret {
    let known = ["value", "sha256", "expires"];
    let known = if may_expire { &known[..] } else { &known[..2] };
    let mut fields = Fields::of(table, at, known, problems).secret();
    let (value, sha256) = (fields.optional("value", TEXT), fields.optional("sha256", TEXT));
    Secret { at, value, sha256, expires: fields.optional("expires", TIME).filter(|_| may_expire) }
}

fn key<'t>(table: &'t DeTable<'t>, at: usize, problems: &mut Problems<'_>) -> Option<Key> {
    let mut fields = Fields::of(table, at, &["id", "public_key", "expires"], problems).secret();
    let (id, public_key) = (fields.required("id", TEXT), fields.required("public_key", TEXT));
    let expires = fields.optional("expires", TIME);
    Some(Key { id: id?, public_key: public_key?, expires })
}

fn client<'t>(table: &'t DeTable<'t>, at: usize, problems: &mut Problems<'_>) -> Option<Client> {
    let mut fields = Fields::of(table, at, &["id", "project", "secret", "key"], problems);
    let (id, project) = (fields.required("id", TEXT), fields.required("project", TEXT));
    let written_secrets = fields.tables("secret", "client.secret");
    let written_keys = fields.tables("key", "client.key");
    let secrets = written_secrets.into_iter().map(|(table, at)| secret(table, at, false, problems)).collect();
    let keys = written_keys.into_iter().filter_map(|(table, at)| key(table, at, problems)).collect();
    Some(Client { id: id?, project: project?, secrets, keys })
}

fn membership<'t>(table: &'t DeTable<'t>, at: usize, problems: &mut Problems<'_>) -> Option<Membership> {
    let mut fields = Fields::of(table, at, &["user", "organization", "instance", "roles"], problems);
    let user = fields.required("user", TEXT);
    let (organization, instance) =
        (fields.optional("organization", TEXT), fields.optional("instance", BOOLEAN));
    let roles = fields.required_texts("roles");
    Some(Membership { at, user: user?, organization, instance, roles: roles? })
}
