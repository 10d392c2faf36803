//! metagate beside bare servers, or beside another metagate: every encoding, operation and size of values.

use std::{path::Path, sync::Arc};

use crate::{
    Error, Extent,
    binaries::{Bare, Binaries},
    call::{Calls, Encoding, KEYS, Operation, Protocol},
    figures::{Spread, micros_each, percentile, rate},
    load::Connections,
    process::Server,
};

/// The sizes of values, in bytes, as the tables name them.
const SIZES: [(usize, &str); 3] = [(100, "100 B"), (10_000, "10 KB"), (100_000, "100 KB")];

/// How many calls are in flight.
pub const IN_FLIGHT: usize = 16;

/// How many bytes of values the calls of a round move, more or less: large ones are called less often.
const ROUND_BYTES: usize = 100_000_000;

/// The fewest calls of a round.
const ROUND_CALLS_MIN: usize = 2 * IN_FLIGHT;

const ENCODINGS: [(Encoding, Bare); 6] = [
    (Encoding::Rest, Bare::Axum),
    (Encoding::ConnectJson, Bare::Axum),
    (Encoding::ConnectProto, Bare::Axum),
    (Encoding::Grpc, Bare::Tonic),
    (Encoding::GrpcWeb, Bare::Tonic),
    (Encoding::GrpcWebText, Bare::Tonic),
];

/// Values of one size.
pub struct Comparison {
    pub size: &'static str,
    pub cases: Vec<Case>,
    /// The least that a server can do: to send back what it is sent.
    pub echoes: Vec<(&'static str, Figures)>,
}

/// One operation in one encoding.
pub struct Case {
    pub encoding: Encoding,
    pub operation: Operation,
    pub metagate: Figures,
    pub bare: (Bare, Figures),
    /// CPU a call of metagate to that of the bare server, of rounds that followed each other.
    pub ratio: Spread,
}

/// What a server did.
pub struct Figures {
    /// Calls a second; the median of the rounds.
    pub rate: f64,
    /// In microseconds.
    pub p50: u32,
    /// In microseconds.
    pub p99: u32,
    /// Microseconds of the server's CPU a call; the median of the rounds.
    pub cpu: f64,
    pub peak_bytes: u64,
}

/// Measures all.
pub async fn run(binaries: &Binaries, folder: &Path, extent: &Extent) -> Result<Vec<Comparison>, Error> {
    let mut comparisons = Vec::new();
    for (value_bytes, size) in SIZES {
        comparisons.push(of_size(binaries, folder, extent, value_bytes, size).await?);
    }
    Ok(comparisons)
}

async fn of_size(
    binaries: &Binaries,
    folder: &Path,
    extent: &Extent,
    value_bytes: usize,
    size: &'static str,
) -> Result<Comparison, Error> {
    let metagate = Server::start(binaries.metagate(folder, "memory:")?)?;
    fill(&metagate, Encoding::Grpc, value_bytes).await?;
    let axum = Server::start(binaries.bare(Bare::Axum, Protocol::Http1))?;
    fill(&axum, Encoding::ConnectProto, value_bytes).await?;
    let tonic = [Protocol::Http1, Protocol::Http2].map(|protocol| binaries.bare(Bare::Tonic, protocol));
    let [tonic_http1, tonic_http2] = tonic.map(Server::start);
    let (tonic_http1, tonic_http2) = (tonic_http1?, tonic_http2?);
    fill(&tonic_http1, Encoding::GrpcWeb, value_bytes).await?;
    fill(&tonic_http2, Encoding::Grpc, value_bytes).await?;

    let beside = binaries.beside(folder)?.map(Server::start).transpose()?;
    if let Some(beside) = &beside {
        fill(beside, Encoding::Grpc, value_bytes).await?;
    }

    let mut cases = Vec::new();
    for (encoding, bare) in ENCODINGS {
        let (bare, bare_server) = match (&beside, bare, encoding.protocol()) {
            (Some(beside), ..) => (Bare::Beside, beside),
            (None, Bare::Tonic, Protocol::Http2) => (bare, &tonic_http2),
            (None, Bare::Tonic, Protocol::Http1) => (bare, &tonic_http1),
            (None, ..) => (bare, &axum),
        };
        for operation in Operation::ALL {
            eprintln!("{size}: {} {operation:?}", encoding.name());
            let calls = Arc::new(Calls::new(encoding, operation, value_bytes)?);
            let count = extent.round_calls(operation.value_bytes(value_bytes));
            let mut ours = Side::open(&metagate, calls.clone(), count).await?;
            let mut theirs = Side::open(bare_server, calls, count).await?;
            for pair in 0..extent.pairs {
                // Who comes second finds a warmer machine.
                let [first, second] =
                    if pair % 2 == 0 { [&mut ours, &mut theirs] } else { [&mut theirs, &mut ours] };
                first.round().await?;
                second.round().await?;
            }
            let pairs: Vec<_> = ours.cpu.iter().copied().zip(theirs.cpu.iter().copied()).collect();
            cases.push(Case {
                encoding,
                operation,
                metagate: ours.figures()?,
                bare: (bare, theirs.figures()?),
                ratio: Spread::of_ratios(&pairs),
            });
        }
    }

    let mut echoes = Vec::new();
    for (protocol, name) in [(Protocol::Http1, "HTTP/1.1"), (Protocol::Http2, "HTTP/2")] {
        eprintln!("{size}: echo over {name}");
        let server = Server::start(binaries.bare(Bare::Echo, protocol))?;
        let calls = Arc::new(Calls::echo(protocol, value_bytes)?);
        let mut side = Side::open(&server, calls, extent.round_calls(value_bytes)).await?;
        for _ in 0..extent.pairs {
            side.round().await?;
        }
        echoes.push((name, side.figures()?));
    }
    Ok(Comparison { size, cases, echoes })
}

/// Sets every key.
pub async fn fill(server: &Server, encoding: Encoding, value_bytes: usize) -> Result<(), Error> {
    let calls = Arc::new(Calls::fill(encoding, value_bytes)?);
    Connections::open(server.address, calls.protocol, IN_FLIGHT).await?.run(&calls, KEYS).await?;
    Ok(())
}

impl Extent {
    /// How many calls a round has whose calls move this many bytes each.
    fn round_calls(&self, bytes: usize) -> usize {
        (ROUND_BYTES / bytes).clamp(ROUND_CALLS_MIN, self.requests.max(ROUND_CALLS_MIN))
    }
}

/// One of the two servers of a case.
pub struct Side<'a> {
    server: &'a Server,
    connections: Connections,
    calls: Arc<Calls>,
    count: usize,
    rates: Vec<f64>,
    cpu: Vec<f64>,
    latencies: Vec<u32>,
}

