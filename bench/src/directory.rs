//! Who calls: the directory that metagate is given.

use std::{fs, io, path::Path};

use secrecy::ExposeSecret;

use crate::Error;

/// How many users there are, with a token each.
const USERS: usize = 10;

/// The token of the caller number `index`; after the last comes the first.
pub fn token(index: usize) -> String {
    format!("token-of-user-{}", index % USERS)
}

/// The organization number `index`; the users are the first one's.
pub fn organization(index: usize) -> String {
    (69_629_023_906_488_334 + index).to_string()
}

/// The secret of those who log in.
pub const SECRET: &str = "sesame";

/// What users log in with: `bearer`, who gets opaque access tokens, and `jwt`, who gets signed ones.
pub struct Login {
    /// In PEM.
    pub public_key: String,
    pub private_key: String,
}

impl Login {
    /// With a new key.
    pub fn new() -> Result<Self, Error> {
        let (public_key, file) = identity::oauth::service_account_key("", "", None)?;
        let file: serde_json::Value = serde_json::from_str(file.expose_secret())?;
        let private_key = file["key"].as_str().unwrap_or_default().to_owned();
        Ok(Self { public_key, private_key })
    }

    fn users(&self) -> String {
        let user = |name: &str| {
            let organization = organization(0);
            format!(
                "\n[[user]]\nid = \"{name}\"\nname = \"{name}\"\norganization = \"{organization}\"\n\
                 state = \"active\"\naccess_token_type = \"{name}\"\n[[user.secret]]\nvalue = \"{SECRET}\"\n\
                 [[user.key]]\nid = \"key-of-{name}\"\npublic_key = \"\"\"\n{}\"\"\"\n\
                 [[membership]]\nuser = \"{name}\"\ninstance = true\nroles = [\"IAM_OWNER\"]\n",
                self.public_key
            )
        };
        [user("bearer"), user("jwt")].concat()
    }
}

/// Writes the directory: organizations, users who own them, and users who log in.
pub fn write(path: &Path, organizations: usize, login: Option<&Login>) -> io::Result<()> {
    let mut text = "[instance]\nid = \"1\"\n".to_owned();
    for id in (0..organizations).map(organization) {
        text.push_str(&format!(
            "\n[[organization]]\nid = \"{id}\"\nname = \"bench-{id}\"\nstate = \"active\"\n"
        ));
    }
    let organization = organization(0);
    for index in 0..USERS {
        text.push_str(&format!(
            "\n[[user]]\nid = \"{index}\"\nname = \"user-{index}\"\norganization = \"{organization}\"\n\
             state = \"active\"\n[[user.token]]\nvalue = \"{}\"\n\
             [[membership]]\nuser = \"{index}\"\ninstance = true\nroles = [\"IAM_OWNER\"]\n",
            token(index)
        ));
    }
    text.push_str(&login.map(Login::users).unwrap_or_default());
    fs::write(path, text)
}
