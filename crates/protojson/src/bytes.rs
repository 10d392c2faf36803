//! Bytes: base64 as Go's decoder takes it.

use std::fmt;

use ::base64::{
    Engine,
    alphabet::{self, Alphabet},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use ::bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

use crate::{quick, raw::Raw};

/// What generated code writes bytes with.
pub mod base64 {
    use serde::{Serialize, Serializer};

    /// Bytes that [`to_vec`](crate::to_vec) writes as standard base64, padded, straight into its document.
    pub struct Text<'a>(&'a [u8]);

    /// Says that bytes are to be written in base64.
    pub fn encode(bytes: &[u8]) -> Text<'_> {
        Text(bytes)
    }

    impl Text<'_> {
        /// Itself; generated code asks for a text.
        #[must_use]
        pub fn as_str(&self) -> &Self {
            self
        }
    }

    impl Serialize for Text<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(self.0)
        }
    }
}

/// Bytes in a field or list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BytesDeserialize<T>(pub T);

impl<'de, T: From<Bytes>> Deserialize<'de> for BytesDeserialize<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = deserializer.deserialize_option(Base64)?;
        Ok(Self(Bytes::from(bytes).into()))
    }
}

struct Base64;

impl<'de> Visitor<'de> for Base64 {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64")
    }

    fn visit_none<E: Error>(self) -> Result<Vec<u8>, E> {
        Ok(Vec::new())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_newtype_struct(quick::QUOTED, self)
    }

    fn visit_borrowed_bytes<E: Error>(self, text: &'de [u8]) -> Result<Vec<u8>, E> {
        decode(text).ok_or_else(|| E::custom("no base64 that is usual"))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<u8>, D::Error> {
        let Some(raw) = Raw::read(deserializer)? else { return Ok(Vec::new()) };
        let bytes = match &raw {
            Raw::String(text) => decode(text.as_bytes()).or_else(|| decode_as_go_does(text)),
            _ => None,
        };
        bytes.ok_or_else(|| raw.refuse("bytes"))
    }
}

/// What nearly everybody sends, many bytes at a time; it is stricter than Go.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let fast =
        if text.len().is_multiple_of(4) { base64_simd::STANDARD } else { base64_simd::STANDARD_NO_PAD };
    fast.decode_to_vec(text).ok()
}

/// URL-safe if it looks like it, line breaks anywhere, bits that are left over; padding only if it makes the whole
/// text, line breaks included, a multiple of four.
fn decode_as_go_does(text: &str) -> Option<Vec<u8>> {
    const fn engine(alphabet: &Alphabet, padding: DecodePaddingMode) -> GeneralPurpose {
        let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
        GeneralPurpose::new(alphabet, config.with_decode_padding_mode(padding))
    }
    const STANDARD: GeneralPurpose = engine(&alphabet::STANDARD, DecodePaddingMode::RequireCanonical);
    const STANDARD_NO_PAD: GeneralPurpose = engine(&alphabet::STANDARD, DecodePaddingMode::RequireNone);
    const URL_SAFE: GeneralPurpose = engine(&alphabet::URL_SAFE, DecodePaddingMode::RequireCanonical);
    const URL_SAFE_NO_PAD: GeneralPurpose = engine(&alphabet::URL_SAFE, DecodePaddingMode::RequireNone);

    let engine = match (text.contains(['-', '_']), text.len().is_multiple_of(4)) {
        (false, true) => STANDARD,
        (false, false) => STANDARD_NO_PAD,
        (true, true) => URL_SAFE,
        (true, false) => URL_SAFE_NO_PAD,
    };
    engine.decode(text.replace(['\r', '\n'], "")).ok()
}
