//! Whole documents: from bytes to a message, and back.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    deserializer::Item,
    unknown::{self, Unknown},
};

/// How deep a document may be nested, in places that no message describes (protobuf-go's limit).
const NESTING_MAX: usize = 10_000;

/// What may stand around the one JSON value that is a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// As grpc-gateway reads bodies: nothing at all is an empty message, and what follows the first value is ignored.
    Lenient,
    /// As Connect reads them: one value, and nothing but white space around it.
    Whole,
    /// Nothing at all is an empty message; else one value, and nothing but white space around it.
    WholeOrNothing,
}

/// Why a document is no message, or a message no document.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    pub(crate) fn new(text: &str) -> Self {
        Self(format!("proto: {text}"))
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let suffix = format!(" at line {line} column {column}");
        match text.strip_suffix(&suffix) {
            Some(text) => Self(format!("proto: (line {line}:{column}): {text}")),
            None => Self(format!("proto: {text}")),
        }
    }
}

/// Reads a message. Unknown fields are ignored, unknown names of enum values too; `null` is an absent field.
///
/// # Errors
/// What is wrong first, with line and column, both from 1.
pub fn from_slice<T: DeserializeOwned>(document: &[u8], envelope: Envelope) -> Result<T, Error> {
    from_slice_with(document, envelope, Unknown::Ignored)
}

/// Reads a message, with a word on what is unknown.
///
/// # Errors
/// As [`from_slice`].
pub fn from_slice_with<T: DeserializeOwned>(
    document: &[u8],
    envelope: Envelope,
    unknown: Unknown,
) -> Result<T, Error> {
    let is_blank = |text: &[u8]| text.iter().all(|b| b" \t\r\n".contains(b));
    let document = match envelope {
        Envelope::Lenient | Envelope::WholeOrNothing if is_blank(document) => b"{}",
        _ => document,
    };
    let (text, invalid) = match std::str::from_utf8(document) {
        Ok(text) => (text, None),
        Err(error) => {
            let valid = &document[..error.valid_up_to()];
            let line = 1 + valid.iter().filter(|&&b| b == b'\n').count();
            let column = 1 + valid.iter().rev().take_while(|&&b| b != b'\n').count();
            let invalid = Error(format!("proto: (line {line}:{column}): invalid UTF-8"));
            (std::str::from_utf8(valid).unwrap_or_default(), Some(invalid))
        }
    };
    if is_nested_too_deep(text.as_bytes()) {
        return Err(Error(format!("proto: the document is nested deeper than {NESTING_MAX} levels")));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = unknown::with(unknown, || T::deserialize(Item(&mut deserializer)));
    let read = read.and_then(|message| match envelope {
        Envelope::Lenient => Ok(message),
        Envelope::Whole | Envelope::WholeOrNothing => deserializer.end().map(|()| message),
    });
    match (read, invalid) {
        // What is invalid comes behind the first value, where nobody looks.
        (Ok(message), None) => Ok(message),
        (Ok(message), Some(_)) if envelope == Envelope::Lenient => Ok(message),
        (_, Some(invalid)) => Err(invalid),
        (Err(error), None) => Err(error.into()),
    }
}

/// Writes a message: compact, in the order of its fields, without those that have their default.
///
/// # Errors
/// A time out of range.
pub fn to_vec<T: Serialize>(message: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(message).map_err(Error::from)
}

/// Whether brackets are open at more than [`NESTING_MAX`] levels at once, outside of strings.
fn is_nested_too_deep(text: &[u8]) -> bool {
    // Nearly all documents have fewer brackets than that altogether, and finding them is cheap.
    if memchr::memchr2_iter(b'{', b'[', text).nth(NESTING_MAX).is_none() {
        return false;
    }
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => {
                at += 1;
                while let Some(&byte) = text.get(at)
                    && byte != b'"'
                {
                    at += if byte == b'\\' { 2 } else { 1 };
                }
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > NESTING_MAX {
                    return true;
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return false;
                }
            }
            _ => {}
        }
        at += 1;
    }
    false
}
