//! The rounds of a server that is held against others.

use std::sync::Arc;

use crate::{
    Error, Extent,
    call::{Calls, Encoding, Operation},
    figures::{Spread, micros_each, percentile, rate},
    load::Connections,
    process::Server,
};

/// What is called where encodings and sizes are not what is looked at: values of [`SMALL`].
pub const CASES: [(Encoding, Operation); 4] = [
    (Encoding::Rest, Operation::Set),
    (Encoding::Rest, Operation::Get),
    (Encoding::Grpc, Operation::Set),
    (Encoding::Grpc, Operation::Get),
];

/// In bytes.
pub const SMALL: usize = 100;

/// How many calls are in flight.
pub const IN_FLIGHT: usize = 16;

/// How many bytes a warm-up moves, more or less: large values are called less often.
const WARM_UP_BYTES: usize = 20_000_000;

/// What a server did.
pub struct Figures {
    /// Calls a second; the median of the rounds.
    pub rate: f64,
    /// In microseconds.
    pub p50: u32,
    /// In microseconds.
    pub p99: u32,
    /// Microseconds of the server's CPU a call.
    pub cpu: Spread,
    pub peak_bytes: u64,
}

/// One of the servers of a case.
pub struct Side<'a> {
    pub server: &'a Server,
    connections: Connections,
    calls: Arc<Calls>,
    count: usize,
    rates: Vec<f64>,
    cpu: Vec<f64>,
    latencies: Vec<u32>,
}

impl<'a> Side<'a> {
    /// Connects, and makes some calls that do not count: they tell how many a round has.
    pub async fn open(server: &'a Server, calls: Arc<Calls>, extent: &Extent) -> Result<Self, Error> {
        let mut connections = Connections::open(server.address, calls.protocol, IN_FLIGHT).await?;
        server.reset_peak()?;
        let most = extent.requests.max(IN_FLIGHT);
        let warm_up = (WARM_UP_BYTES / calls.value_bytes).clamp(IN_FLIGHT, most.div_ceil(4).max(IN_FLIGHT));
        let elapsed = connections.run(&calls, warm_up).await?.elapsed;
        let count = (rate(warm_up, elapsed) * extent.duration.as_secs_f64() / 4.0) as usize;
        let count = count.clamp(IN_FLIGHT, most);
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

    /// The server's CPU to that of another, of rounds that followed each other.
    pub fn to(&self, other: &Self) -> Spread {
        let pairs: Vec<_> = self.cpu.iter().copied().zip(other.cpu.iter().copied()).collect();
        Spread::of_ratios(&pairs)
    }

    /// Of all rounds.
    pub fn figures(mut self) -> Result<Figures, Error> {
        self.latencies.sort_unstable();
        Ok(Figures {
            rate: Spread::of(self.rates).median,
            p50: percentile(&self.latencies, 50.0),
            p99: percentile(&self.latencies, 99.0),
            cpu: Spread::of(self.cpu),
            peak_bytes: self.server.peak_bytes()?,
        })
    }
}

/// All rounds of each.
pub async fn rounds(sides: &mut [Side<'_>], extent: &Extent) -> Result<(), Error> {
    for round in 0..extent.pairs {
        in_turn(sides, round).await?;
    }
    Ok(())
}

/// One round of each. Who comes later finds a warmer machine, so they begin in turn.
pub async fn in_turn(sides: &mut [Side<'_>], round: u16) -> Result<(), Error> {
    let count = sides.len();
    for index in 0..count {
        sides[(usize::from(round) + index) % count].round().await?;
    }
    Ok(())
}

/// Sets every key, and waits until the server has nothing else to do.
pub async fn fill(server: &Server, encoding: Encoding, value_bytes: usize) -> Result<(), Error> {
    let calls = Arc::new(Calls::fill(encoding, value_bytes)?);
    let count = calls.requests.len();
    Connections::open(server.address, calls.protocol, IN_FLIGHT).await?.run(&calls, count).await?;
    server.settle().await
}
