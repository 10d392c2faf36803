//! A reader of what nearly everybody sends: it takes no escapes, no numbers but whole ones, and no unknown fields, and it
//! looks at base64 once. Whatever it does not take, be it right or wrong, is read again by serde_json, which knows why.

use memchr::{memchr, memchr2};
use serde::{
    Deserializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
    forward_to_deserialize_any,
};

/// Nobody's messages are deeper.
const DEPTH_MAX: usize = 32;

/// The name by which a type asks for the text of a value as it stands: [`Visitor::visit_borrowed_str`]; and by which it says that it
/// is such a text.
pub(crate) const RAW: &str = "$protojson::raw";

/// The name by which a type asks for what stands between quotes, which need be neither UTF-8 nor JSON:
/// [`Visitor::visit_borrowed_bytes`].
pub(crate) const QUOTED: &str = "$protojson::quoted";

/// Not for this reader.
#[derive(Debug)]
pub(crate) struct Unusual;

impl std::fmt::Display for Unusual {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not for the quick reader")
    }
}

impl std::error::Error for Unusual {}

impl serde::de::Error for Unusual {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self
    }
}

/// A document, and how far it was read.
pub(crate) struct Quick<'de> {
    rest: &'de [u8],
    depth: usize,
}

impl<'de> Quick<'de> {
    pub(crate) fn new(document: &'de [u8]) -> Self {
        Self { rest: document, depth: 0 }
    }

    /// Whether nothing but white space is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.peek().is_err()
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Result<u8, Unusual> {
        let blank = self.rest.iter().take_while(|b| b" \t\r\n".contains(b)).count();
        self.rest = &self.rest[blank..];
        self.rest.first().copied().ok_or(Unusual)
    }

    fn take(&mut self, length: usize) -> &'de [u8] {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    fn expect(&mut self, text: &[u8]) -> Result<(), Unusual> {
        self.peek()?;
        self.rest = self.rest.strip_prefix(text).ok_or(Unusual)?;
        Ok(())
    }

    /// What stands between quotes.
    fn quoted(&mut self) -> Result<&'de [u8], Unusual> {
        self.expect(b"\"")?;
        let quoted = self.take(memchr(b'"', self.rest).ok_or(Unusual)?);
        self.rest = &self.rest[1..];
        Ok(quoted)
    }

    /// A string without escapes.
    fn string(&mut self) -> Result<&'de str, Unusual> {
        self.expect(b"\"")?;
        let text = self.take(memchr2(b'"', b'\\', self.rest).ok_or(Unusual)?);
        self.expect(b"\"")?;
        let is_plain = text.iter().fold(true, |plain, b| plain & (*b >= b' '));
        std::str::from_utf8(text).ok().filter(|_| is_plain).ok_or(Unusual)
    }

    /// A scalar as it stands.
    fn raw(&mut self) -> Result<&'de str, Unusual> {
        let first = self.peek()?;
        let start = self.rest;
        let length = match first {
            b'"' => self.string()?.len() + 2,
            b't' => 4,
            b'f' => 5,
            _ => {
                let sign = usize::from(first == b'-');
                let digits = start[sign..].iter().take_while(|b| b.is_ascii_digit()).count();
                let is_whole = !matches!(start.get(sign + digits), Some(b'.' | b'e' | b'E'));
                if digits == 0 || digits > 1 && start[sign] == b'0' || !is_whole {
                    return Err(Unusual);
                }
                sign + digits
            }
        };
        let raw = start.get(..length).ok_or(Unusual)?;
        if first == b't' && raw != b"true" || first == b'f' && raw != b"false" {
            return Err(Unusual);
        }
        self.rest = &start[length..];
        std::str::from_utf8(raw).map_err(|_| Unusual)
    }

    /// What `read` reads between brackets.
    fn within<T>(
        &mut self,
        open: &[u8],
        close: &[u8],
        read: impl FnOnce(&mut Self) -> Result<T, Unusual>,
    ) -> Result<T, Unusual> {
        self.expect(open)?;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Unusual);
        }
        let read = read(self)?;
        self.depth -= 1;
        self.expect(close)?;
        Ok(read)
    }

    /// Whether another member or item follows.
    fn goes_on(&mut self, is_first: &mut bool, close: u8) -> Result<bool, Unusual> {
        if self.peek()? == close {
            return Ok(false);
        }
        if !std::mem::take(is_first) {
            self.expect(b",")?;
        }
        Ok(true)
    }
}

impl<'de> Deserializer<'de> for &mut Quick<'de> {
    type Error = Unusual;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Unusual> {
        Err(Unusual)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        if self.peek()? == b'n' {
            self.expect(b"null")?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        match self.raw()? {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(Unusual),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        visitor.visit_borrowed_str(self.string()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        self.deserialize_str(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unusual> {
        match name {
            RAW => visitor.visit_borrowed_str(self.raw()?),
            QUOTED => visitor.visit_borrowed_bytes(self.quoted()?),
            _ => Err(Unusual),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        self.within(b"[", b"]", |quick| visitor.visit_seq(Members { quick, is_first: true }))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unusual> {
        self.within(b"{", b"}", |quick| visitor.visit_map(Members { quick, is_first: true }))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unusual> {
        self.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple_struct tuple enum
        ignored_any
    }
}

/// Members of an object, or items of a list.
struct Members<'a, 'de> {
    quick: &'a mut Quick<'de>,
    is_first: bool,
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = Unusual;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Unusual> {
        if !self.quick.goes_on(&mut self.is_first, b'}')? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.quick).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unusual> {
        self.quick.expect(b":")?;
        seed.deserialize(&mut *self.quick)
    }
}

impl<'de> SeqAccess<'de> for Members<'_, 'de> {
    type Error = Unusual;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Unusual> {
        if !self.quick.goes_on(&mut self.is_first, b']')? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.quick).map(Some)
    }
}
