//! Users, their credentials and roles, changed by commands while gateways serve.

mod states;

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use http::{Request, Version};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::{
    client::Client,
    dialect::{LIST, dialects},
    logins::{send_form, service_account_assertion},
    reloading::PATIENCE,
    server::{Server, metagate, serving},
    store_commands::POSTGRES,
};

/// A store, and what two gateways of it need; on SQLite there is one.
struct Stage {
    folder: TempDir,
    storage: String,
    gateways: Vec<Server>,
}

const DIRECTORY: &str = "[instance]\nid = \"1\"\ndomains = [\"localhost\", \"127.0.0.1\"]\nproject = \"77\"\n\
                         [[client]]\nid = \"c\"\nproject = \"77\"\n[[client.secret]]\nvalue = \"sesame\"\n";

impl Stage {
    fn on(storage: String, folder: TempDir, gateways: usize) -> Self {
        std::fs::write(folder.path().join("directory.toml"), DIRECTORY).unwrap();
        let mut stage = Self { folder, storage, gateways: Vec::new() };
        for _ in 0..gateways {
            stage.gateways.push(stage.serve());
        }
        stage
    }

    /// SQLite with one gateway, and PostgreSQL, where it is, with two.
    fn all() -> Vec<Self> {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = format!("sqlite:{}", folder.path().join("store.db").display());
        let mut stages = vec![Self::on(sqlite, folder, 1)];
        if let Some(server) = POSTGRES.as_ref() {
            let url = server.url(&server.database(None));
            stages.push(Self::on(url, tempfile::tempdir().unwrap(), 2));
        }
        stages
    }

    fn serve(&self) -> Server {
        let mut command = serving(&self.path("directory.toml"));
        command.args(["--storage", &self.storage]);
        Server::run(command)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = metagate();
        command.current_dir(self.folder.path()).args(arguments).args(["--storage", &self.storage, "--json"]);
        command
    }

    /// What a command that must succeed says.
    #[track_caller]
    fn done(&self, arguments: &[&str]) -> Value {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&stderr);
        assert!(status.success() && stderr.is_empty(), "{arguments:?}: {stderr}");
        serde_json::from_slice(&stdout).unwrap()
    }

    /// The reason of one that must fail.
    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        assert_eq!(status.code(), Some(1), "{arguments:?}");
        let said: Value = serde_json::from_slice(&stdout).unwrap();
        let error = said["error"].as_str().unwrap().to_owned();
        assert_eq!(String::from_utf8(stderr).unwrap(), format!("metagate: {error}\n"));
        error
    }

    /// A user of a new organization, with the role of its owner.
    fn user(&self, name: &str) -> String {
        let organization = format!("org-of-{name}");
        self.done(&["org", "add", &organization, "--id", &organization]);
        let user = self.done(&["user", "add", name, "--org", &organization]);
        self.done(&["member", "add", name, "ORG_OWNER", "--org", &organization]);
        user["id"].as_str().unwrap().to_owned()
    }

    /// The gRPC code of a list by the token, at each gateway in each encoding; they must be one.
    async fn code(&self, token: &str) -> i64 {
        let mut codes = Vec::new();
        for gateway in 0..self.gateways.len() {
            codes.push(self.code_at(gateway, token).await);
        }
        codes.dedup();
        assert_eq!(codes.len(), 1, "{codes:?}");
        codes[0]
    }

    /// The same, at one gateway.
    async fn code_at(&self, gateway: usize, token: &str) -> i64 {
        let mut codes = Vec::new();
        for dialect in dialects() {
            let outcome = dialect.call_as(self.gateways[gateway].address, token, LIST, json!({})).await;
            codes.push(outcome.map_or_else(|failure| failure.code, |_| 0));
        }
        codes.dedup();
        assert_eq!(codes.len(), 1, "{codes:?}");
        codes[0]
    }

    /// The ids of the keys that a gateway publishes.
    async fn published(&self, gateway: usize) -> BTreeSet<String> {
        let mut client = Client::connect(self.gateways[gateway].address, Version::HTTP_2).await;
        let answer = client.send(Request::get("/oauth/v2/keys").body("").unwrap()).await;
        let set: Value = serde_json::from_str(answer.text()).unwrap();
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    /// What a gateway answers to a login.
    async fn login(&self, gateway: usize, form: &[(&str, &str)]) -> Value {
        let form: Vec<_> =
            form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        send_form(&self.gateways[gateway], &form).await
    }
}

