//! Logins: what ZITADEL answered to requests for tokens, and about them (`cases.jsonl`), and what we do.
//!
//! In a case `${NAME}` stands for a thing of that name, as the directory here has it; `${ASSERTION}` for what the case's
//! `assertion` says, signed; `${TOKEN}` for what its `login` gets. `{"now": n}` is a time, n seconds from now. Departures
//! are in the table as they are wanted: 405 for a wrong method, and no RFC 3339 in assertions.

mod cases;
mod directory;
mod keys;

pub use cases::send_form;
pub use keys::service_account_assertion;
