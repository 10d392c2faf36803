//! Who may go on: instance, caller, organization, permission, in this order (contract 2.1).

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use domain::{Error, OrganizationId, OrganizationState, Refusal, Timestamp};
use futures_util::future::try_join;
use http::{HeaderName, header::AUTHORIZATION};
use identity::{Caller, Denied, Directory, bearer};
use ipnet::IpNet;
use storage::{SharedStore, StoreError};

use super::{
    epoch::{Epochs, Pause},
    instance::Instance,
    throttle::Throttle,
};
use crate::{
    authority::{Authority, State},
    front::{Access, Admission, Call, Head},
    issuers::{self, Issuers, Known, Question},
};

/// Names the organization of a call.
const X_ZITADEL_ORGID: HeaderName = HeaderName::from_static("x-zitadel-orgid");
/// How often other issuers are asked for one call. Once is enough, unless what they have told is lost by a reload.
const QUESTIONS_MAX: usize = 3;

/// What admission decides by, besides the store. Replaced as a whole.
#[derive(Clone, Debug)]
pub struct Realm {
    /// Who there is, with which tokens, and the hosts that are served.
    pub directory: Arc<Directory>,
    /// Peers whose forwarding headers count.
    pub trusted_proxies: Vec<IpNet>,
    /// What the server is known by, if it does not go by what requests say.
    pub external_url: Option<String>,
    /// How often a peer may fail to say who it is, in a minute.
    pub failed_logins: u32,
    /// Whose tokens count beside our own.
    pub issuers: Arc<Issuers>,
}

impl Realm {
    /// The hosts that are served.
    pub fn instance(&self) -> Instance<'_> {
        Instance {
            domains: self.directory.domains(),
            trusted_proxies: &self.trusted_proxies,
            external_url: self.external_url.as_deref(),
        }
    }
}

/// Decides by the realm and the store, which change together or not at all in the eyes of a call: it holds the realm from
/// its admission to its end, and who changes them waits until nobody does ([`Gatekeeper::pause`]).
pub struct Gatekeeper {
    realm: Epochs<Realm>,
    store: Arc<dyn SharedStore>,
    authority: Arc<Authority>,
    throttle: Throttle,
}

impl Gatekeeper {
    /// A gatekeeper of `store`. The directory of `realm` is that of `authority`.
    pub fn new(realm: Realm, store: Arc<dyn SharedStore>, authority: Arc<Authority>) -> Self {
        Self { realm: Epochs::new(realm), store, authority, throttle: Throttle::default() }
    }

    /// Who has failed to say who it is.
    pub fn throttle(&self) -> &Throttle {
        &self.throttle
    }

    /// Who there is.
    pub fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// Admits nobody from now on, and returns when the calls that were admitted have ended: they are short, since their
    /// messages were read before. Who comes meanwhile waits until the guard is dropped, and finds realm and store as
    /// they are then.
    pub async fn pause(&self) -> Pause<'_, Realm> {
        self.realm.pause().await
    }

    /// What it decides by now.
    pub async fn realm(&self) -> Realm {
        Realm::clone(&**self.realm.hold().await)
    }

    /// Who calls by what is known of users; as of a moment after `asked`, when the call came, if it would be nobody. Or what another
    /// issuer has to be asked first.
    async fn caller(
        &self,
        realm: &Realm,
        head: &Head,
        asked: Instant,
    ) -> Result<Result<(Caller, Arc<State>), Question>, Error> {
        let authorization = head.headers.get(AUTHORIZATION).map(|value| value.as_bytes());
        let issuer = || realm.instance().issuer(head);
        loop {
            let state = self.authority.state();
            match state.identity.authenticate(authorization, &issuer, Timestamp::now()) {
                Err(Refusal::TokenInvalid) => {
                    let known = realm.issuers.known(bearer(authorization)?, &state.identity);
                    if let Known::Caller(caller) = known {
                        return Ok(Ok((caller, state)));
                    }
                    let peer = realm.instance().caller_address(head);
                    self.throttle.check(peer, asked, realm.failed_logins)?;
                    // It may be a new one, or of a new user.
                    if self.authority.is_another(&state, asked).await.map_err(unavailable)? {
                        continue;
                    }
                    if let Known::Ask(question) = known {
                        return Ok(Err(question));
                    }
                    self.throttle.failed(peer, asked, realm.failed_logins);
                    return Err(Refusal::TokenInvalid.into());
                }
                caller => return Ok(Ok((caller?, state))),
            }
        }
    }

    /// The caller, and the organization of the call. Or what another issuer has to be asked first.
    async fn authenticate(
        &self,
        realm: &Realm,
        head: &Head,
        asked: Instant,
    ) -> Result<Result<(Caller, OrganizationId), Question>, Error> {
        let named = named_organization(head);
        loop {
            let (caller, state) = match self.caller(realm, head, asked).await? {
                Ok(found) => found,
                Err(question) => return Ok(Err(question)),
            };
            let home = self.store.standing(caller.organization());
            let (home, other) = match &named {
                // At once: a store may answer both with one question to its database.
                Some(Ok(id)) if id != caller.organization() => {
                    try_join(home, self.store.organization(id)).await
                }
                _ => home.await.map(|home| (home, None)),
            }
            .map_err(unavailable)?;
            if home.revision != state.revision {
                // Users have changed since.
                self.authority.leave(&state).await.map_err(unavailable)?;
                continue;
            }
            let home = home.organization;
            if home.as_ref().is_some_and(|home| home.state == OrganizationState::Removed) {
                return Err(Refusal::TokenInvalid.into());
            }
            head.record.caller(caller.user());
            let organization = named.transpose()?.unwrap_or_else(|| caller.organization().clone());
            let exists = home.is_some() && organization == *caller.organization() || other.is_some();
            if !exists {
                return Err(Refusal::OrganizationUnknown.into());
            }
            head.record.organization(&organization);
            return Ok(Ok((caller, organization)));
        }
    }
}

