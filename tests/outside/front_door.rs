//! Which front speaks, and what holds for all of them: methods, content types, headers, origins.

use bytes::Bytes;
use http::{Method, Request, Version};
use serde_json::json;

use crate::{
    client::{Client, raw},
    dialect::{Call, Dialect, Encoding, GET, dialects},
    server::Server,
};

const ACCEPT_POST: &str = "application/grpc, application/grpc+json, application/grpc+json; charset=utf-8, \
     application/grpc+proto, application/grpc-web, application/grpc-web+json, \
     application/grpc-web+json; charset=utf-8, application/grpc-web+proto, application/json, \
     application/json; charset=utf-8, application/proto, application/grpc-web-text, \
     application/grpc-web-text+proto";

#[tokio::test]
async fn at_the_path_of_an_rpc() {
    let server = Server::start();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut client = Client::connect(server.address, version).await;
        for content_type in [
            "",
            "text/plain",
            "application/xml",
            "application/grpc+foo",
            "application/connect+json",
            "application/jsonx",
        ] {
            let mut request = Request::post(format!("/{GET}"));
            if !content_type.is_empty() {
                request = request.header("content-type", content_type);
            }
            let answer = client.send(request.body("{}").unwrap()).await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("accept-post")),
                (415, ACCEPT_POST),
                "{content_type}"
            );
            assert!(answer.body.is_empty());
        }
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS, Method::HEAD] {
            let request = Request::builder()
                .method(method)
                .uri(format!("/{GET}"))
                .header("content-type", "application/json");
            let answer = client.send(request.body("").unwrap()).await;
            assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST"));
        }
    }
}

#[tokio::test]
async fn media_types_are_compared_without_case_and_parameters() {
    let server = Server::start();
    for (encoding, content_type) in [
        (Encoding::Grpc, "APPLICATION/GRPC"),
        (Encoding::Grpc, "application/grpc; charset=utf-8"),
        (Encoding::Web, "Application/Grpc-Web;x=y"),
        (Encoding::WebText, "application/GRPC-WEB-TEXT ; x"),
        (Encoding::ConnectJson, "application/JSON; charset=utf-8"),
        (Encoding::ConnectProto, "application/Proto"),
        (Encoding::Rest, "text/plain"),
        (Encoding::Rest, "application/xml; charset=latin1"),
        (Encoding::Rest, "application/grpc+foo"),
        (Encoding::GrpcJson, "Application/Grpc+Json; charset=utf-8"),
        (Encoding::WebJson, "application/grpc-web+JSON"),
    ] {
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let dialect = Dialect { encoding, version };
            let rpc = if encoding == Encoding::Rest {
                "zitadel.management.v1.ManagementService/ListOrgMetadata"
            } else {
                GET
            };
            let message = if encoding == Encoding::Rest { json!({}) } else { json!({"key": "k"}) };
            let mut request = dialect.request(&Call { rpc, headers: &[], message });
            request.headers_mut().insert("content-type", content_type.parse().unwrap());
            let answer = dialect.connect(server.address).await.send(request).await;
            let failure = dialect.read(rpc, &answer).unwrap_err();
            assert_eq!((failure.code, &*failure.message), (16, "auth header missing"), "{content_type}");
        }
    }
}

#[tokio::test]
async fn grpc_at_a_path_of_nobody() {
    let server = Server::start();
    for encoding in [Encoding::Grpc, Encoding::Web, Encoding::WebText] {
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let dialect = Dialect { encoding, version };
            let mut client = dialect.connect(server.address).await;
            for (path, want) in [
                (
                    "/zitadel.management.v1.ManagementService/Nope",
                    "unknown method Nope for service zitadel.management.v1.ManagementService",
                ),
                (
                    "/zitadel.org.v2.OrganizationService/",
                    "unknown method  for service zitadel.org.v2.OrganizationService",
                ),
                ("/grpc.health.v1.Health/Nope", "unknown method Nope for service grpc.health.v1.Health"),
                ("/foo.Bar/Baz", "unknown service foo.Bar"),
                ("/foo", "malformed method name: \"/foo\""),
                ("/management/v1x/y", "unknown service management/v1x"),
            ] {
                let request = Request::post(path)
                    .header("content-type", encoding.content_type())
                    .body(Bytes::from("x"))
                    .unwrap();
                let failure = dialect.read(GET, &client.send(request).await).unwrap_err();
                assert_eq!((failure.code, &*failure.message), (12, want), "{dialect:?} {path}");
            }
            // A path that cannot be read is told in the caller's encoding too.
            let request =
                Request::post("/management/v1/metadata/%FF").header("content-type", encoding.content_type());
            let failure =
                dialect.read(GET, &client.send(request.body(Bytes::new()).unwrap()).await).unwrap_err();
            assert_eq!(failure.code, 3, "{dialect:?}");
        }
    }
}

