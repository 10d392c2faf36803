//! A well-behaved client: a hundred calls a second, and how they fare.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use http::{Request, Version};
use tokio::{task::JoinHandle, time::MissedTickBehavior};

use crate::client::{Answer, Client};

/// The time between two calls.
const EVERY: Duration = Duration::from_millis(10);

/// Of so many calls, one is on a connection of its own.
const FRESH_EVERY: usize = 10;

/// A client at work; stopped when it is dropped.
pub struct Probe {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Result<Duration, String>>>>,
    work: JoinHandle<()>,
}

/// How calls have fared.
pub struct Fared {
    pub calls: usize,
    pub failures: Vec<String>,
    pub p99: Duration,
}

impl Probe {
    /// Starts to call the server at `address`.
    pub async fn start(address: SocketAddr) -> Self {
        let calls = Arc::<Mutex<Vec<_>>>::default();
        let fared = calls.clone();
        let work = tokio::spawn(async move {
            let mut clients = Vec::new();
            for version in [Version::HTTP_11, Version::HTTP_2] {
                let client = Client::connect(address, version).await;
                clients.push(Arc::new(tokio::sync::Mutex::new(client)));
            }
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            for index in 0.. {
                ticks.tick().await;
                let (fared, client) = (fared.clone(), clients[index % 2].clone());
                tokio::spawn(async move {
                    let start = Instant::now();
                    let outcome = if index % FRESH_EVERY == 0 {
                        call(&mut Client::connect(address, Version::HTTP_11).await, index).await
                    } else {
                        call(&mut *client.lock().await, index).await
                    };
                    fared.lock().unwrap().push(outcome.map(|()| start.elapsed()));
                });
            }
        });
        Self { address, calls, work }
    }

    /// How calls have fared since the last time.
    pub fn take(&mut self) -> Fared {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap());
        let mut times: Vec<Duration> = calls.iter().filter_map(|call| call.as_ref().ok()).copied().collect();
        times.sort();
        let p99 = times.get((times.len() * 99).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default();
        let mut failures: Vec<String> =
            calls.iter().filter_map(|call| call.as_ref().err()).cloned().collect();
        failures.dedup();
        Fared { calls: calls.len(), failures, p99 }
    }

    /// A figure of the server's metrics; 0 if it is not there.
    pub async fn metric(&self, name: &str) -> f64 {
        let mut client = Client::connect(self.address, Version::HTTP_11).await;
        let answer = client.send(Request::get("/debug/metrics").body("").unwrap()).await;
        let value = answer.text().lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or_default()
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.work.abort();
    }
}

/// A write in REST and one in gRPC, by turns.
async fn call(client: &mut Client, index: usize) -> Result<(), String> {
    let request = match client {
        Client::Http1(..) => Request::post(format!("/management/v1/metadata/probe-{}", index % 100))
            .header("content-type", "application/json")
            .body(b"{\"value\":\"cHJvYmU=\"}".to_vec()),
        Client::Http2(..) => Request::post("/zitadel.management.v1.ManagementService/SetOrgMetadata")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(b"\0\0\0\0\x0e\x0a\x05probe\x12\x05probe".to_vec()),
    };
    let mut request = request.map_err(|error| error.to_string())?;
    request.headers_mut().insert("authorization", http::HeaderValue::from_static("Bearer home-owner"));
    let answer: Answer = client.try_send(request).await.map_err(|error| format!("{error:?}"))?;
    let status = answer.trailers.get("grpc-status").map_or("0", |status| status.to_str().unwrap_or_default());
    if answer.status == 200 && status == "0" && !answer.headers.contains_key("grpc-status") {
        Ok(())
    } else {
        Err(format!("{answer:?}"))
    }
}
