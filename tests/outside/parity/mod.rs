//! `metagate parity`, against servers with a bug, and against this one.

mod bugs;
mod unfaithful;

use std::{collections::BTreeSet, net::SocketAddr, path::Path};

use bugs::{BUGS, Bug, ENUMS, LARGE, VARIANTS};
use serde_json::Value;

use crate::server::{Server, metagate};

/// The scenarios of these tests.
fn scenarios() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside/parity/seeded.yaml").display().to_string()
}

/// Runs `metagate parity`; the exit code, what it said on stderr, and the lines of the report.
async fn parity(address: SocketAddr, arguments: &[&str]) -> (Option<i32>, String, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("parity.jsonl");
    let mut command = metagate();
    command.arg("parity").args(arguments).args(["--target", &format!("http://{address}")]);
    command.arg(format!("--report=json={}", report.display()));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let text = std::fs::read_to_string(report).unwrap_or_else(|_| panic!("{said}"));
    (output.status.code(), said, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// All findings of a report, as encoding, step, rule and text.
fn findings(lines: &[Value]) -> Vec<[&str; 4]> {
    let mut all = Vec::new();
    for line in lines {
        for finding in line["findings"].as_array().into_iter().flatten() {
            let texts = [&line["encoding"], &line["step"], &finding["rule"], &finding["text"]];
            all.push(texts.map(|text| text.as_str().unwrap()));
        }
    }
    all
}

/// Each bug is found, in the encodings that have it and in no others, and called what it is and nothing else.
async fn each_is_found(bugs: &[Bug], scenarios: &str, arguments: &[&str]) {
    let server = Server::start();
    let mut missed = Vec::new();
    for bug in bugs {
        let address = unfaithful::start(server.address, bug.spoil).await;
        let (code, _, lines) = parity(address, &[&["run", scenarios], arguments].concat()).await;
        let found = findings(&lines);
        let encodings: BTreeSet<_> = found.iter().map(|[encoding, ..]| *encoding).collect();
        let rules: BTreeSet<_> = found.iter().map(|[_, _, rule, _]| *rule).collect();
        let is_found = encodings == bug.encodings.iter().copied().collect()
            && rules == bug.rules.iter().copied().collect()
            && code == Some(i32::from(!bug.rules.is_empty()))
            && lines.iter().any(|line| line["kind"] == "summary" && line["calls"].as_u64() >= Some(6));
        if !is_found {
            missed.push(format!("{}: exit code {code:?}, {found:#?}", bug.name));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bug_is_found_and_called_by_its_name() {
    each_is_found(BUGS, &scenarios(), &["--without-tag", "large"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bugs_of_large_messages_are_found() {
    each_is_found(LARGE, &scenarios(), &["--tag", "large"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bugs_of_all_encodings_that_there_are_are_found() {
    let encodings = "rest,grpc-json,grpc-web-json,grpc-at-url,grpc-web-at-url,grpc-web-text-at-url";
    each_is_found(VARIANTS, &scenarios(), &["--without-tag=large", "--encodings", encodings]).await;
}

/// What a number is, only its descriptor knows: here the count of a list is an enum.
#[tokio::test(flavor = "multi_thread")]
async fn enums_that_are_numbers_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let text = std::fs::read_to_string(protos.join("zitadel/object.proto")).unwrap();
    let text =
        text.replace("uint64 total_result", "Count total_result") + "enum Count { NONE = 0; ONE = 1; }\n";
    std::fs::create_dir(folder.path().join("zitadel")).unwrap();
    std::fs::write(path("zitadel/object.proto"), text).unwrap();
    let scenarios = "\
        service: zitadel.management.v1.ManagementService\n\
        rest_prefixes: {zitadel.management.v1.ManagementService: /management/v1}\n\
        headers: {authorization: Bearer owner, x-zitadel-orgid: org-1}\n\
        mask: [response.**.sequence, response.**.creationDate, response.**.changeDate, response.**.viewTimestamp]\n\
        scenarios:\n\
        - name: how many there are\n  \
          setup: [{rpc: SetOrgMetadata, message: {key: '${run}', value: YQ==}}]\n  \
          steps:\n  \
          - rpc: ListOrgMetadata\n    \
            message: {queries: [{keyQuery: {key: '${run}'}}]}\n    \
            expect: {response: {details: {totalResult: ONE}}}\n";
    std::fs::write(path("enums.yaml"), scenarios).unwrap();
    let protos = protos.display().to_string();
    let (own, service) = (path(""), path("zitadel/management.proto"));
    std::fs::copy(format!("{protos}/zitadel/management.proto"), &service).unwrap();
    let proto = ["--proto", &service, "--proto-path", &own, "--proto-path", &protos];
    each_is_found(
        ENUMS,
        &path("enums.yaml"),
        &[&proto[..], &["--encodings=rest,grpc,connect-proto"]].concat(),
    )
    .await;
}

/// A field that one encoding judges otherwise is found without a scenario, and nothing is shown besides it.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_written_is_found_and_made_small() {
    let server = Server::start();
    let spoil: unfaithful::Spoil = |answer| {
        if answer.encoding == unfaithful::Encoding::Rest {
            answer.replace(
                "\"code\":3,\"message\":\"invalid GetOrgMetadataRequest.Key",
                "\"code\":9,\"message\":\"invalid GetOrgMetadataRequest.Key",
            );
        }
    };
    let arguments = [
        "explore",
        "--rpc=zitadel.management.v1.ManagementService/GetOrgMetadata",
        "--rest-prefix=zitadel.management.v1.ManagementService=/management/v1",
        "--type=zitadel.v1.ErrorDetail",
        "--token=owner",
        "--seed=7",
        "--count=100",
        "--encodings=rest,grpc,connect-proto",
        // Malformed messages have other codes over gRPC than over Connect, as ZITADEL has it.
        "--without=same-message",
    ];
    let deviations = tempfile::tempdir().unwrap();
    let file = deviations.path().join("deviations.yaml");
    let known = "deviations: [{scenario: '*', step: '* with * protobuf', reason: as there}, {scenario: '*', step: '* with *wire type', reason: as there}]";
    std::fs::write(&file, known).unwrap();
    let deviations = format!("--deviations={}", file.display());
    let arguments = [&arguments[..], &[&deviations]].concat();
    let faithful = parity(server.address, &arguments).await;
    assert_eq!((faithful.0, findings(&faithful.2)), (Some(0), Vec::new()), "{}", faithful.1);

    let address = unfaithful::start(server.address, spoil).await;
    let (first, second) = (parity(address, &arguments).await, parity(address, &arguments).await);
    for (code, said, lines) in [&first, &second] {
        assert_eq!(*code, Some(1), "{said}");
        let rules: BTreeSet<_> =
            findings(lines).iter().map(|[encoding, _, rule, _]| (*encoding, *rule)).collect();
        assert_eq!(rules, [("rest", "same-code")].into(), "{said}");
        let message = &lines.iter().find(|line| line["encoding"] == "rest").unwrap()["message"];
        assert_eq!(message["key"].as_str().unwrap().chars().count(), 201, "{message}");
        assert!(said.contains("--seed 7"), "{said}");
    }
    // What is written of it is red for the same reason, and green without the bug.
    let folder = tempfile::tempdir().unwrap();
    let scenarios = folder.path().join("found.yaml").display().to_string();
    parity(address, &[&arguments[..], &["--scenarios", &scenarios]].concat()).await;
    let again = ["run", &scenarios, "--token=owner", "--encodings=rest,grpc,connect-proto"];
    let (code, said, lines) = parity(address, &again).await;
    let rules: Vec<_> = findings(&lines).iter().map(|[encoding, _, rule, _]| (*encoding, *rule)).collect();
    assert_eq!((code, rules), (Some(1), vec![("rest", "same-code")]), "{said}");
    assert_eq!(parity(server.address, &again).await.0, Some(0));

    let shown = |lines: &[Value]| lines.iter().map(|line| line["message"].clone()).collect::<Vec<_>>();
    assert_eq!(shown(&first.2), shown(&second.2), "the same seed makes the same calls");
}

/// Answers of another server, of a file, and what is known of both.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_held_against_another_and_against_its_past() {
    let server = Server::start();
    let address = unfaithful::start(server.address, |answer| {
        if answer.is_error() {
            answer.replace("META-2npds", "META-other");
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let scenarios = scenarios();
    let base = ["run", &scenarios, "--without-tag=large", "--encodings=rest,connect-json"];
    let run = async |more: &[&str]| {
        let (code, said, lines) = parity(server.address, &[&base[..], more].concat()).await;
        let rules: BTreeSet<_> =
            findings(&lines).into_iter().map(|[_, _, rule, _]| rule.to_owned()).collect();
        (code, said, rules.into_iter().collect::<Vec<_>>().join(" "))
    };
    let other = format!("http://{address}");
    let (code, _, rules) = run(&["--against", &other]).await;
    // Details are in base64 over Connect: there the other server has the same.
    assert_eq!((code, rules.as_str()), (Some(1), "reference-details reference-message"));
    let itself = format!("http://{}", server.address);
    assert_eq!(run(&["--against", &itself]).await.0, Some(0));

    let golden = path("golden.jsonl");
    let mut record = metagate();
    record.args([
        "parity",
        "record",
        &scenarios,
        "--without-tag=large",
        "--target",
        &other,
        "--output",
        &golden,
    ]);
    let recorded = tokio::task::spawn_blocking(move || record.output().unwrap()).await.unwrap();
    assert!(recorded.status.success(), "{recorded:?}");
    let (code, _, rules) = run(&["--golden", &golden]).await;
    assert_eq!((code, rules.as_str()), (Some(1), "reference-details reference-message"));

    let known = path("known.yaml");
    std::fs::write(&known, "deviations: [{scenario: '*', rules: [reference-details, reference-message], reason: the ids differ}, {scenario: 'what *', rules: [cors], reason: outlived}, {scenario: nobody, reason: was not made}]").unwrap();
    let (code, said, rules) = run(&["--golden", &golden, "--deviations", &known]).await;
    assert_eq!((code, rules.as_str()), (Some(0), "reference-details reference-message"));
    assert!(said.contains("\"what *\" does not deviate any more") && !said.contains("nobody"), "{said}");

    for (file, text, want) in [
        (
            "a.yaml",
            "service: a\nscenarios:\n  - name: x\n    stepz: []\n",
            "a.yaml:4:5: unknown field `stepz`",
        ),
        (
            "b.yaml",
            "scenarios:\n  - name: x\n    steps: [{rpc: zitadel.org.v2.OrganizationServic/X}]\n",
            "b.yaml:3:19: there is no service zitadel.org.v2.OrganizationServic; did you mean zitadel.org.v2.OrganizationService?",
        ),
        (
            "c.yaml",
            "service: zitadel.management.v1.ManagementService\nscenarios:\n  - name: x\n    steps:\n      - rpc: GetOrgMetadata\n        message: {kay: a}\n",
            "c.yaml:6:19: zitadel.management.v1.GetOrgMetadataRequest has no field kay; did you mean key?",
        ),
        (
            "d.yaml",
            "service: zitadel.management.v1.ManagementService\nscenarios:\n  - name: x\n    steps:\n      - rpc: GetOrgMetadata\n        message: {key: \"${rnu}\"}\n",
            "d.yaml:6:24: there is no variable rnu; did you mean run?",
        ),
        (
            "e.yaml",
            "service: zitadel.management.v1.ManagementService\nscenarios:\n  - name: x\n    steps:\n      - rpc: SetOrgMetadata\n        message: {value: '!'}\n",
            "e.yaml:6:26: ",
        ),
        (
            "g.yaml",
            "service: zitadel.${version}.OrganizationService\neach: [{version: org.v2}, {version: org.v3}]\nscenarios:\n  - name: ${version}\n    steps: [{rpc: SetOrganizationMetadata}]\n",
            "g.yaml:5:19: there is no service zitadel.org.v3.OrganizationService; did you mean zitadel.org.v2.OrganizationService?",
        ),
        (
            "h.yaml",
            "service: zitadel.management.v1.ManagementService\neach: [{field: kay}]\nscenarios:\n  - name: x\n    steps: [{rpc: GetOrgMetadata, message: {\"${field}\": a}}]\n",
            "h.yaml:5:45: zitadel.management.v1.GetOrgMetadataRequest has no field kay; did you mean key?",
        ),
        (
            "i.yaml",
            "service: zitadel.management.v1.ManagementService\nscenarios:\n  - name: x\n    steps: [{rpc: GetOrgMetadata}]\n  - name: second\n    each: [{b: \"${a}\", a: x}]\n    steps: [{rpc: GetOrgMetadata}]\n",
            "i.yaml:6:16: there is no variable a",
        ),
    ] {
        std::fs::write(path(file), text).unwrap();
        let mut command = metagate();
        command.args(["parity", "run", &path(file), "--target", &itself]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(want), "{want}: {said}");
    }

    // Golden files and deviations know scenarios by their names.
    let text =
        "scenarios:\n  - name: x\n    steps: [{rpc: zitadel.management.v1.ManagementService/Healthz}]\n";
    let twice = [path("once.yaml"), path("twice.yaml")];
    twice.iter().for_each(|file| std::fs::write(file, text).unwrap());
    let mut command = metagate();
    command.args(["parity", "run", &twice[0], &twice[1], "--target", &itself]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let want = format!("{}:2:1: the scenario of {}:2 is called \"x\", too", twice[1], twice[0]);
    assert!(output.status.code() == Some(2) && String::from_utf8_lossy(&output.stderr).contains(&want));
}
