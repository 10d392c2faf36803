//! Bytes in JSON, read as protobuf-go reads them.

use ::base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use metagate::api::generated::zitadel::management::v1::SetOrgMetadataRequest;
use protojson::Envelope;

/// A string is read as bytes exactly where protobuf-go does so, and as the same.
pub fn base64(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let document = serde_json::json!({ "value": text }).to_string();
    let read = protojson::from_slice::<SetOrgMetadataRequest>(document.as_bytes(), Envelope::Whole);
    let read = read.ok().map(|message| message.value.to_vec());
    assert_eq!(read, oracle(text), "{text:?}");
}

/// protobuf-go: the alphabet by what is in it, padding by the length; Go's decoder skips line breaks.
fn oracle(text: &str) -> Option<Vec<u8>> {
    let alphabet = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    let padding = if text.len().is_multiple_of(4) {
        DecodePaddingMode::RequireCanonical
    } else {
        DecodePaddingMode::RequireNone
    };
    let config =
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true).with_decode_padding_mode(padding);
    let without_breaks: String = text.chars().filter(|c| !"\r\n".contains(*c)).collect();
    GeneralPurpose::new(&alphabet, config).decode(without_breaks).ok()
}