const API: &str = "openid urn:zitadel:iam:org:project:id:zitadel:aud";
const UNAUTHENTICATED: i64 = 16;

#[tokio::test]
async fn a_change_counts_for_the_next_call_at_every_gateway() {
    for stage in Stage::all() {
        stage.user("alice");
        let token = stage.done(&["token", "create", "alice"]);
        let (id, token) = (token["id"].as_str().unwrap(), token["token"].as_str().unwrap());
        assert_eq!(stage.code(token).await, 0);
        stage.done(&["member", "remove", "alice", "--org", "org-of-alice"]);
        assert_eq!(stage.code(token).await, 5, "no membership");
        stage.done(&["member", "add", "alice", "IAM_OWNER_VIEWER", "--instance"]);
        assert_eq!(stage.code(token).await, 0);
        stage.done(&["token", "revoke", "alice", id]);
        assert_eq!(stage.code(token).await, UNAUTHENTICATED);

        let expired = stage.done(&["token", "create", "alice", "--expires", "2020-01-01T00:00:00Z"]);
        assert_eq!(stage.code(expired["token"].as_str().unwrap()).await, UNAUTHENTICATED);
        let token = stage.done(&["token", "create", "ALICE", "--expires", "2099-01-01T00:00:00Z"]);
        let token = token["token"].as_str().unwrap();
        assert_eq!(stage.code(token).await, 0);
        stage.done(&["org", "deactivate", "org-of-alice"]);
        assert_eq!(stage.code(token).await, 0, "an inactive organization works");
        stage.done(&["org", "remove", "org-of-alice"]);
        assert_eq!(stage.code(token).await, UNAUTHENTICATED);
    }
}

