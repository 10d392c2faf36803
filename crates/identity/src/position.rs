//! Where in a directory file something is wrong.

use std::fmt;

/// What is wrong with a directory, in order of the file. Displays as `FILE:LINE:COLUMN: text`, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryError(pub(crate) Vec<Problem>);

/// One thing that is wrong, and where. Displays as `FILE:LINE:COLUMN: text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    file: String,
    /// From 1.
    line: usize,
    /// In characters, from 1.
    column: usize,
    text: String,
}

impl Problem {
    /// A problem at the byte `offset` of `source`, the text of `file`.
    pub(crate) fn new(file: &str, source: &str, offset: usize, text: impl Into<String>) -> Self {
        let before = source.get(..offset).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            text: text.into(),
        }
    }

    /// The same place with another text.
    #[must_use]
    pub fn with_text(&self, text: impl Into<String>) -> Self {
        Self { text: text.into(), ..self.clone() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.text)
    }
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for DirectoryError {}
