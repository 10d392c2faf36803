//! Reading metadata.

use bytes::Bytes;
use domain::{Entry, Key, OrganizationId, OrganizationState, Page, Query, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, types::Value};

use crate::schema::{self, conversion};

/// The columns of [`entry`].
macro_rules! select_entry {
    ($rest:literal) => {
        concat!(
            "SELECT key, coalesce(value, (SELECT value FROM large_value WHERE number = large_value)), sequence, \
             created_at, changed_at FROM metadata WHERE organization = ",
            $rest
        )
    };
}

pub(crate) use select_entry;

/// The entry of a key.
pub(crate) fn get(
    connection: &Connection,
    organization: &OrganizationId,
    key: &Key,
) -> rusqlite::Result<Option<Entry>> {
    let mut statement = connection.prepare_cached(select_entry!(
        "(SELECT number FROM organization WHERE id = ?1 AND state <> 3) AND key = ?2"
    ))?;
    statement.query_row((organization.as_str(), key.as_str()), entry).optional()
}

/// A page, and the count of all that match, at one moment.
pub(crate) fn list(
    connection: &Connection,
    organization: &OrganizationId,
    query: &Query,
) -> rusqlite::Result<Page> {
    let snapshot = connection.unchecked_transaction()?;
    let page = match schema::organization(&snapshot, organization)? {
        None => Page::default(),
        Some(row) if row.organization.state == OrganizationState::Removed => Page::default(),
        Some(row) if query.filters.is_empty() => unfiltered(&snapshot, &row, query)?,
        Some(row) => filtered(&snapshot, row.number, query)?,
    };
    snapshot.commit()?;
    Ok(page)
}

fn unfiltered(connection: &Connection, organization: &crate::Row, query: &Query) -> rusqlite::Result<Page> {
    let total = organization.entries;
    if query.offset >= total {
        return Ok(Page { entries: Vec::new(), total });
    }
    let mut statement = connection.prepare_cached(select_entry!("?1 ORDER BY key LIMIT ?2 OFFSET ?3"))?;
    // To SQLite, a negative limit is none.
    let limit = query.limit.map_or(-1, i64::from);
    let entries = statement.query_map((organization.number, limit, query.offset), entry)?;
    Ok(Page { entries: entries.collect::<rusqlite::Result<_>>()?, total })
}

/// Looks at the keys alone, from the index, and reads only what is on the page.
fn filtered(connection: &Connection, organization: i64, query: &Query) -> rusqlite::Result<Page> {
    let prefix = query.longest_prefix().unwrap_or_default();
    let mut statement = connection.prepare_cached(
        "SELECT key FROM metadata WHERE organization = ?1 AND key >= ?2 AND key < ?3 ORDER BY key",
    )?;
    // To SQLite, a blob is above every text.
    let end = domain::after_all_with(prefix).map_or(Value::Blob(Vec::new()), Value::Text);
    let mut rows = statement.query((organization, prefix, end))?;
    let limit = query.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let mut page = Page::default();
    while let Some(row) = rows.next()? {
        let key = row.get_ref(0)?.as_str()?;
        if !query.filters.iter().all(|filter| filter.matches(key)) {
            continue;
        }
        if page.total >= query.offset && page.entries.len() < limit {
            let mut statement = connection.prepare_cached(select_entry!("?1 AND key = ?2"))?;
            page.entries.push(statement.query_row((organization, key), entry)?);
        }
        page.total += 1;
    }
    Ok(page)
}

/// Reads an entry.
pub(crate) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        key: Key::new(row.get(0)?).map_err(|error| conversion(0, error))?,
        value: Bytes::from(row.get::<_, Vec<u8>>(1)?),
        sequence: row.get(2)?,
        created_at: Timestamp::from_micros(row.get(3)?),
        changed_at: Timestamp::from_micros(row.get(4)?),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    use domain::{Comparison, KeyFilter};

    use super::*;
    use crate::{schema, tuning::Mistake};

    #[test]
    fn a_page_costs_what_is_on_it_however_many_entries_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = schema::open(&folder.path().join("store.db"), Mistake::None).unwrap();
        let [small, large] = [1_000, 100_000];
        for entries in [small, large] {
            insert(&mut connection, entries);
        }
        let prefixed = |text| vec![KeyFilter::new(text, Comparison::StartsWith)];
        for (filters, offset, total_of_large) in [
            (vec![], 0, large),
            (vec![], 500, large),
            // As many match in both: keys are numbered from 0.
            (prefixed("key-0000"), 0, 100),
        ] {
            let query = Query { filters, offset, limit: Some(100) };
            let (page, steps) = counted(&mut connection, small, &query);
            let (page_of_large, steps_of_large) = counted(&mut connection, large, &query);
            assert_eq!((page.entries.len(), page_of_large.total), (100, total_of_large), "{query:?}");
            assert_eq!(page.entries, page_of_large.entries, "{query:?}");
            assert_eq!(steps, steps_of_large, "{query:?}");
            // An entry takes some: the counter counts.
            assert!(steps > 100, "{query:?}: {steps}");
        }
        // What matches is counted, from the index.
        let query = Query { filters: prefixed("key-"), offset: 0, limit: Some(100) };
        let [(_, steps), (_, steps_of_large)] =
            [small, large].map(|entries| counted(&mut connection, entries, &query));
        assert!(steps_of_large > steps + (large - small), "{steps} {steps_of_large}");
    }

    /// An organization whose number is how many entries it has.
    fn insert(connection: &mut Connection, entries: u64) {
        let transaction = connection.transaction().unwrap();
        transaction
            .execute("INSERT INTO organization VALUES (?1, 'id-' || ?1, '', 1, 0, 1, 0, 1, 0, ?1)", [entries])
            .unwrap();
        let inserted = transaction
            .execute(
                "WITH RECURSIVE count (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM count WHERE n + 1 < ?1) \
                 INSERT INTO metadata SELECT ?1, format('key-%06d', n), x'00', NULL, 1, 0, 0 FROM count",
                [entries],
            )
            .unwrap();
        assert_eq!(inserted as u64, entries);
        transaction.commit().unwrap();
    }

    /// A page, and how many steps of SQLite's machine it took.
    fn counted(connection: &mut Connection, organization: u64, query: &Query) -> (Page, u64) {
        // Statements are prepared when they are first run, which takes steps too.
        let id = OrganizationId::new(&format!("id-{organization}")).unwrap();
        list(connection, &id, query).unwrap();
        let steps = Arc::new(AtomicU64::new(0));
        let counter = steps.clone();
        let count = move || {
            counter.fetch_add(1, Ordering::Relaxed);
            false
        };
        connection.progress_handler(1, Some(count)).unwrap();
        let page = list(connection, &id, query).unwrap();
        connection.progress_handler(0, None::<fn() -> bool>).unwrap();
        (page, steps.load(Ordering::Relaxed))
    }
}
