//! One call through every encoding of an API, compared.
//!
//! Depends on nothing of ours, and knows no service: an API is its descriptors. What is called and expected is a
//! [`scenario`]; the bytes of each [`encoding`] are made and read here, apart from any server, so that a server's mistakes
//! are not made twice.

pub mod scenario;

pub mod api;
pub mod dialect;
pub mod encoding;
pub mod exchange;
pub mod transport;

pub mod code;
pub mod outcome;
pub mod place;
pub mod rule;

pub mod compare;
pub mod deviation;
pub mod golden;
pub mod run;

pub mod explore;

pub mod report;
