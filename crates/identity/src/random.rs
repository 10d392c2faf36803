//! What nobody can guess.

/// What ids begin after: 2020-01-01T00:00:00Z, in microseconds.
const EPOCH: i64 = 1_577_836_800_000_000;

/// A text of `length` letters and digits, each with almost six bits of chance.
///
/// # Errors
/// If the system has no random bytes.
pub(crate) fn text(length: usize) -> Result<String, getrandom::Error> {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes)?;
        // The four values that would make some letters likelier are thrown away.
        let letters = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 63)));
        text.extend(letters.map(|letter| char::from(*letter)).take(length - text.len()));
    }
    Ok(text)
}

/// An id of 18 digits, as ZITADEL's are.
///
/// # Errors
/// If the system has no random bytes.
pub(crate) fn id() -> Result<String, getrandom::Error> {
    marked_id(0)
}

/// The smallest number of 18 digits.
const SMALLEST: u64 = 100_000_000_000_000_000;
/// How many bits of an id may be its mark's.
const MARK_BITS: u32 = 12;

/// An id of 18 digits that also carries a number, of at most 12 bits.
///
/// # Errors
/// If the system has no random bytes.
pub(crate) fn marked_id(mark: u16) -> Result<String, getrandom::Error> {
    let chance = getrandom::u64()? >> (u64::BITS - 59 + MARK_BITS);
    Ok((SMALLEST + (chance << MARK_BITS | u64::from(mark) & ((1 << MARK_BITS) - 1))).to_string())
}

/// The number that an id carries.
pub(crate) fn mark_of(marked_id: &str) -> Option<u16> {
    let count = marked_id.parse::<u64>().ok()?.checked_sub(SMALLEST)?;
    u16::try_from(count & ((1 << MARK_BITS) - 1)).ok()
}

/// An id of 18 digits that tells when it was made (until 2051).
///
/// # Errors
/// If the system has no random bytes.
pub(crate) fn timed_id(now: domain::Timestamp) -> Result<String, getrandom::Error> {
    let count = (now.as_micros() - EPOCH).max(0) * 1000 + i64::from(getrandom::u32()? % 1000);
    Ok(format!("{count:018}"))
}

/// When an id was made.
pub(crate) fn time_of(timed_id: &str) -> Option<domain::Timestamp> {
    let count: i64 = timed_id.parse().ok()?;
    Some(domain::Timestamp::from_micros(EPOCH + count / 1000))
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;

    use super::*;

    #[test]
    fn forms() {
        let text = text(43).unwrap();
        assert!(text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
        for _ in 0..100 {
            let id = id().unwrap();
            assert!(id.len() == 18 && !id.starts_with('0') && id.parse::<u64>().is_ok(), "{id}");
            let marked = marked_id(0xabc).unwrap();
            assert_eq!((marked.len(), mark_of(&marked)), (18, Some(0xabc)), "{marked}");
        }
        let now = Timestamp::from_micros(1_795_000_000_123_456);
        let id = timed_id(now).unwrap();
        assert_eq!((id.len(), time_of(&id)), (18, Some(now)), "{id}");
        assert_eq!(time_of("x"), None);
    }
}