/// The organization that a call names; an empty name counts as none.
fn named_organization(head: &Head) -> Option<Result<OrganizationId, Refusal>> {
    let named = head.headers.get(X_ZITADEL_ORGID)?.as_bytes().trim_ascii();
    let ascii = str::from_utf8(named).ok().filter(|id| id.is_ascii());
    let id = ascii.and_then(|id| OrganizationId::new(id).ok()).ok_or(Refusal::OrganizationUnknown);
    (!named.is_empty()).then_some(id)
}

#[async_trait]
impl Admission for Gatekeeper {
    async fn admit(&self, access: Access, head: &Arc<Head>) -> Result<Call, Error> {
        let asked = Instant::now();
        let language = head.language;
        let mut questions = 0;
        let (realm, caller, organization) = loop {
            let realm = self.realm.hold().await;
            realm.instance().check(head)?;
            if access == Access::Anybody {
                let head = head.clone();
                return Ok(Call { caller: None, organization: None, language, head, hold: None });
            }
            match self.authenticate(&realm, head, asked).await? {
                Ok((caller, organization)) => break (realm, caller, organization),
                Err(_) if questions == QUESTIONS_MAX => return Err(issuers::unavailable()),
                Err(question) => {
                    // What others take their time for must not keep a reload waiting.
                    drop(realm);
                    question.ask().await?;
                    questions += 1;
                }
            }
        };
        if let Access::Permission(permission) = access {
            caller.check(&organization, permission).map_err(|denied| match denied {
                Denied::NoMembership => Refusal::MembershipNotFound,
                Denied::NoPermission => Refusal::PermissionMissing,
            })?;
        }
        let language = caller.preferred_language().unwrap_or(language);
        let (caller, organization) = (Some(caller), Some(organization));
        Ok(Call { caller, organization, language, head: head.clone(), hold: Some(realm) })
    }
}

/// The error of a store that did not answer.
pub fn unavailable(error: StoreError) -> Error {
    let cause = error.to_string();
    match error {
        StoreError::Full(_) => Error::StoreFull { cause },
        StoreError::Damaged(_) => Error::StoreDamaged { cause },
        _ => Error::Unavailable { cause },
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;
    use http::Request;
    use storage::{MemoryStore, Store};

    use super::*;
    use crate::front::Encoding;

    /// A user `u` of organization `o`, whose token it is.
    fn realm(token: &str) -> Realm {
        let text = format!(
            "[instance]\nid = \"1\"\n[[organization]]\nid = \"o\"\nname = \"o\"\nstate = \"active\"\n\
             [[user]]\nid = \"u\"\nname = \"u\"\norganization = \"o\"\nstate = \"active\"\n\
             token = [{{ value = \"{token}\" }}]\n"
        );
        let directory = Directory::parse(&text, "directory.toml").unwrap();
        Realm {
            directory: directory.into(),
            trusted_proxies: Vec::new(),
            external_url: None,
            failed_logins: 600,
            issuers: Arc::default(),
        }
    }

    async fn admit(gatekeeper: &Gatekeeper, token: &str) -> Result<Call, Error> {
        let request = Request::builder().header("authorization", format!("Bearer {token}")).body(()).unwrap();
        let head = Head::read(request.into_parts().0, Encoding::Rest, Arc::default()).unwrap();
        gatekeeper.admit(Access::Authenticated, &head).await
    }

    #[tokio::test]
    async fn a_pause_waits_for_the_calls_under_way_and_newcomers_wait_for_its_end() {
        let store = Arc::new(MemoryStore::new());
        store.create_organization(&OrganizationId::new("o").unwrap(), "o").await.unwrap();
        let old = realm("old");
        let authority = Authority::open(store.clone(), old.directory.clone()).await.unwrap();
        let gatekeeper = Gatekeeper::new(old, store, authority.into());
        let under_way = [admit(&gatekeeper, "old").await.unwrap(), admit(&gatekeeper, "old").await.unwrap()];
        admit(&gatekeeper, "unknown").await.unwrap_err();

        let mut pause = pin!(gatekeeper.pause());
        assert!(pause.as_mut().now_or_never().is_none());
        let mut newcomers = ["old", "new"].map(|token| Box::pin(admit(&gatekeeper, token)));
        for call in under_way {
            assert!(newcomers.iter_mut().all(|newcomer| newcomer.now_or_never().is_none()));
            assert!(pause.as_mut().now_or_never().is_none());
            drop(call);
        }
        let mut current = pause.await;
        assert!(newcomers.iter_mut().all(|newcomer| newcomer.now_or_never().is_none()));
        *current = realm("new");
        gatekeeper.authority().replace_directory(current.directory.clone()).await;
        drop(current);
        let [old, new] = newcomers;
        assert!(matches!(old.await, Err(Error::Refused(Refusal::TokenInvalid))));
        new.await.unwrap();
    }
}
