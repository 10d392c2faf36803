//! Bearer tokens: never kept, only their SHA-256.

use std::fmt;

use domain::Refusal;
use memchr::memmem;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// What stands before a token.
const SCHEME: &[u8] = b"Bearer ";

/// The SHA-256 of a token. Does not show it, though nobody could make use of it.
#[derive(Clone, Copy)]
pub(crate) struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of a token in clear.
    pub(crate) fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// From 64 hexadecimal digits.
    pub(crate) fn from_hex(hex: &str) -> Option<Self> {
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, digits) in hash.iter_mut().zip(hex.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(hash))
    }

    /// As 64 hexadecimal digits.
    pub(crate) fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// As the id of 18 digits of a token that has no other: it tells nothing of the token.
    pub(crate) fn to_id(self) -> String {
        const SMALLEST: u64 = 100_000_000_000_000_000;
        let [.., a, b, c, d, e, f, g, h] = self.0;
        (SMALLEST + u64::from_be_bytes([a, b, c, d, e, f, g, h]) % (9 * SMALLEST)).to_string()
    }

    /// Eight bytes to find it by; not enough to learn from how long that takes.
    pub(crate) fn prefix(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// Whether it is one of `others`; each is looked at.
    pub(crate) fn is_any_of(&self, others: &[Self]) -> bool {
        others.iter().fold(false, |found, other| self.is(other) | found)
    }

    /// Compares in constant time.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let (words, others) = (self.0.as_chunks().0.iter(), other.0.as_chunks().0.iter());
        let pairs = words.zip(others).map(|(a, b)| (u64::from_ne_bytes(*a), u64::from_ne_bytes(*b)));
        pairs.fold(Choice::from(1), |same, (a, b)| same & a.ct_eq(&b)).into()
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// The token in an `authorization` header (contract 5.1, departure D21): what follows the one `Bearer `, whatever
/// stands before it.
///
/// # Errors
/// [`Refusal::AuthorizationMissing`] for no header, or an empty one; [`Refusal::AuthorizationMalformed`] for one without a token.
pub fn bearer(header: Option<&[u8]>) -> Result<&str, Refusal> {
    let header = header.unwrap_or_default().trim_ascii();
    if header.is_empty() {
        return Err(Refusal::AuthorizationMissing);
    }
    // Without an early end, so that it is done for many bytes at once.
    let visible = header.iter().fold(true, |visible, b| visible & (b' '..=b'~').contains(b));
    let text = std::str::from_utf8(header).ok().filter(|_| visible).ok_or(Refusal::AuthorizationMalformed)?;
    let begin = memmem::find(header, SCHEME).ok_or(Refusal::AuthorizationMalformed)? + SCHEME.len();
    let token = text[begin..].trim_ascii();
    if token.is_empty() || memmem::find(&header[begin..], SCHEME).is_some() {
        return Err(Refusal::AuthorizationMalformed);
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let missing = Err(Refusal::AuthorizationMissing);
        let malformed = Err(Refusal::AuthorizationMalformed);
        for (header, want) in [
            (None, missing),
            (Some(""), missing),
            (Some("  "), missing),
            (Some("Bearer t"), Ok("t")),
            (Some("Bearer  t "), Ok("t")),
            (Some("xBearer t"), Ok("t")),
            (Some("Bearer t x"), Ok("t x")),
            (Some("bearer t"), malformed),
            (Some("BEARER t"), malformed),
            (Some("Basic t"), malformed),
            (Some("t"), malformed),
            (Some("Bearer"), malformed),
            (Some("Bearer "), malformed),
            (Some("Bearer    "), malformed),
            (Some("Bearer\tt"), malformed),
            (Some("Bearer t\tx"), malformed),
            (Some("Bearer tü"), malformed),
            (Some("Bearer a Bearer b"), malformed),
        ] {
            assert_eq!(bearer(header.map(str::as_bytes)), want, "{header:?}");
        }
    }

    #[test]
    fn hashes() {
        let hash = TokenHash::of("abc");
        let hex = "BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(TokenHash::from_hex(hex).unwrap().is(&hash));
        assert!(!TokenHash::of("abd").is(&hash));
        assert!(TokenHash::from_hex(&hex[1..]).is_none());
        assert!(TokenHash::from_hex(&hex.replace('f', "g")).is_none());
        assert_eq!(format!("{hash:?}"), "TokenHash(…)");
    }
}
