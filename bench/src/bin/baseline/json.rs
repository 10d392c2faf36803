//! axum handlers: REST/JSON by serde_json, Connect by serde_json or prost.

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Path},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    map::Map,
    messages::{GetRequest, SetRequest},
};

/// The routes of the calls in REST, and their RPCs in Connect.
pub fn router(map: Arc<Map>) -> Router {
    let (setting, getting, listing, bulk) = (map.clone(), map.clone(), map.clone(), map.clone());
    let set = async move |Path(key): Path<String>, body: Bytes| match serde_json::from_slice(&body) {
        Ok(request) => json(setting.set(SetRequest { key, ..request })),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    let get_one = async move |Path(key): Path<String>| json(getting.get(GetRequest { key }));
    let list = async move |body: Bytes| match serde_json::from_slice(&body) {
        Ok(request) => json(listing.list(request)),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    let bulk = async move |body: Bytes| match serde_json::from_slice(&body) {
        Ok(request) => json(bulk.bulk(request)),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    Router::new()
        .route("/management/v1/metadata/_bulk", post(bulk))
        .route("/management/v1/metadata/_search", post(list))
        .route("/management/v1/metadata/{key}", get(get_one).post(set))
        .route("/zitadel.management.v1.ManagementService/SetOrgMetadata", rpc(&map, Map::set))
        .route("/zitadel.management.v1.ManagementService/BulkSetOrgMetadata", rpc(&map, Map::bulk))
        .route("/zitadel.management.v1.ManagementService/GetOrgMetadata", rpc(&map, Map::get))
        .route("/zitadel.management.v1.ManagementService/ListOrgMetadata", rpc(&map, Map::list))
        .layer(DefaultBodyLimit::disable())
}

/// A unary call in Connect.
fn rpc<Q, R>(map: &Arc<Map>, call: fn(&Map, Q) -> Option<R>) -> MethodRouter
where
    Q: Message + Default + DeserializeOwned + 'static,
    R: Message + Serialize + 'static,
{
    let map = map.clone();
    post(async move |headers: HeaderMap, body: Bytes| {
        if headers.get(CONTENT_TYPE).is_some_and(|codec| codec == "application/proto") {
            match Q::decode(body) {
                Ok(request) => proto(call(&map, request)),
                Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
            }
        } else {
            match serde_json::from_slice(&body) {
                Ok(request) => json(call(&map, request)),
                Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
            }
        }
    })
}

fn json<R: Serialize>(reply: Option<R>) -> Response {
    let Some(reply) = reply else { return StatusCode::NOT_FOUND.into_response() };
    match serde_json::to_vec(&reply) {
        Ok(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn proto<R: Message>(reply: Option<R>) -> Response {
    let Some(reply) = reply else { return StatusCode::NOT_FOUND.into_response() };
    ([(CONTENT_TYPE, "application/proto")], reply.encode_to_vec()).into_response()
}
