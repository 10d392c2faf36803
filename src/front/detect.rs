//! Which protocol a new connection speaks.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};

/// What an HTTP/2 client with prior knowledge sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A protocol, and the bytes that were read to find out.
#[derive(Debug, PartialEq, Eq)]
pub enum Detected {
    /// HTTP/1.1 or 1.0; or nothing that HTTP would know, which HTTP/1.1 will say.
    Http1(Vec<u8>),
    /// HTTP/2.
    Http2(Vec<u8>),
}

/// Reads until the protocol is clear; `None` if the peer is gone before.
///
/// # Errors
/// What reading said; `TimedOut` if the peer takes longer than `wait_max`.
pub async fn detect(
    stream: &mut (impl AsyncRead + Unpin),
    wait_max: Duration,
) -> io::Result<Option<Detected>> {
    timeout(wait_max, read(stream)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Detected>> {
    let mut ahead = Vec::with_capacity(PREFACE.len());
    loop {
        if stream.take((PREFACE.len() - ahead.len()) as u64).read_buf(&mut ahead).await? == 0 {
            return Ok(None);
        }
        if !PREFACE.starts_with(&ahead) {
            return Ok(Some(Detected::Http1(ahead)));
        }
        if ahead.len() == PREFACE.len() {
            return Ok(Some(Detected::Http2(ahead)));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn first_bytes() {
        for (pieces, want) in [
            (&[PREFACE][..], Some(Detected::Http2(PREFACE.to_vec()))),
            (&[&PREFACE[..3], &PREFACE[3..], b"frames"], Some(Detected::Http2(PREFACE.to_vec()))),
            (&[b"GET / HTTP/1.1\r\n"], Some(Detected::Http1(b"GET / HTTP/1.1\r\n".to_vec()))),
            (
                &[b"PR", b"OPFIND / HTTP/1.1\r\n"],
                Some(Detected::Http1(b"PROPFIND / HTTP/1.1\r\n"[..21].to_vec())),
            ),
            (&[], None),
            (&[b"PRI * HT"], None),
        ] {
            let (mut client, mut server) = tokio::io::duplex(1024);
            let detected = tokio::spawn(async move { (detect(&mut server, LONG).await, server) });
            for piece in pieces {
                client.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            drop(client);
            let detected = detected.await.unwrap().0.unwrap();
            match (detected, want) {
                // How much was read ahead depends on how it came.
                (Some(Detected::Http1(ahead)), Some(Detected::Http1(all))) => {
                    assert!(all.starts_with(&ahead))
                }
                (detected, want) => assert_eq!(detected, want, "{pieces:?}"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_not_waited_for() {
        for first in [&b""[..], b"PRI * HT"] {
            let (mut client, mut server) = tokio::io::duplex(1024);
            client.write_all(first).await.unwrap();
            let error = detect(&mut server, LONG).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
    }
}
