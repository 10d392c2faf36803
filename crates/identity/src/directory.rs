//! The directory: who there is, with which tokens, and who may do what where.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use domain::{Language, OrganizationId, OrganizationState, Refusal, Role, Timestamp};
use toml::Spanned;

use crate::{
    Caller, DirectoryError, Problem, UserId,
    caller::{Membership, User},
    file,
    token::{TokenHash, bearer},
};

/// Who there is and who may do what; never changes.
#[derive(Debug)]
pub struct Directory {
    instance_id: String,
    domains: Vec<String>,
    organizations: Vec<DirectoryOrganization>,
    /// By [`TokenHash::prefix`].
    tokens: HashMap<u64, Vec<Token>>,
    references: Vec<Reference>,
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
    /// Where it stands in the file; without a text.
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

#[derive(Debug)]
struct Token {
    hash: TokenHash,
    expires: Option<Timestamp>,
    user: Arc<User>,
}

impl Directory {
    /// Reads a directory; `name` is the file's, for errors.
    ///
    /// # Errors
    /// Everything that is wrong with it; if it is no TOML of the right form, the first thing.
    pub fn parse(text: &str, name: &str) -> Result<Self, DirectoryError> {
        let file: file::File = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            DirectoryError(vec![Problem::new(name, text, offset, error.message().replace('\n', " "))])
        })?;
        let mut reader = Reader { name, text, problems: Vec::new() };
        let directory = reader.directory(file);
        if reader.problems.is_empty() {
            return Ok(directory);
        }
        reader.problems.sort_by_key(|(offset, _)| *offset);
        Err(DirectoryError(reader.problems.into_iter().map(|(_, problem)| problem).collect()))
    }

    /// The id of the instance.
    pub fn instance_id(&self) -> &str {
        &self.instance_id
    }

    /// The hosts that are served; empty for any.
    pub fn domains(&self) -> &[String] {
        &self.domains
    }

    /// The organizations that the file defines.
    pub fn organizations(&self) -> &[DirectoryOrganization] {
        &self.organizations
    }

    /// The organizations that must be in the store.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// Who the token in an `authorization` header belongs to (contract 5.1). Whether that user's organization was
    /// removed is for the gateway to ask.
    ///
    /// # Errors
    /// `AUTH-7fs1e` for a token that is unknown or expired or whose user is not active; why the header holds none.
    pub fn authenticate(&self, authorization: Option<&[u8]>, now: Timestamp) -> Result<Caller, Refusal> {
        let hash = TokenHash::of(bearer(authorization)?);
        let candidates = self.tokens.get(&hash.prefix()).map(Vec::as_slice).unwrap_or_default();
        let token = candidates.iter().find(|token| token.hash.is(&hash)).ok_or(Refusal::TokenInvalid)?;
        let expired = token.expires.is_some_and(|expires| expires <= now);
        if expired || !token.user.is_active {
            return Err(Refusal::TokenInvalid);
        }
        Ok(Caller(token.user.clone()))
    }
}

/// Turns the file's form into a directory, noting all problems.
struct Reader<'a> {
    name: &'a str,
    text: &'a str,
    problems: Vec<(usize, Problem)>,
}

