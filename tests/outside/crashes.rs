//! The server is killed at random moments, at work and at its start: what it has acknowledged is there.

use std::{fs, path::Path, process::Stdio, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    client::Client,
    dialect::{BULK, Call, Dialect, GET, Outcome, SET, dialects},
    server::{Server, directory, metagate},
};

const ROUNDS: usize = 50;

/// How long a round lasts at most, in milliseconds.
const ROUND_MS: u64 = 250;

/// How long a start may last before it is broken off, in milliseconds.
const START_MS: u64 = 40;

/// For each organization.
const HEADERS: [[(&str, &str); 2]; 2] = [
    [("authorization", "Bearer owner"), ("x-zitadel-orgid", "org-0")],
    [("authorization", "Bearer owner"), ("x-zitadel-orgid", "org-1")],
];

/// Every bulk sets this many keys to its number, in values of so many bytes.
const SIZES: [usize; 3] = [1, 6_000, 900];

/// Who writes bulks, one after the other, and remembers what came of them.
struct Writer {
    number: usize,
    organization: usize,
    dialect: Dialect,
    asked: u64,
    acknowledged: u64,
    sequences: Vec<u64>,
    /// How many bulks are in the store.
    applied: u64,
}

impl Writer {
    fn key(&self, index: usize) -> String {
        format!("writer-{}-{index}", self.number)
    }

    fn call(&self, rpc: &'static str, message: Value) -> Call<'static> {
        Call { rpc, headers: &HEADERS[self.organization], message }
    }

    /// Writes until the server is gone.
    async fn write(mut self, mut client: Client) -> Self {
        loop {
            self.asked += 1;
            let entry = |(index, &size)| json!({"key": self.key(index), "value": value(self.asked, size)});
            let entries: Vec<Value> = SIZES.iter().enumerate().map(entry).collect();
            let call = self.call(BULK, json!({"metadata": entries}));
            let Ok(outcome) = self.dialect.try_call(&mut client, &call).await else { return self };
            self.sequences.push(sequence(&outcome));
            self.acknowledged = self.asked;
            self.applied += 1;
        }
    }

    /// Compares what is there with what it remembers.
    async fn check(&mut self, server: &Server) {
        let mut client = self.dialect.connect(server.address).await;
        let mut found = Vec::new();
        for (index, &size) in SIZES.iter().enumerate() {
            let call = self.call(GET, json!({"key": self.key(index)}));
            found.push(match self.dialect.call(&mut client, &call).await {
                Ok(response) => {
                    let text = response["metadata"]["value"].as_str().unwrap();
                    let bytes = STANDARD.decode(text).unwrap();
                    let number = std::str::from_utf8(&bytes).unwrap().trim().parse().unwrap();
                    assert_eq!(text, value(number, size));
                    number
                }
                Err(failure) if failure.code == 5 => 0,
                Err(failure) => panic!("{failure:?}"),
            });
        }
        let context = format!("writer {}, {:?}: found {found:?}", self.number, self.dialect);
        assert!(found.iter().all(|&number| number == found[0]), "half a bulk: {context}");
        let Self { acknowledged, asked, .. } = *self;
        assert!((acknowledged..=asked).contains(&found[0]), "{acknowledged} of {asked}: {context}");
        if found[0] > acknowledged {
            assert_eq!(found[0], asked, "{context}");
            self.acknowledged = asked;
            self.applied += 1;
        }
    }
}

fn value(number: u64, size: usize) -> String {
    STANDARD.encode(format!("{number:<size$}"))
}

fn sequence(outcome: &Outcome) -> u64 {
    let response = outcome.as_ref().unwrap();
    response["details"]["sequence"].as_str().unwrap().parse().unwrap()
}

fn below(max: u64) -> Duration {
    Duration::from_millis(getrandom::u64().unwrap() % max)
}

/// A server on the store in `folder`.
fn command(folder: &Path) -> std::process::Command {
    let mut command = metagate();
    command.current_dir(folder).args(["serve", "--listen", "127.0.0.1:0", "--log-level", "error"]);
    command.args(["--directory", "directory.toml", "--storage", "sqlite:metagate.db"]);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_being_killed_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("directory.toml"), directory()).unwrap();
    let dialects = dialects().into_iter().filter(|dialect| dialect.speaks(BULK) && dialect.speaks(GET));
    let mut writers: Vec<Writer> = dialects
        .enumerate()
        .map(|(number, dialect)| Writer {
            number,
            organization: number % HEADERS.len(),
            dialect,
            asked: 0,
            acknowledged: 0,
            sequences: Vec::new(),
            applied: 0,
        })
        .collect();
    // The first event is the organization's own.
    let mut events = [1; HEADERS.len()];
    let mut sequences: [Vec<u64>; HEADERS.len()] = Default::default();
    for round in 0..=ROUNDS {
        let mut stillborn = command(folder.path()).stdout(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(below(START_MS)).await;
        stillborn.kill().unwrap();
        stillborn.wait().unwrap();

        let mut server = Server::run(command(folder.path()));
        for writer in &mut writers {
            let (before, numbers) = (writer.applied, &mut sequences[writer.organization]);
            numbers.append(&mut writer.sequences);
            writer.check(&server).await;
            events[writer.organization] += (writer.applied - before) * SIZES.len() as u64;
        }
        // Every event has a number, and none has two.
        for (organization, dialect) in [0, 1].map(|index| (index, writers[index].dialect)) {
            events[organization] += 1;
            let message = json!({"key": "round", "value": value(round as u64, 1)});
            let call = Call { rpc: SET, headers: &HEADERS[organization], message };
            let outcome = dialect.call(&mut dialect.connect(server.address).await, &call).await;
            assert_eq!(sequence(&outcome), events[organization], "round {round}, {organization}");
            let numbers = &mut sequences[organization];
            numbers.sort_unstable();
            let are_apart = |pair: &[u64]| pair[1] >= pair[0] + SIZES.len() as u64;
            assert!(numbers.windows(2).all(are_apart), "round {round}, {organization}: {numbers:?}");
        }
        if round == ROUNDS {
            break;
        }

        let mut work = JoinSet::new();
        for writer in writers.drain(..) {
            let client = writer.dialect.connect(server.address).await;
            work.spawn(writer.write(client));
        }
        tokio::time::sleep(below(ROUND_MS)).await;
        server.kill();
        writers = work.join_all().await;
        writers.sort_by_key(|writer| writer.number);
        for writer in &writers {
            events[writer.organization] += writer.sequences.len() as u64 * SIZES.len() as u64;
        }
    }
    let acknowledged: usize = sequences.iter().map(Vec::len).sum();
    assert!(acknowledged > ROUNDS, "the load was no load: {acknowledged}");
}
