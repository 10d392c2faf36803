//! The services: proto messages to domain calls and back, one file a proto service.

mod admission;
mod epoch;
mod instance;
mod management;
mod metadata;
mod organization;
mod throttle;

/// Everything that follows from the protos: messages, their JSON and rules, service traits, RPC tables.
#[allow(missing_docs, clippy::all, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub mod generated {
    include!(concat!(env!("OUT_DIR"), "/mod.rs"));
}

/// The encoded `FileDescriptorSet` of the protos.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));

/// The REST bindings as an OpenAPI document, in JSON.
pub const OPENAPI: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json"));

pub use admission::{Gatekeeper, Realm, unavailable};
pub use instance::Instance;
pub use throttle::Throttle;

use std::sync::Arc;

use storage::Store;

use crate::front::Rpc;
use generated::zitadel;

/// The RPCs of every service, on `store`.
pub fn rpcs(store: &Arc<dyn Store>) -> Vec<Rpc> {
    let metadata = Arc::new(metadata::Metadata::new(store.clone()));
    let mut rpcs = zitadel::management::v1::management_service_rpcs(&metadata);
    rpcs.extend(zitadel::org::v2::organization_service_rpcs(&metadata));
    rpcs.extend(zitadel::org::v2beta::organization_service_rpcs(&metadata));
    rpcs
}
