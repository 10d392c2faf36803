//! Any key that gRPC can carry works over REST (departure D1).

use http::{Method, Request, StatusCode, Version};
use serde_json::json;

use crate::{
    client::Client,
    dialect::{Call, Dialect, Encoding},
    server::Server,
};

const HEADERS: &[(&str, &str)] = &[("authorization", "Bearer owner"), ("x-zitadel-orgid", "org-0")];

#[tokio::test]
async fn a_key_set_in_one_encoding_is_read_in_the_other() {
    let server = Server::start();
    let grpc = Dialect { encoding: Encoding::Grpc, version: Version::HTTP_2 };
    let mut grpc_client = grpc.connect(server.address).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let rest = Dialect { encoding: Encoding::Rest, version };
        let mut rest_client = rest.connect(server.address).await;
        for key in [
            "plain", "a/b", "/", "//", ".", "..", "a/../b", "ü", "日本", "🦀", "a b", " ", "+", "%", "%2F",
            "a%b", "?", "#", "a:b", "*", "{key}", ";", "\n", "\t", "\u{7f}", "\u{1}", "\\", "\"", "<>&",
            "metadata", "é", "e\u{301}", "~",
        ] {
            let value = json!(base64_of(key));
            let set = Call {
                rpc: "zitadel.management.v1.ManagementService/SetOrgMetadata",
                headers: HEADERS,
                message: json!({"key": key, "value": value}),
            };
            let get = Call {
                rpc: "zitadel.management.v1.ManagementService/GetOrgMetadata",
                message: json!({"key": key}),
                ..set.clone()
            };
            let remove =
                Call { rpc: "zitadel.management.v1.ManagementService/RemoveOrgMetadata", ..get.clone() };
            rest.call(&mut rest_client, &set).await.unwrap_or_else(|error| panic!("{key:?}: {error:?}"));
            for (dialect, client) in [(grpc, &mut grpc_client), (rest, &mut rest_client)] {
                let got =
                    dialect.call(client, &get).await.unwrap_or_else(|error| panic!("{key:?}: {error:?}"));
                assert_eq!((&got["metadata"]["key"], &got["metadata"]["value"]), (&json!(key), &value));
            }
            rest.call(&mut rest_client, &remove).await.unwrap_or_else(|error| panic!("{key:?}: {error:?}"));
            assert_eq!(grpc.call(&mut grpc_client, &get).await.unwrap_err().code, 5, "{key:?}");
        }
    }
}

fn base64_of(text: &str) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text)
}

#[tokio::test]
async fn the_words_of_other_paths_are_keys_where_the_method_is_free() {
    let server = Server::start();
    let mut client = Client::connect(server.address, Version::HTTP_11).await;
    let grpc = Dialect { encoding: Encoding::ConnectJson, version: Version::HTTP_11 };
    for key in ["_bulk", "_search"] {
        let set = Call {
            rpc: "zitadel.management.v1.ManagementService/SetOrgMetadata",
            headers: HEADERS,
            message: json!({"key": key, "value": "YQ=="}),
        };
        grpc.call(&mut client, &set).await.unwrap();
    }
    for (method, path, status, body) in [
        (Method::GET, "_bulk", 200, "\"key\":\"_bulk\""),
        (Method::GET, "_search", 200, "\"key\":\"_search\""),
        (Method::GET, "%5Fbulk", 200, "\"key\":\"_bulk\""),
        (Method::POST, "_bulk", 400, "META-9mm2d"),
        (Method::POST, "%5Fbul%6B", 400, "META-9mm2d"),
        (Method::POST, "_search", 200, "totalResult"),
        (Method::DELETE, "_bulk", 400, "META-9mw2d"),
        (Method::DELETE, "_search", 200, "sequence"),
        (Method::GET, "_search", 404, "QUERY-Rph32"),
    ] {
        let answer =
            client.send(request(method.clone(), &format!("/management/v1/metadata/{path}"), "")).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path} {}", answer.text());
        assert!(answer.text().contains(body), "{method} {path} {}", answer.text());
    }
}

#[tokio::test]
async fn paths_that_are_none() {
    let server = Server::start();
    let mut client = Client::connect(server.address, Version::HTTP_11).await;
    let not_found = "{\"code\":5,\"message\":\"Not Found\"}";
    let bad_request = "{\"code\":3,\"message\":\"Bad Request\"}";
    for (path, status, body) in [
        ("/management/v1/metadata//", 404, not_found),
        ("/management/v1/metadata//a", 404, not_found),
        ("/management/v1//metadata/a", 404, not_found),
        ("/management/v1/metadata/a/b", 404, not_found),
        ("/management/v1/metadata/a/", 404, not_found),
        ("/management/v1/metadata", 404, not_found),
        ("/management/v1/", 404, not_found),
        ("/management/v1/metadata/", 400, "{\"code\":3,\"message\":\"invalid SetOrgMetadataRequest.Key"),
        ("/management/v1", 400, bad_request),
        ("/management/v1x/metadata/a", 400, bad_request),
        ("/management/v1/metadata/%", 400, "{\"code\":3,\"message\":\"invalid URL: "),
        ("/management/v1/metadata/%zz", 400, "{\"code\":3,\"message\":\"invalid URL: "),
        ("/management/v1/metadata/%FF", 400, "{\"code\":3,\"message\":\"invalid URL: "),
        ("/management/v1/metadata/%C3", 400, "{\"code\":3,\"message\":\"invalid URL: "),
        ("/v2/organizations//metadata", 404, not_found),
        ("/%", 400, "{\"code\":3,\"message\":\"invalid URL: "),
        ("/", 404, not_found),
        ("/nothing", 404, not_found),
    ] {
        let answer = client.send(request(Method::POST, path, "{\"value\":\"YQ==\"}")).await;
        assert_eq!(answer.status.as_u16(), status, "{path} {}", answer.text());
        assert!(answer.text().starts_with(body), "{path} {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/json", "{path}");
    }
}

