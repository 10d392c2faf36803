//! Scenarios: what is called, in which order, and what must come of it. Read from YAML.

mod check;
mod compile;
mod file;
mod node;
pub mod template;

use std::{fmt, path::PathBuf};

pub use compile::{Body, Header, Scenario, Step, Suite, Tags};
pub(crate) use file::parse;
pub use file::{Expect, File, Row, schema};
pub use node::{At, Node};

/// Something in a file that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file.
    pub file: PathBuf,
    /// Its line, from 1; 0 if it is about the whole file.
    pub line: u64,
    /// Its column, from 1.
    pub column: u64,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        if self.line == 0 {
            write!(f, "{file}: {}", self.text)
        } else {
            write!(f, "{file}:{}:{}: {}", self.line, self.column, self.text)
        }
    }
}

impl std::error::Error for Mistake {}
