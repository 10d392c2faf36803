//! Random operations on a store, held against a model that is too simple to be wrong.

use std::collections::BTreeMap;

use bytes::Bytes;
use domain::{
    Change, Comparison, Details, Entry, Key, KeyFilter, Organization, OrganizationId, OrganizationState,
    Query, Timestamp,
};
use proptest::{
    collection::vec,
    prelude::{BoxedStrategy, Just, Strategy, any, prop_oneof},
    sample::select,
    test_runner::{Config, TestCaseError, TestError, TestRunner},
};

use crate::{Store, StoreError};

/// Something done to a store. Organizations and keys are few, so that operations meet.
#[derive(Clone, Debug)]
pub enum Operation {
    /// [`Store::create_organization`]
    Create(usize),
    /// [`Store::set_organization_state`]
    SetState(usize, OrganizationState),
    /// [`Store::apply`]
    Apply(usize, Vec<Change>),
    /// [`Store::list`]
    List(usize, Query),
}

const ORGANIZATIONS: [&str; 3] = ["1", "10", "ö"];
const KEYS: [&str; 7] = ["a", "A", "ab", "ä", "a%", "\u{FFFF}", "\u{10000}"];

/// Runs `cases` random lists of operations through `check`; the same ones every time.
///
/// # Errors
/// The shortest list that fails, and why.
pub fn run(cases: u32, mut check: impl FnMut(&[Operation]) -> Result<(), String>) -> Result<(), String> {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let check = std::cell::RefCell::new(&mut check);
    let outcome = runner.run(&vec(operation(), 1..40), |operations| {
        (check.borrow_mut())(&operations).map_err(TestCaseError::fail)
    });
    outcome.map_err(|error| match error {
        TestError::Fail(reason, operations) => format!("{reason}\n{operations:#?}"),
        TestError::Abort(reason) => reason.to_string(),
    })
}

fn operation() -> BoxedStrategy<Operation> {
    let organization = || 0..ORGANIZATIONS.len();
    let state = prop_oneof![
        4 => Just(OrganizationState::Active),
        4 => Just(OrganizationState::Inactive),
        1 => Just(OrganizationState::Removed),
    ];
    prop_oneof![
        2 => organization().prop_map(Operation::Create),
        2 => (organization(), state).prop_map(|(organization, state)| Operation::SetState(organization, state)),
        8 => (organization(), vec(change(), 1..5)).prop_map(|(organization, changes)| Operation::Apply(organization, changes)),
        3 => (organization(), query()).prop_map(|(organization, query)| Operation::List(organization, query)),
    ]
    .boxed()
}

fn change() -> BoxedStrategy<Change> {
    let key = || select(&KEYS[..]).prop_map(|key| Key::new(key.to_owned()).unwrap());
    let value = || select(&[1_usize, 2, 3_000][..]).prop_map(|length| Bytes::from(vec![b'v'; length]));
    prop_oneof![
        3 => (key(), value()).prop_map(|(key, value)| Change::Set { key, value }),
        3 => (key(), value()).prop_map(|(key, value)| Change::SetIfDifferent { key, value }),
        1 => key().prop_map(|key| Change::Remove { key }),
        1 => key().prop_map(|key| Change::RemoveIfPresent { key }),
    ]
    .boxed()
}

fn query() -> BoxedStrategy<Query> {
    let comparison = select(
        &[
            Comparison::Equals,
            Comparison::EqualsIgnoreCase,
            Comparison::StartsWith,
            Comparison::StartsWithIgnoreCase,
            Comparison::Contains,
            Comparison::ContainsIgnoreCase,
            Comparison::EndsWith,
            Comparison::EndsWithIgnoreCase,
        ][..],
    );
    let text = select(&["", "a", "Ä", "%", "b", "\u{FFFF}"][..]);
    let filter = (text, comparison).prop_map(|(text, comparison)| KeyFilter::new(text, comparison));
    let offset = prop_oneof![0..4_u64, Just(u64::MAX)];
    let limit = prop_oneof![Just(None), (0..4_u32).prop_map(Some), any::<u32>().prop_map(Some)];
    (vec(filter, 0..3), offset, limit)
        .prop_map(|(filters, offset, limit)| Query { filters, offset, limit })
        .boxed()
}

/// An organization as the model knows it.
struct Modelled {
    organization: Organization,
    last_event_at: Timestamp,
    entries: BTreeMap<String, Entry>,
}

