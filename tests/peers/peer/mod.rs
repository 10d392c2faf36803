//! The peers. Each checks that it is answered, or shown out, as it should be.

mod bodies;
mod connections;
mod http2;
mod requests;

use std::{future::Future, net::SocketAddr, pin::Pin};

/// A peer that misbehaves.
pub struct Peer {
    pub name: &'static str,
    /// Settings of the server that it comes to, besides the defaults.
    pub settings: &'static [&'static str],
    /// The limit that it strikes; empty where none has to.
    pub limit: &'static str,
    /// What it may cost in memory, in MB.
    pub memory_max: f64,
    come: fn(SocketAddr) -> Coming,
}

type Coming = Pin<Box<dyn Future<Output = ()>>>;

impl Peer {
    /// Does what it came for. Panics if the server does not answer as it should.
    pub async fn come(&self, address: SocketAddr) {
        (self.come)(address).await;
    }
}

/// The peer of this name.
pub fn find(name: &str) -> Option<&'static Peer> {
    ALL.iter().find(|peer| peer.name == name)
}

/// Shorter waits than anybody would set, so that the suite is not long.
const IMPATIENT: &[&str] =
    &["--head-seconds", "1", "--body-seconds", "1", "--reply-seconds", "1", "--idle-seconds", "60"];

macro_rules! peer {
    ($name:literal, $settings:expr, $limit:literal, $memory_max:literal, $come:path) => {
        Peer {
            name: $name,
            settings: $settings,
            limit: $limit,
            memory_max: $memory_max,
            come: |address| Box::pin($come(address)),
        }
    };
}

/// All of them.
pub static ALL: &[Peer] = &[
    peer!("silence", IMPATIENT, "head-seconds", 30.0, connections::silence),
    peer!("half-a-preface", IMPATIENT, "head-seconds", 30.0, connections::half_a_preface),
    peer!("slow-head", IMPATIENT, "head-seconds", 30.0, connections::slow_head),
    peer!(
        "idle-after-a-call",
        &["--idle-seconds", "1"],
        "idle-seconds",
        30.0,
        connections::idle_after_a_call
    ),
    peer!("100000-connections", &[], "", 60.0, connections::open_and_drop),
    peer!("10000-idle-connections", &[], "", 350.0, connections::idle),
    peer!("large-head", IMPATIENT, "headers-bytes-max", 30.0, requests::large_head),
    peer!("broken-heads", IMPATIENT, "", 30.0, requests::broken_heads),
    peer!("broken-messages", IMPATIENT, "", 200.0, requests::broken_messages),
    peer!("body-that-never-comes", IMPATIENT, "body-seconds", 30.0, bodies::never_comes),
    peer!("body-that-trickles", IMPATIENT, "body-seconds", 30.0, bodies::trickles),
    peer!("body-of-10-gb", &[], "message-bytes-max", 200.0, bodies::huge),
    peer!(
        "many-large-bodies",
        &["--body-seconds", "1", "--bodies-bytes-max", "33554432"],
        "bodies-bytes-max",
        200.0,
        bodies::many_large
    ),
    peer!("gzip-bomb", &[], "message-bytes-max", 300.0, bodies::gzip_bomb),
    peer!("gone-in-the-middle", &[], "", 30.0, bodies::gone_in_the_middle),
    peer!("rapid-reset", &[], "http2-abuse", 60.0, http2::rapid_reset),
    peer!("endless-headers", &[], "http2-abuse", 30.0, http2::endless_headers),
    peer!("header-bomb", &[], "", 60.0, http2::header_bomb),
    peer!("settings-flood", &[], "http2-abuse", 30.0, http2::settings_flood),
    peer!("ping-flood", &[], "http2-abuse", 30.0, http2::ping_flood),
    peer!("ping-flood-unread", &[], "", 30.0, http2::ping_flood_unread),
    peer!("10000-streams", IMPATIENT, "", 60.0, http2::many_streams),
    peer!("closed-windows", IMPATIENT, "reply-seconds", 60.0, http2::closed_windows),
];
