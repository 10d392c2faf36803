//! The directory of somebody who tries metagate out: one organization, one owner, one token.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use domain::OrganizationId;
use secrecy::SecretString;
use serde::Deserialize;

use crate::{Directory, DirectoryError};

/// Read and write by those who are neither the owner nor of the file's group. What a group may is left to whoever
/// runs the server: mounted volumes often grant it.
const OTHERS: u32 = 0o006;

/// A development directory, with its token in clear.
#[derive(Debug)]
pub struct Development {
    directory: Directory,
    organization: OrganizationId,
    token: SecretString,
}

/// Why there is no development directory.
#[derive(Debug, thiserror::Error)]
pub enum DevelopmentError {
    /// The file cannot be read or written.
    #[error("development directory {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The system gave no random bytes.
    #[error("no random bytes for a token: {0}")]
    Random(getrandom::Error),
    /// The file is no directory.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The file holds a token in clear, and everybody on the machine may read or replace it.
    #[error(
        "development directory {path}: everybody may read or write it (mode {mode:03o}), and it holds a token in clear; \
         run chmod 600 {path}, and better replace the token",
        path = path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file was changed such that there is nothing to show.
    #[error(
        "development directory {}: it has no token with a `value`; remove it, or use it with --directory",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

impl Development {
    /// The directory in the file at `path`; made if it is not there, with file mode 0600, whole or not at all.
    ///
    /// The folder must be there, or its making be allowed. Call it from one process at a time, such as the one that
    /// holds the lock of the store: of two that make the file at once, one would print a token that is lost.
    ///
    /// # Errors
    /// See [`DevelopmentError`].
    pub fn open_or_create(path: &Path) -> Result<Self, DevelopmentError> {
        let io = |error| DevelopmentError::Io { path: path.to_owned(), error };
        let text = match File::open(path) {
            Ok(mut file) => {
                let mode = file.metadata().map_err(io)?.permissions().mode() & 0o777;
                if mode & OTHERS != 0 {
                    return Err(DevelopmentError::Exposed { path: path.to_owned(), mode });
                }
                let mut text = String::new();
                file.read_to_string(&mut text).map_err(io)?;
                text
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let text = text()?;
                write(path, &text).map_err(io)?;
                text
            }
            Err(error) => return Err(io(error)),
        };
        Self::read(&text, path)
    }

    /// A directory that is nowhere but in memory.
    ///
    /// # Errors
    /// [`DevelopmentError::Random`].
    pub fn in_memory() -> Result<Self, DevelopmentError> {
        Self::read(&text()?, Path::new("in memory"))
    }

    fn read(text: &str, path: &Path) -> Result<Self, DevelopmentError> {
        // Read a second time: a directory forgets what is needed here.
        #[derive(Deserialize)]
        struct File {
            #[serde(default)]
            user: Vec<User>,
        }
        #[derive(Deserialize)]
        struct User {
            organization: String,
            #[serde(default)]
            token: Vec<Token>,
        }
        #[derive(Deserialize)]
        struct Token {
            value: Option<SecretString>,
        }

        let directory = Directory::parse(text, &path.display().to_string())?;
        let changed = || DevelopmentError::Changed { path: path.to_owned() };
        let file: File = toml::from_str(text).map_err(|_| changed())?;
        let mut tokens = file.user.into_iter().filter_map(|user| {
            Some((user.token.into_iter().find_map(|token| token.value)?, user.organization))
        });
        let (token, organization) = tokens.next().ok_or_else(changed)?;
        let organization = OrganizationId::new(&organization).map_err(|_| changed())?;
        Ok(Self { directory, organization, token })
    }

    /// The token, in clear: the file's first that has a `value`.
    pub fn token(&self) -> &SecretString {
        &self.token
    }

    /// The home organization of the token's user, which a call without `x-zitadel-orgid` is for (contract 5.3).
    pub fn organization(&self) -> &OrganizationId {
        &self.organization
    }

    /// The directory itself.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The directory itself; forgets the token in clear.
    pub fn into_directory(self) -> Directory {
        self.directory
    }
}

/// The text of a fresh directory.
fn text() -> Result<String, DevelopmentError> {
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).map_err(DevelopmentError::Random)?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let id = || -> Result<String, DevelopmentError> {
        // Eighteen digits, as ZITADEL's ids are.
        let random = getrandom::u64().map_err(DevelopmentError::Random)?;
        Ok((100_000_000_000_000_000 + random % 900_000_000_000_000_000).to_string())
    };
    let (instance, organization, user) = (id()?, id()?, id()?);
    Ok(format!(
        "# A development directory: whoever reads this file may do everything. For real use write one of your own,\n\
         # with tokens as sha256, and give it with --directory.\n\
         [instance]\nid = \"{instance}\"\n\n\
         [[organization]]\nid = \"{organization}\"\nname = \"Development\"\nstate = \"active\"\n\n\
         [[user]]\nid = \"{user}\"\nname = \"developer\"\norganization = \"{organization}\"\nstate = \"active\"\n\n\
         [[user.token]]\nvalue = \"{token}\"\n\n\
         [[membership]]\nuser = \"{user}\"\norganization = \"{organization}\"\nroles = [\"ORG_OWNER\"]\n"
    ))
}

