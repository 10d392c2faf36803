//! metagate beside bare servers, or beside another metagate: every encoding, operation and size of values.

use std::{path::Path, sync::Arc};

use crate::{
    Error, Extent,
    binaries::Binaries,
    call::{self, Calls, Encoding, Operation, PAGE, Protocol},
    figures::Spread,
    process::Server,
    side::{Figures, SMALL, Side, fill, in_turn},
    targets::Target,
};

/// The sizes of values, in bytes, as the tables name them.
const SIZES: [(usize, &str); 5] =
    [(100, "100 B"), (1_000, "1 KB"), (10_000, "10 KB"), (100_000, "100 KB"), (500_000, "500 KB")];

const LARGE: usize = 100_000;

const ENCODINGS: [Encoding; 6] = [
    Encoding::Rest,
    Encoding::ConnectJson,
    Encoding::ConnectProto,
    Encoding::Grpc,
    Encoding::GrpcWeb,
    Encoding::GrpcWebText,
];

/// Whom metagate is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// axum and tonic-web on one port.
    Mux,
    Tonic,
    /// grpc-go, grpc-gateway and improbable's grpc-web, as ZITADEL wires them.
    Zitadel,
    GrpcGo,
    /// Another metagate.
    Beside,
    /// No server: the encoding of the answer, and nothing else.
    Alone,
}

impl Other {
    /// As the tables name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mux => "axum + tonic-web",
            Self::Tonic => "tonic",
            Self::Zitadel => "grpc-gateway + grpc-web + grpc-go",
            Self::GrpcGo => "grpc-go",
            Self::Beside => "the other",
            Self::Alone => "encoding alone",
        }
    }

    /// Whether it is in Go. metagate is said to be so many times cheaper.
    pub fn is_go(self) -> bool {
        matches!(self, Self::Zitadel | Self::GrpcGo)
    }

    fn speaks(self, encoding: Encoding) -> bool {
        match self {
            Self::Mux | Self::Beside => true,
            Self::Tonic | Self::GrpcGo => encoding == Encoding::Grpc,
            Self::Zitadel => !matches!(encoding, Encoding::ConnectJson | Encoding::ConnectProto),
            Self::Alone => false,
        }
    }
}

/// All sizes.
pub struct Comparisons {
    pub sizes: Vec<Comparison>,
    /// Why the servers in Go are missing, if they are.
    pub without_go: Option<String>,
}

