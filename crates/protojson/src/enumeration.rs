//! Enums: names, or numbers, known or not.

use std::marker::PhantomData;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::value::{Error as NameError, StrDeserializer},
};

use crate::{number::Number, raw::Raw, unknown};

/// The number of an enum value of type `E`; 0 for `null` and for unknown names.
pub struct EnumDeserialize<E>(pub i32, PhantomData<E>);

/// The numbers of a list of enum values of type `E`; unknown names are left out.
pub struct EnumsDeserialize<E>(pub Vec<i32>, PhantomData<E>);

/// An enum value, or a number that no value has.
pub struct EnumSerialize<E>(pub Result<E, i32>);

impl<E: Serialize> Serialize for EnumSerialize<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Ok(value) => value.serialize(serializer),
            Err(number) => serializer.serialize_i32(*number),
        }
    }
}

impl<'de, E: Deserialize<'de> + Into<i32>> Deserialize<'de> for EnumDeserialize<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = read::<E, D>(deserializer)?;
        Ok(Self(number.unwrap_or_default(), PhantomData))
    }
}

impl<'de, E: Deserialize<'de> + Into<i32>> Deserialize<'de> for EnumsDeserialize<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Known<E>(Option<i32>, PhantomData<E>);

        impl<'de, E: Deserialize<'de> + Into<i32>> Deserialize<'de> for Known<E> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(Self(read::<E, D>(deserializer)?, PhantomData))
            }
        }

        let items = Vec::<Known<E>>::deserialize(deserializer)?;
        Ok(Self(items.into_iter().filter_map(|item| item.0).collect(), PhantomData))
    }
}

/// `None` for `null` and for an unknown name.
fn read<'de, E: Deserialize<'de> + Into<i32>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i32>, D::Error> {
    let Some(raw) = Raw::read(deserializer)? else { return Ok(None) };
    match &raw {
        Raw::String(name) => {
            let known = E::deserialize(StrDeserializer::<NameError>::new(name)).ok();
            if known.is_none() {
                unknown::enum_value(name)?;
            }
            Ok(known.map(Into::into))
        }
        Raw::Number(literal) => i32::from_literal(literal).map(Some).ok_or_else(|| raw.refuse("enum")),
        Raw::Other(_) => Err(raw.refuse("enum")),
    }
}
