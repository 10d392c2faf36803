//! The lines of the contract, one function each.

use bytes::Bytes;
use domain::{Change, Comparison, Details, Key, KeyFilter, OrganizationId, OrganizationState, Page, Query};

use crate::{Store, StoreError};

mod races;

pub use races::*;

fn key(text: &str) -> Key {
    Key::new(text.to_owned()).unwrap()
}

fn value(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn set(name: &str, text: &str) -> Change {
    Change::Set { key: key(name), value: value(text) }
}

fn set_if_different(name: &str, text: &str) -> Change {
    Change::SetIfDifferent { key: key(name), value: value(text) }
}

fn remove(name: &str) -> Change {
    Change::Remove { key: key(name) }
}

fn remove_if_present(name: &str) -> Change {
    Change::RemoveIfPresent { key: key(name) }
}

async fn organization(store: &dyn Store, id: &str) -> OrganizationId {
    let id = OrganizationId::new(id).unwrap();
    store.create_organization(&id, "An organization").await.unwrap();
    id
}

/// All entries as `key=value#sequence`.
async fn shown(store: &dyn Store, id: &OrganizationId, query: Query) -> String {
    let page = store.list(id, query).await.unwrap();
    let entries = page.entries.iter().map(|entry| {
        format!("{}={}#{}", entry.key.as_str(), String::from_utf8_lossy(&entry.value), entry.sequence)
    });
    entries.collect::<Vec<_>>().join(" ")
}

/// A set is read back, by key and in a list.
pub async fn a_set_is_read_back(store: &dyn Store) {
    let id = organization(store, "o").await;
    let details = store.apply(&id, vec![set("k", "v")]).await.unwrap();
    assert_eq!(details.sequence, 2, "the creation was event 1");
    let entry = store.get(&id, &key("k")).await.unwrap().unwrap();
    assert_eq!((entry.key, entry.value, entry.sequence), (key("k"), value("v"), 2));
    assert_eq!((entry.created_at, entry.changed_at), (details.at, details.at));
    assert_eq!(shown(store, &id, Query::default()).await, "k=v#2");
    assert_eq!(store.get(&id, &key("other")).await.unwrap(), None);
    let there = store.organization(&id).await.unwrap().unwrap();
    assert_eq!((there.sequence, there.last_metadata_event), (2, details));
    assert!(store.is_healthy());
}

/// A plain set takes a number, whatever was there.
pub async fn a_set_is_an_event_even_if_nothing_changes(store: &dyn Store) {
    let id = organization(store, "o").await;
    for sequence in 2..5 {
        assert_eq!(store.apply(&id, vec![set("k", "v")]).await.unwrap().sequence, sequence);
    }
    assert_eq!(shown(store, &id, Query::default()).await, "k=v#4");
}

/// A set of the stored value takes no number.
pub async fn a_set_if_different_of_the_same_value_is_no_event(store: &dyn Store) {
    let id = organization(store, "o").await;
    let first = store.apply(&id, vec![set_if_different("k", "v")]).await.unwrap();
    assert_eq!(store.apply(&id, vec![set_if_different("k", "v")]).await.unwrap(), first);
    let batch = vec![set_if_different("k", "v"), set_if_different("l", "w"), set_if_different("k", "x")];
    assert_eq!(store.apply(&id, batch).await.unwrap().sequence, 4);
    assert_eq!(shown(store, &id, Query::default()).await, "k=x#4 l=w#3");
}

/// Changes of one call do not see each other, and are applied in order.
pub async fn changes_are_judged_against_the_state_before(store: &dyn Store) {
    let id = organization(store, "o").await;
    store.apply(&id, vec![set("k", "old")]).await.unwrap();
    // The second is what is stored, and dropped.
    store.apply(&id, vec![set_if_different("k", "new"), set_if_different("k", "old")]).await.unwrap();
    assert_eq!(shown(store, &id, Query::default()).await, "k=new#3");
    // Both find the key, both are events.
    assert_eq!(store.apply(&id, vec![remove("k"), remove("k")]).await.unwrap().sequence, 5);
    assert_eq!(shown(store, &id, Query::default()).await, "");
    // Neither finds the key.
    store.apply(&id, vec![set_if_different("k", "y"), remove_if_present("k")]).await.unwrap();
    assert_eq!(shown(store, &id, Query::default()).await, "k=y#6");
    let error = store.apply(&id, vec![set("n", "z"), remove("n")]).await.unwrap_err();
    assert!(matches!(error, StoreError::KeyAbsent { index: 1 }), "{error}");
}

/// All or nothing.
pub async fn a_refused_batch_leaves_no_trace(store: &dyn Store) {
    let id = organization(store, "o").await;
    store.apply(&id, vec![set("k", "v")]).await.unwrap();
    let before = store.organization(&id).await.unwrap();
    // The first has no effect, and counts.
    let batch = [remove_if_present("n"), set("k", "w"), remove("k"), remove("absent"), remove("absent too")];
    let error = store.apply(&id, batch.into()).await.unwrap_err();
    assert!(matches!(error, StoreError::KeyAbsent { index: 3 }), "{error}");
    assert_eq!(store.organization(&id).await.unwrap(), before);
    assert_eq!(shown(store, &id, Query::default()).await, "k=v#2");
    assert_eq!(store.apply(&id, vec![set("k", "x")]).await.unwrap().sequence, 3);
}

/// Thousands of changes are one call, and all of them are listed.
pub async fn batches_of_any_length(store: &dyn Store) {
    let id = organization(store, "o").await;
    let names: Vec<_> = (0..2_000).map(|n| format!("{n:04}")).collect();
    let details = store.apply(&id, names.iter().map(|name| set(name, "v")).collect()).await.unwrap();
    assert_eq!(details.sequence, 2_001);
    let page = store.list(&id, Query::default()).await.unwrap();
    let listed: Vec<_> = page.entries.iter().map(|entry| (entry.key.as_str(), entry.sequence)).collect();
    assert_eq!(listed, names.iter().map(String::as_str).zip(2..).collect::<Vec<_>>());
    let details = store.apply(&id, names.iter().map(|name| remove(name)).collect()).await.unwrap();
    assert_eq!(details.sequence, 4_001);
    assert_eq!(store.list(&id, Query::default()).await.unwrap(), Page::default());
}

/// All events of a call have the time that it answers with.
pub async fn events_of_a_call_have_one_time(store: &dyn Store) {
    let id = organization(store, "o").await;
    let details = store.apply(&id, vec![set("a", "v"), set("b", "v"), set("c", "v")]).await.unwrap();
    for entry in store.list(&id, Query::default()).await.unwrap().entries {
        assert_eq!((entry.created_at, entry.changed_at), (details.at, details.at));
    }
}

/// A set keeps `created_at`; one after a remove begins anew, within a call too.
pub async fn created_at_lasts_until_the_key_is_removed(store: &dyn Store) {
    let id = organization(store, "o").await;
    let first = store.apply(&id, vec![set("k", "1")]).await.unwrap();
    wait_for_the_clock(store, first).await;
    let second = store.apply(&id, vec![set("k", "2")]).await.unwrap();
    let entry = store.get(&id, &key("k")).await.unwrap().unwrap();
    assert_eq!((entry.created_at, entry.changed_at), (first.at, second.at));
    wait_for_the_clock(store, second).await;
    let third = store.apply(&id, vec![remove("k"), set("k", "3")]).await.unwrap();
    let entry = store.get(&id, &key("k")).await.unwrap().unwrap();
    assert_eq!((entry.created_at, entry.changed_at), (third.at, third.at));
    assert!(first.at < second.at && second.at < third.at);
}

/// Until another event would have a later time.
async fn wait_for_the_clock(store: &dyn Store, details: Details) {
    let id = organization(store, "clock").await;
    while store.apply(&id, vec![set("tick", "")]).await.unwrap().at <= details.at {
        tokio::task::yield_now().await;
    }
}

/// Without an event, the answer is the last metadata event, or the creation; and nothing is written.
pub async fn what_changes_nothing_answers_with_the_last_metadata_event(store: &dyn Store) {
    let id = organization(store, "o").await;
    let creation = Details { sequence: 1, at: store.organization(&id).await.unwrap().unwrap().created_at };
    let nothing = vec![remove_if_present("absent")];
    assert_eq!(store.apply(&id, nothing.clone()).await.unwrap(), creation);
    store.set_organization_state(&id, OrganizationState::Inactive).await.unwrap();
    assert_eq!(store.apply(&id, nothing).await.unwrap(), creation);
    let event = store.apply(&id, vec![set("k", "v")]).await.unwrap();
    store.set_organization_state(&id, OrganizationState::Active).await.unwrap();
    wait_for_the_clock(store, event).await;
    let before = (store.organization(&id).await.unwrap(), store.get(&id, &key("k")).await.unwrap());
    let nothing = vec![set_if_different("k", "v"), remove_if_present("absent")];
    assert_eq!(store.apply(&id, nothing).await.unwrap(), event);
    assert_eq!((store.organization(&id).await.unwrap(), store.get(&id, &key("k")).await.unwrap()), before);
    assert_eq!(store.apply(&id, vec![set("k", "v")]).await.unwrap().sequence, 5);
}

/// No folding, no normalizing, no trimming; to the last of 200 characters, which is as many as the API takes.
pub async fn keys_compare_byte_for_byte(store: &dyn Store) {
    let id = organization(store, "o").await;
    let [long, longer] = [199, 200].map(|length| "🦀".repeat(length));
    let other = format!("{long}🦞");
    let keys = [
        "a",
        "A",
        "a ",
        " a",
        "á",
        "a\u{301}",
        "%",
        "_",
        "a/b",
        ".",
        "\u{10FFFF}",
        "\n",
        "'",
        "\"",
        &long,
        &longer,
        &other,
    ];
    for name in keys {
        store.apply(&id, vec![set(name, name)]).await.unwrap();
    }
    for name in keys {
        assert_eq!(store.get(&id, &key(name)).await.unwrap().unwrap().value, value(name), "{name:?}");
    }
    assert_eq!(store.list(&id, Query::default()).await.unwrap().total, keys.len() as u64);
}

/// Ascending by key, in byte order.
pub async fn lists_are_in_byte_order_and_count_all(store: &dyn Store) {
    let id = organization(store, "o").await;
    let mut keys = vec!["b", "a", "B", "ab", "a\u{7F}", "ä", "\u{FFFF}", "\u{10000}", "~", "0"];
    for name in &keys {
        store.apply(&id, vec![set(name, "v")]).await.unwrap();
    }
    keys.sort_unstable();
    let page = store.list(&id, Query::default()).await.unwrap();
    let listed: Vec<_> = page.entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(listed, keys);
    assert_eq!(page.total, keys.len() as u64);
}

/// Offsets past the end give no entries and still count.
pub async fn pages_of_any_offset_and_limit(store: &dyn Store) {
    let id = organization(store, "o").await;
    store.apply(&id, (0..5).map(|n| set(&format!("k{n}"), "v")).collect()).await.unwrap();
    let filter = KeyFilter::new("k", Comparison::Contains);
    for filters in [vec![], vec![filter]] {
        for (offset, limit, want) in [
            (0, None, "k0 k1 k2 k3 k4"),
            (0, Some(2), "k0 k1"),
            (3, Some(2), "k3 k4"),
            (4, Some(2), "k4"),
            (4, None, "k4"),
            (0, Some(0), ""),
            (5, None, ""),
            (0, Some(u32::MAX), "k0 k1 k2 k3 k4"),
            (u64::MAX, Some(u32::MAX), ""),
            (u64::MAX, None, ""),
            (i64::MAX as u64, Some(1), ""),
            (1 << 32, None, ""),
        ] {
            let page = store.list(&id, Query { filters: filters.clone(), offset, limit }).await.unwrap();
            let keys: Vec<_> = page.entries.iter().map(|entry| entry.key.as_str()).collect();
            assert_eq!(keys.join(" "), want, "offset {offset} limit {limit:?} {filters:?}");
            assert_eq!(page.total, 5, "offset {offset} limit {limit:?} {filters:?}");
        }
    }
}

/// No wildcards; all filters must match.
pub async fn filters_take_text_literally(store: &dyn Store) {
    let id = organization(store, "o").await;
    for name in ["a%b", "a_b", "axb", "a\\b", "Axb", "ÄX", "äx", "b", "b\u{10FFFF}"] {
        store.apply(&id, vec![set(name, "v")]).await.unwrap();
    }
    let filter = |text: &str, comparison| KeyFilter::new(text, comparison);
    for (filters, want) in [
        (vec![filter("a%b", Comparison::Equals)], "a%b"),
        (vec![filter("a%", Comparison::StartsWith)], "a%b"),
        (vec![filter("a\\", Comparison::StartsWith)], "a\\b"),
        (vec![filter("b", Comparison::StartsWith)], "b b\u{10FFFF}"),
        (vec![filter("_", Comparison::Contains)], "a_b"),
        (vec![filter("\\b", Comparison::EndsWith)], "a\\b"),
        (vec![filter("äX", Comparison::EqualsIgnoreCase)], "ÄX äx"),
        (vec![filter("aX", Comparison::StartsWithIgnoreCase)], "Axb axb"),
        (vec![filter("", Comparison::Equals)], ""),
        (vec![filter("", Comparison::StartsWith)], "Axb a%b a\\b a_b axb b b\u{10FFFF} ÄX äx"),
        (vec![filter("a", Comparison::StartsWith), filter("x", Comparison::Contains)], "axb"),
        (vec![filter("a", Comparison::StartsWith), filter("b", Comparison::StartsWith)], ""),
        (vec![filter("\0", Comparison::Contains)], ""),
        (vec![filter("\u{10FFFF}", Comparison::StartsWith)], ""),
    ] {
        let page = store.list(&id, Query { filters: filters.clone(), ..Query::default() }).await.unwrap();
        let keys: Vec<_> = page.entries.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys.join(" "), want, "{filters:?}");
        assert_eq!(page.total, keys.len() as u64, "{filters:?}");
    }
}

