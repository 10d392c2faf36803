//! A server: started from its settings, reloaded with others, drained in the end.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use identity::Directory;
use storage::{MemoryStore, SharedStore, Store};
use storage_postgres::PostgresStore;
use storage_sqlite::SqliteStore;
use tokio::{
    sync::{Mutex, watch},
    task::AbortHandle,
};

use super::{
    ServeError,
    certificates::{self, Files},
    directory::{self, DevelopmentAccess},
    greeting::greeting,
    listen::listen,
    organizations,
};
use crate::{
    api::{self, Gatekeeper, Realm},
    authority::Authority,
    config::{Config, Storage},
    front::{self, Deadline, Door, Front, Gate, Health, Listener, Phase, Place, Tls},
    issuers::Issuers,
    metrics::Metrics,
    oidc,
};

/// How long a reload waits for the calls under way, with all others behind it. They take milliseconds, unless the disk
/// hangs; then it is better that reads go on.
const CALLS_WAIT_MAX: Duration = Duration::from_secs(5);

/// A running server. Dropped, it takes no more connections, and those that there are end when they are done.
pub struct Server {
    places: Vec<Place>,
    store: Arc<dyn SharedStore>,
    gatekeeper: Arc<Gatekeeper>,
    metrics: Arc<Metrics>,
    /// As they are in force.
    config: watch::Sender<Config>,
    fronts: watch::Sender<Arc<Front>>,
    tls: watch::Sender<Option<Tls>>,
    phase: watch::Sender<Phase>,
    /// Turns true when everything in flight was finished.
    finished: watch::Receiver<bool>,
    /// Reloads come one after the other. What the files of TLS were last seen to hold, or why they could not be read.
    reloading: Mutex<Result<Option<Files>, String>>,
    _following: Following,
    development: Option<DevelopmentAccess>,
}

/// The work of keeping users up to date. Ends when it is dropped.
struct Following(AbortHandle);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Server {
    /// Opens store and directory, brings the store to the directory, and listens.
    ///
    /// # Errors
    /// Whatever keeps it from starting.
    pub async fn start(config: Config) -> Result<Self, ServeError> {
        let metrics = Arc::new(Metrics::default());
        let observer = {
            let metrics = metrics.clone();
            Arc::new(move |commit| metrics.committed(commit))
        };
        let store: Arc<dyn SharedStore> = match &config.storage {
            Storage::Memory => Arc::new(MemoryStore::new()),
            Storage::Sqlite(path) => Arc::new(SqliteStore::open_observed(path, observer)?),
            Storage::Postgres(address) => Arc::new(
                PostgresStore::open(address, &config.postgres, Deadline::of_this_call, observer).await?,
            ),
        };
        let files = Files::read(&config)?;
        let tls = watch::Sender::new(files.as_ref().map(Files::tls).transpose()?);
        let (directory, development) = directory::open(&config)?;
        organizations::apply(organizations::changes(&directory, &*store).await?, &*store).await?;
        warn_of(&directory);
        let issuers = Issuers::open(directory.issuers(), &Issuers::default()).map_err(ServeError::Issuer)?;
        let realm = realm(&config, directory.into(), issuers.into());
        let authority = Arc::new(Authority::open(store.clone(), realm.directory.clone()).await?);
        let gatekeeper = Arc::new(Gatekeeper::new(realm, store.clone(), authority.clone()));
        let phase = watch::Sender::new(Phase::Serving);
        let fronts = watch::Sender::new(front(&config, &store, &gatekeeper, &metrics, phase.subscribe())?);

        let listeners = listen(&config.listen)?;
        let places = listeners.iter().map(Listener::place).collect::<Result<Vec<_>, _>>();
        let places = places.map_err(|error| ServeError::Other(error.into()))?;
        let door = Door { fronts: fronts.subscribe(), tls: tls.subscribe(), phase: phase.subscribe() };
        let serving = front::serve(listeners, door);
        let (finish, finished) = watch::channel(false);
        tokio::spawn(async move {
            serving.await;
            finish.send_replace(true);
        });
        let following = tokio::spawn(async move { authority.follow().await }).abort_handle();
        let (config, reloading) = (watch::Sender::new(config), Mutex::new(Ok(files)));
        Ok(Self {
            places,
            store,
            gatekeeper,
            metrics,
            config,
            fronts,
            tls,
            phase,
            finished,
            reloading,
            _following: Following(following),
            development,
        })
    }

