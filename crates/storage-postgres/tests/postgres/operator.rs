//! What an operator finds in a database that somebody has changed by hand.

use bytes::Bytes;
use domain::{Change, Key, OrganizationId};
use storage::{Archive, Store};

use crate::fixture;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_finds_each_thing_that_is_wrong() {
    let Some(server) = fixture::server() else { return };
    let one = "organization \"one\"";
    let a = "organization \"one\", key \"a\"";
    for (statement, want) in [
        ("UPDATE metagate.organization SET entries = 3", format!("{one}: the count of its entries is wrong")),
        (
            "INSERT INTO metagate.metadata VALUES (99, 'x', 'v', 2, 1, 1)",
            "key \"x\": the entry's organization is not there".to_owned(),
        ),
        (
            "UPDATE metagate.organization SET sequence = 2",
            format!("{one}: its last metadata event is not one of its events"),
        ),
        (
            "UPDATE metagate.metadata SET sequence = 9 WHERE key = 'a'",
            format!("{a}: the entry's event is not one of its organization's metadata events"),
        ),
        ("UPDATE metagate.metadata SET sequence = 2", format!("{a}: two entries have the same event")),
        (
            "UPDATE metagate.organization SET created_at = last_metadata_at + 1",
            format!("{one}: its last metadata event is before its creation, or after its last event"),
        ),
        (
            "UPDATE metagate.metadata SET changed_at = created_at - 1 WHERE key = 'a'",
            format!("{a}: the entry was changed before it was created, or after the last metadata event"),
        ),
    ] {
        let database = fixture::database().await;
        let store = fixture::open(&server.url(&database)).await;
        let id = OrganizationId::new("one").unwrap();
        store.create_organization(&id, "name").await.unwrap();
        let set = |key: &str| {
            let key = Key::new(key.to_owned()).unwrap();
            Change::Set { key, value: Bytes::from_static(b"v") }
        };
        store.apply(&id, vec![set("a"), set("b")]).await.unwrap();
        assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
        server.sql(&database, statement);
        assert_eq!(store.check().await.unwrap(), [want], "{statement}");
    }
}
