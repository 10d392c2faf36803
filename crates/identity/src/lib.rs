//! From a bearer token to who calls, and what the caller may do.
//!
//! Depends on `domain`. Knows nothing of HTTP but the form of one header, and nothing of stores: whether an
//! organization still exists is for the gateway to ask.

mod caller;
mod development;
mod directory;
mod fields;
mod file;
mod position;
mod resolve;
mod token;

pub use caller::{Caller, Denied, UserId};
pub use development::{Development, DevelopmentError};
pub use directory::{Directory, DirectoryOrganization, Reference};
pub use position::{DirectoryError, Problem};
