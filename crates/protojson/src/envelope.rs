//! Whole documents: from bytes to a message, and back.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    deserializer::Item,
    quick::Quick,
    unknown::{self, Unknown},
    writer::Writer,
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

impl serde::ser::Error for Error {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::new(&message.to_string())
    }
}

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
    read_quickly(document, envelope, unknown).map_or_else(|| read_thoroughly(document, envelope, unknown), Ok)
}

fn read_quickly<T: DeserializeOwned>(document: &[u8], envelope: Envelope, unknown: Unknown) -> Option<T> {
    let mut quick = Quick::new(document);
    let message = unknown::with(unknown, || T::deserialize(Item(&mut quick))).ok()?;
    (envelope == Envelope::Lenient || quick.is_at_end()).then_some(message)
}

fn read_thoroughly<T: DeserializeOwned>(
    document: &[u8],
    envelope: Envelope,
    unknown: Unknown,
) -> Result<T, Error> {
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
/// `bytes` is how long the document may be, as far as that is known: if it is not longer, it is written without being moved.
///
/// # Errors
/// A time out of range.
pub fn to_vec<T: Serialize + ?Sized>(message: &T, bytes: usize) -> Result<Vec<u8>, Error> {
    let mut document = Vec::with_capacity(bytes);
    message.serialize(Writer(&mut document))?;
    Ok(document)
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use serde::Deserialize;

    use super::*;
    use crate::private::{BytesDeserialize, NumberDeserialize};

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Message {
        key: String,
        value: Option<BytesDeserialize<Bytes>>,
        number: Option<NumberDeserialize<i64>>,
        yes: bool,
        list: Vec<String>,
        numbers: Vec<NumberDeserialize<u32>>,
        map: BTreeMap<String, String>,
        inner: Option<Box<Message>>,
    }

    const DOCUMENTS: [&str; 6] = [
        r#"{"key":"k","value":"YWI=","number":"-12","yes":true,"list":["a","b"],"numbers":[0,10,"7"]}"#,
        r#" { "inner" : { "value" : "YWJj" , "map" : { "a" : "b" } , "list" : [ ] } , "key" : null } "#,
        r#"{"value":"YW-_","key":"\u00fc","number":1.0e2}"#,
        r#"{"value":null,"yes":false,"inner":null,"list":null,"unknown":[1,{"a":2}]}"#,
        r#"{"key":"ü","value":"Y\nQ==","number":-0,"numbers":[01,2]}"#,
        r#"{"inner":{"inner":{"inner":{"value":"YQ"}}},"number":9223372036854775808} {"a""#,
    ];

    /// What the quick reader takes, the thorough one takes as the same: of documents with any one byte replaced, left out
    /// or put in.
    #[test]
    fn who_is_quick_is_right() {
        let mut taken = 0;
        for document in DOCUMENTS {
            for at in 0..=document.len() {
                for byte in b"\"\\{}[],: \n\x01truefalsn-+0129.eE=_YQa\xc3\xbc"
                    .iter()
                    .copied()
                    .map(Some)
                    .chain([None])
                {
                    for skipped in 0..2 {
                        let (before, behind) = document.as_bytes().split_at(at);
                        let behind = behind.get(skipped..).unwrap_or_default();
                        let changed = [before, byte.as_slice(), behind].concat();
                        for envelope in [Envelope::Lenient, Envelope::Whole] {
                            let quick = read_quickly::<Message>(&changed, envelope, Unknown::Ignored);
                            taken += usize::from(quick.is_some());
                            if let Some(quick) = quick {
                                let shown = String::from_utf8_lossy(&changed);
                                let thorough = read_thoroughly(&changed, envelope, Unknown::Ignored);
                                assert_eq!(thorough.ok(), Some(quick), "{shown}");
                            }
                        }
                    }
                }
            }
        }
        assert!(taken > 2_500, "{taken}");
        let usual = DOCUMENTS[0].as_bytes();
        assert!(read_quickly::<Message>(usual, Envelope::Whole, Unknown::Ignored).is_some());
    }
}
