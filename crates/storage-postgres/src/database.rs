//! Connections to the database, and one statement on one of them.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, QueueMode, RecyclingMethod, Runtime, TimeoutType,
};
use tokio::{runtime::Handle, time::timeout};
use tokio_postgres::{
    Client, NoTls, Row,
    error::SqlState,
    types::{ToSql, Type},
};

use crate::{CallersDeadline, OpenError, Settings, address::Address, error::Failure, retry::Retry};

/// How often it is tried to reach the database when it could not be.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// A statement's parameters, with their types: then it needs neither a name, which poolers may lose, nor a round trip to
/// learn them.
pub(crate) type Parameters<'a> = [(&'a (dyn ToSql + Sync), Type)];

/// Connections to the database.
#[derive(Clone)]
pub(crate) struct Database {
    pool: Pool,
    wait: Duration,
    statement_wait: Duration,
    reachable: Arc<AtomicBool>,
    deadline: CallersDeadline,
}

impl Database {
    pub(crate) fn new(
        address: &Address,
        settings: &Settings,
        deadline: CallersDeadline,
    ) -> Result<Self, OpenError> {
        let mut config = address.config().clone();
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(settings.wait);
        }
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = match address.tls()? {
            Some(tls) => Manager::from_config(config, tls, recycling),
            None => Manager::from_config(config, NoTls, recycling),
        };
        let pool = Pool::builder(manager)
            .max_size(settings.connections)
            // The one that was used last: its backend's plans are made, and its memory is in the processor's caches.
            .queue_mode(QueueMode::Lifo)
            .wait_timeout(Some(settings.wait))
            .create_timeout(Some(settings.wait))
            .recycle_timeout(Some(settings.wait))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| OpenError::Database(error.to_string()))?;
        // Until it was reached for the first time, its caller is told what is wrong.
        let reachable = Arc::new(AtomicBool::new(false));
        Ok(Self { pool, wait: settings.wait, statement_wait: settings.statement_wait, reachable, deadline })
    }

    /// A connection, for whoever waits long enough.
    pub(crate) async fn lease(&self) -> Result<Lease, Failure> {
        let object = self.pool.get().await.map_err(|error| {
            if matches!(error, PoolError::Backend(_) | PoolError::Timeout(TimeoutType::Create)) {
                self.watch_until_reachable();
            }
            Failure::of_pool(error)
        })?;
        Ok(Lease { object: Some(object), is_clean: true, takes_writes: true, wait: self.statement_wait })
    }

    /// Runs one statement, alone in its transaction, of which it makes no difference how often it is run; again, if it is
    /// not certain that it was.
    pub(crate) async fn query(
        &self,
        statement: &str,
        parameters: &Parameters<'_>,
    ) -> Result<Vec<Row>, Failure> {
        let mut retry = self.retry();
        loop {
            let answer = match self.lease().await {
                Ok(mut lease) => lease.query_until(self.deadline(), statement, parameters).await,
                Err(failure) => Err(failure),
            };
            match answer {
                Err(Failure::Open(error)) => retry.after(Failure::Again(error)).await?,
                Err(failure) => retry.after(failure).await?,
                rows => return rows,
            }
        }
    }

    /// When whoever calls now stops waiting.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (self.deadline)()
    }

    /// Whether connections could be had when one was last needed.
    pub(crate) fn is_reachable(&self) -> bool {
        self.reachable.load(Ordering::Relaxed)
    }

    /// It was reached: from now on the log tells when it cannot be.
    pub(crate) fn opened(&self) {
        self.reachable.store(true, Ordering::Relaxed);
    }

    /// Notes that no connection can be had, and tries until one can: who is asked whether he is ready may be asked nothing
    /// else until he is.
    fn watch_until_reachable(&self) {
        if !self.reachable.swap(false, Ordering::Relaxed) {
            return;
        }
        tracing::error!("the database cannot be reached");
        let (pool, reachable) = (self.pool.clone(), Arc::downgrade(&self.reachable));
        tokio::spawn(async move {
            while reachable.strong_count() > 0 && pool.get().await.is_err() {
                tokio::time::sleep(PROBE_EVERY).await;
            }
            if let Some(reachable) = reachable.upgrade() {
                reachable.store(true, Ordering::Relaxed);
                tracing::info!("the database can be reached again");
            }
        });
    }

    /// For how long something is tried again.
    pub(crate) fn retry(&self) -> Retry {
        Retry::new(self.wait)
    }
}

