//! Records of a ZITADEL, read through its public API: the organizations that a token can see, and their metadata.
//!
//! Lists have no order that lasts, and there is no snapshot: what is written meanwhile may be missed. Where that is seen,
//! the import ends.

use std::{collections::HashSet, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::{Details, Entry, Key, Organization, OrganizationId, OrganizationState, Timestamp};
use http::{HeaderValue, Method, Request, Uri, header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use storage::{
    StoreError,
    archive::{self, Batch, Batches, Record, Records},
};

use super::CommandError;
use crate::outgoing::{Answer, Outgoing};

/// How many organizations, or entries, are asked for at once.
const PAGE: u64 = 100;

/// The largest answer, in bytes: a page of the largest values takes 67 MB.
const ANSWER_BYTES_MAX: usize = 128 * 1024 * 1024;

/// How long an answer may take.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// The records of the ZITADEL at `url`, as far as `token` can see them.
pub(super) fn records(url: &str, token: &SecretString) -> Result<Records, CommandError> {
    let zitadel = Zitadel::at(url, token).map_err(CommandError::Zitadel)?;
    Ok(archive::read_by(|batches| {
        tokio::spawn(async move {
            if let Err(reason) = zitadel.read(&batches).await {
                // Whoever does not wait for it does not need it.
                let _ = batches.send(Err(StoreError::unavailable(reason))).await;
            }
        })
    }))
}

struct Zitadel {
    outgoing: Outgoing,
    url: String,
    authorization: HeaderValue,
}

/// A part of a list.
#[derive(Deserialize)]
struct Page<T> {
    #[serde(default = "Vec::new")]
    result: Vec<T>,
    #[serde(default)]
    details: OfPage,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct OfPage {
    total_result: String,
}

/// What was seen of a list that has no order: each once, and all in the end, or something was changed meanwhile.
struct Seen<'a> {
    what: &'a str,
    names: HashSet<String>,
    total: String,
}

impl<'a> Seen<'a> {
    fn new(what: &'a str) -> Self {
        Self { what, names: HashSet::new(), total: String::new() }
    }

    /// From where on the next part is.
    fn offset(&self) -> usize {
        self.names.len()
    }

    /// Takes note of a part. Gives what is in it; `None` at the end.
    fn part<T>(&mut self, page: Page<T>, name: impl Fn(&T) -> &str) -> Result<Option<Vec<T>>, String> {
        if page.result.is_empty() {
            let all: usize = self.total.parse().unwrap_or_default();
            return if self.names.len() == all { Ok(None) } else { Err(self.changed()) };
        }
        for listed in &page.result {
            if !self.names.insert(name(listed).to_owned()) {
                return Err(self.changed());
            }
        }
        self.total = page.details.total_result;
        Ok(Some(page.result))
    }

    fn changed(&self) -> String {
        format!("{} was changed while it was read; start again, with --replace", self.what)
    }
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    state: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Mine {
    org: OfMine,
}

#[derive(Deserialize)]
struct OfMine {
    details: Event,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    sequence: String,
    creation_date: String,
    change_date: String,
}

#[derive(Deserialize)]
struct Metadata {
    details: Event,
    key: String,
    #[serde(default)]
    value: String,
}

impl Zitadel {
    fn at(url: &str, token: &SecretString) -> Result<Self, String> {
        let url = url.trim_end_matches('/').to_owned();
        let uri = url.parse::<Uri>().ok().filter(|uri| {
            // By name and password nobody logs in there, and they would be in each error.
            let is_plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
            is_plain && matches!(uri.scheme_str(), Some("http" | "https"))
        });
        if uri.is_none() {
            let url = storage_postgres::without_password(&url);
            return Err(format!(
                "{url:?} is not allowed; allowed is a URL, such as https://zitadel.example.com"
            ));
        }
        let authorization = format!("Bearer {}", token.expose_secret().trim());
        let mut authorization = HeaderValue::from_str(&authorization)
            .map_err(|_| "the token has signs that no token has".to_owned())?;
        authorization.set_sensitive(true);
        let outgoing = Outgoing::new(ANSWER_BYTES_MAX, ANSWER_WAIT)?;
        Ok(Self { outgoing, url, authorization })
    }

    /// Reads until all is read, or nobody takes it any more.
    async fn read(&self, batches: &Batches) -> Result<(), String> {
        let mut seen = Seen::new("the list of organizations");
        while let Some(organizations) =
            seen.part(self.organizations(seen.offset()).await?, |listed| &listed.id)?
        {
            for organization in organizations {
                if !self.read_organization(organization, batches).await? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Whether somebody still takes what is read.
    async fn read_organization(&self, listed: Listed, batches: &Batches) -> Result<bool, String> {
        let id = OrganizationId::new(&listed.id).map_err(|error| error.to_string())?;
        // Lists of organizations leave metadata's events out, and these count them.
        let mine: Mine = self.ask(Method::GET, "/management/v1/orgs/me", Some(&id), Bytes::new()).await?;
        let (sequence, created_at, last_event_at) = mine.org.details.read()?;
        let state = match listed.state.as_str() {
            "ORGANIZATION_STATE_INACTIVE" => OrganizationState::Inactive,
            "ORGANIZATION_STATE_REMOVED" => OrganizationState::Removed,
            _ => OrganizationState::Active,
        };
        // Which of the events was the last of metadata is not told.
        let last_metadata_event = Details { sequence, at: last_event_at };
        let organization = Organization {
            id: id.clone(),
            name: listed.name,
            state,
            created_at,
            sequence,
            last_metadata_event,
        };
        let mut batch = Batch::default();
        if !give(batches, batch.push(Record::Organization { organization, last_event_at })).await {
            return Ok(false);
        }
        let what = format!("organization {:?}", id.as_str());
        let mut seen = Seen::new(&what);
        while let Some(entries) =
            seen.part(self.metadata(&id, seen.offset()).await?, |metadata: &Metadata| &metadata.key)?
        {
            for Metadata { details, key, value } in entries {
                let (of_entry, created_at, changed_at) = details.read()?;
                if of_entry > sequence {
                    return Err(seen.changed());
                }
                let value = STANDARD
                    .decode(value)
                    .map_err(|error| format!("a value of {:?}: {error}", id.as_str()))?;
                let entry = Entry {
                    key: Key::new(key).map_err(|error| error.to_string())?,
                    value: Bytes::from(value),
                    sequence: of_entry,
                    created_at: created_at.min(last_event_at),
                    // Its events are numbered as they are committed, and have the times at which they were begun.
                    changed_at: changed_at.min(last_event_at),
                };
                if !give(batches, batch.push(Record::Entry { organization: id.clone(), entry })).await {
                    return Ok(false);
                }
            }
        }
        Ok(give(batches, batch.take()).await)
    }

    async fn organizations(&self, offset: usize) -> Result<Page<Listed>, String> {
        let query = json!({
            "query": { "offset": offset.to_string(), "limit": PAGE, "asc": true },
            "sortingColumn": "ORGANIZATION_FIELD_NAME_CREATION_DATE",
        });
        self.ask(Method::POST, "/v2/organizations/_search", None, query.to_string()).await
    }

    async fn metadata(&self, organization: &OrganizationId, offset: usize) -> Result<Page<Metadata>, String> {
        let query = json!({ "query": { "offset": offset.to_string(), "limit": PAGE } });
        let path = "/management/v1/metadata/_search";
        self.ask(Method::POST, path, Some(organization), query.to_string()).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        organization: Option<&OrganizationId>,
        body: impl Into<Bytes>,
    ) -> Result<T, String> {
        let url = format!("{}{path}", self.url);
        let mut request = Request::builder()
            .method(method)
            .uri(&url)
            .header(header::AUTHORIZATION, &self.authorization)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(organization) = organization {
            request = request.header("x-zitadel-orgid", organization.as_str());
        }
        let request = request.body(body.into()).map_err(|error| format!("{url}: {error}"))?;
        let Answer { status, body, .. } = self.outgoing.send(request).await?;
        if !status.is_success() {
            let said: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            let said = said["message"].as_str().unwrap_or("it does not say why").replace('\n', " ");
            return Err(format!("{url}: {status}: {said}"));
        }
        serde_json::from_slice(&body).map_err(|error| format!("{url}: not what was asked for: {error}"))
    }
}

impl Event {
    /// Number, creation and last change.
    fn read(self) -> Result<(u64, Timestamp, Timestamp), String> {
        let Self { sequence, creation_date, change_date } = self;
        let time = |text: String| {
            let time: Result<jiff::Timestamp, _> = text.parse();
            time.map(|time| Timestamp::from_micros(time.as_microsecond()))
                .map_err(|error| format!("{text:?}: {error}"))
        };
        let sequence = sequence.parse().map_err(|_| format!("{sequence:?} is not a sequence"))?;
        Ok((sequence, time(creation_date)?, time(change_date)?))
    }
}

/// Whether somebody still takes batches.
async fn give(batches: &Batches, batch: Option<Vec<Record>>) -> bool {
    match batch {
        Some(batch) => batches.send(Ok(batch)).await.is_ok(),
        None => true,
    }
}
