//! A PostgreSQL server for one process, for tests and benchmarks: made in a folder of its own, reached by a socket in it,
//! and gone with the process, however that ends.

#![allow(clippy::panic)]

mod pgbouncer;
mod programs;

use std::{
    fs,
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
pub use pgbouncer::Pgbouncer;
pub use programs::Programs;
use tempfile::TempDir;

/// The user of the databases, who may do everything and needs no password.
pub const USER: &str = "metagate";

/// The number in the socket's name, unless there is a port too.
const PORT: u16 = 5432;

/// How long a server may take to start.
const START_WAIT_MAX: Duration = Duration::from_secs(60);

/// A running server.
#[derive(Debug)]
pub struct PrivatePostgres {
    programs: Programs,
    folder: TempDir,
    settings: Vec<String>,
    port: u16,
    /// `None` while it is stopped.
    watched: Option<Child>,
    databases: AtomicU64,
}

impl PrivatePostgres {
    /// Makes a server and starts it, with `settings` such as `fsync=off`.
    ///
    /// # Errors
    /// The words for a line `skipped: …`, if the programs of PostgreSQL are not on this machine.
    ///
    /// # Panics
    /// If they are, and do not work.
    pub fn start(settings: &[&str]) -> Result<Self, String> {
        let mut server = Self::stopped(Programs::find()?, settings);
        let data = server.data();
        server.run(
            "initdb",
            &[
                "-D",
                &data.to_string_lossy(),
                "-U",
                USER,
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ],
        );
        server.begin();
        Ok(server)
    }

    /// Makes a server that is reached over TLS too, at a port of `localhost`, with a certificate and its key in PEM.
    ///
    /// # Errors
    /// See [`PrivatePostgres::start`].
    ///
    /// # Panics
    /// See [`PrivatePostgres::start`].
    pub fn start_with_tls(certificate: &[u8], key: &[u8]) -> Result<Self, String> {
        let mut server = Self::start(&[])?;
        for (name, content) in [("server.crt", certificate), ("server.key", key)] {
            let written = server.programs.write(&server.data().join(name), content);
            written.unwrap_or_else(|error| panic!("cannot write {name}: {error}"));
        }
        let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = listener.unwrap_or_else(|error| panic!("no port: {error}")).port();
        server.settings =
            ["ssl=on".to_owned(), "listen_addresses=localhost".to_owned(), format!("port={port}")].into();
        server.port = port;
        server.begin();
        Ok(server)
    }

    /// Makes and starts a standby that follows this server, with `settings`.
    ///
    /// # Panics
    /// If that does not work.
    pub fn standby(&self, settings: &[&str]) -> Self {
        let mut server = Self::stopped(self.programs.clone(), settings);
        let data = server.data();
        let (host, data) =
            (self.folder().to_string_lossy().into_owned(), data.to_string_lossy().into_owned());
        server.run(
            "pg_basebackup",
            &["-h", &host, "-U", USER, "-D", &data, "-R", "-X", "stream", "-c", "fast", "-N"],
        );
        server.begin();
        server
    }

    /// A server without data, in a folder of its own.
    fn stopped(programs: Programs, settings: &[&str]) -> Self {
        let folder = programs.folder().unwrap_or_else(|error| panic!("no folder for PostgreSQL: {error}"));
        Self {
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            programs,
            folder,
            port: PORT,
            watched: None,
            databases: AtomicU64::new(0),
        }
    }

    /// The folder with its socket.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The number in its socket's name, and its port on `localhost` if it is reached there.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of a database, by the socket.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@/{database}?host={}&port={}", self.folder().display(), self.port)
    }

    /// Makes a new database, of another one's content or empty. Returns its name.
    ///
    /// # Panics
    /// If that does not work.
    pub fn database(&self, template: Option<&str>) -> String {
        let name = format!("database_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let template = template.map(|name| format!(" TEMPLATE {name}")).unwrap_or_default();
        self.sql("postgres", &format!("CREATE DATABASE {name}{template}"));
        name
    }

    /// Runs a statement. Returns what it prints: rows of columns that are separated by `|`.
    ///
    /// # Panics
    /// If it fails.
    pub fn sql(&self, database: &str, statement: &str) -> String {
        let host = self.folder().to_string_lossy().into_owned();
        self.run(
            "psql",
            &["-h", &host, "-U", USER, "-d", database, "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", statement],
        )
    }

    /// Ends it at once, as a crash would: without a checkpoint, and without a word to who is connected.
    ///
    /// # Panics
    /// If it cannot be killed.
    pub fn crash(&mut self) {
        if let Some(mut watched) = self.watched.take() {
            // The watch sends SIGQUIT, which is PostgreSQL's immediate shutdown.
            let told = watched.stdin.take().map(|mut stdin| stdin.write_all(b"stop\n"));
            told.transpose().unwrap_or_else(|error| panic!("cannot stop PostgreSQL: {error}"));
            watched.wait().unwrap_or_else(|error| panic!("cannot stop PostgreSQL: {error}"));
        }
    }

    /// Kills all its processes, at once.
    ///
    /// # Panics
    /// If they cannot be killed.
    pub fn kill(&mut self) {
        let pid = fs::read_to_string(self.data().join("postmaster.pid")).ok();
        let pid = pid.and_then(|text| text.lines().next()?.parse().ok());
        let pid: i32 = pid.unwrap_or_else(|| panic!("PostgreSQL has no process"));
        let send = |pid, signal| match kill(Pid::from_raw(pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => panic!("cannot send {signal}: {error}"),
        };
        // So that it neither makes others nor tells them to end.
        send(pid, Signal::SIGSTOP);
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children =
            children.unwrap_or_else(|error| panic!("PostgreSQL's processes are not known: {error}"));
        let children: Vec<i32> =
            children.split_ascii_whitespace().filter_map(|child| child.parse().ok()).collect();
        for child in &children {
            send(*child, Signal::SIGKILL);
        }
        // Who still has the memory keeps the next server from starting. They stay in /proc: who is stopped reaps nobody.
        let is_dead = |child: &i32| {
            let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('Z'))
        };
        while !children.iter().all(is_dead) {
            thread::sleep(Duration::from_millis(1));
        }
        send(pid, Signal::SIGKILL);
        self.crash();
    }

    /// Makes a standby a server of its own, and waits until it is.
    ///
    /// # Panics
    /// If it does not become one.
    pub fn promote(&self) {
        let is_promoted = self.sql("postgres", "SELECT pg_promote()");
        assert_eq!(is_promoted, "t", "not promoted: {}", self.log());
    }

    /// Starts it again.
    ///
    /// # Panics
    /// If it does not start.
    pub fn begin(&mut self) {
        self.crash();
        let _ = fs::remove_file(self.data().join("postmaster.pid"));
        let data = self.data();
        let folder = self.folder().to_string_lossy().into_owned();
        let mut command = self.programs.watched(self.folder(), "QUIT", &self.programs.path("postgres"));
        command.args(["-D", &data.to_string_lossy(), "-k", &folder]);
        for setting in ["listen_addresses=", "max_connections=200"]
            .into_iter()
            .chain(self.settings.iter().map(String::as_str))
        {
            command.args(["-c", setting]);
        }
        let log =
            fs::File::create(self.folder().join("log")).unwrap_or_else(|error| panic!("no log: {error}"));
        command.stdout(Stdio::null()).stderr(log);
        self.watched =
            Some(command.spawn().unwrap_or_else(|error| panic!("cannot start PostgreSQL: {error}")));
        let start = Instant::now();
        while !self.is_ready() {
            assert!(start.elapsed() < START_WAIT_MAX, "PostgreSQL does not start: {}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Runs pgbench on a database, with `options` and a script. Returns the transactions a second, without the time to
    /// connect.
    ///
    /// # Panics
    /// If it fails.
    pub fn pgbench(&self, database: &str, script: &str, options: &[&str]) -> f64 {
        let file = self.folder().join("script.sql");
        let written = self.programs.write(&file, script.as_bytes());
        written.unwrap_or_else(|error| panic!("cannot write the script: {error}"));
        let (host, file) = (self.folder().to_string_lossy(), file.to_string_lossy());
        let arguments = [&["-h", &host, "-U", USER, "-n", "-f", &file][..], options, &[database]].concat();
        let printed = self.run("pgbench", &arguments);
        let rate =
            printed.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        rate.unwrap_or_else(|| panic!("pgbench says {printed}"))
    }

    /// What it has written since it was started.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder().join("log")).unwrap_or_default()
    }

    fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    fn is_ready(&self) -> bool {
        let host = self.folder().to_string_lossy().into_owned();
        let mut command = self.programs.command("pg_isready");
        command
            .env("PGPORT", self.port.to_string())
            .args(["-q", "-h", &host, "-U", USER])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output =
            self.programs.command(program).env("PGPORT", self.port.to_string()).args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        self.crash();
    }
}
