//! What is secret is said to nobody: not in logs of any level, not in answers, not in what is counted, and not by a command
//! that was told something wrong.
//!
//! Each secret here has `SESAME` in it, in letters and digits that no encoding of a URL or of JSON changes.

use std::{fmt::Write as _, fs, process::Stdio};

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{
    client::raw,
    dialect::{BULK, GET, LIST, SET, dialects},
    issuers::fake::{Issuer, SigningKey},
    logins::service_account_assertion,
    reloading::Reloading,
    server::{Server, metagate},
    store_commands::POSTGRES,
};

const MARK: &str = "SESAME";
/// `SESAME` in base64, at each place in it, and as bytes are printed.
const ENCODED: [&str; 5] = ["U0VTQU1F", "NFU0FNR", "TRVNBTU", "83, 69, 83, 65, 77, 69", "534553414d45"];

/// Everything that a server or command has said.
#[derive(Default)]
struct Said {
    /// Each with where it was said.
    all: Vec<(String, String)>,
    /// What must not be in it.
    secrets: Vec<String>,
}

impl Said {
    fn say(&mut self, place: &str, text: impl Into<String>) {
        self.all.push((place.to_owned(), text.into()));
    }

    /// Something secret that was made; it has no mark.
    fn secret(&mut self, text: &str) {
        assert!(text.len() >= 20, "{text:?} is no secret");
        self.secrets.push(text.to_owned());
    }

    #[track_caller]
    fn has_no_secret(&self) {
        let secrets = self.secrets.iter().map(String::as_str);
        let looked_for: Vec<&str> = secrets.chain(ENCODED).chain([MARK]).collect();
        let mut found = String::new();
        for (place, text) in &self.all {
            for line in text.lines() {
                if looked_for.iter().any(|secret| line.contains(secret)) {
                    let _ = writeln!(found, "{place}: {}", line.chars().take(300).collect::<String>());
                }
            }
        }
        let few: Vec<_> = found.lines().take(20).collect();
        assert!(found.is_empty(), "{} lines:\n{}", found.lines().count(), few.join("\n"));
    }
}

/// A user with one of each, a client, and an issuer that is asked.
fn directory(public_key: &str, issuer: &str) -> String {
    format!(
        "[instance]\nid = \"1\"\nproject = \"77\"\n\
         [[organization]]\nid = \"o\"\nname = \"o\"\nstate = \"active\"\n\
         [[user]]\nid = \"u\"\nname = \"u\"\norganization = \"o\"\nstate = \"active\"\naccess_token_type = \"jwt\"\n\
         [[user.token]]\nvalue = \"tokenSESAME\"\n[[user.secret]]\nvalue = \"secretSESAME\"\n\
         [[user.key]]\nid = \"key\"\npublic_key = \"\"\"\n{public_key}\"\"\"\n\
         [[membership]]\nuser = \"u\"\norganization = \"o\"\nroles = [\"ORG_OWNER\"]\n\
         [[client]]\nid = \"c\"\nproject = \"77\"\n[[client.secret]]\nvalue = \"clientSESAME\"\n\
         [[issuer]]\nurl = \"{issuer}\"\naudience = [\"metagate\"]\nuser_claim = \"sub\"\n\
         introspection = {{ client_secret_file = \"upstream\", client_id = \"me\", url = \"{issuer}/introspect\" }}\n"
    )
}

