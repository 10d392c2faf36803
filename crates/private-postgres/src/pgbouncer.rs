//! pgbouncer before a private server.

use std::{
    fs,
    io::Write,
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{PrivatePostgres, USER, programs};

/// The number in its socket's name.
const PORT: u16 = 6432;

/// How long it may take to start.
const START_WAIT_MAX: Duration = Duration::from_secs(20);

/// pgbouncer in transaction mode: whoever is between two transactions has no connection of his own to the server.
#[derive(Debug)]
pub struct Pgbouncer {
    folder: TempDir,
    watched: Child,
}

impl Pgbouncer {
    /// Starts one before `server`, with so many connections to each database.
    ///
    /// # Errors
    /// The words for a line `skipped: …`, if it is not on this machine.
    ///
    /// # Panics
    /// If it is, and does not work.
    pub fn start(server: &PrivatePostgres, connections: u32) -> Result<Self, String> {
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"]
            .map(Path::new)
            .into_iter()
            .find(|path| path.is_file());
        let program = program.map(Path::to_owned).or_else(|| programs::on_path("pgbouncer"));
        let program = program.ok_or("pgbouncer is not installed")?;
        let folder =
            server.programs.folder().unwrap_or_else(|error| panic!("no folder for pgbouncer: {error}"));
        let settings = format!(
            "[databases]\n* = host={} port={} user={USER}\n\
             [pgbouncer]\nlisten_port = {PORT}\nunix_socket_dir = {}\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = {connections}\nmax_client_conn = 500\n",
            server.folder().display(),
            server.port(),
            folder.path().display()
        );
        let file = folder.path().join("pgbouncer.ini");
        fs::write(&file, settings).unwrap_or_else(|error| panic!("no settings for pgbouncer: {error}"));
        let log =
            fs::File::create(folder.path().join("log")).unwrap_or_else(|error| panic!("no log: {error}"));
        let mut command = server.programs.watched(folder.path(), "TERM", &program);
        command.arg(&file).stdout(Stdio::null()).stderr(log);
        let watched = command.spawn().unwrap_or_else(|error| panic!("cannot start pgbouncer: {error}"));
        let pgbouncer = Self { folder, watched };
        let start = Instant::now();
        while UnixStream::connect(pgbouncer.folder.path().join(format!(".s.PGSQL.{PORT}"))).is_err() {
            let log = || fs::read_to_string(pgbouncer.folder.path().join("log")).unwrap_or_default();
            assert!(start.elapsed() < START_WAIT_MAX, "pgbouncer does not start: {}", log());
            thread::sleep(Duration::from_millis(10));
        }
        Ok(pgbouncer)
    }

    /// The address of a database of the server, by way of this.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@/{database}?host={}&port={PORT}", self.folder.path().display())
    }
}

impl Drop for Pgbouncer {
    fn drop(&mut self) {
        if let Some(mut stdin) = self.watched.stdin.take() {
            // Without it the watch ends all the same, when the pipe closes.
            let _ = stdin.write_all(b"stop\n");
        }
        let _ = self.watched.wait();
    }
}
