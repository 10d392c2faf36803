//! Stores that are filled before they are measured, as an import does.

use domain::{Details, Entry, Key, Organization, OrganizationId, OrganizationState, Timestamp};
use storage::archive::{Archive, Batch, Import, Record};

use crate::{Error, call, directory};

/// Fills a store with organizations of so many keys each.
pub async fn fill(
    archive: &dyn Archive,
    organizations: impl Iterator<Item = (usize, u64)>,
    value_bytes: usize,
) -> Result<(), Error> {
    let import = Import { source: "bench".to_owned(), replace: false };
    let (mut batch, mut done) = (Batch::default(), 0);
    let value = call::value(value_bytes);
    let at = Timestamp::now();
    let mut put = async |records: Option<Vec<Record>>| {
        if let Some(records) = records {
            let count = records.len() as u64;
            archive.import(&import, done, records).await?;
            done += count;
        }
        Ok::<_, Error>(())
    };
    for (index, keys) in organizations {
        let id = OrganizationId::new(&directory::organization(index))?;
        let organization = Organization {
            id: id.clone(),
            name: format!("bench-{id}"),
            state: OrganizationState::Active,
            created_at: at,
            sequence: keys + 1,
            last_metadata_event: Details { sequence: keys + 1, at },
        };
        put(batch.push(Record::Organization { organization, last_event_at: at })).await?;
        for number in 0..keys {
            let entry = Entry {
                key: Key::new(call::key(usize::try_from(number)?))?,
                value: value.clone(),
                sequence: number + 2,
                created_at: at,
                changed_at: at,
            };
            put(batch.push(Record::Entry { organization: id.clone(), entry })).await?;
        }
    }
    put(batch.take()).await?;
    Ok(archive.finish_import(&import.source).await?)
}
