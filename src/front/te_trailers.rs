//! The one header that hyper needs to see: `TE: trailers`, put into requests on their way to it.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use bytes::BytesMut;
use memchr::memchr;

use super::traffic::Traffic;

/// hyper sends HTTP/1.1 trailers only to those who ask for them, and many gRPC clients do not (departure D3).
const TE_TRAILERS: &[u8] = b"te: trailers\r\n";

/// Room for it, which is as good as nothing before a request line: empty lines are allowed there (RFC 9112, section 2.2).
pub const GAP: &[u8; TE_TRAILERS.len()] = b"\r\n\r\n\r\n\r\n\r\n\r\n\r\n";

/// Puts `TE: trailers` behind the request line of each HTTP/1.1 request.
#[derive(Clone)]
pub struct TeTrailers {
    place: Arc<AtomicU8>,
    /// Told when a request line begins.
    traffic: Arc<Traffic>,
}

/// Where a connection is, as far as [`TeTrailers`] has to know.
pub mod place {
    /// A request line is awaited.
    pub const BEFORE: u8 = 0;
    /// The request line has begun.
    pub const LINE: u8 = 1;
    /// It has gone by: bytes pass as they are.
    pub const BEHIND: u8 = 2;
}

impl TeTrailers {
    /// For a connection on which a request is awaited.
    pub fn new(traffic: Arc<Traffic>) -> Self {
        Self { place: Arc::default(), traffic }
    }

    /// What goes on on its connection.
    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// The request was read and answered: the next bytes are a new request.
    pub fn expect_request(&self) {
        self.place.store(place::BEFORE, Ordering::Release);
    }

    /// Where its connection is.
    pub fn place(&self) -> u8 {
        self.place.load(Ordering::Acquire)
    }

    /// The end of the request line, if it is in `read`.
    fn end_of_line(&self, read: &[u8]) -> Option<usize> {
        let mut begin = 0;
        if self.place() == place::BEFORE {
            // Empty lines before it are none.
            begin = read.iter().position(|b| !b"\r\n".contains(b))?;
            self.place.store(place::LINE, Ordering::Release);
            self.traffic.head_comes();
        }
        let end = begin + memchr(b'\n', &read[begin..])? + 1;
        self.place.store(place::BEHIND, Ordering::Release);
        Some(end)
    }

    /// Puts the header behind the request line if it ends in `out` behind [`GAP`], which begins at `gap`. What follows, which may
    /// be long, stays where it is: the line moves.
    pub fn fill_gap(&self, out: &mut [u8], gap: usize) {
        let line = gap + GAP.len();
        if let Some(length) = self.end_of_line(&out[line..]) {
            out.copy_within(line..line + length, gap);
            out[gap + length..line + length].copy_from_slice(TE_TRAILERS);
        }
    }

    /// Appends `read` to `ahead`, with the header behind the request line if it ends here.
    pub fn append(&self, read: &[u8], ahead: &mut BytesMut) {
        let end = self.end_of_line(read);
        let (line, rest) = read.split_at(end.unwrap_or(read.len()));
        ahead.extend_from_slice(line);
        if end.is_some() {
            ahead.extend_from_slice(TE_TRAILERS);
        }
        ahead.extend_from_slice(rest);
    }
}
