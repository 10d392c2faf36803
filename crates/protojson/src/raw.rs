//! Values as they stand in the text, for types that are read more exactly than serde_json reads them.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::value::RawValue;

/// A scalar.
pub(crate) enum Raw<'de> {
    /// A string, unescaped.
    String(Cow<'de, str>),
    /// A number, as it was written.
    Number(&'de str),
    /// Anything else, as it was written.
    Other(&'de str),
}

impl<'de> Raw<'de> {
    /// The next value; `None` for a field that is `null`.
    pub(crate) fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        let Some(raw) = Option::<&'de RawValue>::deserialize(deserializer)? else { return Ok(None) };
        let text = raw.get();
        Ok(Some(match text.as_bytes().first() {
            Some(b'"') if !text.contains('\\') => Self::String(Cow::Borrowed(&text[1..text.len() - 1])),
            Some(b'"') => Self::String(Cow::Owned(serde_json::from_str(text).map_err(Error::custom)?)),
            Some(b'-' | b'0'..=b'9') => Self::Number(text),
            _ => Self::Other(text),
        }))
    }

    /// The error that this is no `kind`.
    pub(crate) fn refuse<E: Error>(&self, kind: &str) -> E {
        const SHOWN_CHARS_MAX: usize = 40;
        let text = match self {
            Self::String(text) => Cow::Owned(format!("{text:?}")),
            Self::Number(text) | Self::Other(text) => Cow::Borrowed(*text),
        };
        let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
        let rest = if shown.len() < text.len() { "…" } else { "" };
        E::custom(format_args!("invalid value for {kind} field: {shown}{rest}"))
    }
}
