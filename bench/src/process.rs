//! A server process: its start, its CPU time, its memory, its end.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    time::{ClockId, clock_gettime},
    unistd::Pid,
};

use crate::Error;

/// What a pipe holds (pipe(7)).
const PIPE_BYTES: usize = 64 * 1024;

/// A running server; killed when it is dropped.
pub struct Server {
    child: Child,
    pid: Pid,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Runs `command` until it says on stdout where it listens. Its log goes into a pipe, which is read and forgotten.
    pub fn start(command: Command) -> Result<Self, Error> {
        Self::start_read(command, Duration::ZERO)
    }

    /// The same; the log is read every `pause`, so that nobody is woken for a line.
    pub fn start_read(mut command: Command, pause: Duration) -> Result<Self, Error> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", command.get_program().display()))?;
        let pid = Pid::from_raw(child.id().try_into()?);
        let log = child.stderr.take();
        let said = child.stdout.take();
        thread::spawn(move || log.map(|log| forget(log, pause)));
        let mut greeting = String::new();
        if let Some(said) = said {
            let mut said = BufReader::new(said);
            said.read_line(&mut greeting)?;
            // Somebody must hold the other end as long as the server may write.
            thread::spawn(move || io::copy(&mut said, &mut io::sink()));
        }
        let address = greeting.trim_end().rsplit("http://").next().and_then(|address| address.parse().ok());
        let Some(address) = address else {
            child.kill()?;
            child.wait()?;
            return Err(format!("{} does not start: {greeting:?}", command.get_program().display()).into());
        };
        Ok(Self { child, pid, address })
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The CPU time that it has used so far, in user and kernel, of all its threads.
    pub fn cpu(&self) -> Result<Duration, Error> {
        Ok(clock_gettime(ClockId::pid_cpu_clock_id(self.pid)?)?.into())
    }

    /// Waits until it has nothing to do: what it has begun at its start, such as a key of its own, is not what calls cost.
    pub async fn settle(&self) -> Result<(), Error> {
        const WATCHED: Duration = Duration::from_millis(200);
        loop {
            let before = self.cpu()?;
            tokio::time::sleep(WATCHED).await;
            if self.cpu()?.saturating_sub(before) < WATCHED / 50 {
                return Ok(());
            }
        }
    }

    /// Forgets the peak of its memory so far.
    pub fn reset_peak(&self) -> Result<(), Error> {
        let mut file = fs::OpenOptions::new().write(true).open(format!("/proc/{}/clear_refs", self.pid))?;
        // 5: the peak of the resident set (proc(5)).
        Ok(file.write_all(b"5")?)
    }

    /// The most memory that was resident since [`Server::reset_peak`], in bytes.
    pub fn peak_bytes(&self) -> Result<u64, Error> {
        self.status("VmHWM:")
    }

    /// The memory that is resident now, in bytes.
    pub fn resident_bytes(&self) -> Result<u64, Error> {
        self.status("VmRSS:")
    }

    /// A figure of /proc/PID/status, where they are in KiB.
    fn status(&self, name: &str) -> Result<u64, Error> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB")).map(str::parse::<u64>);
        Ok(number.ok_or_else(|| format!("no {name} in /proc/{}/status", self.pid))?? * 1024)
    }

    /// Asks it to end in order, and waits until it has.
    pub fn stop(mut self) -> Result<(), Error> {
        kill(self.pid, Signal::SIGTERM)?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("a server ended with {status}").into()) }
    }
}

/// Reads to the end, or to an error.
fn forget(mut log: impl Read, pause: Duration) {
    let mut bytes = vec![0; PIPE_BYTES];
    while log.read(&mut bytes).is_ok_and(|read| read > 0) {
        thread::sleep(pause);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing left to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
