//! Deadlines, in every encoding (departure D18).

use std::time::{Duration, Instant};

use domain::{Code, Error};
use http::{HeaderMap, HeaderName};
use tokio::task_local;

use super::encoding::Encoding;

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const CONNECT_TIMEOUT: HeaderName = HeaderName::from_static("connect-timeout-ms");

task_local! {
    /// That of the call under way.
    static CURRENT: Deadline;
}

/// When a caller stops waiting; it may never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// The deadline that the request's headers set, counted from `start`. An empty header counts as absent, a value
    /// too large for the clock as no deadline.
    ///
    /// # Errors
    /// `InvalidArgument` for a value that is not of the header's form.
    pub fn of(headers: &HeaderMap, encoding: Encoding, start: Instant) -> Result<Self, Error> {
        let (name, parse): (_, fn(&str) -> Option<Duration>) = match encoding {
            Encoding::Connect(_) => (CONNECT_TIMEOUT, parse_connect_timeout),
            _ => (GRPC_TIMEOUT, parse_grpc_timeout),
        };
        let Some(value) = headers.get(&name).filter(|value| !value.is_empty()) else { return Ok(Self(None)) };
        let timeout = value.to_str().ok().and_then(parse).ok_or_else(|| {
            let shown = String::from_utf8_lossy(value.as_bytes());
            Error::protocol(Code::InvalidArgument, format!("invalid {name}: {shown}"))
        })?;
        Ok(Self(start.checked_add(timeout)))
    }

    /// How much time is left; `None` if there is no deadline.
    pub fn left(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// # Errors
    /// `DeadlineExceeded` if the clock has reached the deadline.
    pub fn check(self) -> Result<(), Error> {
        match self.0 {
            Some(at) if Instant::now() >= at => Err(exceeded()),
            _ => Ok(()),
        }
    }

    /// Runs `work`, but not beyond the deadline.
    ///
    /// # Errors
    /// `DeadlineExceeded` if `work` is not done by then; it is not asked again.
    pub async fn limit<T>(self, work: impl Future<Output = T>) -> Result<T, Error> {
        match self.0 {
            None => Ok(work.await),
            Some(at) => {
                self.check()?;
                let work = CURRENT.scope(self, work);
                tokio::time::timeout_at(at.into(), work).await.map_err(|_| exceeded())
            }
        }
    }

    /// When the caller of the call that this is part of stops waiting.
    pub fn of_this_call() -> Option<Instant> {
        CURRENT.try_with(|deadline| deadline.0).ok().flatten()
    }
}

fn exceeded() -> Error {
    Error::protocol(Code::DeadlineExceeded, "context deadline exceeded")
}

/// `grpc-timeout`: up to 8 digits and a unit (gRPC over HTTP/2, "Requests").
fn parse_grpc_timeout(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let digits = &text[..text.len() - unit.len_utf8()];
    let amount = parse_digits(digits, 8)?;
    Some(match unit {
        'H' => Duration::from_secs(amount * 3_600),
        'M' => Duration::from_secs(amount * 60),
        'S' => Duration::from_secs(amount),
        'm' => Duration::from_millis(amount),
        'u' => Duration::from_micros(amount),
        'n' => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// `connect-timeout-ms`: up to 10 digits (Connect protocol, "Unary-Request").
fn parse_connect_timeout(text: &str) -> Option<Duration> {
    parse_digits(text, 10).map(Duration::from_millis)
}

fn parse_digits(text: &str, digits_max: usize) -> Option<u64> {
    if text.len() > digits_max || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_timeouts() {
        for (text, want) in [
            ("1H", Some(Duration::from_secs(3_600))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3_600))),
            ("5M", Some(Duration::from_secs(300))),
            ("0S", Some(Duration::ZERO)),
            ("10m", Some(Duration::from_millis(10))),
            ("1u", Some(Duration::from_micros(1))),
            ("1n", Some(Duration::from_nanos(1))),
            ("123456789S", None),
            ("1", None),
            ("S", None),
            ("abc", None),
            ("-1S", None),
            ("+1S", None),
            ("1.5S", None),
            (" 1S", None),
            ("1ü", None),
        ] {
            assert_eq!(parse_grpc_timeout(text), want, "{text:?}");
        }
    }

    #[test]
    fn connect_timeouts() {
        for (text, want) in [
            ("0", Some(Duration::ZERO)),
            ("9999999999", Some(Duration::from_millis(9_999_999_999))),
            ("10000000000", None),
            ("", None),
            ("1S", None),
            ("-1", None),
        ] {
            assert_eq!(parse_connect_timeout(text), want, "{text:?}");
        }
    }
}
