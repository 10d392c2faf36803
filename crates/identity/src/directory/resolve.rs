//! From what a file says to a directory: names become what they mean, and contradictions are found.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use domain::{Language, OrganizationId, OrganizationState, Role, Timestamp};
use toml::Spanned;

use super::{
    Directory, DirectoryError, DirectoryOrganization, Problem, Reference,
    file::{self, File},
    issuers,
    position::{Problems, Source},
};
use crate::{
    Accounts, UserId, UserState,
    caller::{Membership, User},
};

/// # Errors
/// All contradictions.
pub(crate) fn resolve(file: File, source: &Source<'_>) -> Result<Directory, DirectoryError> {
    let mut resolver = Resolver {
        problems: Problems::new(source),
        warnings: Problems::new(source),
        states: HashMap::new(),
        references: Vec::new(),
        others_vouch: file.issuers.iter().any(issuers::Written::has_users),
    };
    let instance_id = resolver.filled(&file.instance.id, "the instance's id");
    let domains =
        file.instance.domains.iter().filter_map(|domain| resolver.filled(domain, "an instance's domain"));
    let domains = domains.collect();
    let organizations = resolver.organizations(file.organizations);
    let memberships = resolver.memberships(file.memberships, &file.users);
    let project = file.instance.project.and_then(|id| resolver.filled(&id, "the project's id"));
    let mut accounts = Accounts::default();
    resolver.users(file.users, memberships, &mut accounts);
    resolver.clients(file.clients, &mut accounts);
    let issuers = resolver.issuers(file.issuers);

    let Resolver { problems, warnings, mut references, .. } = resolver;
    problems.into_result()?;
    references.sort_by_key(|(offset, _)| *offset);
    Ok(Directory {
        instance_id: instance_id.unwrap_or_default(),
        domains,
        organizations,
        project,
        accounts,
        issuers,
        references: references.into_iter().map(|(_, reference)| reference).collect(),
        warnings: warnings.into_sorted(),
    })
}

pub(super) struct Resolver<'a> {
    pub(super) problems: Problems<'a>,
    warnings: Problems<'a>,
    /// Of the organizations that the file defines.
    states: HashMap<OrganizationId, OrganizationState>,
    /// With where each stands, in bytes.
    references: Vec<(usize, Reference)>,
    /// Whether users need nothing to show who they are, as others tell it.
    others_vouch: bool,
}

