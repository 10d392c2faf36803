//! The lines of the contract of [`Archive`], one function each, on one store that is served and operated at once.

use bytes::Bytes;
use domain::{
    Change, Details, Entry, Key, Organization, OrganizationId, OrganizationState, Query, Timestamp,
};
use futures_util::{StreamExt, TryStreamExt};

use crate::{
    Store,
    archive::{Archive, Batch, Import, ImportError, LargeValue, Record, Stats},
};

fn id(text: &str) -> OrganizationId {
    OrganizationId::new(text).unwrap()
}

fn key(text: &str) -> Key {
    Key::new(text.to_owned()).unwrap()
}

/// An organization of `sequence` events, the last of them of metadata.
fn organization(of: &str, state: OrganizationState, sequence: u64) -> Record {
    let organization = Organization {
        id: id(of),
        name: format!("The name of {of}"),
        state,
        created_at: Timestamp::from_micros(1_000_000),
        sequence,
        last_metadata_event: Details { sequence, at: Timestamp::from_micros(3_000_000) },
    };
    Record::Organization { organization, last_event_at: Timestamp::from_micros(4_000_000) }
}

fn entry(of: &str, name: &str, value: impl Into<Bytes>, sequence: u64) -> Record {
    let entry = Entry {
        key: key(name),
        value: value.into(),
        sequence,
        created_at: Timestamp::from_micros(2_000_000),
        changed_at: Timestamp::from_micros(2_500_001),
    };
    Record::Entry { organization: id(of), entry }
}

/// Three organizations, in the order of records; the values are short, long, and very long.
fn sample() -> Vec<Record> {
    use OrganizationState::{Active, Inactive, Removed};
    vec![
        organization("A", Removed, 9),
        organization("a", Active, 1_000_000_007),
        entry("a", "K", "upper", 5),
        entry("a", "k", vec![0; 5_000], 2),
        entry("a", "k%_\\", "wild", 3),
        entry("a", "á", vec![7; 500_000], 1_000_000_007),
        organization("ü", Inactive, 4),
        entry("ü", "k", "v", 4),
    ]
}

fn import(source: &str) -> Import {
    Import { source: source.to_owned(), replace: false }
}

async fn all(archive: &dyn Archive) -> Vec<Record> {
    archive.records().try_concat().await.unwrap()
}

/// What was imported is there as it was, for who serves and for who exports.
pub async fn what_was_imported_is_served_and_exported(store: &dyn Store, archive: &dyn Archive) {
    archive.import(&import("s"), 0, sample()).await.unwrap();
    archive.finish_import("s").await.unwrap();
    assert_eq!(all(archive).await, sample());
    for record in sample() {
        match record {
            Record::Organization { organization, .. } => {
                let id = organization.id.clone();
                assert_eq!(store.organization(&id).await.unwrap(), Some(organization));
            }
            Record::Entry { organization, entry } => {
                assert_eq!(store.get(&organization, &entry.key).await.unwrap(), Some(entry));
            }
        }
    }
    let page = store.list(&id("a"), Query { limit: Some(1), ..Query::default() }).await.unwrap();
    assert_eq!((page.total, page.entries[0].key.as_str()), (4, "K"));
    assert_eq!(archive.check().await.unwrap(), Vec::<String>::new());
}

/// Writes go on where an imported organization was.
pub async fn writes_go_on_behind_an_import(store: &dyn Store, archive: &dyn Archive) {
    archive.import(&import("s"), 0, sample()).await.unwrap();
    archive.finish_import("s").await.unwrap();
    let set = Change::Set { key: key("K"), value: Bytes::from_static(b"new") };
    assert_eq!(store.apply(&id("a"), vec![set.clone()]).await.unwrap().sequence, 1_000_000_008);
    assert_eq!(
        store.apply(&id("a"), vec![Change::Remove { key: key("k") }]).await.unwrap().sequence,
        1_000_000_009
    );
    let entry = store.get(&id("a"), &key("K")).await.unwrap().unwrap();
    assert_eq!(
        (entry.created_at, entry.value),
        (Timestamp::from_micros(2_000_000), Bytes::from_static(b"new"))
    );
    assert_eq!(store.list(&id("a"), Query::default()).await.unwrap().total, 3);
    assert!(store.apply(&id("A"), vec![set]).await.is_err(), "it is removed");
    assert_eq!(archive.check().await.unwrap(), Vec::<String>::new());
}

