//! The server under test of the connectrpc conformance suite: the suite's service behind metagate's front door.
//!
//! The suite's runner starts it, says on stdin what it wants, and is told on stdout where the server listens. Here are
//! only this conversation and the service; every header, status and route is the front door's.

mod service;

use std::{
    error::Error,
    io::{self, Read, Write},
    sync::Arc,
};

use metagate::front::{Door, Front, Gate, Health, Listener, Phase, Tls, serve};
use prost::Message;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use generated::connectrpc::conformance::v1::{
    ServerCompatRequest, ServerCompatResponse, conformance_service_rpcs,
};

/// Everything that follows from the protos of the suite.
#[allow(missing_docs, clippy::all, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/mod.rs"));
}

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));
const OPENAPI: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json"));

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let wanted = ServerCompatRequest::decode(read(&mut io::stdin().lock())?.as_slice())?;
    protojson::register(generated::TYPES.iter().copied());

    let mut rpcs = conformance_service_rpcs(&Arc::new(service::Conformance));
    if wanted.message_receive_limit > 0 {
        for rpc in &mut rpcs {
            rpc.limit_messages(usize::try_from(wanted.message_receive_limit)?);
        }
    }
    let (phase, phases) = watch::channel(Phase::Serving);
    let names = rpcs.iter().map(|rpc| rpc.service.to_owned()).collect::<Vec<_>>();
    let health = Health::new(names, || true, phases.clone());
    let gate = Gate::new(Arc::new(service::Everybody));
    let front = Arc::new(Front::new(rpcs, Default::default(), gate, DESCRIPTORS, OPENAPI, health, 0)?);

    let credentials = wanted.server_creds.filter(|_| wanted.use_tls);
    let clients = Some(&*wanted.client_tls_cert).filter(|clients| !clients.is_empty());
    let tls = credentials.as_ref().map(|own| Tls::new(&own.cert, &own.key, clients)).transpose()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let there_is = ServerCompatResponse {
        host: address.ip().to_string(),
        port: address.port().into(),
        pem_cert: credentials.map(|own| own.cert).unwrap_or_default(),
    };
    write(&mut io::stdout().lock(), &there_is.encode_to_vec())?;

    tokio::spawn(async move {
        terminate.recv().await;
        phase.send(Phase::Draining)
    });
    let (_tls, tls) = watch::channel(tls);
    let (_fronts, fronts) = watch::channel(front);
    serve(vec![Listener::Tcp(listener)], Door { fronts, tls, phase: phases }).await;
    Ok(())
}

/// A message of the runner: its length in four bytes, big-endian, and what is as long.
fn read(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut message = vec![0; usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?];
    from.read_exact(&mut message)?;
    Ok(message)
}

/// A message to the runner, in the same form.
fn write(to: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len()).map_err(io::Error::other)?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(message)?;
    to.flush()
}