impl<'a> Side<'a> {
    /// Connects, and makes some calls that do not count.
    pub async fn open(server: &'a Server, calls: Arc<Calls>, count: usize) -> Result<Self, Error> {
        let mut connections = Connections::open(server.address, calls.protocol, IN_FLIGHT).await?;
        server.reset_peak()?;
        connections.run(&calls, count.div_ceil(4).max(IN_FLIGHT)).await?;
        let (rates, cpu, latencies) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { server, connections, calls, count, rates, cpu, latencies })
    }

    /// Makes the calls of a round.
    pub async fn round(&mut self) -> Result<(), Error> {
        let before = self.server.cpu()?;
        let round = self.connections.run(&self.calls, self.count).await?;
        let cpu = self.server.cpu()?.saturating_sub(before);
        self.rates.push(rate(self.count, round.elapsed));
        self.cpu.push(micros_each(self.count, cpu));
        self.latencies.extend(round.latencies);
        Ok(())
    }

    /// Microseconds of the server's CPU a call, by round.
    pub fn cpu(&self) -> &[f64] {
        &self.cpu
    }

    fn figures(mut self) -> Result<Figures, Error> {
        self.latencies.sort_unstable();
        Ok(Figures {
            rate: Spread::of(self.rates).median,
            p50: percentile(&self.latencies, 50.0),
            p99: percentile(&self.latencies, 99.0),
            cpu: Spread::of(self.cpu).median,
            peak_bytes: self.server.peak_bytes()?,
        })
    }
}
