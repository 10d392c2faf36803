//! The lines of the contract of [`Registry`](crate::Registry), one function each, on a store that two have.

use std::collections::BTreeMap;

use domain::{OrganizationId, OrganizationState};
use futures_util::future::join_all;

use crate::{
    SharedStore, StoreError,
    registry::{BODY_BYTES_MAX, Changes, NAME_BYTES_MAX, RecordChange},
};

fn put(kind: &str, id: &str, body: impl Into<Vec<u8>>) -> RecordChange {
    RecordChange { kind: kind.to_owned(), id: id.to_owned(), body: Some(body.into()) }
}

fn remove(kind: &str, id: &str) -> RecordChange {
    RecordChange { kind: kind.to_owned(), id: id.to_owned(), body: None }
}

/// A change is read back by both, in byte order of names, with all bytes of its body.
pub async fn what_was_changed_is_read_back(here: &dyn SharedStore, there: &dyn SharedStore) {
    assert_eq!(here.revision().await.unwrap(), 0);
    assert_eq!(here.changes(0).await.unwrap(), Changes::default());
    let all: Vec<u8> = (0..=255).collect();
    let given =
        vec![put("user", "b", "2"), put("user", "a", ""), put("key", "ü/%\n", all), put("user", "B", "3")];
    assert_eq!(here.change(0, given.clone()).await.unwrap(), 1);
    let [two, one, key, capital] = given.try_into().unwrap();
    let want = Changes { revision: 1, records: vec![key.clone(), capital, one, two] };
    for store in [here, there] {
        assert_eq!(store.changes(0).await.unwrap(), want);
        assert_eq!(store.revision().await.unwrap(), 1);
    }
    let changes = vec![put("user", "a", "new"), remove("user", "b"), remove("user", "never")];
    assert_eq!(there.change(1, changes).await.unwrap(), 2);
    for store in [here, there] {
        let found = store.changes(0).await.unwrap();
        let kept = found.records.into_iter().filter(|record| record.body.is_some()).collect::<Vec<_>>();
        assert_eq!(
            (found.revision, kept),
            (2, vec![key.clone(), put("user", "B", "3"), put("user", "a", "new")])
        );
    }
}

/// A change that expects another state is a conflict, and nothing of it is there.
pub async fn a_change_behind_another_leaves_no_trace(here: &dyn SharedStore, there: &dyn SharedStore) {
    here.change(0, vec![put("k", "a", "1")]).await.unwrap();
    for expected in [0, 2, u64::MAX] {
        let refused = there.change(expected, vec![put("k", "a", "2"), put("k", "b", "2")]).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{expected}: {refused:?}");
    }
    let want = Changes { revision: 1, records: vec![put("k", "a", "1")] };
    assert_eq!(here.changes(0).await.unwrap(), want);
}

/// Of changes that are made at once and expect the same, one is made.
pub async fn of_racing_changes_one_is_made(here: &dyn SharedStore, there: &dyn SharedStore) {
    for round in 0..10 {
        let racers = (0..8).map(async |racer: usize| {
            let store = if racer.is_multiple_of(2) { here } else { there };
            let made = store.change(round, vec![put("k", "a", racer.to_string())]).await;
            match made {
                Ok(revision) => {
                    assert_eq!(revision, round + 1);
                    Some(racer)
                }
                Err(StoreError::Conflict) => None,
                Err(error) => panic!("{error}"),
            }
        });
        let winners: Vec<_> = join_all(racers).await.into_iter().flatten().collect();
        let [winner] = winners[..] else { panic!("{winners:?} in round {round}") };
        let want = Changes { revision: round + 1, records: vec![put("k", "a", winner.to_string())] };
        assert_eq!(there.changes(0).await.unwrap(), want);
    }
}

