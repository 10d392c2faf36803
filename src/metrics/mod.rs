//! What is counted, for `/debug/metrics`: names and labels are an interface, listed in the README.

mod durations;

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};
use storage::Commit;

use durations::Durations;

/// The media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds in operations: powers of two, to the most that share a commit.
const OPERATIONS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// All counters of a server. Labels hold only what the server itself has names for, so that there are few.
pub struct Metrics {
    registry: Registry,
    calls: Family<CallLabels, Durations>,
    others: Family<StatusLabel, Counter>,
    connections: Gauge,
    limits: Family<LimitLabel, Counter>,
    authentication_failures: Family<ReasonLabel, Counter>,
    bodies_bytes: Gauge,
    commit_seconds: Durations,
    commit_operations: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    rpc: &'static str,
    encoding: &'static str,
    code: Code,
}

impl Hash for CallLabels {
    /// Lengths and the code, at once: every call does it, and names of the same length are few.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let code = usize::from(self.code.0.map_or(0, domain::Code::number));
        state.write_usize((self.rpc.len() << 16) | (self.encoding.len() << 8) | code);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabel {
    limit: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// A gRPC code; `None` is OK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Code(Option<domain::Code>);

impl EncodeLabelValue for Code {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.0.map_or("ok", domain::Code::connect_name).encode(encoder)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("metagate");
        let calls = Family::<CallLabels, Durations>::default();
        let (others, limits) = (Family::default(), Family::<LimitLabel, Counter>::default());
        let authentication_failures = Family::<ReasonLabel, Counter>::default();
        let (connections, bodies_bytes) = (Gauge::default(), Gauge::default());
        let (commit_seconds, commit_operations) = (Durations::default(), Histogram::new(OPERATIONS));
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "What is running", build);
        registry.register_with_unit(
            "request",
            "Requests to RPCs, from their head to their answer, and those that were given up",
            Unit::Seconds,
            calls.clone(),
        );
        registry.register("other_requests", "Requests that reached no RPC", others.clone());
        registry.register("connections", "Open connections", connections.clone());
        registry.register_with_unit(
            "request_bodies",
            "What is held of the bodies of requests",
            Unit::Bytes,
            bodies_bytes.clone(),
        );
        registry.register("limits_struck", "How often a limit was struck", limits.clone());
        registry.register(
            "authentication_failures",
            "Calls that were refused because nobody knows who calls",
            authentication_failures.clone(),
        );
        registry.register_with_unit(
            "store_commit",
            "Commits of the store, each until it is durable",
            Unit::Seconds,
            commit_seconds.clone(),
        );
        registry.register(
            "store_commit_operations",
            "Writes that shared a commit of the store",
            commit_operations.clone(),
        );
        Self {
            registry,
            calls,
            others,
            connections,
            limits,
            authentication_failures,
            bodies_bytes,
            commit_seconds,
            commit_operations,
        }
    }
}

impl Metrics {
    /// All of them, in OpenMetrics' text format.
    ///
    /// # Errors
    /// None: it is written to memory.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Counts a request to an RPC. `code` is `None` for success.
    pub fn called(
        &self,
        rpc: &'static str,
        encoding: &'static str,
        code: Option<domain::Code>,
        took: Duration,
    ) {
        let labels = CallLabels { rpc, encoding, code: Code(code) };
        self.calls.get_or_create(&labels).observe(took);
    }

    /// Counts a request that reached no RPC, and was answered with an HTTP status.
    pub fn answered(&self, status: u16) {
        self.others.get_or_create(&StatusLabel { status }).inc();
    }

    /// Counts a connection as long as what is returned lives.
    pub fn connected(self: &Arc<Self>) -> Connected {
        self.connections.inc();
        Connected(self.clone())
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        usize::try_from(self.connections.get()).unwrap_or_default()
    }

    /// Counts `more` bytes of a body that is held. Returns how many there are of all bodies.
    pub fn holding(&self, more: usize) -> usize {
        let more = i64::try_from(more).unwrap_or(i64::MAX);
        usize::try_from(self.bodies_bytes.inc_by(more).saturating_add(more)).unwrap_or_default()
    }

    /// Counts bytes that are not held any more.
    pub fn released(&self, bytes: usize) {
        self.bodies_bytes.dec_by(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Counts that a limit was struck; `limit` is the name of its setting.
    pub fn struck(&self, limit: &'static str) {
        self.limits.get_or_create(&LimitLabel { limit }).inc();
    }

    /// Counts a call by somebody unknown; `reason` is the error's id.
    pub fn unauthenticated(&self, reason: &'static str) {
        self.authentication_failures.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Counts a commit of the store.
    pub fn committed(&self, commit: Commit) {
        self.commit_seconds.observe(commit.took);
        self.commit_operations.observe(u32::try_from(commit.operations).unwrap_or(u32::MAX).into());
    }
}

/// An open connection.
pub struct Connected(Arc<Metrics>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_labels_and_units() {
        let metrics = Arc::new(Metrics::default());
        metrics.called("/a.B/C", "rest", None, Duration::from_millis(2));
        metrics.called("/a.B/C", "grpc", Some(domain::Code::NotFound), Duration::from_secs(60));
        metrics.answered(404);
        metrics.struck("head-seconds");
        metrics.unauthenticated("AUTH-7fs1e");
        metrics.committed(Commit { operations: 3, took: Duration::from_millis(1) });
        let connections = [metrics.connected(), metrics.connected()];
        drop(connections.into_iter().next());
        let text = metrics.text().unwrap();
        for line in [
            concat!("metagate_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "metagate_request_seconds_count{rpc=\"/a.B/C\",encoding=\"rest\",code=\"ok\"} 1",
            "metagate_request_seconds_bucket{le=\"0.001\",rpc=\"/a.B/C\",encoding=\"rest\",code=\"ok\"} 0",
            "metagate_request_seconds_bucket{le=\"0.0025\",rpc=\"/a.B/C\",encoding=\"rest\",code=\"ok\"} 1",
            "metagate_request_seconds_bucket{le=\"30.0\",rpc=\"/a.B/C\",encoding=\"grpc\",code=\"not_found\"} 0",
            "metagate_request_seconds_bucket{le=\"+Inf\",rpc=\"/a.B/C\",encoding=\"grpc\",code=\"not_found\"} 1",
            "metagate_request_seconds_count{rpc=\"/a.B/C\",encoding=\"grpc\",code=\"not_found\"} 1",
            "metagate_request_seconds_sum{rpc=\"/a.B/C\",encoding=\"grpc\",code=\"not_found\"} 60.0",
            "metagate_other_requests_total{status=\"404\"} 1",
            "metagate_connections 0",
            "metagate_limits_struck_total{limit=\"head-seconds\"} 1",
            "metagate_authentication_failures_total{reason=\"AUTH-7fs1e\"} 1",
            "metagate_store_commit_seconds_count 1",
            "metagate_store_commit_seconds_bucket{le=\"0.0005\"} 0",
            "metagate_store_commit_seconds_bucket{le=\"0.001\"} 1",
            "metagate_store_commit_operations_bucket{le=\"2.0\"} 0",
            "metagate_store_commit_operations_bucket{le=\"4.0\"} 1",
        ] {
            assert!(text.lines().any(|printed| printed == line), "{line} is not in\n{text}");
        }
    }
}
