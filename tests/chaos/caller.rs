//! Whoever calls: through a gateway, in some encoding, or a store itself. A value is a number, padded.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{Change, Entry, Key, OrganizationId, Query};
use serde_json::{Value, json};
use storage::{Store, StoreError};

use crate::{
    client::Client,
    dialect::{self, BULK, Call, Dialect, GET, LIST, SET},
};

/// What is written.
#[derive(Clone, Debug)]
pub enum Write {
    Set(String, u64),
    /// The same value for each key.
    Bulk(Vec<String>, u64),
    Remove(String),
}

/// What is known of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The number of its last event.
    Written(u64),
    /// Refused: what was to be removed is absent.
    Absent,
    Open(Open),
}

/// Why an outcome is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// The answer was UNAVAILABLE.
    Unavailable,
    /// There was none.
    Cut,
    /// There was not even a connection, so that nothing happened.
    Refused,
}

/// Values and numbers, by key.
pub type Entries = BTreeMap<String, (u64, u64)>;

/// Calls, one after the other.
pub struct Caller {
    pub organization: String,
    via: Via,
}

enum Via {
    Gateway(Dialect, SocketAddr, Option<Client>),
    Store(Arc<dyn Store>),
}

impl Caller {
    /// Who calls a gateway.
    pub fn of_gateway(dialect: Dialect, address: SocketAddr, organization: &str) -> Self {
        Self { organization: organization.to_owned(), via: Via::Gateway(dialect, address, None) }
    }

    /// Who calls a store.
    pub fn of_store(store: Arc<dyn Store>, organization: &str) -> Self {
        Self { organization: organization.to_owned(), via: Via::Store(store) }
    }

    /// Whether single keys can be removed, and looked up.
    pub fn speaks(&self, rpc: &str) -> bool {
        match &self.via {
            Via::Gateway(dialect, ..) => dialect.speaks(rpc),
            Via::Store(_) => true,
        }
    }

    /// Writes.
    ///
    /// # Panics
    /// If the answer is none that a write may have.
    pub async fn write(&mut self, write: &Write) -> Answer {
        if let Via::Store(store) = &self.via {
            let changes = changes(write);
            return match store.apply(&OrganizationId::new(&self.organization).unwrap(), changes).await {
                Ok(details) => Answer::Written(details.sequence),
                Err(StoreError::KeyAbsent { .. }) => Answer::Absent,
                Err(StoreError::Unavailable(_)) => Answer::Open(Open::Unavailable),
                Err(error) => panic!("{write:?}: {error}"),
            };
        }
        let (rpc, message) = match write {
            Write::Set(key, value) => (SET, json!({"key": key, "value": padded(*value)})),
            Write::Bulk(keys, value) => {
                let entry = |key| json!({"key": key, "value": padded(*value)});
                (BULK, json!({"metadata": keys.iter().map(entry).collect::<Vec<_>>()}))
            }
            Write::Remove(key) => (dialect::REMOVE, json!({"key": key})),
        };
        match self.call(rpc, message).await {
            Ok(Some(response)) => Answer::Written(number(&response["details"]["sequence"])),
            Ok(None) => Answer::Absent,
            Err(open) => Answer::Open(open),
        }
    }

    /// Reads a key: its value, and its number.
    pub async fn get(&mut self, key: &str) -> Result<Option<(u64, u64)>, Open> {
        if let Via::Store(store) = &self.via {
            let id = OrganizationId::new(&self.organization).unwrap();
            let entry =
                store.get(&id, &Key::new(key.to_owned()).unwrap()).await.map_err(|_| Open::Unavailable)?;
            return Ok(entry.map(|entry| (of_bytes(&entry.value), entry.sequence)));
        }
        let response = self.call(GET, json!({"key": key})).await?;
        Ok(response.map(|response| entry(&response["metadata"])))
    }

    /// Reads all.
    pub async fn list(&mut self) -> Result<Entries, Open> {
        if let Via::Store(store) = &self.via {
            let id = OrganizationId::new(&self.organization).unwrap();
            let page = store.list(&id, Query::default()).await.map_err(|_| Open::Unavailable)?;
            let of = |entry: Entry| (entry.key.as_str().to_owned(), (of_bytes(&entry.value), entry.sequence));
            return Ok(page.entries.into_iter().map(of).collect());
        }
        let response = self.call(LIST, json!({})).await?.unwrap();
        let found = response["result"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(found.iter().map(|item| (item["key"].as_str().unwrap().to_owned(), entry(item))).collect())
    }

    /// Counts the keys that hold a text.
    pub async fn count(&mut self, text: &str) -> Result<usize, Open> {
        let holds = json!({"keyQuery": {"key": text, "method": "TEXT_QUERY_METHOD_CONTAINS"}});
        let response = self.call(LIST, json!({"queries": [holds]})).await?.unwrap();
        Ok(response["result"].as_array().map_or(0, Vec::len))
    }

    /// The response; `None` if something is absent.
    async fn call(&mut self, rpc: &str, message: Value) -> Result<Option<Value>, Open> {
        let Via::Gateway(dialect, address, kept) = &mut self.via else { panic!("no gateway") };
        let mut client = match kept.take() {
            Some(client) => client,
            None => Client::try_connect(*address, dialect.version).await.map_err(|_| Open::Refused)?,
        };
        let headers = [("authorization", "Bearer owner"), ("x-zitadel-orgid", &*self.organization)];
        let call = Call { rpc, headers: &headers, message };
        let outcome = dialect.try_call(&mut client, &call).await.map_err(|_| Open::Cut)?;
        *kept = Some(client);
        match outcome {
            Ok(response) => Ok(Some(response)),
            Err(failure) if failure.code == 5 => Ok(None),
            Err(failure) if failure.code == 14 => Err(Open::Unavailable),
            Err(failure) => panic!("{dialect:?}, {rpc}: {failure:?}"),
        }
    }
}

fn changes(write: &Write) -> Vec<Change> {
    let key = |key: &str| Key::new(key.to_owned()).unwrap();
    let value = |value: u64| value.to_string().into();
    match write {
        Write::Set(name, number) => vec![Change::Set { key: key(name), value: value(*number) }],
        Write::Bulk(names, number) => {
            let set = |name: &String| Change::SetIfDifferent { key: key(name), value: value(*number) };
            names.iter().map(set).collect()
        }
        Write::Remove(name) => vec![Change::Remove { key: key(name) }],
    }
}

/// Some values are long, so that they do not stand in a row or a packet with others.
fn padded(value: u64) -> String {
    let size = [1, 900, 1, 6_000][value as usize % 4];
    STANDARD.encode(format!("{value:<size$}"))
}

fn entry(item: &Value) -> (u64, u64) {
    let text = item["value"].as_str().unwrap();
    let value = of_bytes(&STANDARD.decode(text).unwrap());
    assert_eq!(text, padded(value));
    (value, number(&item["details"]["sequence"]))
}

fn of_bytes(bytes: &[u8]) -> u64 {
    std::str::from_utf8(bytes).unwrap().trim_end().parse().unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}
