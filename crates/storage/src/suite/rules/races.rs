//! Rules for callers that are at work at once, or leave.

use domain::{OrganizationId, OrganizationState, Query};
use futures_util::{
    FutureExt,
    future::{join, join_all},
};

use super::{key, organization, remove, set};
use crate::{Store, StoreError};

/// Writers to one organization wait for each other: no conflict, no gap, no repeat, no time that goes back.
pub async fn racing_writers_take_each_number_once(store: &dyn Store) {
    let id = organization(store, "o").await;
    let writes = (0..64).map(|n| store.apply(&id, vec![set(&format!("k{}", n % 7), "v"), set("all", "v")]));
    let mut details: Vec<_> = join_all(writes).await.into_iter().map(Result::unwrap).collect();
    details.sort_by_key(|details| details.sequence);
    let sequences: Vec<_> = details.iter().map(|details| details.sequence).collect();
    assert_eq!(sequences, (0..64).map(|n| 3 + 2 * n).collect::<Vec<_>>());
    assert!(details.is_sorted_by_key(|details| details.at));
}

/// Two callers cannot both have removed a key.
pub async fn of_racing_removes_one_succeeds(store: &dyn Store) {
    let id = organization(store, "o").await;
    for _ in 0..20 {
        store.apply(&id, vec![set("k", "v")]).await.unwrap();
        let removed = join_all((0..8).map(|_| store.apply(&id, vec![remove("k")]))).await;
        assert_eq!(removed.iter().filter(|removed| removed.is_ok()).count(), 1);
        let refused = removed.iter().filter_map(|removed| removed.as_ref().err());
        assert!(refused.into_iter().all(|error| matches!(error, StoreError::KeyAbsent { index: 0 })));
    }
}

/// Who creates meanwhile what another creates gets that.
pub async fn of_racing_creators_one_creates(store: &dyn Store) {
    for round in 0..10 {
        let id = OrganizationId::new(&format!("o{round}")).unwrap();
        let names: Vec<_> = (0..8).map(|n| format!("Name {n}")).collect();
        let created = join_all(names.iter().map(|name| store.create_organization(&id, name))).await;
        let there = store.organization(&id).await.unwrap();
        for created in created {
            assert_eq!(Some(created.unwrap()), there);
        }
    }
}

/// Who brings meanwhile an organization to a state where another brings it finds it there; writes take numbers beside.
pub async fn racing_changes_of_state_are_one_event(store: &dyn Store) {
    let id = organization(store, "o").await;
    let states = (0..8).map(|_| store.set_organization_state(&id, OrganizationState::Inactive));
    let writes = (0..8).map(|n| store.apply(&id, vec![set(&format!("k{n}"), "v")]));
    let (states, writes) = tokio::join!(join_all(states), join_all(writes));
    let last = store.organization(&id).await.unwrap().unwrap();
    assert_eq!((last.state, last.sequence), (OrganizationState::Inactive, 1 + 1 + 8));
    assert!(
        states.into_iter().all(|organization| organization.unwrap().state == OrganizationState::Inactive)
    );
    let mut numbers: Vec<_> = writes.into_iter().map(|details| details.unwrap().sequence).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 8);
}

/// Two keys that are always written, and removed, together are always read, and counted, together.
pub async fn nobody_sees_half_a_batch(store: &dyn Store) {
    let id = organization(store, "o").await;
    let write = async {
        for n in 0..50 {
            let text = n.to_string();
            for changes in [[set("a", &text), set("b", &text)], [remove("a"), remove("b")]] {
                store.apply(&id, changes.into()).await.unwrap();
                // For stores that never wait.
                tokio::task::yield_now().await;
            }
        }
    };
    let read = async {
        for _ in 0..100 {
            let page = store.list(&id, Query::default()).await.unwrap();
            let values: Vec<_> = page.entries.iter().map(|entry| &entry.value).collect();
            assert!(values.is_empty() || (values.len() == 2 && values[0] == values[1]), "{values:?}");
            assert_eq!(page.total, values.len() as u64);
            tokio::task::yield_now().await;
        }
    };
    join(write, read).await;
}

/// Dropping the future does not half-do a write.
pub async fn a_write_whose_caller_leaves_is_whole_or_absent(store: &dyn Store) {
    let id = organization(store, "o").await;
    for n in 0..50_u64 {
        let text = n.to_string();
        let write = store.apply(&id, vec![set("a", &text), set("b", &text)]);
        // Polled once, then dropped.
        let _ = write.now_or_never();
        store.apply(&id, vec![set("after", "v")]).await.unwrap();
        // At one moment: it may happen yet.
        let page = store.list(&id, Query::default()).await.unwrap();
        let value_of =
            |name| page.entries.iter().find(|entry| entry.key == key(name)).map(|entry| &entry.value);
        assert_eq!(value_of("a"), value_of("b"));
    }
    let sequence = store.organization(&id).await.unwrap().unwrap().sequence;
    let details = store.apply(&id, vec![set("after", "v")]).await.unwrap();
    // Each of the others takes two numbers, if it happens in between.
    assert_eq!((details.sequence - sequence) % 2, 1);
}
