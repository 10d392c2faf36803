//! Writes that share a transaction have the outcomes of writes that follow each other; and who takes no writes is left.

use bytes::Bytes;
use domain::{Change, Key, OrganizationId, Query, Timestamp};
use futures_util::future::join_all;
use storage::{MemoryStore, Store, StoreError};

use crate::fixture;

/// How many batches are made up, and how many writes each has.
const BATCHES: u64 = 60;
const WRITES: usize = 40;

/// What can be compared of an outcome.
fn told(outcome: Result<domain::Details, StoreError>) -> String {
    outcome.map_or_else(|error| format!("{error:?}"), |details| details.sequence.to_string())
}

/// Numbers that look random, from a seed (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    /// Few organizations, of which one is absent, few keys, few values: everything meets everything.
    fn write(&mut self) -> (OrganizationId, Vec<Change>) {
        let organization = OrganizationId::new(["o", "p", "absent"][self.below(7) % 3]).unwrap();
        let changes = (0..=self.below(3)).map(|_| {
            let key = Key::new(["a", "b", "c"][self.below(3)].to_owned()).unwrap();
            let value = Bytes::from_static([&b"1"[..], b"2", b""][self.below(3)]);
            match self.below(4) {
                0 => Change::Set { key, value },
                1 => Change::SetIfDifferent { key, value },
                2 => Change::Remove { key },
                _ => Change::RemoveIfPresent { key },
            }
        });
        (organization, changes.collect())
    }
}

/// All entries, and whether each is older than `moment`.
async fn entries(store: &dyn Store, id: &OrganizationId, moment: Timestamp) -> String {
    let page = store.list(id, Query { filters: vec![], offset: 0, limit: None }).await.unwrap();
    assert_eq!(page.total, page.entries.len() as u64);
    let one = |entry: &domain::Entry| {
        let is_older = entry.created_at <= moment;
        assert!(entry.created_at <= entry.changed_at);
        format!("{:?} {:?} {} {is_older}\n", entry.key, entry.value, entry.sequence)
    };
    page.entries.iter().map(one).collect()
}

#[tokio::test]
async fn a_batch_is_as_its_writes_one_after_the_other() {
    if fixture::server().is_none() {
        return;
    }
    let (model, store) = (MemoryStore::new(), fixture::fresh().await);
    let existing = ["o", "p"].map(|id| OrganizationId::new(id).unwrap());
    let mut moment = Timestamp::from_micros(0);
    for id in &existing {
        model.create_organization(id, "").await.unwrap();
        moment = store.create_organization(id, "").await.unwrap().created_at;
    }
    for seed in 1..=BATCHES {
        let mut numbers = Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let writes: Vec<_> = (0..WRITES).map(|_| numbers.write()).collect();
        // Asked for before any is begun, as the runtime has one thread.
        let together = join_all(writes.iter().map(|(id, changes)| store.apply(id, changes.clone()))).await;
        let mut last = moment;
        for ((id, changes), outcome) in writes.iter().zip(together) {
            let want = model.apply(id, changes.clone()).await;
            last =
                [&outcome, &want].into_iter().flatten().map(|details| details.at).fold(last, Timestamp::max);
            assert_eq!(told(outcome), told(want), "seed {seed}: {id:?} {changes:?}");
        }
        for id in &existing {
            let want = entries(&model, id, moment).await;
            assert_eq!(entries(&store, id, moment).await, want, "seed {seed}: {id:?}");
        }
        // The next batch is later than this, in both stores.
        moment = last;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_takes_no_writes_leaves_the_pool() {
    let Some(server) = fixture::server() else { return };
    let database = fixture::database().await;
    server.sql("postgres", &format!("ALTER DATABASE {database} SET default_transaction_read_only = on"));
    let store = fixture::open(&format!("{}&target_session_attrs=any", server.url(&database))).await;
    server.sql("postgres", &format!("ALTER DATABASE {database} RESET default_transaction_read_only"));
    store.create_organization(&OrganizationId::new("o").unwrap(), "O").await.unwrap();
}
