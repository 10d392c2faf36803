//! Who calls: the directory that metagate is given.

use std::{fs, io, path::Path};

/// How many users there are, with a token each.
const USERS: usize = 10;

/// The token of the caller number `index`; after the last comes the first.
pub fn token(index: usize) -> String {
    format!("token-of-user-{}", index % USERS)
}

/// Writes the directory: one organization, and users who own it.
pub fn write(path: &Path) -> io::Result<()> {
    let organization = "69629023906488334";
    let mut text = format!(
        "[instance]\nid = \"1\"\n\n[[organization]]\nid = \"{organization}\"\nname = \"bench\"\nstate = \"active\"\n"
    );
    for index in 0..USERS {
        text.push_str(&format!(
            "\n[[user]]\nid = \"{index}\"\nname = \"user-{index}\"\norganization = \"{organization}\"\n\
             state = \"active\"\n[[user.token]]\nvalue = \"{}\"\n\
             [[membership]]\nuser = \"{index}\"\norganization = \"{organization}\"\nroles = [\"ORG_OWNER\"]\n",
            token(index)
        ));
    }
    fs::write(path, text)
}
