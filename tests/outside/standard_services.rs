//! Reflection, health, and the URLs for operators.

use bytes::Bytes;
use http::{Method, Request, Version};
use metagate::api::OPENAPI;
use prost::Message;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServerReflectionResponse, server_reflection_request::MessageRequest,
    server_reflection_response::MessageResponse,
};

use crate::{
    client::{Answer, Client},
    dialect::envelope,
    server::Server,
};

async fn grpc(client: &mut Client, path: &str, message: &impl Message) -> Answer {
    let request = Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
    client.send(request.body(Bytes::from(envelope(0, &message.encode_to_vec()))).unwrap()).await
}

#[tokio::test]
async fn health() {
    let server = Server::start();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut client = Client::connect(server.address, version).await;
        for service in [
            "",
            "zitadel.management.v1.ManagementService",
            "zitadel.org.v2.OrganizationService",
            "zitadel.org.v2beta.OrganizationService",
        ] {
            let request = HealthCheckRequest { service: service.to_owned() };
            let answer = grpc(&mut client, "/grpc.health.v1.Health/Check", &request).await;
            assert_eq!(answer.trailers["grpc-status"], "0", "{service:?} {answer:?}");
            assert_eq!(HealthCheckResponse::decode(&answer.body[5..]).unwrap().status, 1);
        }
        for service in ["nope", "/zitadel.org.v2.OrganizationService/"] {
            let request = HealthCheckRequest { service: service.to_owned() };
            let answer = grpc(&mut client, "/grpc.health.v1.Health/Check", &request).await;
            assert_eq!(
                (answer.header("grpc-status"), answer.header("grpc-message")),
                ("5", "unknown%20service")
            );
        }
    }
}

#[tokio::test]
async fn reflection() {
    let server = Server::start();
    for version in ["v1", "v1alpha"] {
        let mut client = Client::connect(server.address, Version::HTTP_2).await;
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let mut ask = async |request| {
            let message = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
            let answer = grpc(&mut client, &path, &message).await;
            assert_eq!(answer.trailers["grpc-status"], "0");
            ServerReflectionResponse::decode(&answer.body[5..]).unwrap().message_response.unwrap()
        };
        let MessageResponse::ListServicesResponse(list) =
            ask(MessageRequest::ListServices(String::new())).await
        else {
            panic!("no list")
        };
        let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
        names.sort();
        let reflection = format!("grpc.reflection.{version}.ServerReflection");
        assert_eq!(
            names,
            [
                "grpc.health.v1.Health",
                &reflection,
                "zitadel.management.v1.ManagementService",
                "zitadel.org.v2.OrganizationService",
                "zitadel.org.v2beta.OrganizationService",
            ]
        );
        let symbol = "zitadel.org.v2beta.OrganizationService".to_owned();
        let MessageResponse::FileDescriptorResponse(files) =
            ask(MessageRequest::FileContainingSymbol(symbol)).await
        else {
            panic!("no file")
        };
        assert!(!files.file_descriptor_proto.is_empty());
    }
}

#[tokio::test]
async fn only_grpc_speaks_them() {
    let server = Server::start();
    let mut client = Client::connect(server.address, Version::HTTP_11).await;
    for path in [
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    ] {
        for content_type in [
            "application/json",
            "application/proto",
            "application/grpc+json",
            "application/grpc-web",
            "application/grpc-web-text",
        ] {
            let answer =
                client.send(Request::post(path).header("content-type", content_type).body("").unwrap()).await;
            assert_eq!(answer.status, 415, "{path} {content_type}");
            assert_eq!(answer.header("accept-post"), "application/grpc, application/grpc+proto");
        }
        assert_eq!(client.send(Request::get(path).body("").unwrap()).await.status, 405);
    }
}

#[tokio::test]
async fn urls_for_operators() {
    let server = Server::start();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut client = Client::connect(server.address, version).await;
        for (method, path, status, body) in [
            (Method::GET, "/healthz", 200, "{\"status\":\"SERVING\"}\n"),
            (
                Method::GET,
                "/healthz?service=zitadel.org.v2.OrganizationService",
                200,
                "{\"status\":\"SERVING\"}\n",
            ),
            (Method::GET, "/healthz?service=nope", 404, "{\"code\":5,\"message\":\"unknown service\"}"),
            (Method::POST, "/healthz", 405, "{\"code\":12,\"message\":\"Method Not Allowed\"}"),
            (Method::GET, "/debug/healthz", 200, "ok"),
            (Method::POST, "/debug/healthz", 200, "ok"),
            (Method::GET, "/debug/ready", 200, "\"ok\""),
            (Method::GET, "/management/v1/healthz", 200, "{}"),
        ] {
            let answer = client.send(Request::builder().method(method).uri(path).body("").unwrap()).await;
            assert_eq!((answer.status.as_u16(), answer.text()), (status, body), "{path}");
        }
    }
}

#[tokio::test]
async fn the_openapi_document() {
    const PATH: &str = "/openapi/v2/swagger.json";
    let server = Server::start();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut client = Client::connect(server.address, version).await;
        let request = |method: Method| {
            Request::builder()
                .method(method)
                .uri(PATH)
                .header("origin", "https://a.example")
                .body("")
                .unwrap()
        };
        for (method, status, body, allow) in [
            (Method::GET, 200, OPENAPI, ""),
            (Method::HEAD, 200, &b""[..], ""),
            (Method::POST, 405, br#"{"code":12,"message":"Method Not Allowed"}"#, "GET, HEAD"),
        ] {
            let answer = client.send(request(method.clone())).await;
            assert_eq!((answer.status.as_u16(), &*answer.body), (status, body), "{method}");
            assert_eq!(answer.header("allow"), allow, "{method}");
            assert_eq!(answer.header("content-type"), "application/json");
            assert_eq!(answer.header("access-control-allow-origin"), "https://a.example");
            if method == Method::HEAD {
                assert_eq!(answer.header("content-length"), OPENAPI.len().to_string());
            }
        }
        let mut preflight = request(Method::OPTIONS);
        preflight.headers_mut().insert("access-control-request-method", "GET".parse().unwrap());
        let answer = client.send(preflight).await;
        assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-methods")), (204, "GET"));
    }
}
