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

/// Generates code for one proto, which imports the options of the API; the whole of it, and the OpenAPI document.
fn generated(proto: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let (protos, out) = (folder.path().join("proto"), folder.path().join("out"));
    let api = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    fs::create_dir_all(protos.join("zitadel")).unwrap();
    fs::write(protos.join("zitadel/test.proto"), proto).unwrap();
    fs::create_dir(&out).unwrap();
    generate(&protos, &[&api], &["zitadel"], &out).map_err(|error| error.to_string())?;
    let files = ["zitadel.test.v1.rules.rs", "mod.rs", "openapi.json"]
        .map(|file| fs::read_to_string(out.join(file)).unwrap());
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
fn openapi() {
    let http = "option (google.api.http) = {post: \"/a/{key}\" body: \"*\" additional_bindings {delete: \"/a/{key}\"}};";
    let bound = service(
        "string key = 1 [(validate.rules).string.max_len = 3]; repeated string tags = 2;",
        &rpc(http),
    );
    for (proto, parts) in [
        (
            &bound,
            &[
                r#""/a/{key}":{"delete":{"operationId":"S_Do2""#,
                r#""post":{"operationId":"S_Do","parameters":[{"in":"path","maxLength":3,"name":"key","required":true,"type":"string"}"#,
                r#"{"in":"body","name":"body","required":false,"schema":{"properties":{"tags":{"items":{"type":"string"},"type":"array"}},"type":"object"}}"#,
                r#"{"collectionFormat":"multi","in":"query","items":{"type":"string"},"name":"tags","required":false,"type":"array"}"#,
            ][..],
        ),
        // Without a binding: at the path of the RPC, with Connect's errors.
        (
            &service(
                "bytes b = 1 [(validate.rules).bytes = {min_len: 1 max_len: 4}]; map<string, int64> m = 2; Q q = 3;",
                &rpc(""),
            ),
            &[
                r#""/zitadel.test.v1.S/Do":{"post":{"operationId":"S_Do""#,
                r##""501":{"$ref":"#/responses/ConnectNotImplemented"}"##,
                r##""ConnectNotImplemented":{"description":"The call is not there in this form.","schema":{"$ref":"#/definitions/ConnectError"}}"##,
                r#""b":{"format":"byte","maxLength":8,"minLength":2,"type":"string"}"#,
                r#""m":{"additionalProperties":{"format":"int64","pattern":"^(0|-?[1-9][0-9]{0,18})$","type":"string"},"type":"object"}"#,
                r##""q":{"$ref":"#/definitions/zitadel.test.v1.Q"}},"required":["b"]"##,
            ],
        ),
        // Who must be somebody may be refused, and may name an organization.
        (
            &service("", &rpc("option (zitadel.v1.auth_option) = {permission: \"org.read\"};")),
            &[
                r##""403":{"$ref":"#/responses/ConnectForbidden"}"##,
                r##"{"$ref":"#/parameters/Organization"}"##,
                r#""security":[{"Bearer":[]}]"#,
                r#""x-permission":"org.read""#,
            ],
        ),
        (
            &service(
                "oneof a { option (validate.required) = true; string s = 1; } oneof b { bool c = 2; Q d = 3; }",
                &rpc(""),
            ),
            &[r#""description":"Exactly one of: `s`.\nAt most one of: `c`, `d`.","#, r#""required":["s"]"#],
        ),
    ] {
        let code = generated(proto).unwrap();
        for part in parts {
            assert!(code.contains(part), "{part} is not in\n{code}");
        }
    }
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
        (
            service(
                "string key = 1;",
                &rpc("option (google.api.http) = {get: \"/a\" additional_bindings {get: \"/a\"}};"),
            ),
            "zitadel.test.v1.S.Do: GET /a is bound twice",
        ),
        (service("strin key = 1;", &rpc("")), ""),
    ] {
        let error = generated(&proto).expect_err(want);
        assert!(error.starts_with(want), "got {error}\nwant {want}");
    }
}
