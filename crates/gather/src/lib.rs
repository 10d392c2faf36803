//! A buffer that messages are written to, in which what is large stays where it is: a value of a store goes to the socket
//! without having been copied.

use bytes::{Buf, BufMut, Bytes, buf::UninitSlice};

/// Smaller pieces are copied, in bytes: to hand over one more costs as much.
pub const PIECE_BYTES_MIN: usize = 16 * 1024;

/// Room for more is not taken before it is needed: much of it may never be written.
const CAPACITY_MAX: usize = 64 * 1024;

/// Room that is taken for what stands between two large pieces: mostly the rest of a message and the beginning of the next.
const BETWEEN_BYTES: usize = 256;

/// What was written so far: pieces that are done, and what is written now.
#[derive(Debug, Default)]
pub struct Gather {
    done: Vec<Bytes>,
    open: Vec<u8>,
}

impl Gather {
    /// One that is about to be written this many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { done: Vec::new(), open: Vec::with_capacity(bytes.min(CAPACITY_MAX)) }
    }

    /// One that goes on behind the pieces of another.
    pub fn behind(done: Vec<Bytes>, last: Bytes) -> Self {
        match last.try_into_mut() {
            Ok(open) => Self { done, open: open.into() },
            Err(shared) => {
                let mut gather = Self { done, open: Vec::new() };
                gather.put(shared);
                gather
            }
        }
    }

    /// How much was written, in bytes.
    pub fn len(&self) -> usize {
        self.done.iter().map(Bytes::len).sum::<usize>() + self.open.len()
    }

    /// Whether that is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All pieces before the last one, each of some size, and the last one, which may be empty. Where nothing is large there is
    /// but the last.
    pub fn into_pieces(self) -> (Vec<Bytes>, Bytes) {
        (self.done, self.open.into())
    }

    /// All of it, as one piece.
    pub fn into_bytes(self) -> Bytes {
        if self.done.is_empty() {
            return self.open.into();
        }
        let mut all = Vec::with_capacity(self.len());
        self.done.iter().for_each(|piece| all.extend_from_slice(piece));
        all.extend_from_slice(&self.open);
        all.into()
    }
}

impl<T: Into<Bytes>> From<T> for Gather {
    fn from(all: T) -> Self {
        Self::behind(Vec::new(), all.into())
    }
}

// SAFETY: what is not `put` goes to the `Vec`, whose own implementation keeps the promises that this one passes on.
unsafe impl BufMut for Gather {
    fn remaining_mut(&self) -> usize {
        self.open.remaining_mut()
    }

    #[inline]
    unsafe fn advance_mut(&mut self, count: usize) {
        // SAFETY: whoever calls has written `count` bytes of `chunk_mut`, which is that of `open`.
        unsafe { self.open.advance_mut(count) }
    }

    #[inline]
    fn chunk_mut(&mut self) -> &mut UninitSlice {
        self.open.chunk_mut()
    }

    #[inline]
    fn put_slice(&mut self, source: &[u8]) {
        self.open.extend_from_slice(source);
    }

    #[inline]
    fn put_u8(&mut self, byte: u8) {
        self.open.push(byte);
    }

    #[inline]
    fn put<T: Buf>(&mut self, mut source: T) {
        let length = source.remaining();
        if length < PIECE_BYTES_MIN {
            return self.open.put(source);
        }
        if !self.open.is_empty() {
            let next = Vec::with_capacity(BETWEEN_BYTES);
            self.done.push(std::mem::replace(&mut self.open, next).into());
        }
        // `Bytes` hands out itself.
        self.done.push(source.copy_to_bytes(length));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Write {
        Byte(u8),
        Slice(Vec<u8>),
        Bytes(usize),
        Zeros(usize),
    }

    fn writes() -> impl Strategy<Value = Vec<Write>> {
        let sizes = prop_oneof![0..200_usize, PIECE_BYTES_MIN - 1..PIECE_BYTES_MIN + 2, 60_000..70_000_usize];
        let write = prop_oneof![
            any::<u8>().prop_map(Write::Byte),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(Write::Slice),
            sizes.clone().prop_map(Write::Bytes),
            sizes.prop_map(Write::Zeros),
        ];
        prop::collection::vec(write, 0..12)
    }

    fn write(writes: &[Write], out: &mut impl BufMut) {
        for write in writes {
            match write {
                Write::Byte(byte) => out.put_u8(*byte),
                Write::Slice(slice) => out.put_slice(slice),
                Write::Bytes(length) => out.put(Bytes::from(vec![7; *length])),
                Write::Zeros(length) => out.put_bytes(0, *length),
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_everything_is_in_its_order(first in writes(), then in writes()) {
            let mut want = Vec::new();
            write(&first, &mut want);
            let mut gather = Gather::with_capacity(want.len());
            write(&first, &mut gather);
            let (done, last) = gather.into_pieces();
            prop_assert_eq!(done.concat().len() + last.len(), want.len());
            prop_assert!(done.iter().all(|piece| !piece.is_empty()));
            prop_assert_eq!([&*done.concat(), &*last].concat(), &*want);
            let mut gather = Gather::behind(done, last);
            write(&then, &mut gather);
            write(&then, &mut want);
            prop_assert_eq!(gather.into_bytes(), want);
        }
    }

    #[test]
    fn what_is_large_is_not_copied_and_what_is_small_is_one_piece() {
        let large = Bytes::from(vec![1; PIECE_BYTES_MIN]);
        let mut gather = Gather::default();
        gather.put_slice(b"before");
        gather.put(large.clone());
        gather.put(Bytes::from_static(b"behind"));
        let (done, last) = gather.into_pieces();
        assert_eq!((done.len(), &*done[0], &*last), (2, &b"before"[..], &b"behind"[..]));
        assert_eq!(done[1].as_ptr(), large.as_ptr());
    }
}