/// Values of one size.
pub struct Comparison {
    pub size: &'static str,
    value_bytes: usize,
    pub cases: Vec<Case>,
    /// The least that a server can do: to send back what it is sent.
    pub echoes: Vec<(&'static str, Figures)>,
}

/// One operation in one encoding.
pub struct Case {
    pub encoding: Encoding,
    pub operation: Operation,
    pub metagate: Figures,
    pub against: Vec<Against>,
}

/// One of those whom metagate is held against in a case.
pub struct Against {
    pub other: Other,
    /// Microseconds of CPU a call.
    pub cpu: Spread,
    /// If it is a server.
    pub peak_bytes: Option<u64>,
    /// CPU a call, of rounds that followed each other: metagate's to the other's; of those in Go, theirs to metagate's.
    pub ratio: Spread,
}

/// Measures all.
pub async fn run(binaries: &Binaries, folder: &Path, extent: &Extent) -> Result<Comparisons, Error> {
    let mut others = Vec::new();
    let (mut go, mut without_go) = (None, None);
    if binaries.beside(folder)?.is_some() {
        others.push(Other::Beside);
    } else {
        others.extend([Other::Mux, Other::Tonic]);
        match binaries.go() {
            Ok(programs) => {
                others.extend([Other::Zitadel, Other::GrpcGo]);
                go = Some(programs);
            }
            Err(reason) => {
                eprintln!("skipped: the servers in Go: {reason}");
                without_go = Some(reason.to_string());
            }
        }
    }
    let mut sizes = Vec::new();
    for (value_bytes, size) in SIZES {
        let mut servers = Vec::new();
        for &other in &others {
            let command = match (other, &go) {
                (Other::Mux, _) => Some(binaries.bare(&["mux"])),
                (Other::Tonic, _) => Some(binaries.bare(&["tonic"])),
                (Other::Zitadel, Some(go)) => Some(go.zitadel()),
                (Other::GrpcGo, Some(go)) => Some(go.grpc()),
                (Other::Beside, _) => binaries.beside(folder)?,
                (Other::Zitadel | Other::GrpcGo, None) | (Other::Alone, _) => None,
            };
            let Some(command) = command else { continue };
            let server = Server::start(command)?;
            fill(&server, Encoding::Grpc, value_bytes).await?;
            servers.push((other, server));
        }
        sizes.push(of_size(binaries, folder, extent, &servers, value_bytes, size).await?);
    }
    Ok(Comparisons { sizes, without_go })
}

async fn of_size(
    binaries: &Binaries,
    folder: &Path,
    extent: &Extent,
    servers: &[(Other, Server)],
    value_bytes: usize,
    size: &'static str,
) -> Result<Comparison, Error> {
    let metagate = Server::start(binaries.metagate(folder, "memory:")?)?;
    fill(&metagate, Encoding::Grpc, value_bytes).await?;
    let mut cases = Vec::new();
    for encoding in ENCODINGS {
        for operation in Operation::ALL {
            eprintln!("{size}: {} {operation:?}", encoding.name());
            let calls = Arc::new(Calls::new(encoding, operation, value_bytes)?);
            let mut sides = vec![Side::open(&metagate, calls.clone(), extent).await?];
            let speakers: Vec<_> = servers.iter().filter(|(other, _)| other.speaks(encoding)).collect();
            for (_, server) in &speakers {
                sides.push(Side::open(server, calls.clone(), extent).await?);
            }
            let mut alone = Vec::new();
            for round in 0..extent.pairs {
                in_turn(&mut sides, round).await?;
                if operation == Operation::List && binaries.is_alone() {
                    alone.push(encoding_alone(binaries, encoding, value_bytes)?);
                }
            }
            let mut sides = sides.into_iter();
            let ours = sides.next().ok_or("no server was measured")?;
            let mut against = Vec::new();
            for ((other, _), side) in speakers.into_iter().zip(sides) {
                let peak_bytes = Some(side.server.peak_bytes()?);
                against.push(Against::new(*other, ours.cpu(), side.cpu(), peak_bytes));
            }
            if !alone.is_empty() {
                against.push(Against::new(Other::Alone, ours.cpu(), &alone, None));
            }
            cases.push(Case { encoding, operation, metagate: ours.figures()?, against });
        }
    }
    let mut echoes = Vec::new();
    for (protocol, argument, name) in
        [(Protocol::Http1, "http1", "HTTP/1.1"), (Protocol::Http2, "http2", "HTTP/2")]
    {
        eprintln!("{size}: echo over {name}");
        let server = Server::start(binaries.bare(&["echo", argument]))?;
        let mut side = Side::open(&server, Arc::new(Calls::echo(protocol, value_bytes)?), extent).await?;
        for _ in 0..extent.pairs {
            side.round().await?;
        }
        echoes.push((name, side.figures()?));
    }
    Ok(Comparison { size, value_bytes, cases, echoes })
}

/// Microseconds of CPU that the encoding of a page takes alone.
fn encoding_alone(binaries: &Binaries, encoding: Encoding, value_bytes: usize) -> Result<f64, Error> {
    let format = match encoding {
        Encoding::Rest | Encoding::ConnectJson => "json",
        Encoding::ConnectProto | Encoding::Grpc | Encoding::GrpcWeb => "proto",
        Encoding::GrpcWebText => "text",
    };
    let (entries, bytes) = (call::page(value_bytes).to_string(), value_bytes.to_string());
    let output = binaries.bare(&["encode", format, &entries, &bytes]).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

impl Against {
    fn new(other: Other, ours: &[f64], theirs: &[f64], peak_bytes: Option<u64>) -> Self {
        let pairs = ours.iter().copied().zip(theirs.iter().copied());
        let ratio = pairs.map(|(ours, theirs)| if other.is_go() { theirs / ours } else { ours / theirs });
        Self { other, cpu: Spread::of(theirs.iter().copied()), peak_bytes, ratio: Spread::of(ratio) }
    }
}

impl Comparisons {
    /// What is asked of the figures; of another metagate, nothing.
    pub fn targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        for Comparison { size, value_bytes, cases, .. } in &self.sizes {
            for Case { encoding, operation, against, .. } in cases {
                let what = format!("{} {operation:?}, {size}", encoding.name());
                for Against { other, ratio, .. } in against {
                    if let Some(most) = at_most(*other, *encoding, *operation, *value_bytes) {
                        targets.push(Target::at_most(
                            format!("{what}: CPU, to {}", other.name()),
                            *ratio,
                            most,
                        ));
                    }
                    if let Some(least) = at_least(*other, *encoding, *operation, *value_bytes) {
                        targets.push(Target::at_least(
                            format!("{what}: CPU of {}, to metagate's", other.name()),
                            *ratio,
                            least,
                        ));
                    }
                }
            }
        }
        targets
    }
}

/// metagate's CPU to that of another, at most.
fn at_most(other: Other, encoding: Encoding, operation: Operation, value_bytes: usize) -> Option<f64> {
    let is_json = matches!(encoding, Encoding::Rest | Encoding::ConnectJson);
    let is_one = matches!(operation, Operation::Set | Operation::Get);
    match (other, value_bytes) {
        (Other::Mux, SMALL) if is_one => Some(1.25),
        (Other::Mux, LARGE) if is_one && is_json => Some(0.5),
        (Other::Tonic, LARGE) if is_one => Some(0.8),
        (Other::Alone, _) if call::page(value_bytes) == PAGE as usize => Some(1.3),
        _ => None,
    }
}

/// Its CPU to metagate's, at least.
fn at_least(other: Other, encoding: Encoding, operation: Operation, value_bytes: usize) -> Option<f64> {
    let is_one = matches!(operation, Operation::Set | Operation::Get);
    if other != Other::Zitadel || !is_one || !matches!(value_bytes, SMALL | LARGE) {
        return None;
    }
    match encoding {
        Encoding::Rest | Encoding::ConnectJson => Some(9.0),
        Encoding::Grpc => Some(3.5),
        Encoding::GrpcWeb | Encoding::GrpcWebText => Some(3.0),
        Encoding::ConnectProto => None,
    }
}
