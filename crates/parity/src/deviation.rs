//! Findings that are known, with their reasons.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    dialect::{Dialect, Encoding},
    place::Place,
    rule::{Finding, Rule},
    scenario::{At, Mistake, Suite},
};

/// A file of deviations.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviationsFile {
    /// The deviations.
    pub deviations: Vec<DeviationText>,
}

/// Findings that do not count. All that is named must fit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviationText {
    /// The scenario's name; `*` stands for any text.
    pub scenario: At<String>,
    /// The step's name, likewise; every step, if nothing is said.
    pub step: Option<String>,
    /// The encodings, with their variants; all, if nothing is said.
    pub encodings: Option<Vec<Encoding>>,
    /// The rules; all, if nothing is said.
    pub rules: Option<Vec<Rule>>,
    /// A place in the answer, with `*` and `**`; every place, if nothing is said.
    pub place: Option<At<String>>,
    /// Why this is so, and why it may stay.
    pub reason: At<String>,
}

/// What is known to deviate, and how often it did.
#[derive(Debug, Default)]
pub struct Deviations {
    file: PathBuf,
    all: Vec<Deviation>,
}

#[derive(Debug)]
struct Deviation {
    text: DeviationText,
    place: Option<Place>,
    seen: AtomicUsize,
}

impl Deviations {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, is not of the form, or a deviation has no reason.
    pub fn read(path: &Path) -> Result<Self, Mistake> {
        let mistake = |line, column, text| Mistake { file: path.to_owned(), line, column, text };
        let text = std::fs::read_to_string(path).map_err(|error| mistake(0, 0, error.to_string()))?;
        let file: DeviationsFile =
            crate::scenario::parse(&text).map_err(|(line, column, text)| mistake(line, column, text))?;
        let mut all = Vec::new();
        for text in file.deviations {
            let at = |node: &At<String>, text: String| mistake(node.line, node.column, text);
            if text.reason.trim().is_empty() {
                return Err(at(&text.reason, "a deviation needs a reason".to_owned()));
            }
            let place =
                text.place.as_ref().map(|place| Place::parse(place).map_err(|error| at(place, error)));
            all.push(Deviation { place: place.transpose()?, text, seen: AtomicUsize::new(0) });
        }
        Ok(Self { file: path.to_owned(), all })
    }

    /// The reason for a finding, if it is known.
    pub fn reason(&self, scenario: &str, step: &str, dialect: Dialect, finding: &Finding) -> Option<&str> {
        let known = self.all.iter().find(|deviation| {
            let text = &deviation.text;
            glob(&text.scenario, scenario)
                && text.step.as_ref().is_none_or(|pattern| glob(pattern, step))
                && text.encodings.as_ref().is_none_or(|encodings| dialect.encoding.is_in(encodings))
                && text.rules.as_ref().is_none_or(|rules| rules.contains(&finding.rule))
                && deviation.place.as_ref().is_none_or(|place| place.matches(&finding.place))
        })?;
        known.seen.fetch_add(1, Ordering::Relaxed);
        Some(&known.text.reason)
    }

    /// Deviations that could have shown in a run of these scenarios, and did not: the list has outlived them.
    pub fn unseen(&self, suite: &Suite, dialects: &[Dialect]) -> Vec<String> {
        let could_show = |text: &DeviationText| {
            let steps = suite.scenarios.iter().filter(|scenario| glob(&text.scenario, &scenario.name));
            let mut steps = steps.flat_map(|scenario| &scenario.steps);
            let is_made = |dialect: &Dialect| {
                text.encodings.as_ref().is_none_or(|encodings| dialect.encoding.is_in(encodings))
            };
            dialects.iter().any(is_made)
                && steps.any(|step| text.step.as_ref().is_none_or(|pattern| glob(pattern, &step.name)))
        };
        let unseen = self.all.iter().filter(|deviation| deviation.seen.load(Ordering::Relaxed) == 0);
        unseen
            .filter(|deviation| could_show(&deviation.text))
            .map(|deviation| {
                let scenario = &deviation.text.scenario;
                format!(
                    "{}:{}: {:?} does not deviate any more",
                    self.file.display(),
                    scenario.line,
                    scenario.value
                )
            })
            .collect()
    }
}

/// Whether `*` in a pattern can be filled so that it is the text.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, behind)) => text.strip_prefix(before).is_some_and(|rest| {
            let mut ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.any(|end| glob(behind, &rest[end..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, text, want) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abcd", false),
            ("a*b*d", "aäbcd", true),
        ] {
            assert_eq!(glob(pattern, text), want, "{pattern} {text}");
        }
    }
}
