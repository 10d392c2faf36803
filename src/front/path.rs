//! Paths and queries: percent-encoding, strictly (departure D1).

use std::{borrow::Cow, fmt::Write};

use domain::{Code, Error};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Fields of a message that a URL sets: their names and values, in order.
pub type Fields = Vec<(Cow<'static, str>, String)>;

/// What RFC 3986 calls reserved, or worse: encoded in the one spelling by which paths are compared.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The one spelling of a path: `/%5Fbulk` and `/_bulk` are the same.
///
/// # Errors
/// `InvalidArgument` for an invalid percent escape, or what is not UTF-8 once decoded.
pub fn canonical(path: &str) -> Result<Cow<'_, str>, Error> {
    if !path.contains('%') {
        return Ok(Cow::Borrowed(path));
    }
    let mut canonical = String::with_capacity(path.len());
    for segment in path.split('/').skip(1) {
        let decoded = decode(segment)?;
        let _ = write!(canonical, "/{}", utf8_percent_encode(&decoded, RESERVED));
    }
    Ok(Cow::Owned(canonical))
}

/// The fields of a query, or of a form.
///
/// # Errors
/// As [`canonical`].
pub fn query(text: &str) -> Result<Fields, Error> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decode = |text: &str| decode(&text.replace('+', " ")).map(Cow::into_owned);
            Ok((decode(name)?.into(), decode(value)?))
        })
        .collect()
}

/// What an escaped text says.
///
/// # Errors
/// As [`canonical`].
pub fn decode(text: &str) -> Result<Cow<'_, str>, Error> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let invalid = |why: &str| Error::protocol(Code::InvalidArgument, format!("invalid URL: {why}"));
    let bytes = text.as_bytes();
    let escapes = (0..bytes.len()).filter(|&at| bytes[at] == b'%');
    for at in escapes {
        let digits = bytes.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        if digits.is_none() {
            let end = (at + 3).min(bytes.len());
            return Err(invalid(&format!(
                "{:?} is no percent escape",
                String::from_utf8_lossy(&bytes[at..end])
            )));
        }
    }
    percent_decode_str(text).decode_utf8().map_err(|_| invalid("it is not UTF-8 once decoded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling() {
        for (path, want) in [
            ("/metadata/_bulk", Some("/metadata/_bulk")),
            ("/metadata/%5Fbulk", Some("/metadata/_bulk")),
            ("/%6detadata/%61%2fb", Some("/metadata/a%2Fb")),
            ("/a%252Fb", Some("/a%252Fb")),
            ("/%2E%2e", Some("/..")),
            ("/a+b%20c", Some("/a%2Bb%20c")),
            ("/ü%C3%BC", Some("/%C3%BC%C3%BC")),
            ("//%41/", Some("//A/")),
            ("/%", None),
            ("/%4", None),
            ("/%zz", None),
            ("/%é1", None),
            ("/%FF", None),
            ("/%C3/%BC", None),
        ] {
            assert_eq!(canonical(path).ok().as_deref(), want, "{path:?}");
        }
    }

    #[test]
    fn fields_of_a_query() {
        let fields = |text| {
            let fields = query(text).ok()?;
            Some(fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "))
        };
        for (text, want) in [
            ("", Some("")),
            ("keys=a&keys=b", Some("keys=a keys=b")),
            ("keys=a,b", Some("keys=a,b")),
            ("keys=", Some("keys=")),
            ("keys", Some("keys=")),
            ("&&keys=%26+%2B", Some("keys=& +")),
            ("k%65ys=%C3%BC", Some("keys=ü")),
            ("keys=%", None),
            ("keys=%FF", None),
        ] {
            assert_eq!(fields(text).as_deref(), want, "{text:?}");
        }
    }
}
