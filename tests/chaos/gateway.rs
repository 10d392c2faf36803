//! Gateways on a store.

use std::{fs, net::SocketAddr, path::Path, process::Stdio};

use http::{Request, Version};
use tempfile::TempDir;

use crate::{
    client::Client,
    server::{Server, metagate},
};

/// As many organizations as rounds may want.
const ORGANIZATIONS: usize = 80;

/// The name of an organization.
pub fn organization(index: usize) -> String {
    assert!(index < ORGANIZATIONS);
    format!("o-{index}")
}

/// What gateways are told, in a folder.
pub struct Gateways {
    folder: TempDir,
    storage: String,
}

impl Gateways {
    /// Gateways on a store; the place of an SQLite database begins at their folder.
    pub fn on(storage: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut text = "[instance]\nid = \"i\"\n\n".to_owned();
        for index in 0..ORGANIZATIONS {
            let id = organization(index);
            text += &format!("[[organization]]\nid = \"{id}\"\nname = \"{id}\"\nstate = \"active\"\n\n");
        }
        text += "[[user]]\nid = \"1\"\nname = \"owner\"\norganization = \"o-0\"\nstate = \"active\"\n\n\
                 [[user.token]]\nvalue = \"owner\"\n\n\
                 [[membership]]\nuser = \"1\"\ninstance = true\nroles = [\"IAM_OWNER\"]\n";
        fs::write(folder.path().join("directory.toml"), text).unwrap();
        Self { folder, storage: storage.to_owned() }
    }

    /// Starts one.
    pub fn start(&self) -> Server {
        let mut command = metagate();
        command.current_dir(self.path()).args(["serve", "--listen", "127.0.0.1:0", "--log-level", "error"]);
        command.args(["--directory", "directory.toml", "--storage", &self.storage]);
        // It would say that the database is gone, which is known.
        command.stderr(Stdio::null());
        Server::run(command)
    }

    /// Where they are.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// What `/debug/ready` says, on a connection of its own.
pub async fn is_ready(address: SocketAddr) -> bool {
    let mut client = Client::connect(address, Version::HTTP_11).await;
    client.send(Request::get("/debug/ready").body("").unwrap()).await.status.is_success()
}
