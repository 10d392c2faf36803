//! Other issuers in the file: how they are written, and what is wrong with them.

use std::{collections::BTreeMap, sync::Arc};

use domain::OrganizationState;
use toml::{Spanned, de::DeTable};

use super::{
    DirectoryIssuer,
    fields::{Fields, INTEGER, TEXT, TextsByName},
    position::Problems,
    resolve::Resolver,
};
use crate::issuer::{Home, Introspection, Issuer, Stranger, check_url};

/// How far clocks may differ if the file does not say.
const SKEW_SECONDS_DEFAULT: u16 = 30;
/// How far they may differ at most.
const SKEW_SECONDS_MAX: u16 = 300;

/// An issuer as the file has it.
pub(crate) struct Written {
    /// Where it begins, in bytes.
    at: usize,
    url: Spanned<String>,
    audience: Spanned<Vec<Spanned<String>>>,
    jwks: Option<Spanned<String>>,
    ca: Option<Spanned<String>>,
    skew: Option<Spanned<i64>>,
    user_claim: Option<Spanned<String>>,
    roles_claim: Option<Spanned<String>>,
    /// By what the issuer calls them.
    roles: Option<Spanned<TextsByName>>,
    organization: Option<Spanned<String>>,
    organization_claim: Option<Spanned<String>>,
    introspection: Option<WrittenIntrospection>,
}

struct WrittenIntrospection {
    url: Spanned<String>,
    client_id: Spanned<String>,
    client_secret_file: Spanned<String>,
}

impl Written {
    pub(super) fn read<'t>(table: &'t DeTable<'t>, at: usize, problems: &mut Problems<'_>) -> Option<Self> {
        let known = [
            "url",
            "audience",
            "jwks",
            "ca",
            "clock_skew_seconds",
            "user_claim",
            "roles_claim",
            "roles",
            "organization",
            "organization_claim",
            "introspection",
        ];
        let mut fields = Fields::of(table, at, &known, problems);
        let (url, audience) = (fields.required("url", TEXT), fields.required_texts("audience"));
        let audience_at = table.get("audience").map(Spanned::span).unwrap_or_default();
        let jwks = fields.optional("jwks", TEXT);
        let ca = fields.optional("ca", TEXT);
        let skew = fields.optional("clock_skew_seconds", INTEGER);
        let user_claim = fields.optional("user_claim", TEXT);
        let roles_claim = fields.optional("roles_claim", TEXT);
        let roles = fields.texts_by_name("roles");
        let organization = fields.optional("organization", TEXT);
        let organization_claim = fields.optional("organization_claim", TEXT);
        let introspection = fields.optional_table("introspection");
        let introspection = introspection.map(|(table, at)| WrittenIntrospection::read(table, at, problems));
        Some(Self {
            at,
            url: url?,
            audience: Spanned::new(audience_at, audience?),
            jwks,
            ca,
            skew,
            user_claim,
            roles_claim,
            roles,
            organization,
            organization_claim,
            introspection: match introspection {
                Some(introspection) => Some(introspection?),
                None => None,
            },
        })
    }

    /// Whether it tells of users that are known here.
    pub(super) fn has_users(&self) -> bool {
        self.user_claim.is_some()
    }
}

impl WrittenIntrospection {
    fn read<'t>(table: &'t DeTable<'t>, at: usize, problems: &mut Problems<'_>) -> Option<Self> {
        let known = ["url", "client_id", "client_secret_file"];
        let mut fields = Fields::of(table, at, &known, problems).secret();
        let (url, client_id) = (fields.required("url", TEXT), fields.required("client_id", TEXT));
        let client_secret_file = fields.required("client_secret_file", TEXT);
        Some(Self { url: url?, client_id: client_id?, client_secret_file: client_secret_file? })
    }
}