#[tokio::test]
async fn queries_and_bodies_that_nobody_asked_for() {
    let server = Server::start();
    let mut client = Client::connect(server.address, Version::HTTP_11).await;
    let metadata = "/management/v1/metadata/k";
    let v2 = "/v2/organizations/org-0/metadata";
    for (method, path, body, status, want) in [
        // The path counts, not the body; what is in the body must be well formed all the same.
        (Method::POST, metadata.to_owned(), "{\"key\":\"other\",\"value\":\"YQ==\"}", 200, "sequence"),
        (Method::POST, metadata.to_owned(), "{\"key\":5,\"value\":\"YQ==\"}", 400, "proto: (line 1:"),
        (Method::GET, format!("{metadata}?key=other&%zz"), "{", 200, "\"key\":\"k\""),
        (Method::POST, format!("{metadata}?value=Yg=="), "{\"value\":\"YQ==\"} trailing", 200, "sequence"),
        (Method::DELETE, metadata.to_owned(), "no JSON", 200, "sequence"),
        (
            Method::POST,
            v2.to_owned(),
            "{\"metadata\":[{\"key\":\"a\",\"value\":\"YQ==\"},{\"key\":\"b,c\",\"value\":\"YQ==\"}]}",
            200,
            "setDate",
        ),
        // Only the query counts, and of it only what the message has.
        (Method::DELETE, v2.to_owned(), "{\"keys\":[\"a\"]}", 400, "META-9mw2d"),
        (Method::DELETE, format!("{v2}?keys="), "", 400, "Keys[0]"),
        (Method::DELETE, format!("{v2}?keys=a&keys=%zz"), "", 400, "invalid URL"),
        (Method::DELETE, format!("{v2}?keys=a,b"), "", 404, "META-2npds"),
        (Method::DELETE, format!("{v2}?keys=a&organizationId=org-1&x=y&keys=b%2Cc"), "", 200, "deletionDate"),
    ] {
        let answer = client.send(request(method.clone(), &path, body)).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path} {body} {}", answer.text());
        assert!(answer.text().contains(want), "{method} {path} {body} {}", answer.text());
    }
}

#[tokio::test]
async fn a_form_may_mean_another_method() {
    let server = Server::start();
    let mut client = Client::connect(server.address, Version::HTTP_11).await;
    let form = "application/x-www-form-urlencoded";
    let mut send = async |path: &str, content_type: &str, method: &str, body: &str| {
        let mut request = request(Method::POST, path, body);
        request.headers_mut().insert("content-type", content_type.parse().unwrap());
        if !method.is_empty() {
            request.headers_mut().insert("x-http-method-override", method.parse().unwrap());
        }
        client.send(request).await
    };
    let set = "{\"value\":\"YQ==\"}";
    let path = "/management/v1/metadata/k";
    assert_eq!(send(path, form, "", set).await.status, StatusCode::OK);
    assert!(send(path, form, "get", "").await.text().contains("\"key\":\"k\""));
    // Not a form, not another method.
    assert!(send(path, "application/json", "GET", "{}").await.text().contains("SetOrgMetadataRequest.Value"));
    assert!(
        send(path, &format!("{form}; charset=utf-8"), "GET", "{}")
            .await
            .text()
            .contains("SetOrgMetadataRequest.Value")
    );
    assert_eq!(
        send(
            "/v2/organizations/org-0/metadata",
            "application/json",
            "",
            "{\"metadata\":[{\"key\":\"a\",\"value\":\"YQ==\"}]}"
        )
        .await
        .status,
        StatusCode::OK
    );
    assert!(
        send("/v2/organizations/org-0/metadata", form, "DELETE", "keys=a")
            .await
            .text()
            .contains("deletionDate")
    );
    assert!(send(path, form, "DELETE", "").await.text().contains("changeDate"));
    // A URL that knows no POST is read as GET.
    assert_eq!(send("/management/v1/healthz", form, "", "").await.text(), "{}");
    assert_eq!(
        send("/management/v1/healthz", "application/json", "", "").await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert_eq!(
        send(path, form, "PATCH", "").await.text(),
        "{\"code\":5,\"message\":\"Metadata not found (QUERY-Rph32)\",\"details\":[{\"@type\":\"type.googleapis.com/zitadel.v1.ErrorDetail\",\"id\":\"QUERY-Rph32\",\"message\":\"Metadata not found\"}]}"
    );
}

fn request(method: Method, path: &str, body: &str) -> Request<String> {
    let request = Request::builder().method(method).uri(path);
    let request = HEADERS.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(body.to_owned()).unwrap()
}
