//! The binary under test: started on a free port, found by its first line, killed at the end.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    os::fd::OwnedFd,
    path::Path,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
};

use tempfile::TempDir;

/// Organizations `org-0` to `org-39`, one for each run of a scenario.
pub const ORGANIZATIONS: usize = 40;

/// A running server.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it has said on stdout.
    pub greeting: String,
    _folder: Option<TempDir>,
}

/// The users of the tests' directory; each has its name as its token.
pub fn directory() -> String {
    let mut text = String::from("[instance]\nid = \"instance\"\n\n");
    let mut organization = |id: &str, state: &str| {
        text.push_str(&format!("[[organization]]\nid = \"{id}\"\nname = \"{id}\"\nstate = \"{state}\"\n\n"));
    };
    for index in 0..ORGANIZATIONS {
        organization(&format!("org-{index}"), "active");
    }
    organization("home", "active");
    organization("inactive", "inactive");
    organization("removed", "removed");
    for (name, home, state, language, memberships) in [
        ("owner", "home", "active", None, &[("", "IAM_OWNER")][..]),
        ("viewer", "home", "active", None, &[("", "IAM_OWNER_VIEWER")]),
        ("home-owner", "home", "active", None, &[("home", "ORG_OWNER")]),
        ("nobody", "home", "active", None, &[]),
        ("german", "home", "active", Some("de"), &[("", "IAM_OWNER")]),
        ("deactivated", "home", "inactive", None, &[("", "IAM_OWNER")]),
        ("locked", "home", "locked", None, &[("", "IAM_OWNER")]),
        ("of-removed", "removed", "active", None, &[("", "IAM_OWNER")]),
        ("of-inactive", "inactive", "active", None, &[("inactive", "ORG_OWNER")]),
    ] {
        text.push_str(&format!(
            "[[user]]\nid = \"id-of-{name}\"\nname = \"{name}\"\norganization = \"{home}\"\nstate = \"{state}\"\n"
        ));
        if let Some(language) = language {
            text.push_str(&format!("preferred_language = \"{language}\"\n"));
        }
        text.push_str(&format!("[[user.token]]\nvalue = \"{name}\"\n"));
        text.push_str(&format!(
            "[[user.token]]\nvalue = \"{name}-expired\"\nexpires = 2020-01-01T00:00:00Z\n\n"
        ));
        for (organization, role) in memberships {
            let place = match *organization {
                "" => "instance = true".to_owned(),
                id => format!("organization = {id:?}"),
            };
            text.push_str(&format!(
                "[[membership]]\nuser = \"id-of-{name}\"\n{place}\nroles = [\"{role}\"]\n\n"
            ));
        }
    }
    text
}

/// The binary.
pub fn metagate() -> Command {
    metagate_at(Path::new(env!("CARGO_BIN_EXE_metagate")))
}

/// The binary, told to serve the directory at `path` on a free port, and to say little.
pub fn serving(path: &Path) -> Command {
    let mut command = metagate();
    command.args(["serve", "--listen", "127.0.0.1:0", "--log-level", "error", "--directory"]).arg(path);
    command
}

/// A copy of the binary.
pub fn metagate_at(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("METAGATE_")) {
        command.env_remove(name);
    }
    command
}

/// `command`, with sockets passed on to it (sd_listen_fds(3)); the second takes the place of stderr.
pub fn pass_on(command: &Command, first: impl Into<OwnedFd>, second: Option<OwnedFd>) -> Command {
    let (moved, count) = match second {
        None => ("3<&0 </dev/null", 1),
        Some(_) => ("3<&0 4<&2 </dev/null 2>/dev/null", 2),
    };
    // The process must be named that the sockets are for, which is not known before it is there.
    let script = format!("exec {moved}; export LISTEN_FDS={count} LISTEN_PID=$$; exec \"$0\" \"$@\"");
    let mut passing = Command::new("sh");
    passing.arg("-c").arg(script).arg(command.get_program()).args(command.get_args()).stdin(first.into());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => passing.env(name, value),
            None => passing.env_remove(name),
        };
    }
    if let Some(second) = second {
        passing.stderr(second);
    }
    passing
}

impl Server {
    /// A server on a memory store, with the tests' directory.
    pub fn start() -> Self {
        Self::start_with(&["--storage", "memory:"])
    }

    /// The same, with other arguments.
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_in("", arguments)
    }

    /// The same, with `prologue` before the directory's first organization.
    pub fn start_in(prologue: &str, arguments: &[&str]) -> Self {
        Self::start_of(&directory().replacen("\n\n", &format!("\n{prologue}\n"), 1), arguments)
    }

    /// A server of the directory that is written in `text`.
    pub fn start_of(text: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.toml");
        std::fs::write(&path, text).unwrap();
        let mut command = serving(&path);
        command.args(arguments);
        let mut server = Self::run(command);
        server._folder = Some(folder);
        server
    }

    /// Runs `command` until it listens.
    pub fn run(mut command: Command) -> Self {
        Self::of(command.stdout(Stdio::piped()).spawn().unwrap())
    }

    /// Waits until `child`, whose stdout is a pipe, listens.
    pub fn of(mut child: Child) -> Self {
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        lines.read_line(&mut greeting).unwrap();
        let address = greeting
            .strip_prefix("metagate listens on http")
            .and_then(|rest| rest.strip_prefix("s").unwrap_or(rest).strip_prefix("://"))
            .map(|address| address.trim().parse().unwrap());
        let Some(address) = address else {
            let _ = child.kill();
            panic!("the first line is {greeting:?}");
        };
        // The rest was written at once, right behind the first line.
        greeting.push_str(std::str::from_utf8(lines.buffer()).unwrap());
        Self { child, address, greeting, _folder: None }
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// What it writes to stderr; once, for commands with a pipe there.
    pub fn stderr_pipe(&mut self) -> ChildStderr {
        self.child.stderr.take().unwrap()
    }

    /// All that it wrote to stderr; for commands with a pipe there. Waits for its end.
    pub fn stderr(&mut self) -> String {
        let mut text = String::new();
        self.stderr_pipe().read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