/// A connection, for as long as it is needed.
pub(crate) struct Lease {
    object: Option<Object>,
    /// Whether nothing waits for an answer, and no transaction for its end.
    is_clean: bool,
    /// Whether it has not refused a write as a demoted server does.
    takes_writes: bool,
    wait: Duration,
}

impl Lease {
    /// Runs a statement, alone in its transaction, in one round trip. It is given up in the database too when the deadline
    /// has come, if there is one.
    pub(crate) async fn query_until(
        &mut self,
        deadline: Option<Instant>,
        statement: &str,
        parameters: &Parameters<'_>,
    ) -> Result<Vec<Row>, Failure> {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let Some(left) = left.filter(|left| *left < self.wait) else {
            return self.query(statement, parameters).await;
        };
        // A timeout of 0 would be none. A commit that is given up while it waits for its replica is acknowledged all the
        // same: by then the deadline has passed for whoever is waiting.
        let begin = format!("BEGIN; SET LOCAL statement_timeout = {}", left.as_millis().max(1));
        let (client, bounds) = self.client()?;
        let answer = async {
            let (began, rows, ended) = tokio::join!(
                client.batch_execute(&begin),
                client.query_typed(statement, parameters),
                client.batch_execute("COMMIT"),
            );
            began?;
            let rows = rows?;
            ended?;
            Ok(rows)
        };
        bounds.answer(answer).await
    }

    /// Runs a statement.
    pub(crate) async fn query(
        &mut self,
        statement: &str,
        parameters: &Parameters<'_>,
    ) -> Result<Vec<Row>, Failure> {
        let (client, bounds) = self.client()?;
        bounds.answer(client.query_typed(statement, parameters)).await
    }

    /// Runs statements without parameters.
    pub(crate) async fn execute(&mut self, statements: &str) -> Result<(), Failure> {
        let (client, bounds) = self.client()?;
        bounds.answer(client.batch_execute(statements)).await
    }

    /// Begins a transaction. Unless it is ended, the connection is closed.
    pub(crate) async fn begin(&mut self, statement: &str) -> Result<(), Failure> {
        self.execute(statement).await?;
        self.is_clean = false;
        Ok(())
    }

    /// Ends the transaction.
    pub(crate) async fn end(&mut self, statement: &str) -> Result<(), Failure> {
        self.execute(statement).await?;
        self.is_clean = true;
        Ok(())
    }

    /// The way to ask the database, and bounds for the answer.
    pub(crate) fn client(&mut self) -> Result<(&Client, Bounds<'_>), Failure> {
        let Self { object: Some(object), is_clean, takes_writes, wait } = self else {
            return Err(Failure::given_up(Duration::ZERO));
        };
        Ok((object, Bounds { is_clean, takes_writes, wait: *wait }))
    }
}

/// What holds for an answer of the database.
pub(crate) struct Bounds<'a> {
    is_clean: &'a mut bool,
    takes_writes: &'a mut bool,
    wait: Duration,
}

impl Bounds<'_> {
    /// Waits for an answer, for a bounded time.
    pub(crate) async fn answer<T>(
        self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Failure> {
        let was_clean = mem::replace(self.is_clean, false);
        let answer = timeout(self.wait, answer).await.map_err(|_| Failure::given_up(self.wait))?;
        *self.is_clean = was_clean;
        answer.map_err(|error| {
            *self.takes_writes &= error.code() != Some(&SqlState::READ_ONLY_SQL_TRANSACTION);
            Failure::of_statement(error)
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.is_clean && self.takes_writes {
            return;
        }
        let Some(object) = self.object.take() else { return };
        if !self.takes_writes {
            // The next one is of a server that does.
            drop(Object::take(object));
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        let wait = self.wait;
        // What nobody waits for goes on in the database; behind it the connection is free. Asked to stop it, some poolers
        // fall over, and a commit that waits for its replica would be acknowledged without it.
        runtime.spawn(async move {
            if !matches!(timeout(wait, object.batch_execute("ROLLBACK")).await, Ok(Ok(()))) {
                drop(Object::take(object));
            }
        });
    }
}