/// A request in HTTP/1.1, and its answer.
async fn send(server: &Server, said: &mut Said, path: &str, authorization: &str, form: &str) -> Value {
    let verb = if form.is_empty() { "GET" } else { "POST" };
    let request = format!(
        "{verb} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\nauthorization: {authorization}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        server.address,
        form.len()
    );
    let answer = raw(server.address, request.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    // What was got by a login is for who logs in, and only for it.
    if !head.starts_with("HTTP/1.1 200") {
        said.say(path, &answer);
    }
    serde_json::from_str(body).unwrap_or_default()
}

/// Logs in and calls in every way, rightly and wrongly.
async fn use_all(server: &Server, said: &mut Said, key: &Value, issuer: &Issuer) {
    let basic = |name: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{name}:{secret}")));
    let api =
        "scope=openid%20urn:zitadel:iam:org:project:id:zitadel:aud%20urn:zitadel:iam:org:project:id:77:aud";
    let by_secret = format!("grant_type=client_credentials&{api}");
    let mut tokens = vec!["tokenSESAME".to_owned()];
    for (authorization, form) in [
        (basic("u", "secretSESAME"), by_secret.clone()),
        (basic("u", "wrongSESAME"), by_secret.clone()),
        (basic("SESAME", "wrongSESAME"), by_secret.clone()),
        (String::new(), format!("{by_secret}&client_id=u&client_secret=secretSESAME")),
        (String::new(), format!("{by_secret}&client_id=u&client_secret=wrongSESAME")),
        (String::new(), format!("{by_secret}&client_id=u&client_secret=SESAME%zz")),
    ] {
        let answer = send(server, said, "/oauth/v2/token", &authorization, &form).await;
        for name in ["access_token", "id_token"] {
            if let Some(token) = answer[name].as_str() {
                said.secret(token);
                said.secret(token.rsplit_once('.').unwrap().1);
                tokens.push(token.to_owned());
            }
        }
    }
    let url = format!("http://{}", server.address);
    for audience in [url.as_str(), "https://other.example"] {
        let assertion = service_account_assertion(key, audience);
        said.secret(assertion.rsplit_once('.').unwrap().1);
        for assertion in [&assertion, &format!("{assertion}SESAME"), "SESAME", "SESAME.SESAME.SESAME"] {
            let form = format!(
                "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&{api}&assertion={assertion}&\
                 client_assertion={assertion}&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            );
            for path in ["/oauth/v2/token", "/oauth/v2/introspect", "/oauth/v2/revoke"] {
                let answer = send(server, said, path, "", &form).await;
                if let Some(token) = answer["access_token"].as_str() {
                    said.secret(token.rsplit_once('.').unwrap().1);
                    tokens.push(token.to_owned());
                }
            }
        }
    }
    let signing = SigningKey::new("k");
    issuer.keys(&[&signing]);
    let good = signing.sign(&issuer.claims());
    said.secret(good.rsplit_once('.').unwrap().1);
    issuer.token("opaqueSESAME", json!({"active": true, "sub": "u", "aud": "metagate"}));
    let wrong = ["wrongSESAME".to_owned(), format!("{good}SESAME"), "SESAME.SESAME.SESAME".to_owned()];
    tokens.extend([good, "opaqueSESAME".to_owned()]);
    assert!(tokens.len() >= 6, "{}", tokens.len());
    for token in tokens.iter().chain(&wrong) {
        for (authorization, form) in [
            (basic("c", "clientSESAME"), format!("token={token}")),
            (basic("c", "wrongSESAME"), format!("token={token}")),
            (String::new(), format!("token={token}&client_id=c&client_secret=wrongSESAME")),
        ] {
            send(server, said, "/oauth/v2/introspect", &authorization, &form).await;
        }
        send(server, said, "/oidc/v1/userinfo", &format!("Bearer {token}"), "").await;
        send(server, said, &format!("/oidc/v1/userinfo?access_token={token}"), "", "").await;
        send(server, said, "/oauth/v2/device_authorization", "", &format!("client_id={token}")).await;
        // Neither are values for logs.
        let entry = json!({"key": "k", "value": STANDARD.encode("valueSESAME")});
        for dialect in dialects() {
            for (rpc, message) in [
                (SET, entry.clone()),
                (BULK, json!({"metadata": [entry]})),
                (LIST, json!({})),
                (GET, json!({"key": "absent"})),
            ] {
                if !dialect.speaks(rpc) || (rpc != SET && !dialects()[..4].contains(&dialect)) {
                    continue;
                }
                if let Err(failure) = dialect.call_as(server.address, token, rpc, message).await {
                    said.say("an answer", format!("{failure:?}"));
                }
            }
        }
    }
    for path in ["/debug/metrics", "/nowhere?token=SESAME", "/oauth/v2/keys"] {
        said.say(path, raw(server.address, format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await);
    }
}

/// Serves with settings of which the least severe lines are logged, and looks at all that is said.
async fn serve(format: &str, level: &str, storage: &str) {
    let (public_key, file) = identity::oauth::service_account_key("u", "key", None).unwrap();
    let key: Value = serde_json::from_str(file.expose_secret()).unwrap();
    let issuer = Issuer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let directory = directory(&public_key, &issuer.url());
    fs::write(folder.path().join("upstream"), "upstreamSESAME").unwrap();
    fs::write(folder.path().join("directory.toml"), &directory).unwrap();
    let settings = format!(
        "listen = \"127.0.0.1:0\"\ndirectory = \"directory.toml\"\nlog-format = \"{format}\"\nlog-level = \"{level}\"\n"
    );
    fs::write(folder.path().join("metagate.toml"), &settings).unwrap();
    let mut command = metagate();
    command.args(["serve", "--config", "metagate.toml"]).env("METAGATE_STORAGE", storage);
    let mut said = Said::default();
    let mut server = Reloading::run(folder, command);
    said.say("stdout", &server.server.greeting);
    use_all(&server.server, &mut said, &key, &issuer).await;

    // What is wrong when it is read again, and an issuer that is gone.
    for (right, wrong) in [
        ("value = \"tokenSESAME\"", "value = [\"tokenSESAME\"]"),
        ("value = \"tokenSESAME\"", "value = \"tokenSESAME"),
        ("value = \"tokenSESAME\"", "sha256 = \"tokenSESAME\""),
        ("value = \"tokenSESAME\"", "valeu = \"tokenSESAME\""),
        ("value = \"tokenSESAME\"", "value = \"tokenSESAME\"\n[[user.token]]\nvalue = \"tokenSESAME\""),
        ("value = \"secretSESAME\"", "hash = \"secretSESAME\""),
        ("client_secret_file = \"upstream\"", "client_secret = \"upstreamSESAME\""),
    ] {
        assert!(directory.contains(right));
        server.directory(&directory.replacen(right, wrong, 1));
        server.server.signal("HUP");
        let (line, before) = server.line("not reloaded").await;
        said.say("reloading", line);
        said.say("log", before.join("\n"));
    }
    server.directory(&directory);
    drop(issuer);
    for token in ["newSESAME", "goneSESAME"] {
        for dialect in dialects() {
            let outcome = dialect.call_as(server.server.address, token, LIST, json!({})).await;
            said.say("an answer", format!("{outcome:?}"));
        }
    }
    let lines = server.rest().await;
    let is_verbose = lines.iter().any(|line| line.contains("h2::"));
    assert_eq!(is_verbose, level == "trace", "whether libraries say all that they have to say");
    said.say("log", lines.join("\n"));
    said.has_no_secret();
}

#[tokio::test]
async fn no_secret_is_logged_answered_or_counted_whatever_is_logged() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite:{}", folder.path().join("store.db").display());
    serve("text", "trace", &sqlite).await;
    serve("json", "trace", "memory:").await;
    serve("json", "info", "memory:").await;
    if let Some(server) = POSTGRES.as_ref() {
        // Nobody there asks for the password.
        let url = server.url(&server.database(None)).replacen("metagate@", "metagate:passwordSESAME@", 1);
        assert!(url.contains(MARK), "{url}");
        serve("text", "trace", &url).await;
    }
}

#[test]
fn what_cannot_be_used_is_told_without_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metagate.toml");
    let mut said = Said::default();
    let mut run = |arguments: &[&str], environment: (&str, &str), file: &str| {
        fs::write(&path, file).unwrap();
        let mut command = metagate();
        command.args(arguments).env(environment.0, environment.1).current_dir(folder.path());
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(!output.status.success(), "{arguments:?} {environment:?} {file:?}");
        let place = format!("{} {} {file}", arguments.join(" "), environment.1).replace(MARK, "…");
        said.say(&place, String::from_utf8_lossy(&output.stdout));
        said.say(&place, String::from_utf8_lossy(&output.stderr));
    };
    for url in [
        "postgres://u:SESAME@h:x/db",
        "postgres://u:SESAME@h/db?colour=red",
        "postgres://u:a?b/SESAME@h/db",
        "postgres://u:a/SESAME@h/db",
        "postgres:u:SESAME@h/db",
        "postgres:/u:SESAME@h/db",
        "u:SESAME@h/db",
        "mysql://u:SESAME@h/db",
        "postgres://h/db?password=SESAME&colour=red",
        "postgres://h/db?pass%77ord=SESAME&colour=red",
        "postgres://u:SESAME@127.0.0.1:1/db?sslmode=disable",
    ] {
        for command in [&["serve"][..], &["store", "stats"], &["user", "list"]] {
            run(&[command, &["--storage", url]].concat(), ("X", ""), "");
            run(command, ("METAGATE_STORAGE", url), "");
            run(
                &[command, &["--config", "metagate.toml"]].concat(),
                ("X", ""),
                &format!("storage = \"{url}\""),
            );
        }
        run(&["store", "copy", url, "memory:"], ("X", ""), "");
        run(&["store", "copy", "memory:", url], ("X", ""), "");
    }
    for file in ["storage = \"SESAME", "password = \"SESAME\"", "storage = [[\"SESAME\"]]", "[SESAME\n"] {
        run(&["serve", "--config", "metagate.toml"], ("X", ""), file);
    }
    fs::write(folder.path().join("token"), "SESAME\n").unwrap();
    for url in
        ["http://127.0.0.1:1", "http://u:SESAME@127.0.0.1:1", "ftp://u:SESAME@h", "u:SESAME@h", ":SESAME@"]
    {
        let import = ["store", "import", "--storage", "sqlite:x.db", "--from-zitadel", url];
        run(&[&import[..], &["--token", "SESAME"]].concat(), ("X", ""), "");
        run(&[&import[..], &["--token-file", "token"]].concat(), ("X", ""), "");
        run(&import, ("METAGATE_ZITADEL_TOKEN", "SESAME"), "");
        run(&[&import[..], &["--token-flie=SESAME"]].concat(), ("X", ""), "");
        run(&[&import[..], &["--token", "SES\nSESAME"]].concat(), ("X", ""), "");
    }
    let mut help = metagate();
    help.args(["store", "import", "--help"]).env("METAGATE_ZITADEL_TOKEN", MARK);
    said.say("help", String::from_utf8(help.output().unwrap().stdout).unwrap());
    said.has_no_secret();
}
