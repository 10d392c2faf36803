//! Messages in envelopes: a flag, four bytes of length, a message (gRPC, gRPC-Web).

/// One envelope's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// 0 for a message, 1 for a compressed one, 0x80 for trailers of gRPC-Web.
    pub flag: u8,
    /// What it holds.
    pub message: &'a [u8],
}

/// Bytes in front of a message.
const HEAD_BYTES: usize = 5;

/// A message in an envelope.
pub fn wrap(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut envelope = Vec::with_capacity(HEAD_BYTES + message.len());
    envelope.push(flag);
    envelope.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    envelope.extend_from_slice(message);
    envelope
}

/// All envelopes of a body.
///
/// # Errors
/// If the last one breaks off.
pub fn unwrap(mut body: &[u8]) -> Result<Vec<Frame<'_>>, String> {
    let mut frames = Vec::new();
    while let Some((&flag, rest)) = body.split_first() {
        let broken = || format!("an envelope breaks off: {} bytes are left of it", body.len());
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(broken)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let (message, rest) = rest.split_at_checked(length).ok_or_else(broken)?;
        frames.push(Frame { flag, message });
        body = rest;
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_are_read_to_the_last_byte() {
        let body = [wrap(0, b"abc"), wrap(0x80, b"")].concat();
        let frames = unwrap(&body).unwrap();
        assert_eq!(frames, [Frame { flag: 0, message: b"abc" }, Frame { flag: 0x80, message: b"" }]);
        assert_eq!(unwrap(b""), Ok(Vec::new()));
        for end in 1..body.len() {
            assert_eq!(unwrap(&body[..end]).is_ok(), end == 8, "{end}");
        }
    }
}