/// What a store made itself is exported with all that it knows.
pub async fn what_was_written_is_exported(store: &dyn Store, archive: &dyn Archive) {
    for name in ["one", "two"] {
        store.create_organization(&id(name), name).await.unwrap();
    }
    let set = |name: &str| Change::Set { key: key(name), value: Bytes::from_static(b"v") };
    store.apply(&id("two"), vec![set("b"), set("a")]).await.unwrap();
    let state = store.set_organization_state(&id("two"), OrganizationState::Inactive).await.unwrap();
    let records = all(archive).await;
    let Record::Organization { organization, last_event_at } = &records[1] else { panic!("{records:?}") };
    assert_eq!(organization, &state);
    assert!(*last_event_at >= organization.last_metadata_event.at);
    let found = records.iter().map(|record| match record {
        Record::Organization { organization, .. } => organization.id.as_str().to_owned(),
        Record::Entry { organization, entry } => {
            format!("{organization} {}#{}", entry.key.as_str(), entry.sequence)
        }
    });
    assert_eq!(found.collect::<Vec<_>>(), ["one", "two", "two a#3", "two b#2"]);
    assert_eq!(archive.check().await.unwrap(), Vec::<String>::new());
}

/// A batch that is refused leaves nothing, whatever comes before what is refused.
pub async fn a_batch_is_imported_whole_or_not_at_all(store: &dyn Store, archive: &dyn Archive) {
    store.create_organization(&id("here"), "here").await.unwrap();
    let before = all(archive).await;
    let mut orphan = sample();
    orphan.push(entry("nowhere", "k", "v", 2));
    let refused = archive.import(&import("s"), 0, orphan).await;
    assert!(matches!(refused, Err(ImportError::Orphan(of)) if of == id("nowhere")));
    let mut exists = sample();
    exists.push(organization("here", OrganizationState::Active, 5));
    let refused = archive.import(&import("s"), 0, exists).await;
    assert!(matches!(refused, Err(ImportError::Exists(of)) if of == id("here")));
    assert_eq!(all(archive).await, before);
    assert_eq!(archive.imported("s").await.unwrap(), 0);
}

/// A replaced organization is as imported: what it had besides is gone.
pub async fn an_import_replaces_what_it_is_told_to(store: &dyn Store, archive: &dyn Archive) {
    for name in ["a", "other"] {
        store.create_organization(&id(name), name).await.unwrap();
        let set = |name: &str| Change::Set { key: key(name), value: Bytes::from(vec![1; 10_000]) };
        store.apply(&id(name), vec![set("k"), set("old")]).await.unwrap();
    }
    let other = store.list(&id("other"), Query::default()).await.unwrap();
    let replacing = Import { replace: true, ..import("s") };
    archive.import(&replacing, 0, sample()).await.unwrap();
    archive.finish_import("s").await.unwrap();
    let mut records = all(archive).await;
    records.retain(|record| match record {
        Record::Organization { organization, .. } => organization.id != id("other"),
        Record::Entry { organization, .. } => *organization != id("other"),
    });
    assert_eq!(records, sample());
    assert_eq!(store.list(&id("other"), Query::default()).await.unwrap(), other);
    assert_eq!(archive.check().await.unwrap(), Vec::<String>::new());
}

/// What clients do between two batches is overtaken where the import has more to say, and kept where it has not; nothing
/// comes back to an organization that was removed.
pub async fn an_import_lives_with_what_is_written_meanwhile(store: &dyn Store, archive: &dyn Archive) {
    let mut records = sample();
    let rest = records.split_off(2);
    let (done, more) = (records.len() as u64, rest.len() as u64);
    archive.import(&import("s"), 0, records).await.unwrap();
    let set = |name: &str| Change::Set { key: key(name), value: Bytes::from(vec![1; 10_000]) };
    store.apply(&id("a"), vec![set("K"), set("other")]).await.unwrap();
    archive.import(&import("s"), done, rest).await.unwrap();
    assert_eq!(archive.imported("s").await.unwrap(), done + more);
    let Record::Entry { entry: imported, .. } = &sample()[2] else { panic!("not an entry") };
    assert_eq!(store.get(&id("a"), &key("K")).await.unwrap().as_ref(), Some(imported));
    assert_eq!(store.list(&id("a"), Query::default()).await.unwrap().total, 5);

    store.set_organization_state(&id("a"), OrganizationState::Removed).await.unwrap();
    archive.import(&import("s"), done + more, vec![entry("a", "late", "v", 7)]).await.unwrap();
    assert_eq!(archive.imported("s").await.unwrap(), done + more + 1);
    archive.finish_import("s").await.unwrap();
    assert_eq!(archive.stats(0).await.unwrap().entries, 1);
    assert_eq!(archive.check().await.unwrap(), Vec::<String>::new());
}

