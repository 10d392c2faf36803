//! From a token to who calls, and what the caller may do; and from a login to a token.
//!
//! Depends on `domain`. Knows nothing of HTTP but the form of one header, and nothing of stores: whether an
//! organization still exists is for the gateway to ask, as is where records are kept.

mod accounts;
mod bearer;
mod caller;
mod directory;
mod identity;
pub mod issuer;
pub mod oauth;
mod random;
pub mod record;

pub use accounts::{Accounts, Client};
pub use bearer::bearer;
pub use caller::{AccessTokens, Caller, Denied, UserId};
pub use directory::{
    Development, DevelopmentError, Directory, DirectoryError, DirectoryIssuer, DirectoryOrganization,
    Problem, Reference,
};
pub use identity::{Identified, Identity, Token};
pub use record::{Account, Records, UserState};