#[tokio::test]
async fn connect_at_a_path_of_nobody() {
    let server = Server::start();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut client = Client::connect(server.address, version).await;
        for (content_type, header, want) in [
            ("application/json", "connect-protocol-version", CONNECT),
            ("application/proto", "connect-protocol-version", CONNECT),
            // JSON may be anybody's.
            ("application/json", "x-other", r#"{"code":5,"message":"Not Found"}"#),
            ("application/xml", "connect-protocol-version", r#"{"code":5,"message":"Not Found"}"#),
        ] {
            let request =
                Request::post("/foo.Bar/Baz").header("content-type", content_type).header(header, "1");
            let answer = client.send(request.body(Bytes::from("x")).unwrap()).await;
            assert_eq!((answer.status.as_u16(), answer.text()), (404, want), "{content_type} {header}");
        }
    }
    const CONNECT: &str = r#"{"code":"unimplemented","message":"unknown service foo.Bar"}"#;
}

#[tokio::test]
async fn methods_of_rest() {
    let server = Server::start();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut client = Client::connect(server.address, version).await;
        for (method, path) in [
            (Method::PUT, "/management/v1/metadata/k"),
            (Method::OPTIONS, "/management/v1/metadata/k"),
            (Method::PATCH, "/management/v1/metadata/_bulk"),
            (Method::GET, "/v2/organizations/1/metadata"),
            (Method::DELETE, "/v2/organizations/1/metadata/search"),
            (Method::POST, "/management/v1/healthz"),
        ] {
            let answer = client.send(Request::builder().method(&method).uri(path).body("").unwrap()).await;
            assert_eq!(
                (answer.status.as_u16(), answer.text()),
                (405, "{\"code\":12,\"message\":\"Method Not Allowed\"}"),
                "{method} {path}"
            );
            assert_eq!(answer.header("allow"), "");
        }
        let answer = client.send(Request::head("/management/v1/metadata/k").body("").unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.text(), answer.header("content-length")), (405, "", "42"));
        // Without a body in the binding, the content type is not looked at.
        let request = Request::get("/management/v1/metadata/k").header("content-type", "application/grpc");
        let answer = client.send(request.body("").unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (401, "application/json"));
        assert_eq!(answer.header("www-authenticate"), "auth header missing");
    }
}

#[tokio::test]
async fn headers_of_every_answer() {
    let server = Server::start();
    for dialect in dialects().into_iter().filter(|dialect| dialect.speaks(GET)) {
        let mut client = dialect.connect(server.address).await;
        let long = "x".repeat(129);
        for (id, origin) in [("my-id", "https://a.example"), ("", ""), (&*long, "null"), ("a b", "")] {
            let mut headers = vec![];
            for (name, value) in [("x-request-id", id), ("origin", origin)] {
                if !value.is_empty() {
                    headers.push((name, value));
                }
            }
            let answer = client
                .send(dialect.request(&Call { rpc: GET, headers: &headers, message: json!({"key": "k"}) }))
                .await;
            assert_eq!(answer.header("cache-control"), "no-store");
            assert_eq!(answer.header("vary"), "Origin");
            assert_eq!(answer.header("x-request-id") == id, id == "my-id", "{dialect:?}");
            assert!(!answer.header("x-request-id").is_empty());
            assert_eq!(answer.header("access-control-allow-origin"), origin);
            let (credentials, exposed) = if origin.is_empty() {
                ("", "")
            } else {
                (
                    "true",
                    "Location, Content-Length, Grpc-Status, Grpc-Message, Grpc-Status-Details-Bin, X-Request-Id",
                )
            };
            assert_eq!(answer.header("access-control-allow-credentials"), credentials);
            assert_eq!(answer.header("access-control-expose-headers"), exposed);
            for absent in ["grpcgateway-content-type", "set-cookie", "pragma", "expires", "x-robots-tag"] {
                assert_eq!(answer.header(absent), "");
            }
        }
    }
}