/// Does the operations to a fresh `store` and to the model.
///
/// # Errors
/// The first thing in which they differ.
pub async fn check(store: &dyn Store, operations: &[Operation]) -> Result<(), String> {
    let ids: Vec<_> = ORGANIZATIONS.iter().map(|id| OrganizationId::new(id).unwrap()).collect();
    let mut model: BTreeMap<usize, Modelled> = BTreeMap::new();
    for operation in operations {
        let (Operation::Create(index)
        | Operation::SetState(index, _)
        | Operation::Apply(index, _)
        | Operation::List(index, _)) = operation;
        let id = &ids[*index];
        match operation {
            Operation::Create(_) => {
                let created =
                    store.create_organization(id, "name").await.map_err(|error| error.to_string())?;
                model.entry(*index).or_insert_with(|| Modelled {
                    last_event_at: created.created_at,
                    organization: created,
                    entries: BTreeMap::new(),
                });
            }
            Operation::SetState(_, state) => {
                let outcome = store.set_organization_state(id, *state).await;
                set_state(model.get_mut(index), *state, outcome)?;
            }
            Operation::Apply(_, changes) => {
                let outcome = store.apply(id, changes.clone()).await;
                apply(model.get_mut(index), changes, outcome)?;
            }
            Operation::List(_, query) => list(store, id, model.get(index), query).await?,
        }
        list(store, id, model.get(index), &Query::default()).await?;
        let organization = store.organization(id).await.map_err(|error| error.to_string())?;
        same("organization", organization.as_ref(), model.get(index).map(|modelled| &modelled.organization))?;
        for key in KEYS {
            let entry =
                store.get(id, &Key::new(key.to_owned()).unwrap()).await.map_err(|error| error.to_string())?;
            same(key, entry.as_ref(), model.get(index).and_then(|modelled| modelled.entries.get(key)))?;
        }
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, want: T) -> Result<(), String> {
    if got == want { Ok(()) } else { Err(format!("{what}: got {got:?}, want {want:?}")) }
}

fn set_state(
    modelled: Option<&mut Modelled>,
    state: OrganizationState,
    outcome: Result<Organization, StoreError>,
) -> Result<(), String> {
    let modelled = modelled.filter(|modelled| {
        modelled.organization.state != OrganizationState::Removed || state == OrganizationState::Removed
    });
    match (modelled, outcome) {
        (None, Err(StoreError::OrganizationNotFound)) => Ok(()),
        (Some(modelled), Ok(organization)) => {
            if modelled.organization.state != state {
                modelled.organization.state = state;
                modelled.organization.sequence += 1;
                if state == OrganizationState::Removed {
                    modelled.entries.clear();
                }
            }
            same("after the state", &organization, &modelled.organization)
        }
        (_, outcome) => Err(format!("state {state:?}: got {outcome:?}")),
    }
}

fn apply(
    modelled: Option<&mut Modelled>,
    changes: &[Change],
    outcome: Result<Details, StoreError>,
) -> Result<(), String> {
    let modelled = modelled.filter(|modelled| modelled.organization.state != OrganizationState::Removed);
    let Some(modelled) = modelled else {
        let refused = matches!(outcome, Err(StoreError::OrganizationNotFound));
        return if refused { Ok(()) } else { Err(format!("no organization: got {outcome:?}")) };
    };
    let stored = |key: &Key| modelled.entries.get(key.as_str()).map(|entry| entry.value.clone());
    let absent =
        changes.iter().position(|change| matches!(change, Change::Remove { key } if stored(key).is_none()));
    if let Some(absent) = absent {
        let refused = matches!(outcome, Err(StoreError::KeyAbsent { index }) if index == absent);
        return if refused { Ok(()) } else { Err(format!("key {absent} is absent: got {outcome:?}")) };
    }
    let effective: Vec<_> = changes
        .iter()
        .filter(|change| match change {
            Change::SetIfDifferent { key, value } => stored(key).as_ref() != Some(value),
            Change::RemoveIfPresent { key } => stored(key).is_some(),
            Change::Set { .. } | Change::Remove { .. } => true,
        })
        .collect();
    let details = outcome.map_err(|error| format!("refused: {error}"))?;
    if effective.is_empty() {
        return same("details", details, modelled.organization.last_metadata_event);
    }
    if details.at < modelled.last_event_at {
        return Err(format!("time went back from {:?} to {:?}", modelled.last_event_at, details.at));
    }
    for change in effective {
        modelled.organization.sequence += 1;
        match change {
            Change::Set { key, value } | Change::SetIfDifferent { key, value } => {
                let created_at =
                    modelled.entries.get(key.as_str()).map_or(details.at, |entry| entry.created_at);
                let (key, value, sequence) = (key.clone(), value.clone(), modelled.organization.sequence);
                let entry = Entry { key: key.clone(), value, sequence, created_at, changed_at: details.at };
                modelled.entries.insert(key.into_string(), entry);
            }
            Change::Remove { key } | Change::RemoveIfPresent { key } => {
                modelled.entries.remove(key.as_str());
            }
        }
    }
    modelled.last_event_at = details.at;
    modelled.organization.last_metadata_event =
        Details { sequence: modelled.organization.sequence, at: details.at };
    same("details", details, modelled.organization.last_metadata_event)
}

async fn list(
    store: &dyn Store,
    id: &OrganizationId,
    modelled: Option<&Modelled>,
    query: &Query,
) -> Result<(), String> {
    let page = store.list(id, query.clone()).await.map_err(|error| error.to_string())?;
    let matching: Vec<_> = modelled
        .iter()
        .flat_map(|modelled| modelled.entries.values())
        .filter(|entry| query.filters.iter().all(|filter| filter.matches(entry.key.as_str())))
        .cloned()
        .collect();
    same("total", page.total, matching.len() as u64)?;
    let offset = usize::try_from(query.offset).unwrap_or(usize::MAX);
    let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
    same("page", page.entries, matching.into_iter().skip(offset).take(limit).collect())
}
