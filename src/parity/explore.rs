//! `metagate parity explore`: calls that are made up.

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use clap::Args;
use http::HeaderName;
use parity::{
    api::Api,
    deviation::Deviations,
    dialect::{Dialect, Encoding, HttpVersion},
    explore::{Exploration, written},
    place::Place,
    report::{Report, Summary},
    rule::Rule,
    run::Runner,
    scenario::{At, Header, Node},
    transport::Target,
};

use super::{DIFFERENT, ParityError, SAME, live::Live, reports::Output, selection, server::Server};

/// What is explored, and how far.
#[derive(Args, Debug)]
pub(super) struct Explore {
    #[command(flatten)]
    server: Server,
    /// Only these: package.Service, or package.Service/Method. If nothing is said, all that do not stream
    #[arg(long = "rpc", value_name = "NAME")]
    rpcs: Vec<String>,
    /// Not these
    #[arg(long = "without-rpc", value_name = "NAME")]
    without_rpcs: Vec<String>,
    /// The beginning of all chance; the same seed makes the same calls. If nothing is said, another each time
    #[arg(long)]
    seed: Option<u64>,
    /// How many calls are made up, each for all encodings
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// Seconds after which no more calls are made up
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    time: u64,
    /// A header of every call, which may hold `${run}`: what a server keeps apart by a header is kept apart for each encoding
    #[arg(long = "isolate", value_name = "NAME: VALUE")]
    isolate: Vec<String>,
    /// What may differ: times, numbers that are counted. `response.**.changeDate`
    #[arg(long, value_name = "PLACE")]
    mask: Vec<String>,
    /// Lists whose order does not matter
    #[arg(long, value_name = "PLACE")]
    unordered: Vec<String>,
    /// Rules that are not looked at
    #[arg(long = "without", value_name = "RULE")]
    without: Vec<Rule>,
    /// Encodings: rest, grpc, grpc-web, grpc-web-text, connect-json, connect-proto; and, of servers that speak them, grpc-json,
    /// grpc-web-json, grpc-at-url, grpc-web-at-url, grpc-web-text-at-url (see docs/parity.md)
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = Encoding::USUAL)]
    encodings: Vec<Encoding>,
    /// Versions of HTTP, each with each encoding: 1.1, 2
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    http: Vec<HttpVersion>,
    /// Findings that are known, with their reasons: they do not count
    #[arg(long, value_name = "FILE")]
    deviations: Option<PathBuf>,
    /// What is answered differently, as scenarios for `metagate parity run`: to a file, instead of stdout
    #[arg(long, value_name = "FILE")]
    scenarios: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

impl Explore {
    pub(super) async fn run(self) -> Result<u8, ParityError> {
        let setup = ParityError::Setup;
        let transport = self.server.transport().map_err(setup)?;
        let target = Target::parse(&self.server.target).map_err(setup)?;
        let headers = self.server.headers().map_err(setup)?;
        let mut api =
            self.server.api(&transport, &target, &headers, self.server.types.clone()).await.map_err(setup)?;
        for (service, prefix) in &self.server.rest_prefixes {
            api.mount(service, prefix);
        }
        let places =
            |texts: &[String]| texts.iter().map(|text| Place::parse(text)).collect::<Result<Vec<_>, _>>();
        let seed = match self.seed {
            Some(seed) => seed,
            None => getrandom::u32().map_err(|error| setup(error.to_string()))?.into(),
        };
        let exploration = Exploration {
            methods: self.methods(&api).map_err(setup)?,
            seed,
            count: self.count,
            time: Duration::from_secs(self.time),
            headers: isolating(&self.isolate).map_err(setup)?,
            mask: places(&self.mask).map_err(setup)?,
            unordered: places(&self.unordered).map_err(setup)?,
            without: self.without.iter().copied().collect(),
        };
        let deviations = self.deviations.as_deref().map(Deviations::read).transpose();
        let live = Live::new(self.count, "calls made up");
        let runner = Arc::new(Runner {
            api,
            transport,
            target,
            reference: None,
            dialects: Dialect::product(&self.encodings, &self.http),
            headers,
            run_id: selection::run_id(None).map_err(setup)?,
            jobs: 16,
            deviations: deviations
                .map_err(|mistake| ParityError::Scenarios(vec![mistake]))?
                .unwrap_or_default(),
            watcher: live.clone(),
        });
        let title = format!("Exploration of {} with seed {seed}", self.server.target.join(", "));
        let mut shown = self.output.open(&title, &runner.dialects)?;
        let (mut summary, mut written, begun) = (Summary::default(), Ok(()), std::time::Instant::now());
        let mut smallest = written::head(&self.server.types, &self.server.rest_prefixes);
        let explored = exploration
            .run(
                &runner,
                &mut |report| {
                    summary.add(&report);
                    smallest.push_str(&written::scenario(&report.scenario));
                    live.above(|| {
                        if written.is_ok() {
                            written = shown.scenario(&report);
                        }
                    });
                },
                &mut |count| live.done(count),
            )
            .await;
        live.end();
        summary.took = begun.elapsed();
        written?;
        shown.end(&summary)?;
        if let Some(file) = &self.scenarios {
            std::fs::write(file, &smallest)
                .map_err(|error| io::Error::other(format!("{}: {error}", file.display())))?;
        } else if summary.scenarios > 0 {
            write!(io::stdout(), "\nas scenarios for metagate parity run:\n\n{smallest}")?;
        }
        let more = explored.disagreements.saturating_sub(summary.scenarios);
        eprintln!(
            "{} calls were made up with --seed {seed}: {} differ ({more} like those shown), {} differed only once",
            explored.cases, explored.disagreements, explored.unsteady
        );
        if explored.cases == 0 {
            return Err(ParityError::Report(io::Error::other("nothing was explored")));
        }
        Ok(if explored.disagreements == 0 { SAME } else { DIFFERENT })
    }

    /// All unary methods that are named, in the descriptors' order.
    fn methods(&self, api: &Api) -> Result<Vec<prost_reflect::MethodDescriptor>, String> {
        let named = |names: &[String], rpc: &str| {
            names
                .iter()
                .any(|name| rpc == name || rpc.split_once('/').is_some_and(|(service, _)| service == name))
        };
        let methods = api.pool().services().flat_map(|service| service.methods().collect::<Vec<_>>());
        let methods = methods.filter(|method| {
            let rpc = format!("{}/{}", method.parent_service().full_name(), method.name());
            (self.rpcs.is_empty() || named(&self.rpcs, &rpc))
                && !named(&self.without_rpcs, &rpc)
                && !method.is_client_streaming()
                && !method.is_server_streaming()
        });
        let methods: Vec<_> = methods.collect();
        if methods.is_empty() {
            Err("no unary method fits --rpc and --without-rpc".to_owned())
        } else {
            Ok(methods)
        }
    }
}

fn isolating(lines: &[String]) -> Result<Vec<Header>, String> {
    let headers = lines.iter().map(|line| {
        let wrong = || format!("{line:?} is no header: it is like 'x-name: value'");
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| wrong())?;
        Ok((name, At { value: Node::Text(value.trim().to_owned()), line: 0, column: 0 }))
    });
    headers.collect()
}