/// Values of one byte to a megabyte, also where a small one follows a large one.
pub async fn values_of_any_size(store: &dyn Store) {
    let id = organization(store, "o").await;
    for length in [1, 2_047, 2_048, 2_049, 500_000, 1, 1 << 20, 3] {
        let value = Bytes::from((0..length).map(|n| (n % 251) as u8).collect::<Vec<_>>());
        store.apply(&id, vec![Change::Set { key: key("k"), value: value.clone() }]).await.unwrap();
        assert_eq!(store.get(&id, &key("k")).await.unwrap().unwrap().value, value, "{length} bytes");
        assert_eq!(
            store.list(&id, Query::default()).await.unwrap().entries[0].value,
            value,
            "{length} bytes"
        );
        let same = vec![Change::SetIfDifferent { key: key("k"), value }];
        let sequence = store.organization(&id).await.unwrap().unwrap().sequence;
        assert_eq!(store.apply(&id, same).await.unwrap().sequence, sequence, "{length} bytes");
    }
    store.apply(&id, vec![remove("k")]).await.unwrap();
    assert_eq!(store.get(&id, &key("k")).await.unwrap(), None);
}

/// Keys and numbers of one organization are nothing to another; ids compare byte for byte.
pub async fn organizations_keep_to_themselves(store: &dyn Store) {
    let ids = ["1", "11", "a", "A", "a ", " a", "á", "a\u{301}", "%", "_", "'", "\u{10FFFF}"];
    for (events, name) in (1..).zip(ids) {
        let id = organization(store, name).await;
        assert_eq!(store.get(&id, &key("k")).await.unwrap(), None, "{name:?}");
        for sequence in 2..2 + events {
            assert_eq!(store.apply(&id, vec![set("k", name)]).await.unwrap().sequence, sequence, "{name:?}");
        }
    }
    let one = organization(store, "1").await;
    store.apply(&one, vec![remove("k")]).await.unwrap();
    store.set_organization_state(&one, OrganizationState::Removed).await.unwrap();
    for (events, name) in (1..).zip(ids).skip(1) {
        let id = organization(store, name).await;
        assert_eq!(shown(store, &id, Query::default()).await, format!("k={name}#{}", 1 + events));
    }
}

