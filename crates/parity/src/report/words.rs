//! What differs between two texts, word by word.

use similar::{ChangeTag, TextDiff};

/// A run of words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Words {
    /// In both.
    Same(String),
    /// Only in the text that is wanted.
    Missing(String),
    /// Only in the text that is there.
    Extra(String),
}

/// Longer texts are not compared by words.
const BYTES_MAX: usize = 16 << 10;

/// `want` and `got` as runs of words.
pub(super) fn words(want: &str, got: &str) -> Vec<Words> {
    if want.len().max(got.len()) > BYTES_MAX {
        let brief = |text: &str| {
            let begin: String = text.chars().take(200).collect();
            format!("{begin}… ({} bytes)", text.len())
        };
        return vec![Words::Missing(brief(want)), Words::Extra(brief(got))];
    }
    let mut all: Vec<Words> = Vec::new();
    for change in TextDiff::from_unicode_words(want, got).iter_all_changes() {
        let text = change.value();
        match (all.last_mut(), change.tag()) {
            (Some(Words::Same(last)), ChangeTag::Equal)
            | (Some(Words::Missing(last)), ChangeTag::Delete)
            | (Some(Words::Extra(last)), ChangeTag::Insert) => last.push_str(text),
            (_, ChangeTag::Equal) => all.push(Words::Same(text.to_owned())),
            (_, ChangeTag::Delete) => all.push(Words::Missing(text.to_owned())),
            (_, ChangeTag::Insert) => all.push(Words::Extra(text.to_owned())),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_differ_stand_alone() {
        let [same, missing, extra, rest] = &words("Metadata not found (A)", "Metadata not there (A)")[..]
        else {
            panic!("four runs")
        };
        assert_eq!(*same, Words::Same("Metadata not ".to_owned()));
        assert_eq!(*missing, Words::Missing("found".to_owned()));
        assert_eq!(*extra, Words::Extra("there".to_owned()));
        assert_eq!(*rest, Words::Same(" (A)".to_owned()));
        assert_eq!(words("a", "a"), [Words::Same("a".to_owned())]);
        assert_eq!(words(&"x".repeat(20_000), "").len(), 2);
    }
}
