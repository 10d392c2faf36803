//! Bytes: base64 as Go's decoder takes it.

use ::base64::{
    Engine,
    alphabet::{self, Alphabet},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use ::bytes::Bytes;
use serde::{Deserialize, Deserializer};

use crate::raw::Raw;

/// What generated code writes bytes with.
pub mod base64 {
    /// Standard base64, padded.
    pub fn encode(bytes: &[u8]) -> String {
        base64_simd::STANDARD.encode_to_string(bytes)
    }
}

/// Bytes in a field or list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BytesDeserialize<T>(pub T);

impl<'de, T: From<Bytes>> Deserialize<'de> for BytesDeserialize<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(raw) = Raw::read(deserializer)? else { return Ok(Self(Bytes::new().into())) };
        let bytes = match &raw {
            Raw::String(text) => decode(text),
            _ => None,
        };
        bytes.map(|bytes| Self(Bytes::from(bytes).into())).ok_or_else(|| raw.refuse("bytes"))
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    // What nearly everybody sends, many bytes at a time; it is stricter than Go.
    let padded = text.len().is_multiple_of(4);
    let fast = if padded { base64_simd::STANDARD } else { base64_simd::STANDARD_NO_PAD };
    fast.decode_to_vec(text).ok().or_else(|| decode_as_go_does(text, padded))
}

/// URL-safe if it looks like it, line breaks anywhere, bits that are left over; padding only if it makes the whole
/// text, line breaks included, a multiple of four.
fn decode_as_go_does(text: &str, padded: bool) -> Option<Vec<u8>> {
    const fn engine(alphabet: &Alphabet, padding: DecodePaddingMode) -> GeneralPurpose {
        let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
        GeneralPurpose::new(alphabet, config.with_decode_padding_mode(padding))
    }
    const STANDARD: GeneralPurpose = engine(&alphabet::STANDARD, DecodePaddingMode::RequireCanonical);
    const STANDARD_NO_PAD: GeneralPurpose = engine(&alphabet::STANDARD, DecodePaddingMode::RequireNone);
    const URL_SAFE: GeneralPurpose = engine(&alphabet::URL_SAFE, DecodePaddingMode::RequireCanonical);
    const URL_SAFE_NO_PAD: GeneralPurpose = engine(&alphabet::URL_SAFE, DecodePaddingMode::RequireNone);

    let engine = match (text.contains(['-', '_']), padded) {
        (false, true) => STANDARD,
        (false, false) => STANDARD_NO_PAD,
        (true, true) => URL_SAFE,
        (true, false) => URL_SAFE_NO_PAD,
    };
    engine.decode(text.replace(['\r', '\n'], "")).ok()
}
