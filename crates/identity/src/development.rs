//! The directory of somebody who tries metagate out: one organization, one owner, one token.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use domain::OrganizationId;
use serde::Deserialize;

use crate::{Directory, DirectoryError};

/// A development directory, with its token in clear.
#[derive(Debug)]
pub struct Development {
    directory: Directory,
    organization: OrganizationId,
    token: Secret,
}

/// A token in clear, to be printed once, on purpose.
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
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
    /// The file was changed such that there is nothing to show.
    #[error("development directory {}: it has no organization, or no token with a `value`; remove it, or use it with --directory", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

impl Development {
    /// The directory in the file at `path`; made, with file mode 0600, if it is not there.
    ///
    /// # Errors
    /// See [`DevelopmentError`].
    pub fn open_or_create(path: &Path) -> Result<Self, DevelopmentError> {
        let io = |error| DevelopmentError::Io { path: path.to_owned(), error };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
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
        #[derive(Deserialize)]
        struct File {
            #[serde(default)]
            user: Vec<User>,
        }
        #[derive(Deserialize)]
        struct User {
            #[serde(default)]
            token: Vec<Token>,
        }
        #[derive(Deserialize)]
        struct Token {
            value: Option<String>,
        }

        let directory = Directory::parse(text, &path.display().to_string())?;
        let changed = || DevelopmentError::Changed { path: path.to_owned() };
        let organization = directory.organizations().first().ok_or_else(changed)?.id.clone();
        let file: File = toml::from_str(text).map_err(|_| changed())?;
        let mut tokens = file.user.into_iter().flat_map(|user| user.token);
        let token = tokens.find_map(|token| token.value).ok_or_else(changed)?;
        Ok(Self { directory, organization, token: Secret(token) })
    }

    /// The token, in clear.
    pub fn token(&self) -> &str {
        &self.token.0
    }

    /// The organization.
    pub fn organization(&self) -> &OrganizationId {
        &self.organization
    }

    /// The directory itself.
    pub fn into_directory(self) -> Directory {
        self.directory
    }
}

/// The text of a fresh directory.
fn text() -> Result<String, DevelopmentError> {
    let mut random = [0_u8; 24];
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

/// Writes the file whole or not at all.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let fresh = path.with_extension("toml.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use domain::{Permission, Timestamp};

    use super::*;

    #[test]
    fn is_made_once_and_then_reused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/directory.toml");
        let made = Development::open_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let reused = Development::open_or_create(&path).unwrap();
        assert_eq!(reused.token(), made.token());
        assert_eq!(reused.organization(), made.organization());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);

        let header = format!("Bearer {}", made.token());
        let organization = made.organization().clone();
        assert!(!format!("{made:?}").contains(made.token()));
        let caller = made.into_directory().authenticate(Some(header.as_bytes()), Timestamp::now()).unwrap();
        assert_eq!(caller.check(&organization, Permission::OrgWrite), Ok(()));
    }

    #[test]
    fn tokens_are_random() {
        let [one, two] = [Development::in_memory().unwrap(), Development::in_memory().unwrap()];
        assert_ne!(one.token(), two.token());
        assert_ne!(one.organization(), two.organization());
    }

    #[test]
    fn one_that_was_changed_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.toml");
        fs::write(&path, "[instance]\nid = \"1\"\n").unwrap();
        let error = Development::open_or_create(&path).unwrap_err().to_string();
        assert!(error.contains("directory.toml") && error.contains("no token"), "{error}");
        fs::write(&path, "[instance\n").unwrap();
        let error = Development::open_or_create(&path).unwrap_err().to_string();
        assert!(error.contains("directory.toml:1:"), "{error}");
    }
}
