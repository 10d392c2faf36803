//! `metagate serve`: the stack, from its settings to its end.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use identity::{Development, DevelopmentError, Directory, DirectoryError, Problem};
use storage::{MemoryStore, Store, StoreError};
use storage_sqlite::{OpenError, SqliteStore};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{
    api::{self, Gatekeeper, Instance},
    config::{Config, Storage},
    front::{Front, Gate, Health, Timeouts, serve},
};

/// How long a peer may take for the first bytes of a connection, and for the head of a request.
const HEAD_WAIT_MAX: Duration = Duration::from_secs(10);

/// Why a server does not start, in one line for whoever started it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is taken, or not ours to take.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The store does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store opened, and does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The directory file cannot be read.
    #[error("directory {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The directory is not right.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The directory does not go with the store.
    #[error("{0}")]
    Mismatch(Problem),
    /// The development directory cannot be made.
    #[error(transparent)]
    Development(#[from] DevelopmentError),
    /// `message-bytes-max` names what is not served.
    #[error("message-bytes-max: there is no service {0:?}; there are {1}")]
    Service(String, String),
    /// Something that should not happen.
    #[error("cannot start: {0}")]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

/// Starts a server, says on stdout where it listens, and runs it until SIGTERM or SIGINT.
///
/// # Errors
/// Whatever keeps it from starting.
pub async fn run(config: Config) -> Result<(), StartError> {
    let (drain, draining) = watch::channel(false);
    let store: Arc<dyn Store> = match &config.storage {
        Storage::Memory => Arc::new(MemoryStore::new()),
        Storage::Sqlite(path) => Arc::new(SqliteStore::open(path)?),
    };
    let (directory, development) = directory(&config)?;
    for warning in directory.warnings() {
        tracing::warn!("{warning}");
    }
    apply(&directory, store.as_ref()).await?;
    let front = Arc::new(front(&config, &store, directory, draining.clone())?);

    let listen = |error| StartError::Listen { address: config.listen, error };
    let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    // From here on a signal is an orderly end; it must not strike between the first line and the handler.
    let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    let [mut terminate, mut interrupt] = match signals {
        [Ok(terminate), Ok(interrupt)] => [terminate, interrupt],
        [Err(error), _] | [_, Err(error)] => return Err(StartError::Other(error.into())),
    };
    let greeting = greeting(address, &config, development.as_ref());
    if let Err(error) = io::stdout().lock().write_all(greeting.as_bytes()).and_then(|()| io::stdout().flush())
    {
        tracing::warn!(%error, %address, "cannot say on stdout where the server listens");
    }

    let mut stop = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let told_twice = async {
        stop().await;
        tracing::info!("stopping: no new connections, finishing what is in flight");
        // The receiver is in `serve`, which runs as long as this does.
        let _ = drain.send(true);
        stop().await;
    };
    let timeouts = Timeouts { head: HEAD_WAIT_MAX, drain: config.drain };
    let finished = tokio::select! {
        finished = serve(listener, front, timeouts, draining) => finished,
        () = told_twice => false,
    };
    if !finished {
        tracing::warn!("stopped with requests still in flight");
    }
    Ok(())
}

fn front(
    config: &Config,
    store: &Arc<dyn Store>,
    directory: Directory,
    draining: watch::Receiver<bool>,
) -> Result<Front, StartError> {
    let mut rpcs = api::rpcs(store);
    let services: BTreeSet<&str> = rpcs.iter().map(|rpc| rpc.service).collect();
    if let Some(unknown) =
        config.message_bytes_max.keys().find(|service| !services.contains(service.as_str()))
    {
        let known = services.into_iter().collect::<Vec<_>>().join(", ");
        return Err(StartError::Service(unknown.clone(), known));
    }
    let health = {
        let store = store.clone();
        Health::new(services.into_iter().map(str::to_owned), move || store.is_healthy(), draining)
    };
    for rpc in &mut rpcs {
        if let Some(&bytes_max) = config.message_bytes_max.get(rpc.service) {
            rpc.limit_messages(bytes_max);
        }
    }
    let instance =
        Instance { domains: directory.domains().to_vec(), trusted_proxies: config.trusted_proxies.clone() };
    let admission = Gatekeeper::new(Arc::new(directory), instance, store.clone());
    let gate = Gate { admission: Box::new(admission), reply_bytes_max: config.reply_bytes_max };
    let process = getrandom::u64().map_err(|error| StartError::Other(error.to_string().into()))?;
    Front::new(rpcs, gate, api::DESCRIPTORS, health, process).map_err(StartError::Other)
}

/// What is said of a development directory.
struct DevelopmentAccess {
    place: String,
    organization: String,
    token: String,
}

/// The directory that was asked for, or one for development.
fn directory(config: &Config) -> Result<(Directory, Option<DevelopmentAccess>), StartError> {
    if let Some(path) = &config.directory {
        let text =
            fs::read_to_string(path).map_err(|error| StartError::Read { path: path.clone(), error })?;
        return Ok((Directory::parse(&text, &path.display().to_string())?, None));
    }
    let (development, place) = match &config.storage {
        Storage::Memory => (Development::in_memory()?, "in memory".to_owned()),
        Storage::Sqlite(store) => {
            let path = store.parent().unwrap_or(Path::new("")).join("directory.toml");
            (Development::open_or_create(&path)?, path.display().to_string())
        }
    };
    let access = DevelopmentAccess {
        place,
        organization: development.organization().to_string(),
        token: development.token().to_owned(),
    };
    Ok((development.into_directory(), Some(access)))
}

/// Creates the directory's organizations in the store, and brings them to their states.
async fn apply(directory: &Directory, store: &dyn Store) -> Result<(), StartError> {
    for organization in directory.organizations() {
        store.create_organization(&organization.id, &organization.name).await?;
        match store.set_organization_state(&organization.id, organization.state).await {
            Ok(_) => {}
            Err(StoreError::OrganizationNotFound) => {
                let text = format!("organization {:?} was removed, which is final", organization.id.as_str());
                return Err(StartError::Mismatch(organization.place.with_text(text)));
            }
            Err(error) => return Err(error.into()),
        }
    }
    for reference in directory.references() {
        if store.organization(&reference.organization).await?.is_none() {
            return Err(StartError::Mismatch(reference.problem.clone()));
        }
    }
    Ok(())
}

/// What is printed at the start: where the server listens, and lines to paste.
fn greeting(address: SocketAddr, config: &Config, development: Option<&DevelopmentAccess>) -> String {
    let mut text = format!("metagate listens on http://{address}\nstorage: {}\n", config.storage);
    let Some(DevelopmentAccess { place, organization, token }) = development else {
        let directory = config.directory.as_deref().unwrap_or(Path::new(""));
        text.push_str(&format!("directory: {}\n", directory.display()));
        return text;
    };
    text.push_str(&format!(
        "directory: {place} (for development: one organization, one owner; give your own with --directory)\n\
         organization: {organization}\n\
         token: {token}\n\
         \n\
         Set a value, and get it back:\n\
         \n  \
         curl -H 'Authorization: Bearer {token}' -d '{{\"value\":\"aGVsbG8=\"}}' http://{address}/management/v1/metadata/greeting\n  \
         curl -H 'Authorization: Bearer {token}' http://{address}/management/v1/metadata/greeting\n  \
         grpcurl -plaintext -H 'authorization: Bearer {token}' -d '{{\"key\":\"greeting\"}}' {address} \
         zitadel.management.v1.ManagementService/GetOrgMetadata\n\n"
    ));
    text
}
