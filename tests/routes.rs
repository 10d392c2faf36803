//! The routes that follow from the protos, as a picture: a change of proto shows as a diff.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fmt::Write, sync::Arc};

use storage::{MemoryStore, Store};

#[test]
fn routes() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut table = String::new();
    for rpc in metagate::api::rpcs(&store) {
        writeln!(table, "{}", rpc.path).unwrap();
        writeln!(table, "    access {:?}", rpc.access).unwrap();
        writeln!(table, "    message_bytes_max {}, malformed {:?}", rpc.message_bytes_max, rpc.malformed)
            .unwrap();
        for binding in rpc.bindings {
            let body = if binding.takes_body { ", body" } else { "" };
            let query = if binding.takes_query { ", query" } else { "" };
            writeln!(table, "    {} {}{body}{query}", binding.http_method, binding.template).unwrap();
        }
    }
    insta::assert_snapshot!(table);
}