#[tokio::test]
async fn preflights_on_every_path() {
    let server = Server::start();
    let mut client = Client::connect(server.address, Version::HTTP_11).await;
    for path in ["/management/v1/metadata/k", &format!("/{GET}"), "/v2/organizations/1/metadata", "/nothing"]
    {
        for (headers, allowed) in [
            ("authorization,content-type,grpc-timeout,x-grpc-web", true),
            ("X-Grpc-Web, Authorization", true),
            ("x-other", false),
        ] {
            let request = Request::options(path)
                .header("origin", "https://a.example")
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", headers);
            let answer = client.send(request.body("").unwrap()).await;
            assert_eq!(answer.status, 204, "{path}");
            assert_eq!(
                answer.header("vary"),
                "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
            );
            assert_eq!(answer.header("access-control-allow-headers"), if allowed { headers } else { "" });
            assert_eq!(answer.header("access-control-allow-methods"), if allowed { "POST" } else { "" });
        }
    }
}

#[tokio::test]
async fn headers_by_another_name_over_rest() {
    let server = Server::start();
    let dialect = Dialect { encoding: Encoding::Rest, version: Version::HTTP_11 };
    let mut client = dialect.connect(server.address).await;
    for (headers, want) in [
        (&[("grpc-metadata-authorization", "Bearer owner")][..], "Metadata not found (QUERY-Rph32)"),
        (
            &[("Grpc-Metadata-Authorization", "Bearer x"), ("authorization", "Bearer owner")],
            "Metadata not found (QUERY-Rph32)",
        ),
        (
            &[("authorization", "Bearer owner"), ("grpc-metadata-x-zitadel-orgid", "absent")],
            "Organisation doesn't exist (AUTH-Bs7Ds)",
        ),
        (
            &[
                ("authorization", "Bearer owner"),
                ("grpc-metadata-x-zitadel-orgid", "absent"),
                ("x-zitadel-orgid", "org-0"),
            ],
            "Metadata not found (QUERY-Rph32)",
        ),
    ] {
        let failure = dialect
            .call(&mut client, &Call { rpc: GET, headers, message: json!({"key": "k"}) })
            .await
            .unwrap_err();
        assert_eq!(failure.message, want, "{headers:?}");
    }
    let grpc = Dialect { encoding: Encoding::Grpc, version: Version::HTTP_2 };
    let call = Call {
        rpc: GET,
        headers: &[("grpc-metadata-authorization", "Bearer owner")],
        message: json!({"key": "k"}),
    };
    let failure = grpc.call(&mut grpc.connect(server.address).await, &call).await.unwrap_err();
    assert_eq!(failure.message, "auth header missing", "over REST only");
}

