//! Numbers: literals or strings that hold one, exact as long as they are whole.

use serde::{Deserialize, Deserializer};

use crate::raw::Raw;

/// A number in a field or list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NumberDeserialize<T>(pub T);

/// A number type of proto3.
pub trait Number: Default {
    /// Its name in errors.
    const NAME: &'static str;
    /// The value of a JSON number; `None` if the type cannot hold it.
    fn from_literal(literal: &str) -> Option<Self>;
    /// The value of a string that holds no JSON number.
    fn from_name(_: &str) -> Option<Self> {
        None
    }
}

impl<'de, T: Number> Deserialize<'de> for NumberDeserialize<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(raw) = Raw::read(deserializer)? else { return Ok(Self(T::default())) };
        let number = match &raw {
            Raw::Number(literal) => T::from_literal(literal),
            Raw::String(text) => T::from_name(text).or_else(|| T::from_literal(literal_in(text)?)),
            Raw::Other(_) => None,
        };
        number.map(Self).ok_or_else(|| raw.refuse(T::NAME))
    }
}

/// The number at the beginning of a string, as protobuf-go finds it: what stands behind a delimiter is not looked at,
/// but no white space may stand around.
fn literal_in(text: &str) -> Option<&str> {
    if text.trim().len() != text.len() {
        return None;
    }
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut end = usize::from(text.starts_with('-'));
    match text.as_bytes().get(end)? {
        b'0' => end += 1,
        b'1'..=b'9' => end += digits(&text[end..]),
        _ => return None,
    }
    if text[end..].starts_with('.') {
        let fraction = digits(&text[end + 1..]);
        if fraction == 0 {
            return None;
        }
        end += 1 + fraction;
    }
    if text[end..].starts_with(['e', 'E']) {
        let sign = usize::from(text[end + 1..].starts_with(['+', '-']));
        let exponent = digits(&text[end + 1 + sign..]);
        if exponent == 0 {
            return None;
        }
        end += 1 + sign + exponent;
    }
    let delimited = !text[end..].starts_with(|c: char| c.is_ascii_alphanumeric() || "-+._".contains(c));
    delimited.then(|| &text[..end])
}

/// The whole number that a JSON number is: `5`, `5.0` and `50e-1` are 5.
fn whole(literal: &str) -> Option<i128> {
    let (negative, magnitude) = literal.strip_prefix('-').map_or((false, literal), |rest| (true, rest));
    let (mantissa, exponent) = magnitude.split_once(['e', 'E']).unwrap_or((magnitude, "0"));
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{integer}{fraction}");
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    // Zeros to append to the significant digits.
    let zeros = i64::try_from(integer.len()).ok()?
        + exponent.strip_prefix('+').unwrap_or(exponent).parse::<i64>().ok()?.clamp(-1_000_000, 1_000_000)
        - i64::try_from(significant.len()).ok()?;
    // No 64-bit type has more than 20 digits.
    let zeros = u32::try_from(zeros).ok().filter(|&zeros| zeros <= 20)?;
    let value = significant.trim_start_matches('0').parse::<i128>().ok()?.checked_mul(10_i128.pow(zeros))?;
    Some(if negative { -value } else { value })
}

macro_rules! integers {
    ($($type:ty, $name:literal;)*) => {
        $(impl Number for $type {
            const NAME: &'static str = $name;

            fn from_literal(literal: &str) -> Option<Self> {
                // The usual case; it takes neither fraction nor exponent.
                literal.parse().ok().or_else(|| whole(literal)?.try_into().ok())
            }
        })*
    };
}

integers! {
    i32, "int32";
    i64, "int64";
    u32, "uint32";
    u64, "uint64";
}

macro_rules! floats {
    ($($type:ty, $name:literal;)*) => {
        $(impl Number for $type {
            const NAME: &'static str = $name;

            fn from_literal(literal: &str) -> Option<Self> {
                literal.parse().ok().filter(|number: &$type| number.is_finite())
            }

            fn from_name(name: &str) -> Option<Self> {
                match name {
                    "NaN" => Some(<$type>::NAN),
                    "Infinity" => Some(<$type>::INFINITY),
                    "-Infinity" => Some(<$type>::NEG_INFINITY),
                    _ => None,
                }
            }
        })*
    };
}

floats! {
    f32, "float";
    f64, "double";
}