    /// Where it listens.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// What to tell whoever started it: where it listens, and lines to paste.
    pub fn greeting(&self) -> String {
        greeting(&self.places, &self.config.borrow(), self.development.as_ref())
    }

    /// Reads the directory again, and goes over to it and to the settings in `config`: all is checked first, and then
    /// replaced at a moment without calls ([`Gatekeeper::pause`]). Returns the names of settings that stay as they are
    /// until a restart.
    ///
    /// Drive it to its end: the organizations of a reload that was dropped may be in the store in part.
    ///
    /// # Errors
    /// Whatever is wrong; settings and directory stay as they were. After [`ServeError::Store`] some of the new
    /// organizations may be in the store.
    pub async fn reload(&self, mut config: Config) -> Result<Vec<&'static str>, ServeError> {
        let mut seen = self.reloading.lock().await;
        let kept = config.keep_fixed(&self.config.borrow());
        let files = Files::read(&config)?;
        let tls = files.as_ref().map(Files::tls).transpose()?;
        let front = front(&config, &self.store, &self.gatekeeper, &self.metrics, self.phase.subscribe())?;
        let realm = self.gatekeeper.realm().await;
        let (directory, issuers) = match directory::file(&config) {
            None => (realm.directory, realm.issuers),
            Some(path) => {
                // A large one takes its time, which is not that of requests.
                let read = tokio::task::spawn_blocking(move || {
                    let directory = directory::read(&path)?;
                    let issuers = Issuers::open(directory.issuers(), &realm.issuers);
                    Ok::<_, ServeError>((directory.into(), issuers.map_err(ServeError::Issuer)?.into()))
                });
                read.await.map_err(|error| ServeError::Other(error.into()))??
            }
        };
        let changes = organizations::changes(&directory, &*self.store).await?;
        {
            let paused = tokio::time::timeout(CALLS_WAIT_MAX, self.gatekeeper.pause()).await;
            let mut realm = paused.map_err(|_| ServeError::Busy(CALLS_WAIT_MAX))?;
            let applied =
                tokio::time::timeout(CALLS_WAIT_MAX, organizations::apply(changes, &*self.store)).await;
            applied.map_err(|_| ServeError::Slow(CALLS_WAIT_MAX))??;
            *realm = self::realm(&config, directory.clone(), issuers);
            self.gatekeeper.authority().replace_directory(directory.clone()).await;
        }
        warn_of(&directory);
        self.fronts.send_replace(front);
        self.tls.send_replace(tls);
        self.config.send_replace(config);
        *seen = Ok(files);
        Ok(kept)
    }

    /// Looks at the files of TLS from time to time. When they hold something else that can be used, new connections get
    /// it; when it cannot be used, that is said once. Never returns.
    pub async fn follow_certificates<T>(&self) -> T {
        loop {
            tokio::time::sleep(certificates::LOOK_EVERY).await;
            let mut seen = self.reloading.lock().await;
            let config = self.config.borrow().clone();
            // A disk that hangs takes its time, which is not that of requests.
            let read = tokio::task::spawn_blocking(move || Files::read(&config)).await;
            let now = match read {
                Ok(files) => files.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if now == *seen {
                continue;
            }
            let tls = match &now {
                Ok(files) => files.as_ref().map(Files::tls).transpose().map_err(|error| error.to_string()),
                Err(error) => Err(error.clone()),
            };
            match tls {
                Ok(tls) => {
                    self.tls.send_replace(tls);
                    tracing::info!("the certificates of TLS have changed");
                }
                Err(error) => tracing::warn!("the changed certificates of TLS are not taken: {error}"),
            }
            *seen = now;
        }
    }

    /// Says that it is not ready; after the delay of the settings takes no more connections, and gives what is in flight the
    /// time that they grant. Returns whether everything was finished.
    pub async fn drain(&self) -> bool {
        let (delay, wait_max) = {
            let config = self.config.borrow();
            (config.drain_delay, config.drain)
        };
        self.phase.send_replace(Phase::Leaving);
        tokio::time::sleep(delay).await;
        self.phase.send_replace(Phase::Draining);
        let mut finished = self.finished.clone();
        let all = finished.wait_for(|finished| *finished);
        tokio::time::timeout(wait_max, all).await.is_ok_and(|finished| finished.is_ok())
    }
}

fn warn_of(directory: &Directory) {
    for warning in directory.warnings() {
        tracing::warn!("{warning}");
    }
}