impl Reader<'_> {
    fn problem<T>(&mut self, at: &Spanned<T>, text: impl Into<String>) {
        let offset = at.span().start;
        self.problems.push((offset, Problem::new(self.name, self.text, offset, text)));
    }

    fn directory(&mut self, file: file::File) -> Directory {
        if file.instance.id.get_ref().is_empty() {
            self.problem(&file.instance.id, "the instance's id is empty");
        }
        for domain in file.instance.domains.iter().filter(|domain| domain.get_ref().is_empty()) {
            self.problem(domain, "an instance's domain is empty");
        }
        let organizations = self.organizations(file.organization);
        let known = |id: &OrganizationId| organizations.iter().any(|organization| organization.id == *id);
        let mut references = Vec::new();
        let mut refer = |place: Problem, id: &OrganizationId| {
            if !known(id) {
                let problem = place
                    .with_text(format!("organization {:?} is in neither directory nor store", id.as_str()));
                references.push(Reference { organization: id.clone(), problem });
            }
        };

        let mut memberships = self.memberships(file.membership, &file.user, &mut refer);
        let mut tokens: HashMap<u64, Vec<Token>> = HashMap::new();
        let mut users = BTreeMap::new();
        for user in file.user {
            if users.insert(user.id.get_ref().clone(), ()).is_some() {
                self.problem(&user.id, format!("user {:?} is already defined", user.id.get_ref()));
            }
            let Some(organization) = self.organization_id(&user.organization) else { continue };
            refer(Problem::new(self.name, self.text, user.organization.span().start, ""), &organization);
            let preferred_language = user.preferred_language.as_ref().and_then(|tag| self.language(tag));
            if user.id.get_ref().is_empty() {
                self.problem(&user.id, "a user's id is empty");
            }
            let read = Arc::new(User {
                id: UserId::new(user.id.get_ref()),
                organization,
                is_active: user.state == file::UserState::Active,
                preferred_language,
                memberships: memberships.remove(user.id.get_ref()).unwrap_or_default(),
            });
            for token in &user.token {
                let Some((hash, expires)) = self.token(token) else { continue };
                let same_prefix = tokens.entry(hash.prefix()).or_default();
                if same_prefix.iter().any(|other| other.hash.is(&hash)) {
                    self.problem(token, "this token is already defined");
                }
                same_prefix.push(Token { hash, expires, user: read.clone() });
            }
        }
        Directory {
            instance_id: file.instance.id.into_inner(),
            domains: file.instance.domains.into_iter().map(Spanned::into_inner).collect(),
            organizations,
            tokens,
            references,
        }
    }

    fn organizations(&mut self, written: Vec<file::Organization>) -> Vec<DirectoryOrganization> {
        let mut organizations: Vec<DirectoryOrganization> = Vec::new();
        for organization in written {
            let Some(id) = self.organization_id(&organization.id) else { continue };
            if organizations.iter().any(|other| other.id == id) {
                self.problem(&organization.id, format!("organization {:?} is already defined", id.as_str()));
            }
            let place = Problem::new(self.name, self.text, organization.id.span().start, "");
            let state = match organization.state {
                file::OrganizationState::Active => OrganizationState::Active,
                file::OrganizationState::Inactive => OrganizationState::Inactive,
                file::OrganizationState::Removed => OrganizationState::Removed,
            };
            organizations.push(DirectoryOrganization { id, name: organization.name, state, place });
        }
        organizations
    }

    /// By user id.
    fn memberships(
        &mut self,
        written: Vec<Spanned<file::Membership>>,
        users: &[file::User],
        refer: &mut impl FnMut(Problem, &OrganizationId),
    ) -> HashMap<String, Vec<Membership>> {
        let mut memberships: HashMap<String, Vec<Membership>> = HashMap::new();
        for membership in written {
            let place = membership.span().start..membership.span().start;
            let file::Membership { user, organization, instance, roles } = membership.into_inner();
            if !users.iter().any(|known| known.id.get_ref() == user.get_ref()) {
                self.problem(&user, format!("user {:?} is not defined", user.get_ref()));
            }
            let in_instance = instance.as_ref().is_some_and(|instance| *instance.get_ref());
            let organization = match &organization {
                Some(id) if !in_instance => {
                    let Some(read) = self.organization_id(id) else { continue };
                    refer(Problem::new(self.name, self.text, id.span().start, ""), &read);
                    Some(read)
                }
                None if in_instance => None,
                _ => {
                    let place = Spanned::new(place, ());
                    self.problem(
                        &place,
                        "a membership has exactly one of `organization` and `instance = true`",
                    );
                    continue;
                }
            };
            let roles = roles.iter().filter_map(|role| self.role(role, in_instance)).collect();
            memberships.entry(user.into_inner()).or_default().push(Membership { organization, roles });
        }
        memberships
    }

    fn organization_id(&mut self, id: &Spanned<String>) -> Option<OrganizationId> {
        let read = OrganizationId::new(id.get_ref());
        if let Err(error) = &read {
            self.problem(id, error.to_string());
        }
        read.ok()
    }

    fn language(&mut self, tag: &Spanned<String>) -> Option<Language> {
        let language = Language::lookup(tag.get_ref());
        if language.is_none() {
            let known: Vec<_> = Language::ALL.iter().map(|language| language.tag()).collect();
            self.problem(
                tag,
                format!("unknown language {:?}; known are {}", tag.get_ref(), known.join(", ")),
            );
        }
        language
    }

    fn role(&mut self, name: &Spanned<String>, in_instance: bool) -> Option<Role> {
        match name.get_ref().parse::<Role>() {
            Ok(role) if role.is_of_the_instance() == in_instance => return Some(role),
            Ok(_) if in_instance => {
                self.problem(name, format!("{} is no role of the instance", name.get_ref()))
            }
            Ok(_) => self.problem(
                name,
                format!("{} is a role of the instance, not of an organization", name.get_ref()),
            ),
            Err(error) => {
                let known: Vec<_> = Role::ALL.iter().map(|role| role.name()).collect();
                self.problem(name, format!("{error}; known are {}", known.join(", ")));
            }
        }
        None
    }

    fn token(&mut self, token: &Spanned<file::Token>) -> Option<(TokenHash, Option<Timestamp>)> {
        let file::Token { value, sha256, expires } = token.get_ref();
        let hash = match (value, sha256) {
            (Some(value), None) => {
                let text = value.get_ref();
                if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) || text.contains("Bearer ")
                {
                    self.problem(value, "a token is one or more visible ASCII characters, without spaces");
                    return None;
                }
                TokenHash::of(text)
            }
            (None, Some(hex)) => match TokenHash::from_hex(hex.get_ref()) {
                Some(hash) => hash,
                None => {
                    self.problem(hex, "a SHA-256 is 64 hexadecimal digits");
                    return None;
                }
            },
            _ => {
                self.problem(token, "a token has exactly one of `value` and `sha256`");
                return None;
            }
        };
        let expires = match expires {
            None => None,
            Some(written) => match written.get_ref().to_string().parse::<jiff::Timestamp>() {
                Ok(time) => Some(Timestamp::from_micros(time.as_microsecond())),
                Err(_) => {
                    self.problem(
                        written,
                        "a time has date, time of day and offset, such as 2099-01-01T00:00:00Z",
                    );
                    return None;
                }
            },
        };
        Some((hash, expires))
    }
}
