//! Answers of a server, kept in a file: a line of JSON each, behind a first one that says what it is.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{dialect::Dialect, run::ScenarioReport};

/// The format's name and version, in the first line.
const FORMAT: &str = "metagate-parity-golden-1";

#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    scenario: String,
    step: String,
    encoding: String,
    answer: Value,
}

/// Answers by scenario, step and encoding.
#[derive(Debug, Default)]
pub struct Golden(BTreeMap<(String, String, String), Value>);

impl Golden {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or is none; with the line.
    pub fn read(path: &Path) -> Result<Self, String> {
        let failed =
            |line: usize, error: &dyn std::fmt::Display| format!("{}:{line}: {error}", path.display());
        let file = std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut golden = Self::default();
        let mut lines = io::BufReader::new(file).lines();
        let head = lines.next().transpose().map_err(|error| failed(1, &error))?.unwrap_or_default();
        let head: Option<Head> = serde_json::from_str(&head).ok();
        if head.is_none_or(|head| head.format != FORMAT) {
            return Err(failed(1, &format!("this is no golden file: it does not begin with {FORMAT}")));
        }
        for (index, line) in lines.enumerate() {
            let line = line.map_err(|error| failed(index + 2, &error))?;
            let line: Line = serde_json::from_str(&line).map_err(|error| failed(index + 2, &error))?;
            golden.0.insert((line.scenario, line.step, line.encoding), line.answer);
        }
        Ok(golden)
    }

    /// The answer of a step in a dialect.
    pub fn document(&self, scenario: &str, step: &str, dialect: Dialect) -> Option<&Value> {
        self.0.get(&(scenario.to_owned(), step.to_owned(), dialect.to_string()))
    }

    /// Begins a file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(out: &mut dyn Write) -> io::Result<()> {
        write_line(out, &Head { format: FORMAT.to_owned() })
    }

    /// Writes what was answered in a scenario.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(out: &mut dyn Write, report: &ScenarioReport) -> io::Result<()> {
        for (step, reported) in report.steps() {
            for cell in &reported.cells {
                let Some(answer) = cell.document.clone() else { continue };
                let scenario = report.scenario.name.clone();
                let encoding = cell.dialect.to_string();
                write_line(out, &Line { scenario, step: step.name.clone(), encoding, answer })?;
            }
        }
        Ok(())
    }
}

fn write_line(out: &mut dyn Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}
