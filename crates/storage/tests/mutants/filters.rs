//! Filters, and how a store may misread them.

use domain::KeyFilter;

use crate::Mutant::{self, *};

/// Whether a key meets the filters.
pub fn match_all(mutant: Option<Mutant>, filters: &[KeyFilter], key: &str) -> bool {
    match mutant {
        Some(OneFilterIsEnough) => filters.is_empty() || filters.iter().any(|filter| filter.matches(key)),
        Some(OneFilterCounts) => filters.first().is_none_or(|filter| filter.matches(key)),
        Some(TheLongestPrefixIsEnough) => {
            let prefix = filters.iter().map(KeyFilter::prefix).max_by_key(|prefix| prefix.len());
            prefix.is_none_or(|prefix| key.starts_with(prefix))
        }
        _ => filters.iter().all(|filter| matches(mutant, filter, key)),
    }
}

fn matches(mutant: Option<Mutant>, filter: &KeyFilter, key: &str) -> bool {
    let ends = || (0..=key.len()).filter(|&end| key.is_char_boundary(end));
    match mutant {
        Some(EndsAreNotLookedAt) => ends().any(|end| filter.matches(&key[..end])),
        Some(StartsAreNotLookedAt) => ends().any(|start| filter.matches(&key[start..])),
        Some(FiltersIgnoreCase) => [key.to_owned(), key.to_lowercase()].iter().any(|key| filter.matches(key)),
        Some(FiltersFoldOnlyAscii) => {
            let folds = |c: char| c.is_ascii() || !c.is_uppercase();
            filter.matches(&key.replace(|c| !folds(c), "\u{F8FF}"))
        }
        Some(EmptyTextsAreNoFilters) => filter.matches("") || filter.matches(key),
        Some(EmptyTextsAreNowhere) => !filter.matches("") && filter.matches(key),
        Some(PrefixesHaveWildcards) if filter.is_prefix() => is_like(filter.prefix(), key),
        Some(PrefixesHaveEscapes) if filter.is_prefix() => {
            key.starts_with(&filter.prefix().replace('\\', ""))
        }
        Some(PrefixesEndTooEarly) if filter.is_prefix() => {
            (filter.prefix()..).contains(&key) && *key < *format!("{}\u{FFFF}", filter.prefix())
        }
        _ => filter.matches(key),
    }
}

/// SQL's `LIKE`, with `%` behind the pattern.
fn is_like(pattern: &str, text: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => true,
        Some('%') => {
            text.char_indices().any(|(at, _)| is_like(rest.as_str(), &text[at..]))
                || is_like(rest.as_str(), "")
        }
        Some('_') => {
            text.chars().next().is_some_and(|first| is_like(rest.as_str(), &text[first.len_utf8()..]))
        }
        Some(first) => text.strip_prefix(first).is_some_and(|text| is_like(rest.as_str(), text)),
    }
}
