//! The messages, as they come to whoever does nothing about them: fields as prost's generator makes them, JSON by serde's derives
//! and the crate base64.

use base64::{Engine, engine::general_purpose::STANDARD};
use protojson::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub struct SetRequest {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(bytes = "vec", tag = "2")]
    #[serde(deserialize_with = "bytes")]
    pub value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub struct BulkRequest {
    #[prost(message, repeated, tag = "1")]
    pub metadata: Vec<SetRequest>,
}

/// To a Set, and to a Bulk.
#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub struct SetResponse {
    #[prost(message, optional, tag = "1")]
    pub details: Option<ObjectDetails>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub struct GetRequest {
    #[prost(string, tag = "1")]
    pub key: String,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub struct GetResponse {
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<Metadata>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub struct ListRequest {
    #[prost(message, optional, tag = "1")]
    pub query: Option<ListQuery>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub struct ListQuery {
    #[prost(uint32, tag = "2")]
    pub limit: u32,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub struct ListResponse {
    #[prost(message, optional, tag = "1")]
    pub details: Option<ListDetails>,
    #[prost(message, repeated, tag = "2")]
    pub result: Vec<Metadata>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListDetails {
    #[prost(uint64, tag = "1")]
    #[serde(serialize_with = "text")]
    pub total_result: u64,
    #[prost(message, optional, tag = "3")]
    pub view_timestamp: Option<Timestamp>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub struct Metadata {
    #[prost(message, optional, tag = "1")]
    pub details: Option<ObjectDetails>,
    #[prost(string, tag = "2")]
    pub key: String,
    #[prost(bytes = "vec", tag = "3")]
    #[serde(serialize_with = "base64")]
    pub value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectDetails {
    #[prost(uint64, tag = "1")]
    #[serde(serialize_with = "text")]
    pub sequence: u64,
    #[prost(message, optional, tag = "2")]
    pub creation_date: Option<Timestamp>,
    #[prost(message, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_date: Option<Timestamp>,
    #[prost(string, tag = "4")]
    pub resource_owner: String,
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn base64<S: Serializer>(value: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(value))
}

fn text<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}
