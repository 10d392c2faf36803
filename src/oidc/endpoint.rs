//! What every endpoint goes through.

use std::{pin::pin, sync::Arc, time::Instant};

use axum::extract::Request;
use domain::{Error, Language, OrganizationState, Timestamp};
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, Response, header};
use identity::{
    Caller,
    oauth::{HomeOrganization, primary_domain},
};
use storage::StoreError;

use super::{
    Desk,
    form::Form,
    reply::{self, Failure},
};
use crate::{
    api::{Gatekeeper, Realm, unavailable},
    authority::{Authority, State},
    front::{Body, Encoding, Head, Limits, Record},
};

/// How long a form may be, in bytes.
const FORM_BYTES_MAX: usize = 256 * 1024;

/// What becomes of a request.
pub(super) type Outcome = Result<Response<Body>, Failure>;

/// An endpoint.
pub(super) struct Endpoint {
    methods: &'static [Method],
    /// Whether it is asked with credentials, which somebody may guess.
    is_guarded: bool,
    work: Work,
}

type Work = fn(&Call) -> BoxFuture<'_, Outcome>;

impl Endpoint {
    /// One that answers anybody, however often somebody has failed elsewhere.
    pub(super) const fn open(methods: &'static [Method], work: Work) -> Self {
        Self { methods, is_guarded: false, work }
    }

    /// One that is for whoever has credentials.
    pub(super) const fn guarded(methods: &'static [Method], work: Work) -> Self {
        Self { methods, is_guarded: true, work }
    }
}

/// A request to an endpoint.
pub(super) struct Call {
    pub(super) head: Arc<Head>,
    /// What was said in the query and in the body.
    pub(super) form: Form,
    /// By whom tokens are issued.
    pub(super) issuer: String,
    /// The domain that organizations' domains are below.
    domain: String,
    pub(super) authority: Arc<Authority>,
    asked: Instant,
    pub(super) now: Timestamp,
}

/// Answers a request.
pub(super) async fn answer(endpoint: &Endpoint, desk: &Desk, request: Request) -> Response<Body> {
    let Desk { gatekeeper, metrics } = desk;
    let (parts, body) = request.into_parts();
    let (method, query) = (parts.method.clone(), parts.uri.query().unwrap_or_default().to_owned());
    let asked = Instant::now();
    let record = parts.extensions.get::<Arc<Record>>().cloned().unwrap_or_default();
    let head = match Head::read(parts, Encoding::Rest, record) {
        Ok(head) => head,
        Err(response) => return response,
    };
    let realm = gatekeeper.realm().await;
    let work = pin!(async {
        if let Err(error) = realm.instance().check(&head) {
            let message = error.to_status(Language::En).message;
            return Ok(reply::not_found(&message));
        }
        let outcome = async {
            if !endpoint.methods.contains(&method) {
                return Err(Failure::Method(endpoint.methods));
            }
            let form = Form::read(&query, &head.headers, body, FORM_BYTES_MAX).await?;
            let peer = realm.instance().caller_address(&head);
            let throttle = gatekeeper.throttle();
            if endpoint.is_guarded && throttle.check(peer, asked, realm.failed_logins).is_err() {
                metrics.struck(Limits::FAILED_LOGINS);
                return Err(Failure::TooMany);
            }
            let call = call(&realm, gatekeeper, head.clone(), form, asked);
            let outcome = (endpoint.work)(&call).await;
            if let Some(reason) = outcome.as_ref().err().and_then(Failure::guess) {
                throttle.failed(peer, asked, realm.failed_logins);
                metrics.unauthenticated(reason);
            }
            outcome
        };
        Ok(outcome.await.unwrap_or_else(|failure| {
            if let Failure::Error(error) = &failure {
                let cause = error.to_string();
                tracing::error!(cause, request_id = head.record.request_id(), "a login failed");
            }
            reply::failure(&failure)
        }))
    });
    head.conclude(work).await
}

fn call(realm: &Realm, gatekeeper: &Gatekeeper, head: Arc<Head>, form: Form, asked: Instant) -> Call {
    let issuer = realm.instance().issuer(&head);
    let domain = realm.instance().domain(&issuer);
    let authority = gatekeeper.authority().clone();
    Call { head, form, issuer, domain, authority, asked, now: Timestamp::now() }
}

impl Call {
    /// What `find` finds; if it finds nothing, what it finds in the state as of a moment after the request has come.
    pub(super) async fn find<T>(
        &self,
        find: impl Fn(&State) -> Option<T>,
    ) -> Result<(Arc<State>, Option<T>), Failure> {
        let state = self.authority.state();
        let found = find(&state);
        if found.is_some() || !self.authority.is_another(&state, self.asked).await? {
            return Ok((state, found));
        }
        let state = self.authority.state();
        let found = find(&state);
        Ok((state, found))
    }

    /// The organization of `user`; `None` if it was removed, or never was.
    pub(super) async fn home(&self, user: &Caller) -> Result<Option<HomeOrganization>, Failure> {
        let organization = self.authority.organization(user.organization()).await?;
        let there = organization.filter(|organization| organization.state != OrganizationState::Removed);
        Ok(there.map(|organization| HomeOrganization {
            primary_domain: primary_domain(&organization.name, &self.domain),
            id: organization.id,
            name: organization.name,
        }))
    }

    /// The value of an `authorization` header.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.head.headers.get(header::AUTHORIZATION)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Error(unavailable(error))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<getrandom::Error> for Failure {
    fn from(error: getrandom::Error) -> Self {
        Self::Error(Error::Internal { cause: error.to_string() })
    }
}
