//! What is shown of a run: to people, and to machines.

mod html;
mod json_lines;
mod junit;
mod repro;
mod summary;
mod terminal;
mod words;

use std::io;

pub use html::Html;
pub use json_lines::JsonLines;
pub use junit::Junit;
pub use repro::repro;
pub use summary::Summary;
pub use terminal::Terminal;

use crate::run::ScenarioReport;

/// Somewhere to show a run.
pub trait Report {
    /// A scenario is done.
    ///
    /// # Errors
    /// If it cannot be written.
    fn scenario(&mut self, report: &ScenarioReport) -> io::Result<()>;

    /// All are done.
    ///
    /// # Errors
    /// If it cannot be written.
    fn end(&mut self, summary: &Summary) -> io::Result<()>;
}

/// Headers whose values are for nobody else.
const SECRET_HEADERS: [&str; 4] = ["authorization", "cookie", "set-cookie", "proxy-authorization"];

/// A header's value as it may be shown: `Bearer $TOKEN` for a secret one.
fn shown_header(name: &str, value: &[u8]) -> String {
    if !SECRET_HEADERS.contains(&name) {
        return String::from_utf8_lossy(value).into_owned();
    }
    match value.strip_prefix(b"Bearer ") {
        Some(_) => "Bearer $TOKEN".to_owned(),
        None => "$SECRET".to_owned(),
    }
}
