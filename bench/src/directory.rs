//! Who calls: the directory that metagate is given.

use std::{fs, io, path::Path};

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

/// Writes the directory: organizations, and users who own them.
pub fn write(path: &Path, organizations: usize) -> io::Result<()> {
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
    fs::write(path, text)
}