#[tokio::test]
async fn logins_at_one_gateway_are_good_at_the_others_and_after_a_restart() {
    for mut stage in Stage::all() {
        let id = stage.user("robot");
        let secret = stage.done(&["secret", "create", "robot"]);
        let secret = secret["client_secret"].as_str().unwrap();
        stage.done(&["key", "create", "robot", "--output", "key.json"]);
        let mode = std::fs::metadata(stage.path("key.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "it is its owner's alone");
        let file: Value = serde_json::from_slice(&std::fs::read(stage.path("key.json")).unwrap()).unwrap();
        assert_eq!((&file["type"], &file["userId"]), (&json!("serviceaccount"), &json!(id)));
        let assertion = |stage: &Stage| {
            service_account_assertion(&file, &format!("http://{}", stage.gateways[0].address))
        };
        let by_key = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", &assertion(&stage)),
            ("scope", API),
        ];
        let by_secret = [
            ("grant_type", "client_credentials"),
            ("client_id", "Robot"),
            ("client_secret", secret),
            ("scope", API),
        ];
        let mut tokens = Vec::new();
        for form in [&by_key[..], &by_secret] {
            let answer = stage.login(0, form).await;
            tokens.push(answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned());
        }
        for token in &tokens {
            assert_eq!(stage.code(token).await, 0);
        }
        for gateway in 0..stage.gateways.len() {
            stage.gateways[gateway].kill();
            stage.gateways[gateway] = stage.serve();
        }
        for token in &tokens {
            assert_eq!(stage.code(token).await, 0);
        }

        // What was got by a key or secret outlives it, but not its user's deactivation.
        stage.done(&["key", "remove", "robot", file["keyId"].as_str().unwrap()]);
        stage.done(&["secret", "remove", "robot"]);
        let by_key = [by_key[0], ("assertion", &assertion(&stage)), by_key[2]];
        let eventually_refused = async |form: &[(&str, &str)], reason: &str| {
            // Logins may go by what was known half a second ago.
            let mut answer = json!(null);
            for _ in 0..200 {
                answer = stage.login(0, form).await;
                if answer["error_description"] == reason {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            panic!("{answer} is not {reason}");
        };
        eventually_refused(&by_key, "invalid assertion").await;
        eventually_refused(&by_secret, "Errors.User.Machine.Secret.NotExisting").await;
        for token in &tokens {
            assert_eq!(stage.code(token).await, 0);
        }
        stage.done(&["user", "deactivate", "robot"]);
        stage.done(&["user", "reactivate", "robot"]);
        for token in &tokens {
            assert_eq!(stage.code(token).await, UNAUTHENTICATED);
        }
    }
}

/// The id of the key that has made a token.
fn key_of(token: &str) -> String {
    let header = BASE64.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_key_that_signs_is_followed_by_another_or_withdrawn_with_all_its_tokens() {
    for stage in Stage::all() {
        stage.user("robot");
        stage.done(&["user", "add", "reader", "--org", "org-of-robot", "--access-token-type", "jwt"]);
        stage.done(&["member", "add", "reader", "ORG_OWNER_VIEWER", "--org", "org-of-robot"]);
        let personal = stage.done(&["token", "create", "robot"])["token"].as_str().unwrap().to_owned();
        let secrets = ["robot", "reader"].map(|user| {
            (user, stage.done(&["secret", "create", user])["client_secret"].as_str().unwrap().to_owned())
        });
        let last = stage.gateways.len() - 1;
        // A token of each form, made at the last gateway by a key that is none of `others`; which key it was.
        let login = async |others: &[String]| {
            let mut tokens = Vec::new();
            for (user, secret) in &secrets {
                let form = [
                    ("grant_type", "client_credentials"),
                    ("client_id", *user),
                    ("client_secret", secret),
                    ("scope", API),
                ];
                // Logins may go by what was known half a second ago.
                let made = async {
                    loop {
                        let answer = stage.login(last, &form).await;
                        let token = answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}"));
                        if !others.contains(&key_of(token)) {
                            return token.to_owned();
                        }
                    }
                };
                tokens.push(timeout(PATIENCE, made).await.unwrap());
            }
            (key_of(&tokens[0]), tokens)
        };
        // Signed ones are good where they were issued: each gateway here is another issuer.
        let codes = async |tokens: &[String], code| {
            assert_eq!(stage.code(&tokens[0]).await, code);
            assert_eq!(stage.code_at(last, &tokens[1]).await, code);
        };
        let phases = |shown: &Value| -> BTreeMap<String, String> {
            let keys = shown["signing_keys"].as_array().unwrap().iter();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            keys.map(|key| (text(&key["phase"]), text(&key["id"]))).collect()
        };
        let (first, of_first) = login(&[]).await;
        let before = phases(&stage.done(&["signing-key", "list"]));
        assert_eq!((before.len(), &before["signing"]), (2, &first));

        let after = phases(&stage.done(&["signing-key", "rotate"]));
        assert_eq!((&after["signing"], &after["kept"], after.len()), (&before["next"], &first, 3));
        let (second, of_second) = login(std::slice::from_ref(&first)).await;
        assert_eq!(second, before["next"]);
        codes(&of_first, 0).await;
        codes(&of_second, 0).await;
        for gateway in 0..=last {
            assert_eq!(stage.published(gateway).await, BTreeSet::from_iter(after.values().cloned()));
        }

        let fresh = phases(&stage.done(&["signing-key", "rotate", "--withdraw"]));
        codes(&of_first, UNAUTHENTICATED).await;
        codes(&of_second, UNAUTHENTICATED).await;
        assert_eq!(stage.code(&personal).await, 0, "what is no key's stays");
        let old: Vec<String> = after.into_values().collect();
        assert!(fresh.len() == 2 && fresh.values().all(|id| !old.contains(id)), "{fresh:?}");
        let (third, of_third) = login(&old).await;
        assert_eq!(third, fresh["signing"]);
        codes(&of_third, 0).await;
        for gateway in 0..=last {
            assert_eq!(stage.published(gateway).await, BTreeSet::from_iter(fresh.values().cloned()));
        }
        let shown = stage.done(&["signing-key", "list"]).to_string();
        assert!(!shown.contains("private"), "{shown}");
    }
}

#[tokio::test]
async fn commands_that_run_at_once_lose_nothing() {
    for stage in Stage::all() {
        stage.user("alice");
        let running: Vec<_> = (0..6)
            .map(|_| {
                stage
                    .command(&["token", "create", "alice"])
                    .stdout(std::process::Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        for child in running {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            let token: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(stage.code(token["token"].as_str().unwrap()).await, 0);
        }
        assert_eq!(stage.done(&["token", "list", "alice"])["tokens"].as_array().unwrap().len(), 6);
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_in_one_line() {
    let stage = Stage::all().remove(0);
    stage.user("alice");
    for (arguments, reason) in [
        (&["user", "add", "ALICE", "--org", "org-of-alice"][..], "\"ALICE\" is another user's id or name"),
        (&["user", "add", "bob", "--org", "nowhere"], "organization \"nowhere\" is not in the store"),
        (&["user", "add", "", "--org", "org-of-alice"], "a user's name has 1 to 200 characters"),
        (&["token", "create", "bob"], "there is no user \"bob\" in the store"),
        (&["token", "revoke", "alice", "1"], "has no token \"1\""),
        (&["key", "remove", "alice", "1"], "has no key \"1\""),
        (&["secret", "remove", "alice"], "has no secret"),
        (&["member", "add", "alice", "IAM_OWNER", "--org", "org-of-alice"], "\"IAM_OWNER\" is no role there"),
        (&["member", "add", "alice", "ORG_OWNER", "--instance"], "\"ORG_OWNER\" is no role there"),
        (
            &["member", "remove", "alice", "ORG_OWNER_VIEWER", "--org", "org-of-alice"],
            "has no role ORG_OWNER_VIEWER",
        ),
        (&["org", "add", "x", "--id", "org-of-alice"], "is in the store already"),
        (&["org", "remove", "nowhere"], "is not in the store, or was removed"),
        (&["key", "create", "alice", "--output", "/nowhere/key.json"], "No such file or directory"),
    ] {
        let error = stage.refused(arguments);
        assert!(error.contains(reason), "{arguments:?}: {error}");
    }
    // A key that could not be written is nobody's.
    assert_eq!(stage.done(&["key", "list", "alice"]), json!({"keys": []}));
    let code = metagate().args(["user", "list", "--storage", "memory:"]).output().unwrap().status.code();
    assert_eq!(code, Some(1));
}

#[tokio::test]
async fn what_is_secret_is_nowhere() {
    let stage = Stage::all().remove(0);
    stage.user("alice");
    let token = stage.done(&["token", "create", "alice"])["token"].as_str().unwrap().to_owned();
    let secret = stage.done(&["secret", "create", "alice"])["client_secret"].as_str().unwrap().to_owned();
    let file = stage.done(&["key", "create", "alice"]);
    let private = file["key"].as_str().unwrap().lines().nth(5).unwrap().to_owned();
    assert_eq!(stage.code(&token).await, 0);
    let shown = [
        stage.done(&["user", "list"]),
        stage.done(&["token", "list", "alice"]),
        stage.done(&["key", "list", "alice"]),
    ];
    let mut places: Vec<(String, Vec<u8>)> =
        vec![("lists".to_owned(), json!(shown).to_string().into_bytes())];
    for entry in std::fs::read_dir(stage.folder.path()).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        places.push((path.display().to_string(), std::fs::read(&path).unwrap()));
    }
    assert!(places.len() > 2);
    for (place, bytes) in places {
        for secret in [&token, &secret, &private] {
            let is_there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!is_there, "in {}", Path::new(&place).display());
        }
    }
}