impl Resolver<'_> {
    fn organizations(&mut self, written: Vec<file::Organization>) -> Vec<DirectoryOrganization> {
        let mut organizations = Vec::new();
        for file::Organization { id: written_id, name, state } in written {
            let Some(id) = self.organization_id(&written_id) else { continue };
            if self.states.insert(id.clone(), state).is_some() {
                self.problem(&written_id, format!("organization {:?} is already defined", id.as_str()));
            }
            let place = self.place(&written_id);
            organizations.push(DirectoryOrganization { id, name, state, place });
        }
        organizations
    }

    /// By user id.
    fn memberships(
        &mut self,
        written: Vec<file::Membership>,
        users: &[file::User],
    ) -> HashMap<String, Vec<Membership>> {
        let users: HashSet<&str> = users.iter().map(|user| user.id.get_ref().as_str()).collect();
        let mut memberships: HashMap<String, Vec<Membership>> = HashMap::new();
        for file::Membership { at, user, organization, instance, roles } in written {
            if !users.contains(user.get_ref().as_str()) {
                self.problem(&user, format!("user {:?} is not defined", user.get_ref()));
            }
            let in_instance = instance.as_ref().is_some_and(|instance| *instance.get_ref());
            let organization = match &organization {
                Some(written) if !in_instance => {
                    let Some(id) = self.referred(written) else { continue };
                    if self.states.get(&id) == Some(&OrganizationState::Removed) {
                        self.warn(written, format!("organization {:?} is removed", id.as_str()));
                    }
                    Some(id)
                }
                None if in_instance => None,
                _ => {
                    let text = "a membership has exactly one of `organization` and `instance = true`";
                    self.problems.note(at, text);
                    continue;
                }
            };
            if roles.is_empty() {
                self.warnings.note(at, "a membership without roles permits nothing");
            }
            let roles = roles.iter().filter_map(|role| self.role(role, in_instance)).collect();
            memberships.entry(user.into_inner()).or_default().push(Membership { organization, roles });
        }
        memberships
    }

    fn users(
        &mut self,
        written: Vec<file::User>,
        mut memberships: HashMap<String, Vec<Membership>>,
        accounts: &mut Accounts,
    ) {
        let mut ids = HashSet::new();
        for file::User {
            id,
            name,
            display_name,
            organization: home,
            state,
            preferred_language,
            access_tokens,
            tokens,
            secrets,
            keys,
        } in written
        {
            self.filled(&id, "a user's id");
            if !ids.insert(id.get_ref().clone()) {
                self.problem(&id, format!("user {:?} is already defined", id.get_ref()));
            }
            let organization = self.referred(&home);
            let preferred_language = preferred_language.and_then(|tag| self.language(&tag));
            let has_credentials = !(tokens.is_empty() && secrets.is_empty() && keys.is_empty());
            let tokens: Vec<_> = tokens.into_iter().filter_map(|token| self.token(token)).collect();
            let secrets = secrets.iter().filter_map(|secret| self.hash(secret, "secret")).collect();
            let keys: Vec<_> = keys.into_iter().filter_map(|key| self.key(key)).collect();
            // Without one the file is refused, but only after all of it was looked at.
            let Some(organization) = organization else { continue };
            let is_removed = self.states.get(&organization) == Some(&OrganizationState::Removed);
            if is_removed {
                let organization = organization.as_str();
                self.warn(&home, format!("organization {organization:?} is removed: its users are refused"));
            }
            if !has_credentials && !self.others_vouch {
                self.warn(&id, format!("user {:?} has no token, secret or key", id.get_ref()));
            }
            let user = Arc::new(User {
                id: UserId::new(id.get_ref()),
                name: name.get_ref().clone(),
                display_name: display_name.map(Spanned::into_inner),
                organization,
                is_active: state == UserState::Active && !is_removed,
                preferred_language,
                memberships: memberships.remove(id.get_ref()).unwrap_or_default(),
                access_tokens,
                secrets,
                changed: Timestamp::now(),
                // What the file says is what is; it has no past.
                valid_from: Timestamp::from_micros(0),
            });
            if !accounts.add_user(&user) {
                let text = format!("the name {:?} is another user's, who logs in by it", name.get_ref());
                self.warn(&name, text);
            }
            self.add_tokens(tokens, &user, accounts);
            self.add_keys(keys, user.id.as_str(), accounts);
        }
    }

    fn language(&mut self, tag: &Spanned<String>) -> Option<Language> {
        let language = Language::lookup(tag.get_ref());
        if language.is_none() {
            let known: Vec<_> = Language::ALL.iter().map(|language| language.tag()).collect();
            let text = format!("unknown language {:?}; known are {}", tag.get_ref(), known.join(", "));
            self.problem(tag, text);
        }
        language
    }

    /// Roles of the instance count for every organization, all others for their own (contract 5.4): one in the other's
    /// place could only be a mistake.
    fn role(&mut self, name: &Spanned<String>, in_instance: bool) -> Option<Role> {
        let role = self.any_role(name)?;
        if role.is_of_the_instance() == in_instance {
            return Some(role);
        }
        let fitting = names(&mut Role::ALL.iter().filter(|role| role.is_of_the_instance() == in_instance));
        let text = if in_instance {
            format!("{} is no role of the instance; those are {fitting}", role.name())
        } else {
            format!("{} is a role of the instance, not of an organization; those are {fitting}", role.name())
        };
        self.problem(name, text);
        None
    }

    pub(super) fn any_role(&mut self, name: &Spanned<String>) -> Option<Role> {
        let role = name.get_ref().parse::<Role>().ok();
        if role.is_none() {
            let known = names(&mut Role::ALL.iter());
            self.problem(name, format!("unknown role {:?}; known are {known}", name.get_ref()));
        }
        role
    }

    /// As the file has it, if it defines the organization.
    pub(super) fn state(&self, organization: &OrganizationId) -> Option<OrganizationState> {
        self.states.get(organization).copied()
    }

    /// An organization that is named; noted as a reference if the file does not define it.
    pub(super) fn referred(&mut self, written: &Spanned<String>) -> Option<OrganizationId> {
        let organization = self.organization_id(written)?;
        if !self.states.contains_key(&organization) {
            let text = format!("organization {:?} is in neither directory nor store", organization.as_str());
            let problem = self.place(written).with_text(text);
            let reference = Reference { organization: organization.clone(), problem };
            self.references.push((written.span().start, reference));
        }
        Some(organization)
    }

    fn organization_id(&mut self, written: &Spanned<String>) -> Option<OrganizationId> {
        let id = OrganizationId::new(written.get_ref());
        if let Err(error) = &id {
            self.problem(written, error.to_string());
        }
        id.ok()
    }

    pub(super) fn filled(&mut self, written: &Spanned<String>, what: &str) -> Option<String> {
        let text = written.get_ref();
        if text.is_empty() {
            self.problem(written, format!("{what} is empty"));
        }
        (!text.is_empty()).then(|| text.clone())
    }

    pub(super) fn place<T>(&self, at: &Spanned<T>) -> Problem {
        self.problems.source.problem(at.span().start, "")
    }

    pub(super) fn problem<T>(&mut self, at: &Spanned<T>, text: impl Into<String>) {
        self.problems.note(at.span().start, text);
    }

    pub(super) fn warn<T>(&mut self, at: &Spanned<T>, text: impl Into<String>) {
        self.warnings.note(at.span().start, text);
    }
}

fn names(roles: &mut dyn Iterator<Item = &Role>) -> String {
    roles.map(|role| role.name()).collect::<Vec<_>>().join(", ")
}