/// Reads find nothing, writes are refused.
pub async fn an_absent_organization_has_nothing_and_takes_nothing(store: &dyn Store) {
    let id = OrganizationId::new("absent").unwrap();
    assert_eq!(store.organization(&id).await.unwrap(), None);
    refuses_writes(store, &id).await;
    let error = store.set_organization_state(&id, OrganizationState::Active).await.unwrap_err();
    assert!(matches!(error, StoreError::OrganizationNotFound), "{error}");
    assert_eq!(store.organization(&id).await.unwrap(), None);
}

/// Removal is final.
pub async fn a_removed_organization_has_nothing_and_takes_nothing(store: &dyn Store) {
    let id = organization(store, "o").await;
    store.apply(&id, vec![set("k", "v")]).await.unwrap();
    let removed = store.set_organization_state(&id, OrganizationState::Removed).await.unwrap();
    assert_eq!((removed.state, removed.sequence), (OrganizationState::Removed, 3));
    refuses_writes(store, &id).await;
    for state in [OrganizationState::Active, OrganizationState::Inactive] {
        let error = store.set_organization_state(&id, state).await.unwrap_err();
        assert!(matches!(error, StoreError::OrganizationNotFound), "{error}");
    }
    let again = store.set_organization_state(&id, OrganizationState::Removed).await.unwrap();
    assert_eq!(again, removed);
    assert_eq!(store.create_organization(&id, "Another name").await.unwrap(), removed);
    assert_eq!(store.organization(&id).await.unwrap(), Some(removed));
}

