//! Documents, held against another implementation of proto3 JSON.

use std::{fmt::Debug, sync::LazyLock};

use metagate::api::{
    DESCRIPTORS,
    generated::zitadel::{
        management::v1::{BulkSetOrgMetadataRequest, ListOrgMetadataRequest, SetOrgMetadataRequest},
        org::v2::ListOrganizationMetadataRequest,
    },
};
use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage};
use protojson::{Envelope, Unknown};
use serde::{Serialize, de::DeserializeOwned};

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).unwrap());

/// A document that is read here, and by prost-reflect, is the same message to both; and what is written of it is read
/// by both as that message again. What the strict reader takes, the other one takes as the same.
pub fn json(input: &[u8]) {
    let Some((choice, document)) = input.split_first() else { return };
    match choice % 4 {
        0 => check::<SetOrgMetadataRequest>(document),
        1 => check::<BulkSetOrgMetadataRequest>(document),
        2 => check::<ListOrgMetadataRequest>(document),
        _ => check::<ListOrganizationMetadataRequest>(document),
    }
}

fn check<M>(document: &[u8])
where
    M: Message + Name + Debug + Default + PartialEq + Serialize + DeserializeOwned,
{
    let Ok(read) = protojson::from_slice::<M>(document, Envelope::Whole) else {
        let strict = protojson::from_slice_with::<M>(document, Envelope::Whole, Unknown::Refused);
        assert!(strict.is_err(), "the strict reader takes more");
        return;
    };
    if let Ok(strict) = protojson::from_slice_with::<M>(document, Envelope::Whole, Unknown::Refused) {
        assert_eq!(strict, read);
    }
    if let Some(other) = reflect::<M>(document) {
        assert_eq!(M::decode(&*other.encode_to_vec()).unwrap(), read);
    }
    let written = protojson::to_vec(&read, 0).unwrap();
    assert_eq!(protojson::from_slice::<M>(&written, Envelope::Whole).unwrap(), read);
    let again = reflect::<M>(&written).unwrap();
    assert_eq!(M::decode(&*again.encode_to_vec()).unwrap(), read);
}

fn reflect<M: Name>(document: &[u8]) -> Option<DynamicMessage> {
    let descriptor = POOL.get_message_by_name(&M::full_name()).unwrap();
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let mut deserializer = serde_json::Deserializer::from_slice(document);
    let read = DynamicMessage::deserialize_with_options(descriptor, &mut deserializer, &options).ok()?;
    deserializer.end().ok()?;
    Some(read)
}
