//! A server whose settings are in a file, told to read it again, and what it logs meanwhile.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{sync::mpsc, time::timeout};

use crate::{
    dialect::{GET, Outcome, REST},
    server::{Server, metagate},
};

/// Settings of a server in memory, on a free port.
pub const MEMORY: &str = "listen = \"127.0.0.1:0\"\nstorage = \"memory:\"";

/// Far more than anything here takes; only a test that fails waits for so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of organizations in their states, and users that own their home; the user's name is the token.
pub fn world(organizations: &[(&str, &str)], users: &[(&str, &str)]) -> String {
    let mut text = "[instance]\nid = \"1\"\n".to_owned();
    for (id, state) in organizations {
        text.push_str(&format!("[[organization]]\nid = \"{id}\"\nname = \"{id}\"\nstate = \"{state}\"\n"));
    }
    for (name, home) in users {
        text.push_str(&format!(
            "[[user]]\nid = \"{name}\"\nname = \"{name}\"\norganization = \"{home}\"\nstate = \"active\"\n\
             token = [{{ value = \"{name}\" }}]\n\
             [[membership]]\nuser = \"{name}\"\norganization = \"{home}\"\nroles = [\"ORG_OWNER\"]\n"
        ));
    }
    text
}

/// A server whose settings are all in `metagate.toml`, and what it logs.
pub struct Reloading {
    pub folder: TempDir,
    pub server: Server,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Reloading {
    pub fn start(settings: &str, directory: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("metagate.toml"), file(settings)).unwrap();
        fs::write(folder.path().join("directory.toml"), directory).unwrap();
        let mut command = metagate();
        command.args(["serve", "--config", "metagate.toml"]);
        Self::run(folder, command)
    }

    pub fn run(folder: TempDir, mut command: Command) -> Self {
        command.current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::of(folder, command.spawn().unwrap())
    }

    pub fn of(folder: TempDir, child: Child) -> Self {
        let mut server = Server::of(child);
        let lines = lines(&mut server);
        Self { folder, server, lines }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn settings(&self, settings: &str) {
        fs::write(self.path("metagate.toml"), file(settings)).unwrap();
    }

    pub fn directory(&self, directory: &str) {
        fs::write(self.path("directory.toml"), directory).unwrap();
    }

    /// Waits for a line with `text`; returns it, and those before.
    pub async fn line(&mut self, text: &str) -> (String, Vec<String>) {
        let mut before = Vec::new();
        let wait = async {
            loop {
                let line = self.lines.recv().await.unwrap_or_else(|| panic!("it has ended: {before:?}"));
                if line.contains(text) {
                    return line;
                }
                before.push(line);
            }
        };
        let line = timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("no line with {text:?}"));
        (line, before)
    }

    /// Ends it as a crash does. Returns what was logged since the last line that was waited for.
    pub async fn rest(mut self) -> Vec<String> {
        self.server.kill();
        let mut rest = Vec::new();
        while let Some(line) = self.lines.recv().await {
            rest.push(line);
        }
        rest
    }

    /// Reloads, and it works. Returns what was logged before the line that says so.
    pub async fn reload(&mut self) -> Vec<String> {
        self.server.signal("HUP");
        let (line, before) = self.line("reloaded").await;
        assert!(line.contains(" INFO ") && line.ends_with(": reloaded"), "{line}");
        before
    }

    /// Reloads in vain. Returns what is wrong, and what was logged before.
    pub async fn reload_in_vain(&mut self) -> (String, Vec<String>) {
        self.server.signal("HUP");
        let (line, before) = self.line("reloaded").await;
        let (head, problems) = line.split_once("not reloaded: ").unwrap();
        assert!(head.contains("ERROR "), "{line}");
        (problems.to_owned(), before)
    }

    pub async fn call(&self, token: &str, rpc: &str, message: Value) -> Outcome {
        REST.call_as(self.server.address, token, rpc, message).await
    }

    /// Whether it is a token that is known; nobody here has set anything under the key.
    pub async fn knows(&self, token: &str) -> bool {
        let failure = self.call(token, GET, json!({"key": "k"})).await.unwrap_err();
        match &*failure.message {
            "Metadata not found (QUERY-Rph32)" => true,
            "Errors.Token.Invalid (AUTH-7fs1e)" => false,
            other => panic!("{other}"),
        }
    }
}

/// The file of settings, with what is the same in all tests.
fn file(settings: &str) -> String {
    format!("directory = \"directory.toml\"\n{settings}\n")
}

/// What it logs, line by line, as it comes.
fn lines(server: &mut Server) -> mpsc::UnboundedReceiver<String> {
    let (send, lines) = mpsc::unbounded_channel();
    let pipe = BufReader::new(server.stderr_pipe());
    thread::spawn(move || pipe.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
    lines
}
