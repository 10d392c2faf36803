//! What the bare servers do with a call: a map behind a lock.

use std::{
    collections::BTreeMap,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use protojson::Timestamp;

use crate::messages::{
    BulkRequest, GetRequest, GetResponse, ListDetails, ListRequest, ListResponse, Metadata, ObjectDetails,
    SetRequest, SetResponse,
};

/// Values by key; one organization, whoever asks.
#[derive(Default)]
pub struct Map {
    values: RwLock<BTreeMap<String, Vec<u8>>>,
    sequence: AtomicU64,
}

impl Map {
    /// Puts a value. Never `None`.
    pub fn set(&self, request: SetRequest) -> Option<SetResponse> {
        self.bulk(BulkRequest { metadata: vec![request] })
    }

    /// Puts some values. Never `None`.
    pub fn bulk(&self, request: BulkRequest) -> Option<SetResponse> {
        let count = request.metadata.len() as u64;
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        values.extend(request.metadata.into_iter().map(|SetRequest { key, value }| (key, value)));
        let sequence = self.sequence.fetch_add(count, Ordering::Relaxed) + count;
        Some(SetResponse { details: Some(ObjectDetails { change_date: None, ..details(sequence) }) })
    }

    /// The value of a key; `None` if there is none.
    pub fn get(&self, request: GetRequest) -> Option<GetResponse> {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        let metadata = metadata(&request.key, values.get(&request.key)?);
        Some(GetResponse { metadata: Some(metadata) })
    }

    /// A page; filters are not looked at. Never `None`.
    pub fn list(&self, request: ListRequest) -> Option<ListResponse> {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        let limit = request.query.map_or(0, |query| query.limit);
        let result = values.iter().take(limit as usize).map(|(key, value)| metadata(key, value)).collect();
        let details = ListDetails { total_result: values.len() as u64, view_timestamp: Some(TIME) };
        Some(ListResponse { details: Some(details), result })
    }
}

/// To ask for the time is no part of a bare server; to write it is part of the message.
const TIME: Timestamp = Timestamp { seconds: 1_767_225_600, nanos: 123_456_000 };

fn metadata(key: &str, value: &[u8]) -> Metadata {
    Metadata { details: Some(details(1)), key: key.to_owned(), value: value.to_owned() }
}

fn details(sequence: u64) -> ObjectDetails {
    let resource_owner = "69629023906488334".to_owned();
    ObjectDetails { sequence, creation_date: Some(TIME), change_date: Some(TIME), resource_owner }
}
