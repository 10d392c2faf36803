//! Whether the server serves: one answer for `grpc.health.v1` and for the operational URLs.

use std::{collections::BTreeSet, pin::Pin, sync::Arc};

use domain::Code;
use futures_util::stream::{self, Stream, StreamExt};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server,
};

use super::Phase;

/// The server's health, and that of each service: they are healthy together.
#[derive(Clone)]
pub struct Health {
    services: Arc<BTreeSet<String>>,
    ready: Arc<dyn Fn() -> bool + Send + Sync>,
    phase: watch::Receiver<Phase>,
}

impl Health {
    /// The health of `services` (full names), which is good as long as `ready` says so and the server does not end.
    pub fn new(
        services: impl IntoIterator<Item = String>,
        ready: impl Fn() -> bool + Send + Sync + 'static,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        Self { services: Arc::new(services.into_iter().collect()), ready: Arc::new(ready), phase }
    }

    /// Whether calls are answered.
    pub fn is_serving(&self) -> bool {
        *self.phase.borrow() == Phase::Serving && (self.ready)()
    }

    /// Whether `service` is the server itself (the empty name) or one of its services.
    pub fn knows(&self, service: &str) -> bool {
        service.is_empty() || self.services.contains(service)
    }

    fn status(&self, service: &str) -> HealthCheckResponse {
        let status = if !self.knows(service) {
            ServingStatus::ServiceUnknown
        } else if self.is_serving() {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        HealthCheckResponse { status: status.into() }
    }
}

/// The text for a service that is not served, with [`Code::NotFound`].
pub(super) const UNKNOWN_SERVICE: (Code, &str) = (Code::NotFound, "unknown service");

#[async_trait::async_trait]
impl health_server::Health for Health {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        if !self.knows(&service) {
            return Err(Status::not_found(UNKNOWN_SERVICE.1));
        }
        Ok(Response::new(self.status(&service)))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    /// The state now, and once more when the server begins to drain; then it ends, as not to keep it waiting.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let service = request.into_inner().service;
        let health = self.clone();
        let now = stream::iter([Ok(health.status(&service))]);
        let last = stream::once(async move {
            Phase::Leaving.come(&mut health.phase.clone()).await;
            Ok(health.status(&service))
        });
        Ok(Response::new(Box::pin(now.chain(last))))
    }
}