/// Writes the file whole or not at all, through a fresh one beside it that only the owner may read.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut fresh = OsString::from(path);
    fresh.push(".new");
    let fresh = Path::new(&fresh);
    // One that a crash left, or that somebody put there: its mode, or where it leads to, is not ours.
    match fs::remove_file(fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(fresh)?;
    let written =
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| fs::rename(fresh, path));
    if let Err(error) = written {
        // The first error is the one to tell.
        let _ = fs::remove_file(fresh);
        return Err(error);
    }
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use domain::{Permission, Timestamp};
    use secrecy::ExposeSecret;

    use super::*;
    use crate::{Identity, Records};

    fn clear(development: &Development) -> &str {
        development.token().expose_secret()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    /// A file as its owner would keep it.
    fn keep(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn is_made_once_and_then_reused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/directory.toml");
        let made = Development::open_or_create(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        let reused = Development::open_or_create(&path).unwrap();
        assert_eq!(clear(&reused), clear(&made));
        assert_eq!(reused.organization(), made.organization());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);

        let header = format!("Bearer {}", clear(&made));
        let organization = made.organization().clone();
        assert!(!format!("{made:?}").contains(clear(&made)));
        let identity = Identity::new(&made.into_directory(), &Records::default(), &Identity::default());
        let caller = identity.authenticate(Some(header.as_bytes()), &String::new, Timestamp::now()).unwrap();
        assert_eq!(caller.check(&organization, Permission::OrgWrite), Ok(()));
        assert_eq!(caller.organization(), &organization);
    }

    #[test]
    fn what_is_made_is_random_and_of_the_usual_form() {
        let [one, two] = [Development::in_memory().unwrap(), Development::in_memory().unwrap()];
        assert_ne!(clear(&one), clear(&two));
        assert_ne!(one.organization(), two.organization());
        assert_ne!(one.directory().instance_id(), two.directory().instance_id());
        assert!(clear(&one).len() == 64 && clear(&one).bytes().all(|b| b.is_ascii_hexdigit()));
        for id in [one.organization().as_str(), one.directory().instance_id()] {
            assert!(id.len() == 18 && id.bytes().all(|b| b.is_ascii_digit()), "{id}");
        }
        assert_eq!(one.directory().warnings(), []);
        assert_eq!(one.directory().references(), []);
    }

    #[test]
    fn what_stands_in_the_way_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let (path, fresh) = (folder.path().join("directory.toml"), folder.path().join("directory.toml.new"));
        // Left by a crash, and open to all.
        fs::write(&fresh, "half").unwrap();
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o666)).unwrap();
        Development::open_or_create(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert!(!fresh.exists());

        fs::remove_file(&path).unwrap();
        let elsewhere = folder.path().join("elsewhere");
        fs::write(&elsewhere, "untouched").unwrap();
        symlink(&elsewhere, &fresh).unwrap();
        Development::open_or_create(&path).unwrap();
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "untouched");
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn one_that_everybody_may_read_or_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.toml");
        let token = clear(&Development::open_or_create(&path).unwrap()).to_owned();
        for (mode, works) in [(0o400, true), (0o640, true), (0o660, true), (0o644, false), (0o602, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            match Development::open_or_create(&path) {
                Ok(_) => assert!(works, "{mode:o}"),
                Err(error) => {
                    let (error, shown) = (error.to_string(), path.display());
                    let want = format!(
                        "development directory {shown}: everybody may read or write it (mode {mode:o}), and it holds \
                         a token in clear; run chmod 600 {shown}, and better replace the token"
                    );
                    assert!(!works && error == want && !error.contains(&token), "{mode:o}: {error}");
                }
            }
        }
    }

    #[test]
    fn one_that_was_changed_is_used_or_says_why_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.toml");
        for text in ["[instance]\nid = \"1\"\n".to_owned(), {
            let hash = "0".repeat(64);
            let user = "id = \"u\"\nname = \"\"\norganization = \"o\"\nstate = \"active\"";
            format!("[instance]\nid = \"1\"\n[[user]]\n{user}\n[[user.token]]\nsha256 = \"{hash}\"\n")
        }] {
            keep(&path, &text);
            let error = Development::open_or_create(&path).unwrap_err().to_string();
            let want = format!(
                "development directory {}: it has no token with a `value`; remove it, or use it with --directory",
                path.display()
            );
            assert_eq!(error, want);
        }
        keep(&path, "[instance\n");
        let error = Development::open_or_create(&path).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}:1:", path.display())), "{error}");

        // The token's own organization is told, wherever it stands.
        let user = |id: &str, organization: &str, token: &str| {
            format!(
                "[[user]]\nid = {id:?}\nname = \"\"\norganization = {organization:?}\nstate = \"active\"\n{token}"
            )
        };
        let organization =
            |id: &str| format!("[[organization]]\nid = {id:?}\nname = \"\"\nstate = \"active\"\n");
        keep(
            &path,
            &[
                "[instance]\nid = \"1\"\n".to_owned(),
                organization("a") + &organization("b"),
                user("first", "a", ""),
                user("second", "b", "[[user.token]]\nvalue = \"shown\"\n"),
            ]
            .concat(),
        );
        let edited = Development::open_or_create(&path).unwrap();
        assert_eq!((clear(&edited), edited.organization().as_str()), ("shown", "b"));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let path = folder.path().join("file/directory.toml");
        let error = Development::open_or_create(&path).unwrap_err();
        assert!(matches!(error, DevelopmentError::Io { .. }), "{error}");
        assert!(
            error.to_string().starts_with(&format!("development directory {}: ", path.display())),
            "{error}"
        );
    }
}