async fn refuses_writes(store: &dyn Store, id: &OrganizationId) {
    for change in [set("k", "v"), set_if_different("k", "v"), remove("k"), remove_if_present("k")] {
        let error = store.apply(id, vec![change]).await.unwrap_err();
        assert!(matches!(error, StoreError::OrganizationNotFound), "{error}");
    }
    assert_eq!(store.get(id, &key("k")).await.unwrap(), None);
    let page = store.list(id, Query::default()).await.unwrap();
    assert_eq!((page.entries.len(), page.total), (0, 0));
}

/// A change of state takes a number; staying does not; metadata goes on as ever.
pub async fn states_are_events_but_no_metadata_events(store: &dyn Store) {
    let id = organization(store, "o").await;
    let event = store.apply(&id, vec![set("k", "v")]).await.unwrap();
    for (state, sequence) in
        [(OrganizationState::Active, 2), (OrganizationState::Inactive, 3), (OrganizationState::Inactive, 3)]
    {
        let organization = store.set_organization_state(&id, state).await.unwrap();
        assert_eq!((organization.state, organization.sequence), (state, sequence));
        assert_eq!(organization.last_metadata_event, event);
        assert_eq!(store.organization(&id).await.unwrap(), Some(organization));
        assert_eq!(store.get(&id, &key("k")).await.unwrap().unwrap().sequence, 2);
        assert_eq!(shown(store, &id, Query::default()).await, "k=v#2");
    }
    let later = store.apply(&id, vec![set("k", "w")]).await.unwrap();
    assert_eq!(later.sequence, 4);
    assert!(later.at >= event.at);
}

/// Who creates what exists gets it as it is.
pub async fn creating_again_changes_nothing(store: &dyn Store) {
    let id = OrganizationId::new("o").unwrap();
    let created = store.create_organization(&id, "First").await.unwrap();
    assert_eq!(
        (&created.id, created.name.as_str(), created.state, created.sequence),
        (&id, "First", OrganizationState::Active, 1)
    );
    assert_eq!(store.organization(&id).await.unwrap().as_ref(), Some(&created));
    assert_eq!(created.last_metadata_event, Details { sequence: 1, at: created.created_at });
    store.apply(&id, vec![set("k", "v")]).await.unwrap();
    store.set_organization_state(&id, OrganizationState::Inactive).await.unwrap();
    let again = store.create_organization(&id, "Second").await.unwrap();
    assert_eq!((again.name.as_str(), again.state, again.sequence), ("First", OrganizationState::Inactive, 3));
}
