//! `X-Request-Id`: a name for every request, the caller's own or a new one.

use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header, of requests and answers.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Makes ids that nobody else makes: a random part, and a count.
#[derive(Debug)]
pub struct RequestIds {
    process: u64,
    count: AtomicU64,
}

impl RequestIds {
    /// Ids that begin with the 64 bits of `process`.
    pub fn new(process: u64) -> Self {
        Self { process, count: AtomicU64::new(0) }
    }

    /// The id of a request: the incoming one if it is 1 to 128 visible ASCII characters (departure D8).
    pub fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let incoming = headers
            .get(X_REQUEST_ID)
            .filter(|id| (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic));
        match incoming {
            Some(id) => id.clone(),
            None => {
                let count = self.count.fetch_add(1, Ordering::Relaxed);
                let mut id = [0; 32];
                let (process, number) = id.split_at_mut(16);
                write_hex(self.process, process);
                // 24 digits are enough until there were four billion requests.
                let digits = if count >> 32 == 0 { 8 } else { 16 };
                write_hex(count, &mut number[..digits]);
                HeaderValue::from_bytes(&id[..16 + digits]).unwrap_or_else(|_| HeaderValue::from_static("0"))
            }
        }
    }
}

/// The last digits of `number` in base 16.
fn write_hex(number: u64, digits: &mut [u8]) {
    for (place, digit) in digits.iter_mut().rev().enumerate() {
        *digit = b"0123456789abcdef"[(number >> (4 * place) & 15) as usize];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incoming_id_is_kept_if_it_is_sane() {
        let ids = RequestIds::new(1);
        let mut fresh = 0;
        for (incoming, kept) in [
            ("a", true),
            (&*"x".repeat(128), true),
            ("!~", true),
            ("", false),
            (&*"x".repeat(129), false),
            ("a b", false),
            ("ü", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID, HeaderValue::from_bytes(incoming.as_bytes()).unwrap());
            let id = ids.of(&headers);
            if kept {
                assert_eq!(id, incoming);
            } else {
                assert_eq!(id, format!("0000000000000001{fresh:08x}"));
                fresh += 1;
            }
        }
    }
}
