//! What a request says: in its query, and in a form as its body (contract-identity 1.1).

use std::fmt;

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::{HeaderMap, header};
use percent_encoding::percent_decode;

use super::reply::Failure;

/// Names and values, in their order.
#[derive(Default)]
pub(super) struct Form(Vec<(String, String)>);

/// Names only: the values are tokens and secrets.
impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Form {
    /// Reads the query, and the body if it says that it is a form; any other body counts as none.
    ///
    /// # Errors
    /// If the body is too long or breaks off, or if either is malformed.
    pub(super) async fn read(
        query: &str,
        headers: &HeaderMap,
        body: Body,
        bytes_max: usize,
    ) -> Result<Self, Failure> {
        let mut form = Self::default();
        if is_form(headers) {
            let body: Bytes = to_bytes(body, bytes_max).await.map_err(|_| Failure::TooLarge)?;
            form.add(&body)?;
        }
        form.add(query.as_bytes())?;
        Ok(form)
    }

    fn add(&mut self, encoded: &[u8]) -> Result<(), Failure> {
        for pair in encoded.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            if pair.contains(&b';') {
                return Err(MALFORMED);
            }
            let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let (name, value) = pair.split_at(at);
            self.0.push((decode(name)?, decode(value.strip_prefix(b"=").unwrap_or_default())?));
        }
        Ok(())
    }

    /// The value of a name, which may be empty. What the body says comes before what the query says.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a name that is not empty.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// The last value of a name.
    pub(super) fn last(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

const MALFORMED: Failure = Failure::Request("error parsing form");

fn is_form(headers: &HeaderMap) -> bool {
    let media_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn decode(encoded: &[u8]) -> Result<String, Failure> {
    unescape(encoded).ok_or(MALFORMED)
}

/// The text of what is written as forms are: percent-decoded, a plus sign for a space; `None` if a percent sign is followed by
/// anything but two hexadecimal digits. What is not UTF-8 has replacement characters.
pub(super) fn unescape(escaped: &[u8]) -> Option<String> {
    let is_digit = |at: usize| escaped.get(at).is_some_and(u8::is_ascii_hexdigit);
    let mut signs = escaped.iter().enumerate().filter(|(_, byte)| **byte == b'%');
    if signs.any(|(at, _)| !is_digit(at + 1) || !is_digit(at + 2)) {
        return None;
    }
    let spaced: Vec<u8> = escaped.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Some(percent_decode(&spaced).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs() {
        for (text, want) in [
            ("", Some(&[][..])),
            ("a=1&b=%20+%2B&a=", Some(&[("a", "1"), ("b", "  +"), ("a", "")][..])),
            ("a&&=x&b==", Some(&[("a", ""), ("", "x"), ("b", "=")])),
            ("a=%ff", Some(&[("a", "\u{fffd}")])),
            ("a=%zz", None),
            ("a=%4", None),
            ("a=1;b=2", None),
        ] {
            let mut form = Form::default();
            let read = form.add(text.as_bytes()).ok().map(|()| form.0);
            let want = want.map(|pairs| {
                pairs
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect::<Vec<_>>()
            });
            assert_eq!(read, want, "{text}");
        }
    }

    #[test]
    fn values_are_not_printed() {
        let mut form = Form::default();
        form.add(b"client_secret=sesame").unwrap();
        assert_eq!(format!("{form:?}"), "[\"client_secret\"]");
    }
}
