//! The servers that are measured: how they are built, and what they are given.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Error,
    directory::{self, Login},
    go,
};

/// Where the programs are.
pub struct Binaries {
    profile: String,
    /// Those of the profile.
    folder: PathBuf,
    beside: Option<PathBuf>,
    skip_build: bool,
}

impl Binaries {
    /// The programs of a profile; built first, unless `skip_build`.
    pub fn of(profile: &str, skip_build: bool, beside: Option<PathBuf>) -> Result<Self, Error> {
        if !skip_build {
            let built = Command::new(cargo())
                .args(["build", "--profile", profile, "-p", "metagate", "-p", "metagate-bench"])
                .args(["--bin", "metagate", "--bin", "baseline", "--bin", "counted"])
                .status()?;
            if !built.success() {
                return Err(format!("cargo build --profile {profile}: {built}").into());
            }
        }
        // This program stands in the folder of its own profile, beside those of the others.
        let own = env::current_exe()?;
        let target = own.parent().and_then(Path::parent).ok_or("this program is in no target folder")?;
        let folder = target.join(if profile == "dev" { "debug" } else { profile });
        for name in ["metagate", "baseline", "counted"] {
            if !folder.join(name).is_file() {
                return Err(format!("there is no {}; build it first", folder.join(name).display()).into());
            }
        }
        Ok(Self { profile: profile.to_owned(), folder, beside, skip_build })
    }

    /// metagate with frame pointers and symbols, so that its stacks can be seen; built first, in a folder of its own, unless
    /// that is skipped.
    pub fn with_stacks(&self) -> Result<PathBuf, Error> {
        let target = self.folder.parent().unwrap_or(&self.folder).join("flames");
        if !self.skip_build {
            let profile = self.profile.to_uppercase();
            let built = Command::new(cargo())
                .args(["build", "--profile", &self.profile, "-p", "metagate", "--bin", "metagate"])
                .arg("--target-dir")
                .arg(&target)
                .env("RUSTFLAGS", "-C force-frame-pointers=yes")
                .env(format!("CARGO_PROFILE_{profile}_DEBUG"), "line-tables-only")
                .env(format!("CARGO_PROFILE_{profile}_STRIP"), "none")
                .status()?;
            if !built.success() {
                return Err(format!("cargo build --profile {}: {built}", self.profile).into());
            }
        }
        Ok(target.join(self.folder.file_name().unwrap_or_default()).join("metagate"))
    }

    /// A metagate of a build of its own, on the memory store.
    pub fn other_build(program: &Path, folder: &Path) -> Result<Command, Error> {
        let mut command = Self::without_settings(program);
        command.arg("serve");
        settings(&mut command, folder, "memory:", 1, None)?;
        Ok(command)
    }

    /// metagate as it comes, on a free port, with a directory that is written to `folder`.
    pub fn metagate(&self, folder: &Path, storage: &str) -> Result<Command, Error> {
        self.metagate_of(folder, storage, 1)
    }

    /// The same, with many organizations.
    pub fn metagate_of(&self, folder: &Path, storage: &str, organizations: usize) -> Result<Command, Error> {
        let mut command = self.program("metagate");
        command.arg("serve");
        settings(&mut command, folder, storage, organizations, None)?;
        Ok(command)
    }

    /// The same, on the memory store, with users who log in.
    pub fn metagate_for(&self, folder: &Path, login: &Login) -> Result<Command, Error> {
        let mut command = self.program("metagate");
        command.arg("serve");
        settings(&mut command, folder, "memory:", 1, Some(login))?;
        Ok(command)
    }

    /// Another metagate, if one was given.
    pub fn beside(&self, folder: &Path) -> Result<Option<Command>, Error> {
        self.beside.as_deref().map(|program| Self::other_build(program, folder)).transpose()
    }

    /// Whether no other metagate was given.
    pub fn is_alone(&self) -> bool {
        self.beside.is_none()
    }

    /// The same, with a counter of its sync calls.
    pub fn counted(&self, folder: &Path, storage: &str) -> Result<(Command, Counter), Error> {
        let counter = Counter(folder.join("syncs"));
        let mut command = self.program("counted");
        command.arg(&counter.0);
        settings(&mut command, folder, storage, 1, None)?;
        Ok((command, counter))
    }

    /// A bare server, or what else this program of many names does; `arguments` say.
    pub fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = self.program("baseline");
        command.args(arguments);
        command
    }

    /// The bare servers in Go; built first, unless that is skipped.
    ///
    /// # Errors
    /// If there is no Go, or its modules cannot be had.
    pub fn go(&self) -> Result<go::Programs, Error> {
        go::Programs::build(self.folder.parent().unwrap_or(&self.folder), self.skip_build)
    }

    fn program(&self, name: &str) -> Command {
        Self::without_settings(&self.folder.join(name))
    }

    /// A program without settings from the environment.
    fn without_settings(program: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("METAGATE_")) {
            command.env_remove(name);
        }
        command
    }
}

/// The one that runs this program, if one does.
fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The `storage` of a SQLite store.
pub fn sqlite(file: &Path) -> String {
    format!("sqlite:{}", file.display())
}

fn settings(
    command: &mut Command,
    folder: &Path,
    storage: &str,
    organizations: usize,
    login: Option<&Login>,
) -> Result<(), Error> {
    let directory = folder.join("directory.toml");
    directory::write(&directory, organizations, login)?;
    command.args(["--listen", "127.0.0.1:0", "--storage", storage, "--directory"]).arg(directory);
    Ok(())
}

/// Where a server counts its sync calls.
pub struct Counter(PathBuf);

impl Counter {
    /// How many there were so far.
    pub fn read(&self) -> Result<u64, Error> {
        let bytes = fs::read(&self.0)?;
        Ok(u64::from_le_bytes(bytes.as_slice().try_into()?))
    }
}