/// A check tells of an import that was begun and not finished.
pub async fn a_check_tells_of_half_an_import(_: &dyn Store, archive: &dyn Archive) {
    archive.import(&import("s"), 0, sample()).await.unwrap();
    assert_eq!(
        archive.check().await.unwrap(),
        ["import \"s\": 8 records are there, and it was not finished"]
    );
    archive.finish_import("s").await.unwrap();
    assert_eq!(archive.check().await.unwrap(), Vec::<String>::new());
}

/// An import goes on where it was, and nobody else does the same part of it.
pub async fn an_import_goes_on_where_it_was(_: &dyn Store, archive: &dyn Archive) {
    let import = import("s");
    for (before, record) in (0..).zip(sample()) {
        let again = vec![record.clone()];
        archive.import(&import, before, vec![record]).await.unwrap();
        assert_eq!(archive.imported("s").await.unwrap(), before + 1);
        let overtaken = archive.import(&import, before, again).await;
        assert!(matches!(overtaken, Err(ImportError::Overtaken { found, .. }) if found == before + 1));
    }
    assert_eq!(archive.imported("other").await.unwrap(), 0);
    archive.finish_import("s").await.unwrap();
    assert_eq!(archive.imported("s").await.unwrap(), 0);
    assert_eq!(all(archive).await, sample());
    let repeated = archive.import(&import, 0, sample()).await;
    assert!(matches!(repeated, Err(ImportError::Exists(of)) if of == id("A")));
}

/// Records are those of one moment, in batches that are bounded.
pub async fn records_are_of_one_moment(store: &dyn Store, archive: &dyn Archive) {
    let entries: Vec<_> = (0..2_500).map(|n| entry("o", &format!("{n:05}"), "v", n + 2)).collect();
    let whole: Vec<_> =
        [organization("o", OrganizationState::Active, 2_501)].into_iter().chain(entries).collect();
    for (at, records) in whole.chunks(Batch::RECORDS_MAX).enumerate() {
        archive.import(&import("s"), (at * Batch::RECORDS_MAX) as u64, records.to_vec()).await.unwrap();
    }
    let mut stream = archive.records();
    let mut seen = Vec::new();
    while let Some(records) = stream.next().await {
        let records = records.unwrap();
        assert!(!records.is_empty() && records.len() <= Batch::RECORDS_MAX);
        if seen.is_empty() {
            let remove = (0..2_500).map(|n| Change::Remove { key: key(&format!("{n:05}")) }).collect();
            store.apply(&id("o"), remove).await.unwrap();
        }
        seen.extend(records);
    }
    assert_eq!(seen, whole);
    assert_eq!(all(archive).await.len(), 1);
}

/// A stream that is left early harms nobody.
pub async fn records_may_be_left(store: &dyn Store, archive: &dyn Archive) {
    archive.import(&import("s"), 0, sample()).await.unwrap();
    for _ in 0..40 {
        drop(archive.records().next().await);
    }
    let set = Change::Set { key: key("K"), value: Bytes::from_static(b"new") };
    store.apply(&id("a"), vec![set]).await.unwrap();
    assert_eq!(all(archive).await.len(), sample().len());
}

/// What there is is counted.
pub async fn stats_count_what_there_is(_: &dyn Store, archive: &dyn Archive) {
    assert_eq!(archive.stats(3).await.unwrap(), Stats::default());
    archive.import(&import("s"), 0, sample()).await.unwrap();
    let large = |key: &str, bytes| LargeValue { organization: "a".to_owned(), key: key.to_owned(), bytes };
    let want = Stats {
        active: 1,
        inactive: 1,
        removed: 1,
        entries: 5,
        bytes: 505_010,
        largest: vec![large("á", 500_000), large("k", 5_000)],
    };
    assert_eq!(archive.stats(2).await.unwrap(), want);
}
