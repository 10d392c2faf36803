//! gRPC writers that cost little, where the load shares its cores with a database: requests are bytes of HTTP/2 that are ready,
//! and of an answer no more is looked at than how it ends.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::{BufMut, Bytes};
use http::HeaderName;

use crate::{Error, call::Calls, load::HTTP2_CONNECTIONS_MAX};

/// What a connection begins with (RFC 9113, section 3.4). The settings say that nothing may refer to headers of before, so
/// that the same headers are the same bytes, and the window is as wide as it can be.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\
    \x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\xff\x00\x00";

/// `grpc-status: 0` as a header block: a literal, in Huffman's code (RFC 7541, section 6.2).
const GRPC_OK: &[u8] = b"\x00\x88\x9a\xca\xc8\xb2\x12\x34\xda\x8f\x81\x07";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
const FRAME_HEADER_BYTES: usize = 9;

/// Connections to a server, with writers that share them.
pub struct Writers {
    connections: Vec<Connection>,
    requests: Arc<Vec<Prepared>>,
}

/// A request, but for the number of its stream.
struct Prepared {
    headers: Vec<u8>,
    body: Bytes,
}

struct Connection {
    stream: TcpStream,
    writers: usize,
    next_stream: u32,
    /// What was read and is not a whole frame yet.
    unread: Vec<u8>,
    unsent: Vec<u8>,
}

impl Writers {
    /// Connects, for so many writers at once.
    pub fn open(address: SocketAddr, calls: &Calls, writers: usize) -> Result<Self, Error> {
        let connections = (0..HTTP2_CONNECTIONS_MAX)
            .map(|index| {
                let writers = (writers + HTTP2_CONNECTIONS_MAX - 1 - index) / HTTP2_CONNECTIONS_MAX;
                Connection::open(address, writers)
            })
            .collect::<Result<_, Error>>()?;
        let requests = calls.requests.iter().map(Prepared::of).collect::<Result<_, Error>>()?;
        Ok(Self { connections, requests: Arc::new(requests) })
    }

    /// Makes `count` calls, one after the other for each writer; returns how long that took. Blocks the thread.
    pub fn run(&mut self, count: usize) -> Result<Duration, Error> {
        let next = AtomicUsize::new(0);
        let next = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|index| *index < count);
        let start = Instant::now();
        thread::scope(|scope| {
            let threads: Vec<_> = self
                .connections
                .iter_mut()
                .map(|connection| scope.spawn(|| connection.run(&self.requests, &next)))
                .collect();
            threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a writer has panicked")?)
        })?;
        Ok(start.elapsed())
    }
}

impl Prepared {
    fn of(request: &http::Request<http_body_util::Full<Bytes>>) -> Result<Self, Error> {
        // POST and http have numbers (RFC 7541, appendix A).
        let mut headers = vec![0x83, 0x86];
        literal(&mut headers, ":path", request.uri().path().as_bytes())?;
        literal(
            &mut headers,
            ":authority",
            request.uri().authority().map_or("", |host| host.as_str()).as_bytes(),
        )?;
        for (name, value) in request.headers() {
            literal(&mut headers, HeaderName::as_str(name), value.as_bytes())?;
        }
        let body = request.body().clone();
        let body = futures_util::FutureExt::now_or_never(http_body_util::BodyExt::collect(body));
        let body = body.ok_or("a body is not ready")??.to_bytes();
        Ok(Self { headers, body })
    }
}

/// A header in plain bytes, which nothing refers to later (RFC 7541, section 6.2.2).
fn literal(block: &mut Vec<u8>, name: &str, value: &[u8]) -> Result<(), Error> {
    block.put_u8(0);
    for text in [name.as_bytes(), value] {
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 127);
        block.put_u8(length.ok_or("a header is too long")?);
        block.put_slice(text);
    }
    Ok(())
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.put_uint(payload.len() as u64, 3);
    out.put_slice(&[kind, flags]);
    out.put_u32(stream);
    out.put_slice(payload);
}

