//! The one thread that writes: what is waiting shares a commit, and is acknowledged after it.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use domain::OrganizationId;
use rusqlite::{Connection, ErrorCode, MAIN_DB, config::DbConfig, wal::CheckpointMode};
use storage::{Commit, Observer, StoreError};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Row,
    error::failure,
    operation::{Answer, Operation, Reply, Step},
    tuning::{Mistake, Tuning},
};

/// How many operations may wait; who comes later waits to be let in.
const QUEUE_MAX: usize = 1_024;

/// How many operations share a commit at most: the first must not wait for ever.
const BATCH_MAX: usize = 256;

/// A batch waits until it has the company that the one before had, up to so many operations: those who were just answered
/// come again. Where syncs are slow they are there already, and a lone writer waits for nobody.
const COMPANY_MAX: usize = 8;

/// How often it looks for company, and how long it sleeps between.
const COMPANY_LOOKS: usize = 10;
const COMPANY_WAIT: Duration = Duration::from_micros(50);

/// How often it looks whether another process has ended its transaction. SQLite's own handler comes to sleep a hundred times
/// as long, and misses most gaps that a process leaves which writes without a pause.
const OTHERS_LOOK_WAIT: Duration = Duration::from_millis(1);

/// The way to the thread that writes.
pub(crate) struct Writer {
    /// `None` once the store is being closed.
    queue: Option<mpsc::Sender<Operation>>,
    thread: Option<JoinHandle<()>>,
    running: Arc<AtomicBool>,
    commits: Arc<AtomicU64>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(connection: Connection, tuning: Tuning, observer: Observer) -> io::Result<Self> {
        let (queue, operations) = mpsc::channel(QUEUE_MAX);
        let (running, commits) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
        let log_pages = Arc::new(AtomicUsize::new(0));
        let work = Work {
            connection,
            running: Running(running.clone()),
            commits: commits.clone(),
            log_pages,
            is_full: false,
            tuning,
            observer,
        };
        let thread =
            thread::Builder::new().name("store-writer".to_owned()).spawn(move || work.run(operations))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), running, commits })
    }

    /// Hands over an operation and waits until it is durable. Once handed over it is done, whoever waits.
    pub(crate) async fn run<T>(
        &self,
        operation: impl FnOnce(Reply<T>) -> Operation,
    ) -> Result<T, StoreError> {
        let stopped = || StoreError::unavailable("the store has stopped writing");
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.send(operation(reply)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The thread finishes what is queued, and ends.
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes has panicked");
        }
    }
}

struct Work {
    connection: Connection,
    running: Running,
    commits: Arc<AtomicU64>,
    /// How long the write-ahead log was after the last commit; 0 if that had nothing to write.
    log_pages: Arc<AtomicUsize>,
    /// Whether writes are refused for want of room.
    is_full: bool,
    tuning: Tuning,
    observer: Observer,
}

