//! Types and rules of organization metadata.
//!
//! Depends on nothing of ours. Knows nothing of HTTP, protobuf, tokio or disks: what is here can be reasoned
//! about, and tested, without any of them.

mod code;
mod error;
mod filter;
mod language;
mod metadata;
mod organization;
mod role;
mod timestamp;

pub use code::Code;
pub use error::{Detail, Error, Refusal, Status};
pub use filter::{Comparison, KeyFilter, after_all_with};
pub use language::Language;
pub use metadata::{Change, Details, Entry, InvalidKey, Key, Page, Query};
pub use organization::{InvalidOrganizationId, Organization, OrganizationId, OrganizationState};
pub use role::{Permission, Role, UnknownPermission, UnknownRole};
pub use timestamp::Timestamp;
