//! Values as they stand in the text, for types that are read more exactly than serde_json reads them.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use serde_json::value::RawValue;

use crate::quick;

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
        let Some(text) = deserializer.deserialize_option(Text)? else { return Ok(None) };
        Self::of(text).map(Some)
    }

    fn of<E: Error>(text: &'de str) -> Result<Self, E> {
        Ok(match text.as_bytes().first() {
            Some(b'"') if !text.contains('\\') => Self::String(Cow::Borrowed(&text[1..text.len() - 1])),
            Some(b'"') => Self::String(Cow::Owned(serde_json::from_str(text).map_err(E::custom)?)),
            Some(b'-' | b'0'..=b'9') => Self::Number(text),
            _ => Self::Other(text),
        })
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

/// The text of a value, or of none: each of the two readers has its own way to hand it out.
struct Text;

impl<'de> Visitor<'de> for Text {
    type Value = Option<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_newtype_struct(quick::RAW, self)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(text))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|raw| Some(raw.get()))
    }
}
