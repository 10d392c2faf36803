//! A writer of documents: compact, with bytes in base64. What is written for every entry of a page is written at once, if there
//! is nothing in it to escape; what generated code never writes is left to serde_json.

use serde::{
    Serialize, Serializer,
    ser::{Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple},
};

use crate::{envelope::Error, quick::RAW};

/// Writes one value behind what there is.
pub(crate) struct Writer<'a>(pub(crate) &'a mut Vec<u8>);

/// Members of an object, or items of a list.
pub(crate) struct Members<'a> {
    out: &'a mut Vec<u8>,
    is_first: bool,
    close: u8,
}

impl<'a> Writer<'a> {
    fn members(self, [open, close]: [u8; 2]) -> Members<'a> {
        self.0.push(open);
        Members { out: self.0, is_first: true, close }
    }

    /// A number, or what is no more than that.
    fn scalar(self, value: impl Serialize) -> Result<(), Error> {
        Ok(serde_json::to_writer(self.0, &value)?)
    }
}

impl Members<'_> {
    fn next(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(b',');
        }
    }

    fn value(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        value.serialize(Writer(self.out))
    }

    fn close(self) -> Result<(), Error> {
        self.out.push(self.close);
        Ok(())
    }
}

/// Whether a text stands for itself between quotes. Sixteen bytes at once, the last of which may be looked at twice.
fn is_plain(text: &str) -> bool {
    let text = text.as_bytes();
    let is_escaped = |b: &u8| (*b < b' ') | (*b == b'"') | (*b == b'\\');
    let any = |piece: &[u8; 16]| piece.iter().fold(false, |any, b| any | is_escaped(b));
    match text.last_chunk() {
        Some(last) => !(text.as_chunks().0.iter().any(any) || any(last)),
        None => !text.iter().any(is_escaped),
    }
}

/// What serde_json writes as well.
macro_rules! scalars {
    ($($method:ident($type:ty))*) => {$(
        fn $method(self, value: $type) -> Result<(), Error> {
            self.scalar(value)
        }
    )*};
}

/// What no message has.
macro_rules! refused {
    ($($method:ident($($argument:ty),*) -> $type:ty;)*) => {$(
        fn $method(self, $(_: $argument),*) -> Result<$type, Error> {
            Err(Error::new(concat!("no message has what ", stringify!($method), " writes")))
        }
    )*};
}

impl<'a> Serializer for Writer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Members<'a>;
    type SerializeTuple = Members<'a>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Members<'a>;
    type SerializeStruct = Members<'a>;
    type SerializeStructVariant = Impossible<(), Error>;

    fn serialize_str(self, text: &str) -> Result<(), Error> {
        if !is_plain(text) {
            return self.scalar(text);
        }
        self.0.reserve(text.len() + 2);
        self.0.push(b'"');
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'"');
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Error> {
        self.0.push(b'"');
        base64_simd::STANDARD.encode_append(bytes, self.0);
        self.0.push(b'"');
        Ok(())
    }

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.0.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.0.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<(), Error> {
        self.serialize_str(name)
    }

    /// The text of a value as it stands, if it is called [`RAW`].
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        if name != RAW {
            return value.serialize(self);
        }
        let quoted = serde_json::to_string(value)?;
        self.0.extend_from_slice(serde_json::from_str::<String>(&quoted)?.as_bytes());
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Members<'a>, Error> {
        Ok(self.members(*b"[]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Members<'a>, Error> {
        self.serialize_seq(None)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members<'a>, Error> {
        Ok(self.members(*b"{}"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members<'a>, Error> {
        Ok(self.members(*b"{}"))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let mut members = self.members(*b"{}");
        members.serialize_field(name, value)?;
        SerializeStruct::end(members)
    }

    scalars! {
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
        serialize_f32(f32) serialize_f64(f64) serialize_char(char)
    }

    refused! {
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }
}

impl SerializeSeq for Members<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.next();
        self.value(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl SerializeTuple for Members<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<(), Error> {
        SerializeSeq::end(self)
    }
}

impl SerializeStruct for Members<'_> {
    type Ok = ();
    type Error = Error;

    /// The name is as it is: those of generated code have nothing to escape.
    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.next();
        self.out.reserve(name.len() + 3);
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.value(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

impl SerializeMap for Members<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.next();
        // Numbers and booleans are keys as texts.
        let key = serde_json::to_string(key)?;
        let is_quoted = key.starts_with('"');
        self.out.extend_from_slice(if is_quoted { key.as_bytes() } else { b"\"" });
        if !is_quoted {
            self.out.extend_from_slice(key.as_bytes());
            self.out.push(b'"');
        }
        self.out.push(b':');
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.value(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{private::base64, to_vec};

    #[derive(Clone, serde::Serialize)]
    enum Kind {
        Plain,
        With(i8),
    }

    #[derive(Clone, serde::Serialize)]
    struct Unit;

    #[derive(Clone, serde::Serialize)]
    struct Message {
        text: String,
        numbers: Vec<Option<i64>>,
        small: u8,
        fraction: f64,
        yes: Vec<bool>,
        names: BTreeMap<u32, &'static str>,
        flags: BTreeMap<bool, Option<char>>,
        kinds: [Vec<Kind>; 1],
        unit: Unit,
        inner: Option<Box<Message>>,
    }

    fn written(value: &(impl Serialize + ?Sized)) -> String {
        String::from_utf8(to_vec(value, 0).unwrap()).unwrap()
    }

    #[test]
    fn it_writes_what_serde_json_writes() {
        let mut message = Message {
            text: String::new(),
            numbers: vec![Some(0), None, Some(i64::MIN)],
            small: 255,
            fraction: 0.1,
            yes: vec![true, false],
            names: [(1, "one"), (2, "\"")].into(),
            flags: [(true, Some('ü')), (false, None)].into(),
            kinds: [vec![Kind::Plain, Kind::With(-1)]],
            unit: Unit,
            inner: None,
        };
        for text in ["", "a", "ü\u{7f}\u{2028}", "\"", "\\", "/", "\0", "a\nb\t", "\u{1f}", " ", "\u{1f600}"]
        {
            message.text = format!("{:40}{text}{:40}", "", "");
            let inner = Message { text: text.to_owned(), numbers: Vec::new(), ..message.clone() };
            message.inner = Some(Box::new(inner));
            assert_eq!(written(&message), serde_json::to_string(&message).unwrap());
        }
        for length in 0..40 {
            for (at, byte) in (0..length).flat_map(|at| (0..128).map(move |byte| (at, byte))) {
                let mut text = vec![b'x'; length];
                text[at] = byte;
                let text = String::from_utf8(text).unwrap();
                assert_eq!(written(&text), serde_json::to_string(&text).unwrap());
            }
        }
    }

    #[test]
    fn bytes_are_base64_and_what_is_raw_stands_as_it_is() {
        struct Raw(&'static str);

        impl Serialize for Raw {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_newtype_struct(RAW, self.0)
            }
        }

        for (bytes, text) in [("", ""), ("a", "YQ=="), ("ab", "YWI="), ("abc", "YWJj"), ("\u{3ff}", "z78=")] {
            assert_eq!(written(base64::encode(bytes.as_bytes()).as_str()), format!("\"{text}\""));
        }
        assert_eq!(written(&[Raw("{\"a\": 1}"), Raw("\"\\n\"")]), "[{\"a\": 1},\"\\n\"]");
    }
}
