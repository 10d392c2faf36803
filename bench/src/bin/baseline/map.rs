//! What the bare servers do with a call: a map behind a lock.

use std::{
    collections::BTreeMap,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use metagate::api::generated::zitadel::{
    management::v1::{
        GetOrgMetadataRequest, GetOrgMetadataResponse, ListOrgMetadataRequest, ListOrgMetadataResponse,
        SetOrgMetadataRequest, SetOrgMetadataResponse,
    },
    metadata::v1::Metadata,
    v1::{ListDetails, ObjectDetails},
};

/// Values by key; one organization, whoever asks.
#[derive(Default)]
pub struct Map {
    values: RwLock<BTreeMap<String, Bytes>>,
    sequence: AtomicU64,
}

impl Map {
    /// Puts a value. Never `None`.
    pub fn set(&self, request: SetOrgMetadataRequest) -> Option<SetOrgMetadataResponse> {
        let SetOrgMetadataRequest { key, value } = request;
        self.values.write().unwrap_or_else(PoisonError::into_inner).insert(key, value);
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        Some(SetOrgMetadataResponse {
            details: Some(ObjectDetails { change_date: None, ..details(sequence) }),
        })
    }

    /// The value of a key; `None` if there is none.
    pub fn get(&self, request: GetOrgMetadataRequest) -> Option<GetOrgMetadataResponse> {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        let metadata = metadata(&request.key, values.get(&request.key)?);
        Some(GetOrgMetadataResponse { metadata: Some(metadata) })
    }

    /// A page; filters are not looked at. Never `None`.
    pub fn list(&self, request: ListOrgMetadataRequest) -> Option<ListOrgMetadataResponse> {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        let limit = request.query.map_or(0, |query| query.limit);
        let result = values.iter().take(limit as usize).map(|(key, value)| metadata(key, value)).collect();
        let details = ListDetails {
            total_result: values.len() as u64,
            processed_sequence: 0,
            view_timestamp: Some(TIME),
        };
        Some(ListOrgMetadataResponse { details: Some(details), result })
    }
}

/// To ask for the time is no part of a bare server; to write it is part of the message.
const TIME: protojson::Timestamp = protojson::Timestamp { seconds: 1_767_225_600, nanos: 123_456_000 };

fn metadata(key: &str, value: &Bytes) -> Metadata {
    Metadata { details: Some(details(1)), key: key.to_owned(), value: value.clone() }
}

fn details(sequence: u64) -> ObjectDetails {
    let resource_owner = "69629023906488334".to_owned();
    ObjectDetails { sequence, creation_date: Some(TIME), change_date: Some(TIME), resource_owner }
}
