//! What no input may do to metagate: one property a target, each a function of some bytes that panics where the property
//! does not hold.
//!
//! `cargo test -p metagate-fuzz` replays the corpora; `cargo +nightly fuzz run --features libfuzzer TARGET`, in the folder
//! `fuzz`, looks for more.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod base64;
mod framing;
mod headers;
mod json;
mod server;
mod tokens;
mod url;

pub use base64::base64;
pub use framing::framing;
pub use headers::headers;
pub use json::json;
pub use server::front;
pub use tokens::tokens;
pub use url::url;

/// A property of some bytes.
pub type Target = fn(&[u8]);

/// Every target, by name.
pub const TARGETS: [(&str, Target); 6] = [
    ("base64", base64),
    ("framing", framing),
    ("headers", headers),
    ("json", json),
    ("tokens", tokens),
    ("url", url),
];