impl Connection {
    fn open(address: SocketAddr, writers: usize) -> Result<Self, Error> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.write_all(PREFACE)?;
        Ok(Self { stream, writers, next_stream: 1, unread: Vec::new(), unsent: Vec::new() })
    }

    fn run(&mut self, requests: &[Prepared], next: &impl Fn() -> Option<usize>) -> Result<(), Error> {
        let mut in_flight = 0;
        while in_flight < self.writers && self.send(requests, next) {
            in_flight += 1;
        }
        let mut bytes = [0; 16 * 1024];
        while in_flight > 0 {
            if !self.unsent.is_empty() {
                self.stream.write_all(&self.unsent)?;
                self.unsent.clear();
            }
            let read = self.stream.read(&mut bytes)?;
            if read == 0 {
                return Err("the server has closed a connection".into());
            }
            self.unread.extend_from_slice(&bytes[..read]);
            for _ in 0..self.answered()? {
                if !self.send(requests, next) {
                    in_flight -= 1;
                }
            }
        }
        Ok(())
    }

    /// Takes the next request, if there is one left.
    fn send(&mut self, requests: &[Prepared], next: &impl Fn() -> Option<usize>) -> bool {
        let Some(index) = next() else { return false };
        let Prepared { headers, body } = &requests[index % requests.len()];
        frame(&mut self.unsent, HEADERS, END_HEADERS, self.next_stream, headers);
        frame(&mut self.unsent, DATA, END_STREAM, self.next_stream, body);
        self.next_stream += 2;
        true
    }

    /// Reads the frames that are there; returns how many answers have ended.
    fn answered(&mut self) -> Result<usize, Error> {
        let (mut answered, mut at) = (0, 0);
        while let Some(header) = self.unread[at..].first_chunk::<FRAME_HEADER_BYTES>() {
            let [a, b, c, kind, flags, ..] = *header;
            let end = at + FRAME_HEADER_BYTES + u32::from_be_bytes([0, a, b, c]) as usize;
            let Some(payload) = self.unread.get(at + FRAME_HEADER_BYTES..end) else { break };
            at = end;
            match kind {
                DATA if flags & END_STREAM == 0 => {}
                HEADERS if flags & END_STREAM == 0 => {}
                HEADERS if payload == GRPC_OK => answered += 1,
                SETTINGS if flags & ACK == 0 => frame(&mut self.unsent, SETTINGS, ACK, 0, &[]),
                PING if flags & ACK == 0 => frame(&mut self.unsent, PING, ACK, 0, payload),
                SETTINGS | PING | WINDOW_UPDATE => {}
                _ => return Err(format!("a call failed: frame {kind}, flags {flags}, {payload:02x?}").into()),
            }
        }
        self.unread.drain(..at);
        Ok(answered)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn connection() -> Connection {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Connection::open(listener.local_addr().unwrap(), 1).unwrap()
    }

    /// Frames of an answer that ends with `trailers`.
    fn answer(trailers: &[u8]) -> Vec<u8> {
        let mut frames = Vec::new();
        frame(&mut frames, SETTINGS, 0, 0, &[]);
        frame(&mut frames, HEADERS, END_HEADERS, 1, &[0x88]);
        frame(&mut frames, DATA, 0, 1, b"message");
        frame(&mut frames, HEADERS, END_HEADERS | END_STREAM, 1, trailers);
        frames
    }

    #[test]
    fn an_answer_counts_once_it_has_ended_wherever_its_bytes_are_cut() {
        let frames = answer(GRPC_OK);
        for cut in 0..frames.len() {
            let mut connection = connection();
            let (first, rest) = frames.split_at(cut);
            connection.unread.extend_from_slice(first);
            assert_eq!(connection.answered().unwrap(), 0, "cut after {cut}");
            connection.unread.extend_from_slice(rest);
            assert_eq!(connection.answered().unwrap(), 1, "cut after {cut}");
            assert!(connection.unread.is_empty());
            let mut acknowledged = Vec::new();
            frame(&mut acknowledged, SETTINGS, ACK, 0, &[]);
            assert_eq!(connection.unsent, acknowledged);
        }
    }

    #[test]
    fn an_answer_that_ends_otherwise_is_a_failure() {
        // `grpc-status: 5`.
        let mut not_found = GRPC_OK.to_vec();
        *not_found.last_mut().unwrap() = 0x6f;
        let mut reset = Vec::new();
        frame(&mut reset, 3, 0, 1, &[0; 4]);
        let mut no_trailers = Vec::new();
        frame(&mut no_trailers, DATA, END_STREAM, 1, b"message");
        for frames in [answer(&not_found), reset, no_trailers] {
            let mut connection = connection();
            connection.unread = frames;
            assert!(connection.answered().is_err());
        }
    }
}