impl Resolver<'_> {
    pub(super) fn issuers(&mut self, written: Vec<Written>) -> Vec<DirectoryIssuer> {
        let mut issuers: Vec<DirectoryIssuer> = Vec::new();
        for written in written {
            let url = written.url.get_ref();
            if issuers.iter().any(|known| known.issuer.url == *url) {
                self.problem(&written.url, format!("issuer {url:?} is already defined"));
            }
            issuers.extend(self.issuer(written));
        }
        issuers
    }

    fn issuer(&mut self, written: Written) -> Option<DirectoryIssuer> {
        let Written { at, url, audience, jwks, ca, skew, .. } = &written;
        self.url(url);
        if url.get_ref().contains('?') {
            self.problem(url, "an issuer's url has no query");
        }
        if audience.get_ref().is_empty() {
            self.problem(audience, "an issuer's audience is empty: any of its tokens would be accepted");
        }
        for audience in audience.get_ref() {
            self.filled(audience, "an issuer's audience");
        }
        if let Some(jwks) = jwks {
            self.url(jwks);
        }
        if let Some(ca) = ca {
            self.filled(ca, "the path of an issuer's roots");
        }
        let ca_place = self.place(ca.as_ref().unwrap_or(url));
        let skew_seconds = match skew {
            None => SKEW_SECONDS_DEFAULT,
            Some(skew) => {
                let seconds = u16::try_from(*skew.get_ref()).ok().filter(|skew| *skew <= SKEW_SECONDS_MAX);
                if seconds.is_none() {
                    self.problem(skew, format!("clocks may differ by 0 to {SKEW_SECONDS_MAX} seconds"));
                }
                seconds.unwrap_or_default()
            }
        };
        if written.user_claim.is_none() && written.roles_claim.is_none() {
            let text =
                "an issuer has `user_claim` or `roles_claim`, or both: without, nobody knows who calls";
            self.problems.note(*at, text);
        }
        if let Some(claim) = &written.user_claim {
            self.filled(claim, "the name of a claim");
        }
        let place = self.place(written.introspection.as_ref().map_or(url, |asked| &asked.client_secret_file));
        let introspection = written.introspection.as_ref().map(|written| {
            self.url(&written.url);
            self.filled(&written.client_id, "the client's id");
            self.filled(&written.client_secret_file, "the path of the client's secret");
            Introspection {
                url: written.url.get_ref().clone(),
                client_id: written.client_id.get_ref().clone(),
                client_secret_file: written.client_secret_file.get_ref().clone(),
            }
        });
        let stranger = self.stranger(&written);
        let issuer = Issuer {
            url: written.url.into_inner(),
            jwks: written.jwks.map(Spanned::into_inner),
            ca: written.ca.map(Spanned::into_inner),
            audience: written.audience.into_inner().into_iter().map(Spanned::into_inner).collect(),
            skew_seconds,
            user_claim: written.user_claim.map(Spanned::into_inner),
            stranger,
            introspection,
        };
        Some(DirectoryIssuer { issuer: Arc::new(issuer), place, ca_place })
    }

    fn stranger(&mut self, written: &Written) -> Option<Stranger> {
        let Some(roles_claim) = &written.roles_claim else {
            let at = [
                written.roles.as_ref().map(Spanned::span),
                written.organization.as_ref().map(Spanned::span),
                written.organization_claim.as_ref().map(Spanned::span),
            ];
            for at in at.into_iter().flatten() {
                self.problems
                    .note(at.start, "this is for those whose roles the issuer tells, by `roles_claim`");
            }
            return None;
        };
        self.filled(roles_claim, "the name of a claim");
        let mut roles = BTreeMap::new();
        match &written.roles {
            None => self.problem(roles_claim, "`roles_claim` needs `roles`: what its values are called here"),
            Some(written) => {
                for (name, ours) in written.get_ref() {
                    let ours = ours.iter().filter_map(|role| self.any_role(role)).collect();
                    roles.insert(name.clone(), ours);
                }
            }
        }
        let home = match (&written.organization, &written.organization_claim) {
            (Some(written), None) => {
                let home = self.referred(written)?;
                if self.state(&home) == Some(OrganizationState::Removed) {
                    let text = format!("organization {:?} is removed: its users are refused", home.as_str());
                    self.warn(written, text);
                }
                Home::Organization(home)
            }
            (None, Some(claim)) => Home::Claim(self.filled(claim, "the name of a claim")?),
            _ => {
                let text = "`roles_claim` needs exactly one of `organization` and `organization_claim`";
                self.problem(roles_claim, text);
                return None;
            }
        };
        Some(Stranger { roles_claim: roles_claim.get_ref().clone(), roles, home })
    }

    fn url(&mut self, written: &Spanned<String>) {
        if let Err(error) = check_url(written.get_ref()) {
            self.problem(written, error.to_string());
        }
    }
}
