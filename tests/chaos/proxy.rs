//! Stands between a gateway and its database, and knows enough of their protocol to fail where it hurts (PostgreSQL's
//! manual, "Frontend/Backend Protocol").

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, watch},
    task::JoinHandle,
};

use crate::part::{below, moment};

/// What is in the statement of every write, and in no other.
const WRITE: &[u8] = b"metagate.apply_1";

/// What it does to what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    Pass,
    /// Waits up to so long, in each direction.
    Delay(Duration),
    /// Closes a connection at one of so many questions or answers, wherever it then is.
    Drop(u64),
    /// Has one of so many writes done, and closes the connection in place of the answer.
    Cut(u64),
    /// Answers every third write with SQLSTATE 40001 instead of passing it on.
    Refuse,
    /// Lets nobody through, and closes what there is.
    Unreachable,
}

/// How often something was done.
#[derive(Debug, Default)]
pub struct Done {
    pub dropped: AtomicUsize,
    pub cut: AtomicUsize,
    pub refused: AtomicUsize,
    pub turned_away: AtomicUsize,
    writes: AtomicUsize,
}

/// A running proxy.
pub struct Proxy {
    folder: TempDir,
    mode: watch::Sender<Mode>,
    pub done: Arc<Done>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A proxy for the server whose socket is in `folder`.
    pub fn start(folder: &Path) -> Self {
        let name = ".s.PGSQL.5432";
        let (server, own) = (folder.join(name), tempfile::tempdir().unwrap());
        let listener = UnixListener::bind(own.path().join(name)).unwrap();
        let (mode, current) = watch::channel(Mode::Pass);
        let done = Arc::new(Done::default());
        let counted = done.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                if *current.borrow() == Mode::Unreachable {
                    counted.turned_away.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                let (server, mode, done) = (server.clone(), current.clone(), counted.clone());
                tokio::spawn(async move {
                    let Ok(server) = UnixStream::connect(server).await else { return };
                    let mut closed = mode.clone();
                    // Both sides are closed when one is, or when nobody is let through.
                    tokio::select! {
                        _ = pass(client, server, mode, &done) => {}
                        _ = closed.wait_for(|mode| *mode == Mode::Unreachable) => {}
                    }
                });
            }
        });
        Self { folder: own, mode, done, accepting }
    }

    /// The address of a database behind it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{}@/{database}?host={}", private_postgres::USER, self.folder.path().display())
    }

    /// Does something else from now on.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One connection, both ways.
struct Link<'a> {
    mode: watch::Receiver<Mode>,
    done: &'a Done,
    to_client: Mutex<OwnedWriteHalf>,
    /// Whether what the server says next is not to reach the client.
    is_cut: AtomicBool,
}

async fn pass(client: UnixStream, server: UnixStream, mode: watch::Receiver<Mode>, done: &Done) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let link = Link { mode, done, to_client: Mutex::new(to_client), is_cut: AtomicBool::new(false) };
    tokio::select! {
        _ = link.ask(from_client, to_server) => {}
        _ = link.answer(from_server) => {}
    }
}

impl Link<'_> {
    async fn ask(&self, from_client: OwnedReadHalf, mut to_server: OwnedWriteHalf) -> io::Result<()> {
        let mut from_client = BufReader::new(from_client);
        // Only the first message has no type.
        let mut question = Vec::new();
        read_body(&mut from_client, &mut question).await?;
        loop {
            let is_write = question.windows(WRITE.len()).any(|part| part == WRITE);
            match self.disturb().await? {
                Mode::Refuse if is_write && self.done.writes.fetch_add(1, Ordering::Relaxed) % 3 == 2 => {
                    self.done.refused.fetch_add(1, Ordering::Relaxed);
                    self.to_client.lock().await.write_all(&refusal()).await?;
                }
                Mode::Cut(one_of) if is_write && below(one_of) == 0 => {
                    self.done.cut.fetch_add(1, Ordering::Relaxed);
                    self.is_cut.store(true, Ordering::Relaxed);
                    to_server.write_all(&question).await?;
                    // Closed at once, in the middle of the write, or when it is done.
                    match below(3) {
                        0 => return Ok(()),
                        1 => {
                            moment(Duration::from_millis(3)).await;
                            return Ok(());
                        }
                        _ => {}
                    }
                }
                _ => to_server.write_all(&question).await?,
            }
            question.clear();
            // Up to where the client waits: Sync, a simple query, or what belongs to neither.
            loop {
                let kind = from_client.read_u8().await?;
                question.push(kind);
                read_body(&mut from_client, &mut question).await?;
                if !b"PBDEC".contains(&kind) {
                    break;
                }
            }
        }
    }

    async fn answer(&self, mut from_server: OwnedReadHalf) -> io::Result<()> {
        let mut answer = vec![0; 1 << 16];
        loop {
            let size = from_server.read(&mut answer).await?;
            if size == 0 || self.is_cut.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.disturb().await?;
            self.to_client.lock().await.write_all(&answer[..size]).await?;
        }
    }

    /// What is to be done; what concerns questions and answers alike was.
    async fn disturb(&self) -> io::Result<Mode> {
        let mode = *self.mode.borrow();
        match mode {
            Mode::Delay(max) => moment(max).await,
            Mode::Drop(one_of) if below(one_of) == 0 => {
                self.done.dropped.fetch_add(1, Ordering::Relaxed);
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            _ => {}
        }
        Ok(mode)
    }
}

/// Appends a message's length, and as much as it says.
async fn read_body(from: &mut BufReader<OwnedReadHalf>, to: &mut Vec<u8>) -> io::Result<()> {
    let length = from.read_u32().await?;
    to.extend_from_slice(&length.to_be_bytes());
    let start = to.len();
    // It counts itself.
    to.resize(start + length as usize - 4, 0);
    from.read_exact(&mut to[start..]).await?;
    Ok(())
}

/// The ErrorResponse of a write that lost to another, and that the server is ready for the next.
fn refusal() -> Vec<u8> {
    let fields = b"SERROR\0VERROR\0C40001\0Mcould not serialize access due to concurrent update\0\0";
    let mut message = vec![b'E'];
    message.extend_from_slice(&(fields.len() as u32 + 4).to_be_bytes());
    message.extend_from_slice(fields);
    message.extend_from_slice(b"Z\0\0\0\x05I");
    message
}