/// Says that the thread has ended, however it did.
struct Running(Arc<AtomicBool>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Work {
    fn run(mut self, mut operations: mpsc::Receiver<Operation>) {
        // It waits for others itself, in `begin`.
        let ready = self.connection.busy_timeout(Duration::ZERO).and_then(|()| self.watch_log());
        if let Err(error) = ready {
            return self.stop(&failure(error), operations);
        }
        let mut company = 0;
        while let Some(first) = operations.blocking_recv() {
            let mut batch = vec![first];
            take_waiting(&mut operations, &mut batch);
            for _ in 0..COMPANY_LOOKS {
                if batch.len() >= company {
                    break;
                }
                thread::sleep(COMPANY_WAIT);
                take_waiting(&mut operations, &mut batch);
            }
            company = batch.len().min(COMPANY_MAX);
            if let Err(error) = self.commit(batch).and_then(|()| self.checkpoint()) {
                return self.stop(&error, operations);
            }
        }
        if let Err(error) = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::warn!(%error, "cannot tidy up the write-ahead log; nothing is lost");
        }
    }

    /// What is on the disk now is open; to go on as if nothing had happened could lose what follows. Refuses what comes,
    /// until the store is closed; till then the connection stays open, since who opens a log anew takes in what may not
    /// be durable.
    fn stop(self, error: &StoreError, mut operations: mpsc::Receiver<Operation>) {
        drop(self.running);
        tracing::error!(%error, "cannot write, and will not try again: restart when the cause is mended");
        // Nor does closing try to write.
        if let Err(error) = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) {
            tracing::error!(%error, "the write-ahead log may be written back once more");
        }
        while operations.blocking_recv().is_some() {}
    }

    /// Does all of a batch in one transaction, and answers.
    ///
    /// # Errors
    /// If it is open what became of the transaction; everybody has been told. A full disk, damage and another process
    /// that writes are no errors: they are met before the commit counts.
    fn commit(&mut self, batch: Vec<Operation>) -> Result<(), StoreError> {
        let mut answers: Vec<Answer> = Vec::with_capacity(batch.len());
        let mut changed = HashMap::new();
        self.log_pages.store(0, Ordering::Relaxed);
        let (start, operations) = (Instant::now(), batch.len());
        let begun = self.begin();
        if let Err(error) = &begun
            && is_busy(error)
        {
            tracing::error!("another process is writing for too long: writes are refused meanwhile");
            let refusal = StoreError::unavailable("another process is writing");
            batch.into_iter().for_each(|operation| operation.into_answer()(Some(&refusal)));
            return Ok(());
        }
        let mut committed = self.transaction(begun.map_err(failure), batch, &mut answers, &mut changed);
        if let Err(StoreError::Full(_) | StoreError::Damaged(_)) = committed
            && let Err(error) = self.undo()
        {
            committed = Err(failure(error));
        }
        if committed.is_ok() {
            self.commits.fetch_add(1, Ordering::Relaxed);
            (self.observer)(Commit { operations, took: start.elapsed() });
        }
        for answer in answers {
            answer(committed.as_ref().err());
        }
        match &committed {
            Err(StoreError::Full(_)) if !self.is_full => {
                self.is_full = true;
                tracing::error!("there is no room to write: writes are refused until there is");
            }
            // Not every commit has something to write.
            Ok(()) if self.is_full && self.log_pages.load(Ordering::Relaxed) > 0 => {
                self.is_full = false;
                tracing::info!("there is room to write again");
            }
            _ => {}
        }
        match committed {
            Err(StoreError::Full(_) | StoreError::Damaged(_)) => Ok(()),
            other => other,
        }
    }

    /// Begins a transaction, as soon as no other process has one.
    fn begin(&self) -> rusqlite::Result<()> {
        let start = Instant::now();
        loop {
            match self.execute("BEGIN IMMEDIATE") {
                Err(error) if is_busy(&error) && start.elapsed() < self.tuning.others_wait => {
                    thread::sleep(OTHERS_LOOK_WAIT);
                }
                begun => return begun,
            }
        }
    }

    /// Does all of a batch in the transaction that was begun.
    fn transaction(
        &self,
        mut performed: Result<(), StoreError>,
        batch: Vec<Operation>,
        answers: &mut Vec<Answer>,
        changed: &mut HashMap<OrganizationId, Row>,
    ) -> Result<(), StoreError> {
        let mut operations = batch.into_iter();
        while performed.is_ok()
            && let Some(operation) = operations.next()
        {
            performed = self.perform(operation, answers, changed);
        }
        if performed.is_err() {
            answers.extend(operations.map(Operation::into_answer));
            return performed;
        }
        if self.tuning.mistake == Mistake::AcknowledgesFirst {
            answers.drain(..).for_each(|answer| answer(None));
        }
        self.execute("COMMIT").map_err(failure)
    }

    /// Does one operation; if it fails, it alone is undone.
    ///
    /// # Errors
    /// If it cannot be undone alone.
    fn perform(
        &self,
        operation: Operation,
        answers: &mut Vec<Answer>,
        changed: &mut HashMap<OrganizationId, Row>,
    ) -> Result<(), StoreError> {
        self.execute("SAVEPOINT operation").map_err(failure)?;
        let mut step = Step::new(&self.connection, changed);
        let (failed, answer) = operation.perform(&mut step);
        let row = step.row;
        answers.push(answer);
        match failed {
            // Some failures end the whole transaction (sqlite.org/lang_transaction.html, section 3.1).
            Some(error) if self.connection.is_autocommit() => return Err(error),
            Some(_) => self.execute("ROLLBACK TO operation").map_err(failure)?,
            None => changed.extend(row.map(|row| (row.organization.id.clone(), row))),
        }
        self.execute("RELEASE operation").map_err(failure)
    }

    /// Ends a transaction that was not committed.
    fn undo(&self) -> rusqlite::Result<()> {
        if self.connection.is_autocommit() { Ok(()) } else { self.execute("ROLLBACK") }
    }

    fn execute(&self, statement: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(statement)?.execute([]).map(|_| ())
    }

    /// Has each commit say how long the log is. SQLite would make checkpoints by itself inside a commit, before it is
    /// acknowledged, and tell nobody if one fails.
    fn watch_log(&mut self) -> rusqlite::Result<()> {
        let log_pages = self.log_pages.clone();
        self.connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            log_pages.store(usize::try_from(pages).unwrap_or_default(), Ordering::Relaxed);
            Ok(())
        }))
    }

    /// Writes the log back into the database if it is long, or if that may make room in it.
    ///
    /// # Errors
    /// If what is in the database now is open. The log still has it all.
    fn checkpoint(&self) -> Result<(), StoreError> {
        if self.log_pages.load(Ordering::Relaxed) < self.tuning.log_pages_max && !self.is_full {
            return Ok(());
        }
        match self.connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::PASSIVE) {
            Ok(_) => Ok(()),
            // The log goes on growing, and the next commit tries again.
            Err(error) if is_busy(&error) => Ok(()),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                if !self.is_full {
                    tracing::warn!(%error, "cannot write the write-ahead log back; nothing is lost");
                }
                Ok(())
            }
            Err(error) => Err(failure(error)),
        }
    }
}

/// Whether another process has what is needed.
fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

/// Moves to `batch` what is in the queue.
fn take_waiting(operations: &mut mpsc::Receiver<Operation>, batch: &mut Vec<Operation>) {
    while batch.len() < BATCH_MAX
        && let Ok(next) = operations.try_recv()
    {
        batch.push(next);
    }
}
