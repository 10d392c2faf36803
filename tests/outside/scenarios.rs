//! What the API promises, in every encoding: scenarios/zitadel-metadata, played by `metagate parity`.

use std::path::Path;

use serde_json::json;

use crate::{
    dialect::{BULK, Call, dialects},
    server::{Server, metagate},
};

/// The words of the command in the scenarios' README that begin with `begin`, without the program's name.
fn command(readme: &str, begin: &str) -> Vec<String> {
    let text = &readme[readme.find(&format!("    {begin}")).unwrap()..];
    let text = text.split("\n\n").next().unwrap().replace("\\\n", " ");
    text.split_whitespace().skip(1).map(|word| word.trim_matches('\'').to_owned()).collect()
}

/// All encodings over HTTP/2. tests/suites/scenarios.sh plays them over HTTP/1.1 too, and those that send megabytes.
#[tokio::test(flavor = "multi_thread")]
async fn all_that_the_scenarios_say_is_so_in_every_encoding() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/zitadel-metadata");
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let mut serve = metagate();
    serve.current_dir(&folder).args(command(&readme, "metagate serve"));
    serve.args(["--listen", "127.0.0.1:0", "--log-level", "error"]);
    let server = Server::run(serve);

    let mut words = command(&readme, "metagate parity run");
    let mut replace =
        |from: &str, to: &str| *words.iter_mut().find(|word| *word == from).unwrap() = to.to_owned();
    replace("http://localhost:8080", &format!("http://{}", server.address));
    replace("1.1,2", "2");
    let mut run = metagate();
    run.current_dir(&folder).args(words).args(["--without-tag", "large"]);
    let output = tokio::task::spawn_blocking(move || run.output().unwrap()).await.unwrap();
    let (said, failed) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let wrong: Vec<_> = said.lines().filter(|line| !line.starts_with(['✓', '·'])).collect();
    assert!(output.status.success(), "{failed}{}", wrong.join("\n"));
    let scenarios: usize = said.lines().last().unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(scenarios >= 316, "{scenarios} were made");
}

#[tokio::test]
async fn of_two_tokens_the_first_counts() {
    let server = Server::start();
    for dialect in dialects() {
        let mut client = dialect.connect(server.address).await;
        for (headers, want) in [
            (["Bearer owner", "Bearer x"], "Metadata list is empty (META-9mm2d)"),
            (["Bearer x", "Bearer owner"], "Errors.Token.Invalid (AUTH-7fs1e)"),
        ] {
            let headers = headers.map(|value| ("authorization", value));
            let call = Call { rpc: BULK, headers: &headers, message: json!({}) };
            let failure = dialect.call(&mut client, &call).await.unwrap_err();
            assert_eq!(failure.message, want, "{dialect:?} {headers:?}");
        }
    }
}
