//! Where PostgreSQL's programs are, and as whom they run: they refuse to be root.

use std::{
    env, fs, io,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::unistd::{Uid, User};
use tempfile::TempDir;

/// Runs a program until a line comes, or this process is gone: then the pipe that is read from closes, and the folder,
/// the first argument, is removed. The second is the signal that ends the program.
const WATCH: &str = r#"folder=$1; signal=$2; shift 2; "$@" & child=$!; read -r _; kept=$?
kill -$signal "$child" 2>/dev/null; wait "$child"; [ $kept = 0 ] || rm -rf "$folder""#;

/// PostgreSQL's programs.
#[derive(Clone, Debug)]
pub struct Programs {
    folder: PathBuf,
    /// Who runs them, if that is not who runs this.
    user: Option<User>,
}

impl Programs {
    /// Finds them: on the path, or where Debian puts them, the newest.
    ///
    /// # Errors
    /// The words for a line `skipped: …`.
    pub fn find() -> Result<Self, String> {
        let on_path = on_path("initdb").and_then(|path| path.parent().map(Path::to_owned));
        let folder = on_path.or_else(|| {
            let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
            let folders = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
            folders.filter(|folder| folder.join("initdb").is_file()).max()
        });
        let folder =
            folder.ok_or("PostgreSQL is not installed: no initdb on PATH or in /usr/lib/postgresql/*/bin")?;
        let user = if Uid::effective().is_root() {
            let named = |name| User::from_name(name).ok().flatten();
            Some(named("postgres").or_else(|| named("nobody")).ok_or("PostgreSQL refuses to run as root")?)
        } else {
            None
        };
        Ok(Self { folder, user })
    }

    /// Where a program is.
    pub fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    /// A program, to be run.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.path(program));
        self.as_user(&mut command);
        command.current_dir("/");
        command
    }

    /// A program that is killed when a line comes on its standard input, or that closes: with this process at the latest.
    /// Then `folder` is removed too.
    pub(crate) fn watched(&self, folder: &Path, signal: &str, program: &Path) -> Command {
        let mut command = Command::new("/bin/sh");
        self.as_user(&mut command);
        command.args(["-c", WATCH, "sh"]).arg(folder).arg(signal).arg(program);
        command.stdin(Stdio::piped()).current_dir("/");
        command
    }

    /// A folder that the programs may write to.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn folder(&self) -> io::Result<TempDir> {
        let folder = tempfile::Builder::new().prefix("postgres-").tempdir()?;
        self.give(folder.path())?;
        Ok(folder)
    }

    /// Writes a file that they, and nobody else, may read.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        fs::write(path, content)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        self.give(path)
    }

    fn give(&self, path: &Path) -> io::Result<()> {
        match &self.user {
            Some(user) => chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())),
            None => Ok(()),
        }
    }

    fn as_user(&self, command: &mut Command) {
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
    }
}

/// The program, with links followed, if it is on the path.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).find_map(|folder| fs::canonicalize(folder.join(program)).ok())
}
