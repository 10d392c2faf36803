//! What the generator does not know fails the build with a sentence, and never silently makes something else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::Path};

use metagate_codegen::generate;

const HEAD: &str = r#"
syntax = "proto3";
package zitadel.test.v1;
import "google/api/annotations.proto";
import "metagate/service.proto";
import "validate/validate.proto";
import "zitadel/options.proto";
"#;

const SERVICE_OPTION: &str = "option (metagate.v1.service) = {message_bytes_max: 1000 malformed_code: 13};";

/// A service with one RPC, whose option is `http`, on a request with these fields.
fn service(fields: &str, rpc: &str) -> String {
    format!("{HEAD}message Q {{ {fields} }}\nmessage P {{}}\nservice S {{ {SERVICE_OPTION} {rpc} }}\n")
}

fn rpc(options: &str) -> String {
    format!("rpc Do(Q) returns (P) {{ {options} }}")
}

/// Generates code for one proto, which imports the options of the API; the whole of it.
fn generated(proto: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let (protos, out) = (folder.path().join("proto"), folder.path().join("out"));
    let api = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    fs::create_dir_all(protos.join("zitadel")).unwrap();
    fs::write(protos.join("zitadel/test.proto"), proto).unwrap();
    fs::create_dir(&out).unwrap();
    generate(&protos, &[&api], &["zitadel"], &out).map_err(|error| error.to_string())?;
    let files =
        ["zitadel.test.v1.rules.rs", "mod.rs"].map(|file| fs::read_to_string(out.join(file)).unwrap());
    Ok(files.concat())
}

#[test]
fn what_is_known_is_generated() {
    let http = "option (google.api.http) = {post: \"/a/{key}\" body: \"*\" additional_bindings {get: \"/b/{key}\"}};";
    let fields = "string key = 1 [(validate.rules).string.min_len = 2]; repeated string tags = 2;";
    let code = generated(&service(fields, &rpc(http))).unwrap();
    for part in [
        "pub trait S: Send + Sync + 'static",
        "path: \"/zitadel.test.v1.S/Do\"",
        "access: ::metagate::front::Access::Anybody",
        "::http::Method::POST, template: \"/a/{key}\", takes_body: true, takes_query: false",
        "::http::Method::GET, template: \"/b/{key}\", takes_body: false, takes_query: true",
        "invalid Q.Key: value length must be at least 2 runes",
        "\"tags\" => self.tags.push(value)",
    ] {
        assert!(code.contains(part), "{part} is not in\n{code}");
    }
}

#[test]
fn types_are_listed_where_a_field_may_hold_any() {
    let listed = "(\"zitadel.test.v1.Q\")";
    let any = service("google.protobuf.Any any = 1;", &rpc(""))
        .replace("import \"validate", "import \"google/protobuf/any.proto\"; import \"validate");
    assert!(generated(&any).unwrap().contains(listed));
    assert!(!generated(&service("string key = 1;", &rpc(""))).unwrap().contains(listed));
}

#[test]
fn what_is_not_known_is_refused() {
    let get = |path: &str| format!("option (google.api.http) = {{get: {path:?}}};");
    for (proto, want) in [
        (
            service("string key = 1;", &rpc("option (zitadel.v1.auth_option) = {permission: \"org.burn\"};")),
            "zitadel.test.v1.S.Do: unknown permission \"org.burn\"",
        ),
        (
            service("int32 n = 1;", &rpc(&get("/a/{n}"))),
            "zitadel.test.v1.Q: /a/{n} names \"n\", which is no string field",
        ),
        (
            service("string key = 1;", &rpc(&get("/a/{other}"))),
            "zitadel.test.v1.Q: /a/{other} names \"other\"",
        ),
        (
            service("string key = 1; int32 n = 2;", &rpc(&get("/a/{key}"))),
            "zitadel.test.v1.Q.n: a query parameter of this type is not implemented",
        ),
        (
            service("string key = 1;", &rpc("option (google.api.http) = {post: \"/a\" body: \"key\"};")),
            "zitadel.test.v1.S.Do: body \"key\": only \"*\" is implemented",
        ),
        (
            service("string key = 1;", "rpc Do(stream Q) returns (P);"),
            "zitadel.test.v1.S.Do: streaming is not implemented",
        ),
        (
            service("string key = 1;", &rpc("")).replace(SERVICE_OPTION, ""),
            "zitadel.test.v1.S: set option (metagate.v1.service)",
        ),
        (
            service("string key = 1;", &rpc("")).replace("malformed_code: 13", "malformed_code: 7"),
            "zitadel.test.v1.S: malformed_code must be 3 or 13",
        ),
        (service("strin key = 1;", &rpc("")), ""),
    ] {
        let error = generated(&proto).expect_err(want);
        assert!(error.starts_with(want), "got {error}\nwant {want}");
    }
}