#[tokio::test]
async fn only_configured_hosts_are_served() {
    let arguments = ["--storage", "memory:", "--trusted-proxies", "127.0.0.1"];
    let open = Server::start_in("domains = []\n", &arguments);
    let server = Server::start_in("domains = [\"a.example\", \"b.example\"]\n", &arguments);
    let trusting_nobody =
        Server::start_in("domains = [\"a.example\"]\n", &["--storage", "memory:", "--trusted-proxies", ""]);
    let instance = |origin: &str, language: &str| {
        let text = match language {
            "de" => {
                "Die Instanz wurde nicht gefunden. Bitte prüfen, ob die Domain stimmt. Siehe https://zitadel.com/docs/apis/introduction#domains"
            }
            _ => {
                "Instance not found. Make sure you got the domain right. Check out https://zitadel.com/docs/apis/introduction#domains"
            }
        };
        format!(
            "unable to set instance using origin {origin} (ExternalDomain is a.example): ID=QUERY-1kIjX Message={text}"
        )
    };
    for dialect in
        dialects().into_iter().filter(|dialect| dialect.version == Version::HTTP_11 && dialect.speaks(GET))
    {
        let ask = async |server: &Server, headers: &[(&str, &str)]| {
            let call = Call { rpc: GET, headers, message: json!({"key": "k"}) };
            dialect.call(&mut dialect.connect(server.address).await, &call).await.unwrap_err()
        };
        for headers in [
            &[("host", "a.example")][..],
            &[("host", "b.example:8080")],
            &[("host", "c.example"), ("x-forwarded-host", "a.example")],
            &[("host", "c.example"), ("forwarded", "host=a.example;proto=https")],
            &[("host", "c.example"), ("x-zitadel-instance-host", "a.example")],
        ] {
            assert_eq!(ask(&server, headers).await.message, "auth header missing", "{dialect:?} {headers:?}");
        }
        for (headers, origin, language) in [
            (&[("host", "c.example:1")][..], "&{c.example:1  http}", "en"),
            (&[("host", "A.example"), ("accept-language", "de")], "&{A.example  http}", "de"),
            (
                &[("host", "a.example"), ("x-forwarded-host", "c.example"), ("x-forwarded-proto", "https")],
                "&{c.example  https}",
                "en",
            ),
        ] {
            let failure = ask(&server, headers).await;
            assert_eq!(
                (failure.code, failure.message, failure.detail),
                (5, instance(origin, language), None),
                "{dialect:?}"
            );
        }
        assert_eq!(ask(&open, &[("host", "anything")]).await.message, "auth header missing");
        let failure =
            ask(&trusting_nobody, &[("host", "c.example"), ("x-forwarded-host", "a.example")]).await;
        assert_eq!(failure.message, instance("&{c.example  http}", "en"));
    }
}

#[tokio::test]
async fn grpc_over_http1_for_clients_that_do_not_ask_for_trailers() {
    let server = Server::start();
    let message = crate::dialect::envelope(0, &[]);
    let path = "/zitadel.management.v1.ManagementService/Healthz";
    let request = |version: &str, extra: &str| {
        let head = format!(
            "POST {path} HTTP/{version}\r\nhost: a\r\ncontent-type: application/grpc\r\n{extra}content-length: {}\r\n\r\n",
            message.len()
        );
        [head.as_bytes(), &message].concat()
    };
    let answer = raw(server.address, &request("1.1", "connection: close\r\n")).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n0\r\ngrpc-status: 0\r\n\r\n"),
        "{answer}"
    );
    // Two on one connection, the second after the first.
    let dialect = Dialect { encoding: Encoding::Grpc, version: Version::HTTP_11 };
    let mut client = dialect.connect(server.address).await;
    for _ in 0..3 {
        let call = Call { rpc: &path[1..], headers: &[], message: json!({}) };
        dialect.call(&mut client, &call).await.unwrap();
    }
    // Where no trailers can be sent, that is said, and the call is not made.
    let answer = raw(server.address, &request("1.0", "")).await;
    assert!(answer.starts_with("HTTP/1.0 400 ") && answer.contains("needs HTTP/2"), "{answer}");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start();
    let one = "GET /debug/healthz HTTP/1.1\r\nhost: a\r\n\r\n";
    let two = "GET /nothing HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answer = raw(server.address, format!("{one}{one}{two}").as_bytes()).await;
    let statuses: Vec<_> = answer.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "200", "404"], "{answer}");
}

#[tokio::test]
async fn a_body_that_is_badly_framed_is_the_callers_fault() {
    let server = Server::start();
    for (content_type, path, want) in [
        ("application/json", "/management/v1/metadata/k", "HTTP/1.1 400 Bad Request"),
        ("application/json", &format!("/{GET}"), "\"code\":\"invalid_argument\""),
        ("application/grpc-web", &format!("/{GET}"), "grpc-status: 3"),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: {content_type}\r\n"
        );
        let request = format!("{head}transfer-encoding: chunked\r\n\r\nno length\r\n");
        let answer = raw(server.address, request.as_bytes()).await;
        assert!(answer.contains(want), "{answer}");
    }
}

#[tokio::test]
async fn what_is_no_http_gets_an_answer_and_harms_nobody() {
    let server = Server::start();
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET \x01 HTTP/1.1\r\n\r\n",
    ] {
        let answer = raw(server.address, garbage).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{garbage:?}: {answer}");
    }
    let mut client = Client::connect(server.address, Version::HTTP_2).await;
    assert_eq!(client.send(Request::get("/debug/healthz").body("").unwrap()).await.status, 200);
}
