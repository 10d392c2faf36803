//! Reading metadata.

use bytes::Bytes;
use domain::{Entry, Key, Page, Query, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::schema::conversion;

/// The columns of [`entry`].
macro_rules! select_entry {
    ($rest:literal) => {
        concat!(
            "SELECT key, coalesce(value, (SELECT value FROM large_value WHERE number = large_value)), sequence, \
             created_at, changed_at FROM metadata WHERE organization = :organization ",
            $rest
        )
    };
}

/// The entry of a key.
pub(crate) fn get(connection: &Connection, organization: i64, key: &Key) -> rusqlite::Result<Option<Entry>> {
    let mut statement = connection.prepare_cached(select_entry!("AND key = :key"))?;
    statement.query_row(named_params! {":organization": organization, ":key": key.as_str()}, entry).optional()
}

/// A page, and the count of all that match, at one moment.
pub(crate) fn list(connection: &Connection, organization: i64, query: &Query) -> rusqlite::Result<Page> {
    let snapshot = connection.unchecked_transaction()?;
    let page = if query.filters.is_empty() {
        unfiltered(&snapshot, organization, query)?
    } else {
        filtered(&snapshot, organization, query)?
    };
    snapshot.commit()?;
    Ok(page)
}

fn unfiltered(connection: &Connection, organization: i64, query: &Query) -> rusqlite::Result<Page> {
    let mut statement = connection.prepare_cached("SELECT entries FROM organization WHERE number = ?1")?;
    let total: u64 = statement.query_row([organization], |row| row.get(0))?;
    if query.offset >= total {
        return Ok(Page { entries: Vec::new(), total });
    }
    let mut statement =
        connection.prepare_cached(select_entry!("ORDER BY key LIMIT :limit OFFSET :offset"))?;
    // To SQLite, a negative limit is none.
    let parameters = named_params! {
        ":organization": organization,
        ":limit": query.limit.map_or(-1, i64::from),
        ":offset": query.offset,
    };
    let entries = statement.query_map(parameters, entry)?.collect::<rusqlite::Result<_>>()?;
    Ok(Page { entries, total })
}

/// Looks at the keys alone, from the index, and reads only what is on the page.
fn filtered(connection: &Connection, organization: i64, query: &Query) -> rusqlite::Result<Page> {
    let prefix = query.filters.iter().map(|filter| filter.prefix()).max_by_key(|prefix| prefix.len());
    let prefix = prefix.unwrap_or_default();
    let mut statement = connection.prepare_cached(
        "SELECT key FROM metadata WHERE organization = ?1 AND key >= ?2 AND (?3 IS NULL OR key < ?3) ORDER BY key",
    )?;
    let mut rows = statement.query((organization, prefix, after_all_with(prefix)))?;
    let limit = query.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let mut page = Page::default();
    while let Some(row) = rows.next()? {
        let key = row.get_ref(0)?.as_str()?;
        if !query.filters.iter().all(|filter| filter.matches(key)) {
            continue;
        }
        if page.total >= query.offset && page.entries.len() < limit {
            let key = Key::new(key.to_owned()).map_err(|error| conversion(0, error))?;
            page.entries.extend(get(connection, organization, &key)?);
        }
        page.total += 1;
    }
    Ok(page)
}

/// The least text that is above every text that begins with `prefix`; `None` if there is none.
fn after_all_with(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // UTF-8 orders as code points do; between U+D7FF and U+E000 there is none.
        let next = if last == '\u{D7FF}' { Some('\u{E000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
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
    use super::*;

    #[test]
    fn the_end_of_a_prefix() {
        for (prefix, want) in [
            ("", None),
            ("a", Some("b")),
            ("az", Some("a{")),
            ("a\u{10FFFF}", Some("b")),
            ("\u{10FFFF}\u{10FFFF}", None),
            ("\u{D7FF}", Some("\u{E000}")),
            ("\u{7F}", Some("\u{80}")),
        ] {
            let end = after_all_with(prefix);
            assert_eq!(end.as_deref(), want, "{prefix:?}");
            if let Some(end) = end {
                assert!(end.as_str() > prefix && *end > *format!("{prefix}\u{10FFFF}"));
            }
        }
    }
}
