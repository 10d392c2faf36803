//! proto3 JSON as protobuf-go reads and writes it.
//!
//! Depends on nothing of ours. pbjson generates the code that maps messages to serde; this crate is what that code is
//! pointed at instead of pbjson's own runtime, because that one differs: it refuses `null` for most fields, `5.0`
//! for integers and line breaks in base64, takes loose numbers and times, and loses unknown enum numbers.

mod any;
mod bytes;
mod deserializer;
mod enumeration;
mod envelope;
mod number;
mod quick;
mod raw;
mod timestamp;
mod unknown;
mod writer;

pub use any::{Any, TYPE_URL_PREFIX, Type, any_json, register};
pub use envelope::{Envelope, Error, from_slice, from_slice_with, to_vec};
pub use timestamp::Timestamp;
pub use unknown::Unknown;

/// What generated code names.
#[doc(hidden)]
pub mod private {
    pub use crate::{
        bytes::{BytesDeserialize, base64},
        enumeration::{EnumDeserialize, EnumSerialize, EnumsDeserialize},
        number::NumberDeserialize,
        unknown::field as unknown_field,
    };
}
