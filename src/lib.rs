//! metagate: ZITADEL's organization-metadata API on one port, in every encoding its clients speak.
//!
//! [`front`] turns bytes into calls and answers into bytes, for any services; [`api`] is the services, [`oidc`] the
//! logins, [`issuers`] the tokens of others; [`serve`] puts them together with a store and a directory; [`store`] is for
//! who looks after a store, [`accounts`] for who says who may use it.

// Generated code names this crate by its name, wherever it is included.
extern crate self as metagate;

pub mod accounts;
pub mod api;
pub mod authority;
pub mod config;
pub mod front;
pub mod issuers;
pub mod logging;
pub mod metrics;
pub mod oidc;
pub mod outgoing;
pub mod parity;
pub mod serve;
pub mod store;
