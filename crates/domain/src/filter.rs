//! Filters on keys (contract 4).

/// How a filter's text is compared with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// The same bytes.
    Equals,
    /// The same after Unicode lower-casing of both.
    EqualsIgnoreCase,
    /// The key begins with the text.
    StartsWith,
    /// As `StartsWith`, after lower-casing.
    StartsWithIgnoreCase,
    /// The text is somewhere in the key.
    Contains,
    /// As `Contains`, after lower-casing.
    ContainsIgnoreCase,
    /// The key ends with the text.
    EndsWith,
    /// As `EndsWith`, after lower-casing.
    EndsWithIgnoreCase,
}

/// A condition on a key. No character of the text is special.
///
/// An empty text equals no key, and is in every key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFilter {
    text: String,
    comparison: Comparison,
}

impl KeyFilter {
    /// A filter that compares keys with `text`.
    pub fn new(text: &str, comparison: Comparison) -> Self {
        let text = if folds(comparison) { fold(text) } else { text.to_owned() };
        Self { text, comparison }
    }

    /// Whether `key` meets the condition.
    pub fn matches(&self, key: &str) -> bool {
        if folds(self.comparison) { self.compare(&fold(key)) } else { self.compare(key) }
    }

    /// What every matching key begins with, byte for byte; empty if the condition says nothing about it.
    /// Lets a store read a range of keys instead of all.
    pub fn prefix(&self) -> &str {
        match self.comparison {
            Comparison::Equals | Comparison::StartsWith => &self.text,
            _ => "",
        }
    }

    /// Whether to begin with [`prefix`](Self::prefix) is all that it asks.
    pub fn is_prefix(&self) -> bool {
        self.comparison == Comparison::StartsWith
    }

    fn compare(&self, key: &str) -> bool {
        match self.comparison {
            Comparison::Equals | Comparison::EqualsIgnoreCase => key == self.text,
            Comparison::StartsWith | Comparison::StartsWithIgnoreCase => key.starts_with(&self.text),
            Comparison::Contains | Comparison::ContainsIgnoreCase => key.contains(&self.text),
            Comparison::EndsWith | Comparison::EndsWithIgnoreCase => key.ends_with(&self.text),
        }
    }
}

/// Lower case, character by character: what is within a text stays within it. (`str::to_lowercase` looks at a sigma's
/// neighbours.)
fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

fn folds(comparison: Comparison) -> bool {
    matches!(
        comparison,
        Comparison::EqualsIgnoreCase
            | Comparison::StartsWithIgnoreCase
            | Comparison::ContainsIgnoreCase
            | Comparison::EndsWithIgnoreCase
    )
}

/// The least text that is above every text that begins with `prefix`; `None` if there is none. Lets a store read
/// a range of keys.
pub fn after_all_with(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // UTF-8 orders as code points do; between U+D7FF and U+E000 there is none.
        let next = if last == '\u{D7FF}' { Some('\u{E000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Comparison::*, *};

    #[test]
    fn the_end_of_a_prefix() {
        for (prefix, want) in [
            ("", None),
            ("a", Some("b")),
            ("az", Some("a{")),
            ("a\u{10FFFF}", Some("b")),
            ("\u{10FFFF}\u{10FFFF}", None),
            ("\u{D7FF}", Some("\u{E000}")),
            ("\u{7F}", Some("\u{80}")),
        ] {
            let end = after_all_with(prefix);
            assert_eq!(end.as_deref(), want, "{prefix:?}");
            if let Some(end) = end {
                assert!(end.as_str() > prefix && *end > *format!("{prefix}\u{10FFFF}"));
            }
        }
    }

    #[test]
    fn comparisons_of_a_text_with_a_key() {
        for (comparison, text, key, want) in [
            (Equals, "apple", "apple", true),
            (Equals, "apple", "Apple", false),
            (EqualsIgnoreCase, "ÜNÏCODE", "ünïcode", true),
            (EqualsIgnoreCase, "apple", "apples", false),
            (ContainsIgnoreCase, "ΑΣ", "ΑΣΟΦΟΣ", true),
            (EndsWithIgnoreCase, "ΟΣ", "ΑΣΟΦΟΣ", true),
            (StartsWith, "app", "apple", true),
            (StartsWith, "App", "apple", false),
            (StartsWithIgnoreCase, "APP", "apple", true),
            (Contains, "pl", "apple", true),
            (Contains, "PL", "apple", false),
            (ContainsIgnoreCase, "PL", "apple", true),
            (EndsWith, "le", "apple", true),
            (EndsWith, "LE", "apple", false),
            (EndsWithIgnoreCase, "LE", "apple", true),
            // No wildcards.
            (StartsWith, "grape%", "grape%x", true),
            (StartsWith, "grape%", "grapeax", false),
            (Contains, "_", "grapeax", false),
            (Contains, "\\", "back\\slash", true),
            // The empty text.
            (Equals, "", "a", false),
            (EqualsIgnoreCase, "", "a", false),
            (StartsWith, "", "a", true),
            (ContainsIgnoreCase, "", "a", true),
            (EndsWith, "", "a", true),
            // U+0000 is in no stored key.
            (Contains, "\0", "a", false),
        ] {
            let filter = KeyFilter::new(text, comparison);
            assert_eq!(filter.matches(key), want, "{comparison:?} {text:?} on {key:?}");
            if want {
                assert!(key.starts_with(filter.prefix()), "prefix of {comparison:?} {text:?}");
            }
        }
    }
}
