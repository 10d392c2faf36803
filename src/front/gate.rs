//! What stands around every call: who may go on, what peers may use, and where calls are counted.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Code, Error};

use super::{
    head::Head,
    limits::Limits,
    rpc::{Access, Call},
};
use crate::metrics::Metrics;

/// Decides whether a call may go on, before its message is looked at.
#[async_trait]
pub trait Admission: Send + Sync + 'static {
    /// Instance, caller, organization, permission, in this order (contract 2.1).
    ///
    /// # Errors
    /// The first that fails.
    async fn admit(&self, access: Access, head: &Arc<Head>) -> Result<Call, Error>;
}

/// What stands around every call.
pub struct Gate {
    /// Who may go on.
    pub admission: Arc<dyn Admission>,
    /// What peers may use.
    pub limits: Limits,
    /// Where calls are counted.
    pub metrics: Arc<Metrics>,
    /// Whether JSON with unknown fields, unknown names of enum values, or something behind the message is refused.
    pub strict_json: bool,
}

impl Gate {
    /// A gate with the default limits, and metrics of its own.
    pub fn new(admission: Arc<dyn Admission>) -> Self {
        Self { admission, limits: Limits::default(), metrics: Arc::default(), strict_json: false }
    }

    /// Notes what an operator wants to know of a failure.
    pub(super) fn note(&self, error: &Error, rpc: &'static str, head: &Head) {
        match error {
            Error::Unavailable { cause }
            | Error::StoreFull { cause }
            | Error::StoreDamaged { cause }
            | Error::Internal { cause } => {
                let request_id = head.record.request_id();
                tracing::error!(cause, rpc, request_id, "a call failed");
            }
            Error::Limit { limit, .. } => self.metrics.struck(limit),
            Error::Refused(refusal) if refusal.code() == Code::Unauthenticated => {
                self.metrics.unauthenticated(refusal.id().unwrap_or_default());
            }
            _ => {}
        }
    }
}