/// Who takes over what has changed since he looked last has what who reads all of it has, wherever he began.
pub async fn increments_add_up_to_the_whole(here: &dyn SharedStore, there: &dyn SharedStore) {
    const STEPS: u64 = 12;
    let replay = |changes: Changes, records: &mut BTreeMap<(String, String), Vec<u8>>| {
        for RecordChange { kind, id, body } in changes.records {
            match body {
                Some(body) => records.insert((kind, id), body),
                None => records.remove(&(kind, id)),
            };
        }
        changes.revision
    };
    // Those who look after every change, every second one, and so on.
    let mut followers = vec![(0, BTreeMap::new()); 4];
    for step in 0..STEPS {
        let name = |number: u64| (number * 7 % 5).to_string();
        let changes = vec![put("k", &name(step), step.to_string()), remove("k", &name(step + 2))];
        here.change(step, changes).await.unwrap();
        for (pace, (revision, records)) in followers.iter_mut().enumerate() {
            if step.is_multiple_of(pace as u64 + 1) {
                let store = if pace.is_multiple_of(2) { here } else { there };
                *revision = replay(store.changes(*revision).await.unwrap(), records);
            }
        }
    }
    let mut whole = BTreeMap::new();
    assert_eq!(replay(there.changes(0).await.unwrap(), &mut whole), STEPS);
    assert!(whole.len() > 1 && whole.len() < 5, "{whole:?}");
    for (mut revision, mut records) in followers {
        let left = there.changes(revision).await.unwrap();
        assert!(revision < STEPS || left.records.is_empty());
        revision = replay(left, &mut records);
        assert_eq!((revision, &records), (STEPS, &whole));
    }
}

/// Who asks for an organization after a change was acknowledged is told its number.
pub async fn a_standing_tells_of_a_change_at_once(here: &dyn SharedStore, there: &dyn SharedStore) {
    let id = OrganizationId::new("o").unwrap();
    for store in [here, there] {
        assert_eq!(store.standing(&id).await.unwrap().revision, 0);
    }
    here.create_organization(&id, "o").await.unwrap();
    for revision in 0..20 {
        let (changing, asked) = if revision % 2 == 0 { (here, there) } else { (there, here) };
        changing.change(revision, vec![put("k", "a", "1")]).await.unwrap();
        for store in [asked, changing] {
            assert_eq!(store.standing(&id).await.unwrap().revision, revision + 1);
            assert_eq!(store.revision().await.unwrap(), revision + 1);
        }
    }
}

/// The organization is told in every state, as [`Store::organization`](crate::Store::organization) tells it.
pub async fn a_standing_tells_of_the_organization(here: &dyn SharedStore, there: &dyn SharedStore) {
    let id = OrganizationId::new("o").unwrap();
    assert_eq!(there.standing(&id).await.unwrap().organization, None);
    let mut organization = here.create_organization(&id, "o").await.unwrap();
    for state in [OrganizationState::Active, OrganizationState::Inactive, OrganizationState::Removed] {
        if state != OrganizationState::Active {
            organization = here.set_organization_state(&id, state).await.unwrap();
        }
        for store in [here, there] {
            assert_eq!(store.standing(&id).await.unwrap().organization.as_ref(), Some(&organization));
            assert_eq!(store.organization(&id).await.unwrap().as_ref(), Some(&organization));
        }
    }
}

/// Names and bodies may be as long as they may be, and no longer.
pub async fn what_is_too_large_leaves_no_trace(here: &dyn SharedStore, there: &dyn SharedStore) {
    let (name, body) = ("n".repeat(NAME_BYTES_MAX - 1), vec![7; BODY_BYTES_MAX]);
    let fits = put("k", &name, body.clone());
    here.change(0, vec![fits.clone()]).await.unwrap();
    let longer = [put("kk", &name, ""), put("k", "a", [&body[..], &[0]].concat())];
    for change in longer {
        let refused = here.change(1, vec![put("k", "b", "1"), change]).await;
        assert!(matches!(refused, Err(StoreError::TooLarge)), "{refused:?}");
    }
    assert_eq!(there.changes(0).await.unwrap(), Changes { revision: 1, records: vec![fits] });
}
