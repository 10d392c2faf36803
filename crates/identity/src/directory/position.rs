//! Where in a directory file something is wrong.

use std::{fmt, sync::Arc};

/// What is wrong with a directory, in order of the file. Displays as `FILE:LINE:COLUMN: text`, one line each.
///
/// The texts name fields, ids and roles as the file has them, but never what stands in a token's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryError(Vec<Problem>);

/// One thing that is wrong, and where. Displays as `FILE:LINE:COLUMN: text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    file: Arc<str>,
    /// From 1.
    line: usize,
    /// In characters, from 1.
    column: usize,
    text: String,
}

impl Problem {
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

impl DirectoryError {
    /// Each problem for itself; there is at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.0
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

/// A file's text, and where its lines begin: a directory has many places, and most are asked for.
pub(crate) struct Source<'a> {
    file: Arc<str>,
    text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(file: &str, text: &'a str) -> Self {
        // A byte order mark is no character of the first line.
        let first = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let others = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { file: file.into(), text, line_starts: std::iter::once(first).chain(others).collect() }
    }

    /// The place at the byte `offset`.
    pub(crate) fn problem(&self, offset: usize, text: impl Into<String>) -> Problem {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.line_starts.partition_point(|&start| start <= offset).max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or_default();
        let column = self.text.get(start..offset).unwrap_or_default().chars().count() + 1;
        Problem { file: self.file.clone(), line, column, text: text.into() }
    }
}

/// What was found wrong so far, in any order.
pub(crate) struct Problems<'a> {
    pub(crate) source: &'a Source<'a>,
    found: Vec<(usize, Problem)>,
}

impl<'a> Problems<'a> {
    pub(crate) fn new(source: &'a Source<'a>) -> Self {
        Self { source, found: Vec::new() }
    }

    /// Notes that something is wrong at the byte `offset`.
    pub(crate) fn note(&mut self, offset: usize, text: impl Into<String>) {
        self.found.push((offset, self.source.problem(offset, text)));
    }

    /// All, in order of the file.
    pub(crate) fn into_sorted(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|(offset, _)| *offset);
        self.found.into_iter().map(|(_, problem)| problem).collect()
    }

    /// # Errors
    /// If any was noted.
    pub(crate) fn into_result(self) -> Result<(), DirectoryError> {
        let problems = self.into_sorted();
        if problems.is_empty() { Ok(()) } else { Err(DirectoryError(problems)) }
    }

    /// For where something is known to have been noted.
    pub(crate) fn into_error(self) -> DirectoryError {
        DirectoryError(self.into_sorted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_from_one() {
        let text = "ab\nüß€x\r\n\nend";
        let source = Source::new("f", text);
        for (offset, want) in [
            (0, "f:1:1: "),
            (1, "f:1:2: "),
            // The line feed belongs to the line that it ends.
            (2, "f:1:3: "),
            (3, "f:2:1: "),
            (5, "f:2:2: "),
            // Within a character: at its begin.
            (6, "f:2:2: "),
            (10, "f:2:4: "),
            (13, "f:3:1: "),
            (text.len(), "f:4:4: "),
            (text.len() + 9, "f:4:4: "),
        ] {
            assert_eq!(source.problem(offset, "").to_string(), want, "{offset}");
        }
        assert_eq!(Source::new("f", "").problem(0, "").to_string(), "f:1:1: ");
        assert_eq!(Source::new("f", "\u{feff}ab").problem(4, "").to_string(), "f:1:2: ");
        assert_eq!(Source::new("f", "\u{feff}ab").problem(0, "").to_string(), "f:1:1: ");
    }
}