fn realm(config: &Config, directory: Arc<Directory>, issuers: Arc<Issuers>) -> Realm {
    let external_url = config.external_url.clone();
    let (trusted_proxies, failed_logins) = (config.trusted_proxies.clone(), config.failed_logins);
    Realm { directory, trusted_proxies, external_url, failed_logins, issuers }
}

/// A front door with the limits of `config`.
fn front(
    config: &Config,
    store: &Arc<dyn SharedStore>,
    gatekeeper: &Arc<Gatekeeper>,
    metrics: &Arc<Metrics>,
    phase: watch::Receiver<Phase>,
) -> Result<Arc<Front>, ServeError> {
    let for_calls: Arc<dyn Store> = store.clone();
    let mut rpcs = api::rpcs(&for_calls);
    let services: BTreeSet<&str> = rpcs.iter().map(|rpc| rpc.service).collect();
    if let Some(unknown) =
        config.message_bytes_max.keys().find(|service| !services.contains(service.as_str()))
    {
        let known = services.into_iter().collect::<Vec<_>>().join(", ");
        return Err(ServeError::Service(unknown.clone(), known));
    }
    let health = {
        let store = store.clone();
        Health::new(services.into_iter().map(str::to_owned), move || store.is_healthy(), phase)
    };
    for rpc in &mut rpcs {
        if let Some(&bytes_max) = config.message_bytes_max.get(rpc.service) {
            rpc.limit_messages(bytes_max);
        }
    }
    let gate = Gate {
        admission: gatekeeper.clone(),
        limits: config.limits.clone(),
        metrics: metrics.clone(),
        strict_json: config.strict_json,
    };
    let process = getrandom::u64().map_err(|error| ServeError::Other(error.to_string().into()))?;
    Ok(Arc::new(
        Front::new(
            rpcs,
            oidc::router(gatekeeper, metrics),
            gate,
            api::DESCRIPTORS,
            api::OPENAPI,
            health,
            process,
        )
        .map_err(ServeError::Other)?,
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use domain::OrganizationId;
    use http::Request;
    use secrecy::ExposeSecret;
    use sqlite_vfs::disk::Disk;

    use super::*;
    use crate::{
        config::Flags,
        front::{Access, Admission, Encoding, Head},
    };

    /// Of a request by the owner that a development directory has.
    fn head(server: &Server) -> Arc<Head> {
        let token = server.development.as_ref().unwrap().token.expose_secret();
        let request = Request::builder().header("authorization", format!("Bearer {token}")).body(()).unwrap();
        Head::read(request.into_parts().0, Encoding::Rest, Arc::default()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_reload_gives_up_on_calls_that_do_not_end_and_lets_the_others_go_on() {
        let flags = Flags {
            listen: Some("127.0.0.1:0".to_owned()),
            storage: Some("memory:".into()),
            ..Flags::default()
        };
        let config = Config::load(flags).unwrap();
        let server = Server::start(config.clone()).await.unwrap();
        let head = head(&server);
        let call = server.gatekeeper.admit(Access::Authenticated, &head).await.unwrap();
        assert!(matches!(server.reload(config.clone()).await, Err(ServeError::Busy(_))));
        server.gatekeeper.admit(Access::Authenticated, &head).await.unwrap();
        drop(call);
        server.reload(config).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_reload_gives_up_on_a_store_that_hangs_and_calls_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::at(folder.path()).unwrap();
        let flags = Flags {
            listen: Some("127.0.0.1:0".to_owned()),
            storage: Some(format!("sqlite:{}", folder.path().join("metagate.db").display()).into()),
            ..Flags::default()
        };
        let config = Config::load(flags).unwrap();
        let server = Server::start(config.clone()).await.unwrap();
        let head = head(&server);
        let path = folder.path().join("directory.toml");
        let more = "\n[[organization]]\nid = \"more\"\nname = \"more\"\nstate = \"active\"\n";
        fs::write(&path, fs::read_to_string(&path).unwrap() + more).unwrap();

        disk.hold_syncs();
        let reloaded = server.reload(config.clone()).await;
        let call = server.gatekeeper.admit(Access::Authenticated, &head).await;
        // Before anything can fail: the store does not close while it hangs.
        disk.release_syncs();
        assert!(matches!(reloaded, Err(ServeError::Slow(_))));
        drop(call.unwrap());
        tokio::time::resume();
        server.reload(config).await.unwrap();
        let more = OrganizationId::new("more").unwrap();
        assert!(server.store.organization(&more).await.unwrap().is_some());
    }
}
