//! `google.protobuf.Any`, whose JSON is that of the message inside.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use ::bytes::Bytes;
use prost::{Message, Name};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{Envelope, Error, from_slice, quick::RAW, to_vec};

/// What stands before a message's name where nobody says otherwise.
pub const TYPE_URL_PREFIX: &str = "type.googleapis.com/";

/// The types that an [`Any`] in JSON may hold, by name.
static TYPES: RwLock<Option<HashMap<&'static str, Type>>> = RwLock::new(None);

/// Any message, with the name of its type.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct Any {
    /// The full name of the message behind the last `/`.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// The message in protobuf.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

impl Any {
    /// Packs a message.
    pub fn pack<M: Message + Name>(message: &M) -> Self {
        let type_url = format!("{TYPE_URL_PREFIX}{}", M::full_name());
        Self { type_url, value: message.encode_to_vec().into() }
    }

    /// The full name of the message.
    pub fn type_name(&self) -> &str {
        self.type_url.rsplit_once('/').map_or(&*self.type_url, |(_, name)| name)
    }

    /// The message inside as a JSON object, without the name of its type.
    ///
    /// # Errors
    /// If its type was not [registered](register), or if the value is no such message.
    pub fn message_to_json(&self) -> Result<String, Error> {
        (resolve(self.type_name())?.to_json)(&self.value)
    }
}

/// A message type that an [`Any`] in JSON may hold.
#[derive(Clone, Copy)]
pub struct Type {
    name: &'static str,
    to_json: fn(&[u8]) -> Result<String, Error>,
    from_json: fn(&str) -> Result<Bytes, Error>,
}

impl Type {
    /// The type `M`, whose full name is `name`.
    pub const fn of<M: Message + Default + Serialize + DeserializeOwned>(name: &'static str) -> Self {
        Self {
            name,
            to_json: |proto| {
                let message = M::decode(proto).map_err(|error| Error::new(&error.to_string()))?;
                let json = to_vec(&message, 0)?;
                String::from_utf8(json).map_err(|error| Error::new(&error.to_string()))
            },
            // The name of the type is an unknown field of the message, and so is ignored.
            from_json: |json| Ok(from_slice::<M>(json.as_bytes(), Envelope::Whole)?.encode_to_vec().into()),
        }
    }
}

/// Makes types known, for the whole process.
pub fn register(types: impl IntoIterator<Item = Type>) {
    let mut known = TYPES.write().unwrap_or_else(PoisonError::into_inner);
    known.get_or_insert_default().extend(types.into_iter().map(|each| (each.name, each)));
}

fn resolve(name: &str) -> Result<Type, Error> {
    let known = TYPES.read().unwrap_or_else(PoisonError::into_inner);
    let found = known.as_ref().and_then(|known| known.get(name).copied());
    found.ok_or_else(|| Error::new(&format!("google.protobuf.Any: unknown message type {name:?}")))
}

/// The JSON of an `Any` that holds a message: the object `message_json`, with the name of its type.
pub fn any_json(type_url: &str, message_json: &str) -> String {
    let name = serde_json::Value::from(type_url);
    let fields = message_json.strip_prefix('{').unwrap_or("}");
    let comma = if fields == "}" { "" } else { "," };
    format!("{{\"@type\":{name}{comma}{fields}")
}

impl Serialize for Any {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;
        if *self == Self::default() {
            return HashMap::<&str, &str>::new().serialize(serializer);
        }
        let json = self.message_to_json().map_err(S::Error::custom)?;
        serializer.serialize_newtype_struct(RAW, &any_json(&self.type_url, &json))
    }
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;

        #[derive(Deserialize)]
        struct Typed<'a> {
            #[serde(rename = "@type", borrow)]
            type_url: Option<Cow<'a, str>>,
        }

        let Some(raw) = Option::<&'de RawValue>::deserialize(deserializer)? else {
            return Err(D::Error::custom("null is no google.protobuf.Any"));
        };
        let json = raw.get();
        let Typed { type_url } = serde_json::from_str(json).map_err(D::Error::custom)?;
        let Some(type_url) = type_url else {
            return match json.strip_prefix('{').map(str::trim_start) {
                Some("}") => Ok(Self::default()),
                _ => Err(D::Error::custom("google.protobuf.Any: missing \"@type\"")),
            };
        };
        let any = Self { type_url: type_url.into_owned(), value: Bytes::new() };
        let from_json = resolve(any.type_name()).map_err(D::Error::custom)?.from_json;
        let value = from_json(json).map_err(D::Error::custom)?;
        Ok(Self { value, ..any })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As generated code does it: unknown fields are ignored.
    #[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
    #[serde(default)]
    struct Packed {
        #[prost(string, tag = "1")]
        #[serde(skip_serializing_if = "String::is_empty")]
        name: String,
        #[prost(message, repeated, tag = "2")]
        #[serde(skip_serializing_if = "Vec::is_empty")]
        more: Vec<Any>,
    }

    impl Name for Packed {
        const NAME: &'static str = "Packed";
        const PACKAGE: &'static str = "a.b";
    }

    fn read(json: &str) -> Result<Any, Error> {
        register([Type::of::<Packed>("a.b.Packed")]);
        from_slice(json.as_bytes(), Envelope::Whole)
    }

    #[test]
    fn the_message_inside_is_written_and_read_with_the_name_of_its_type() {
        let inner = Packed { name: "inner".into(), more: Vec::new() };
        for (message, want) in [
            (Packed::default(), r#"{"@type":"type.googleapis.com/a.b.Packed"}"#),
            (inner.clone(), r#"{"@type":"type.googleapis.com/a.b.Packed","name":"inner"}"#),
            (
                Packed { name: "outer".into(), more: vec![Any::pack(&inner)] },
                concat!(
                    r#"{"@type":"type.googleapis.com/a.b.Packed","name":"outer","#,
                    r#""more":[{"@type":"type.googleapis.com/a.b.Packed","name":"inner"}]}"#
                ),
            ),
        ] {
            let any = Any::pack(&message);
            assert_eq!(read(want).unwrap(), any, "{want}");
            assert_eq!(String::from_utf8(to_vec(&any, 0).unwrap()).unwrap(), want);
        }
        assert_eq!(to_vec(&Any::default(), 0).unwrap(), b"{}");
    }

    #[test]
    fn what_any_may_be() {
        for (json, want) in [
            ("{}", Ok("")),
            ("{ }", Ok("")),
            (r#"{"name":"x","@type":"example.org/path/a.b.Packed"}"#, Ok("example.org/path/a.b.Packed")),
            (r#"{"name":"x"}"#, Err("missing \"@type\"")),
            (r#"{"@type":"type.googleapis.com/a.b.Other"}"#, Err("unknown message type \"a.b.Other\"")),
            (r#"{"@type":"type.googleapis.com/a.b.Packed","name":1}"#, Err("invalid type")),
            ("null", Err("null")),
            ("[]", Err("")),
        ] {
            match (read(json), want) {
                (Ok(any), Ok(type_url)) => assert_eq!(any.type_url, type_url, "{json}"),
                (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{json}: {error}"),
                (read, _) => panic!("{json}: {read:?}"),
            }
        }
    }
}
