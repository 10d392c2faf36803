//! One call, said in every encoding, and its outcome, read back to the same form.

use std::sync::LazyLock;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use bytes::{BufMut, Bytes};
use http::{HeaderMap, Method, Request, StatusCode, Version};
use metagate::front::Binding;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use serde_json::Value;

use crate::client::{Answer, Client};

/// Everything the server serves.
pub static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(metagate::api::DESCRIPTORS).unwrap());

/// The generated table, for the URLs.
static BINDINGS: LazyLock<Vec<(&'static str, &'static [Binding])>> = LazyLock::new(|| {
    let store: std::sync::Arc<dyn storage::Store> = std::sync::Arc::new(storage::MemoryStore::new());
    metagate::api::rpcs(&store).iter().map(|rpc| (rpc.path, rpc.bindings)).collect()
});

/// An encoding, where it is sent, and the HTTP version that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    pub encoding: Encoding,
    pub version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Rest,
    Grpc,
    Web,
    WebText,
    ConnectJson,
    ConnectProto,
    /// gRPC with messages in JSON.
    GrpcJson,
    /// gRPC-Web with messages in JSON.
    WebJson,
    /// gRPC at the REST URL.
    GrpcAtUrl,
    /// gRPC-Web at the REST URL.
    WebAtUrl,
    /// gRPC-Web text at the REST URL.
    WebTextAtUrl,
}

/// What curl speaks by itself.
pub const REST: Dialect = Dialect { encoding: Encoding::Rest, version: Version::HTTP_11 };

/// The RPCs of most tests.
pub const SET: &str = "zitadel.management.v1.ManagementService/SetOrgMetadata";
pub const BULK: &str = "zitadel.management.v1.ManagementService/BulkSetOrgMetadata";
pub const GET: &str = "zitadel.management.v1.ManagementService/GetOrgMetadata";
pub const LIST: &str = "zitadel.management.v1.ManagementService/ListOrgMetadata";
pub const REMOVE: &str = "zitadel.management.v1.ManagementService/RemoveOrgMetadata";

/// Every encoding over every HTTP version.
pub fn dialects() -> Vec<Dialect> {
    use Encoding::*;
    let encodings = [
        Rest,
        Grpc,
        Web,
        WebText,
        ConnectJson,
        ConnectProto,
        GrpcJson,
        WebJson,
        GrpcAtUrl,
        WebAtUrl,
        WebTextAtUrl,
    ];
    let versions = [Version::HTTP_11, Version::HTTP_2];
    encodings.into_iter().flat_map(|encoding| versions.map(|version| Dialect { encoding, version })).collect()
}

/// What is called, by whom.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// `package.Service/Method`
    pub rpc: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    /// The request, as JSON.
    pub message: Value,
}

/// A failure, as every encoding can tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: i64,
    pub message: String,
    /// Id and text of the `ErrorDetail`.
    pub detail: Option<(String, String)>,
}

/// The response message as JSON, or why there is none.
pub type Outcome = Result<Value, Failure>;

pub fn method(rpc: &str) -> MethodDescriptor {
    let (service, method) = rpc.split_once('/').unwrap();
    let service = POOL.get_service_by_name(service).unwrap();
    service.methods().find(|known| known.name() == method).unwrap()
}

/// The message in protobuf.
pub fn encode(rpc: &str, message: &Value) -> Vec<u8> {
    DynamicMessage::deserialize(method(rpc).input(), message).unwrap().encode_to_vec()
}

/// An envelope around a message.
pub fn envelope(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut all = vec![flag];
    all.put_u32(u32::try_from(message.len()).unwrap());
    all.extend_from_slice(message);
    all
}

impl Dialect {
    pub async fn connect(self, address: std::net::SocketAddr) -> Client {
        Client::connect(address, self.version).await
    }

    /// Whether the RPC can be called so: not every one has a URL that takes other encodings.
    pub fn speaks(self, rpc: &str) -> bool {
        !self.encoding.is_at_url() || binding(rpc).takes_body
    }

    /// Makes the call.
    pub async fn call(self, client: &mut Client, call: &Call<'_>) -> Outcome {
        let answer = client.send(self.request(call)).await;
        self.read(call.rpc, &answer)
    }

    /// Makes the call to a server that may be gone before it has answered.
    pub async fn try_call(self, client: &mut Client, call: &Call<'_>) -> hyper::Result<Outcome> {
        let answer = client.try_send(self.request(call)).await?;
        Ok(self.read(call.rpc, &answer))
    }

    /// A request message, as it stands in an envelope.
    pub fn encode(self, rpc: &str, message: &Value) -> Vec<u8> {
        if self.encoding.is_json() { message.to_string().into_bytes() } else { encode(rpc, message) }
    }

    /// Calls `rpc` with a token, on a connection of its own.
    pub async fn call_as(
        self,
        address: std::net::SocketAddr,
        token: &str,
        rpc: &str,
        message: Value,
    ) -> Outcome {
        self.call_on(&mut self.connect(address).await, token, rpc, message).await
    }

    /// Calls `rpc` with a token.
    pub async fn call_on(self, client: &mut Client, token: &str, rpc: &str, message: Value) -> Outcome {
        let authorization = format!("Bearer {token}");
        self.call(client, &Call { rpc, headers: &[("authorization", &authorization)], message }).await
    }

    /// The request of the call.
    pub fn request(self, call: &Call<'_>) -> Request<Bytes> {
        let message = self.encode(call.rpc, &call.message);
        let (uri, method, body): (String, Method, Vec<u8>) = match self.encoding {
            Encoding::Rest => {
                let (binding, rest, uri) = url(call);
                let body = if binding.takes_body { rest.to_string().into_bytes() } else { Vec::new() };
                (uri, binding.http_method.clone(), body)
            }
            Encoding::GrpcAtUrl | Encoding::WebAtUrl | Encoding::WebTextAtUrl => {
                let (binding, _, uri) = url(call);
                (uri, binding.http_method.clone(), envelope(0, &message))
            }
            Encoding::ConnectJson | Encoding::ConnectProto => {
                (format!("/{}", call.rpc), Method::POST, message)
            }
            Encoding::Grpc | Encoding::Web | Encoding::WebText | Encoding::GrpcJson | Encoding::WebJson => {
                (format!("/{}", call.rpc), Method::POST, envelope(0, &message))
            }
        };
        let body = if self.encoding.is_text() { STANDARD.encode(body).into_bytes() } else { body };
        let mut request =
            Request::builder().method(method).uri(uri).header("content-type", self.encoding.content_type());
        for (name, value) in call.headers {
            request = request.header(*name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        request.body(body.into()).unwrap()
    }

    /// What the answer says.
    pub fn read(self, rpc: &str, answer: &Answer) -> Outcome {
        match self.encoding {
            Encoding::Rest => {
                assert_eq!(answer.header("content-type"), "application/json");
                if answer.status == StatusCode::OK {
                    return Ok(from_json(rpc, answer.text()));
                }
                let error: Value = serde_json::from_str(answer.text()).unwrap();
                let code = error["code"].as_i64().unwrap();
                assert_eq!(answer.status.as_u16(), http_status(code), "{error}");
                let detail = error.get("details").map(|details| {
                    assert_eq!(details.as_array().unwrap().len(), 1);
                    assert_eq!(details[0]["@type"], "type.googleapis.com/zitadel.v1.ErrorDetail");
                    (text(&details[0]["id"]), text(&details[0]["message"]))
                });
                Err(Failure { code, message: text(&error["message"]), detail })
            }
            Encoding::ConnectJson | Encoding::ConnectProto => self.read_connect(rpc, answer),
            _ => self.read_grpc(rpc, answer),
        }
    }

    fn read_connect(self, rpc: &str, answer: &Answer) -> Outcome {
        if answer.status == StatusCode::OK {
            assert_eq!(answer.header("content-type"), self.encoding.content_type());
            return Ok(match self.encoding {
                Encoding::ConnectJson => from_json(rpc, answer.text()),
                _ => from_proto(rpc, &answer.body),
            });
        }
        assert_eq!(answer.header("content-type"), "application/json");
        let error: Value = serde_json::from_str(answer.text()).unwrap();
        let names = [
            "ok",
            "canceled",
            "unknown",
            "invalid_argument",
            "deadline_exceeded",
            "not_found",
            "already_exists",
            "permission_denied",
            "resource_exhausted",
            "failed_precondition",
            "aborted",
            "out_of_range",
            "unimplemented",
            "internal",
            "unavailable",
            "data_loss",
            "unauthenticated",
        ];
        let code = names.iter().position(|name| error["code"] == *name).unwrap() as i64;
        assert_eq!(answer.status.as_u16(), http_status(code), "{error}");
        let detail = error.get("details").map(|details| {
            assert_eq!(details.as_array().unwrap().len(), 1);
            assert_eq!(details[0]["type"], "zitadel.v1.ErrorDetail");
            let detail = error_detail(&STANDARD_NO_PAD.decode(text(&details[0]["value"])).unwrap());
            assert_eq!((text(&details[0]["debug"]["id"]), text(&details[0]["debug"]["message"])), detail);
            detail
        });
        Err(Failure { code, message: text(&error["message"]), detail })
    }

    fn read_grpc(self, rpc: &str, answer: &Answer) -> Outcome {
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_eq!(answer.header("content-type"), self.encoding.content_type());
        if answer.headers.contains_key("grpc-status") {
            assert!(answer.body.is_empty());
            return Err(failure(&answer.headers));
        }
        let body = if self.encoding.is_text() {
            STANDARD.decode(&answer.body).unwrap().into()
        } else {
            answer.body.clone()
        };
        let mut trailers = answer.trailers.clone();
        let mut message = None;
        let mut rest = &body[..];
        while let Some((head, tail)) = rest.split_first_chunk::<5>() {
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let (content, tail) = tail.split_at(length);
            match head[0] {
                0 => assert!(message.replace(content.to_vec()).is_none(), "two messages"),
                0x80 => {
                    for line in std::str::from_utf8(content).unwrap().lines() {
                        let (name, value) = line.split_once(": ").unwrap();
                        trailers.insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
                    }
                }
                flag => panic!("flag {flag}"),
            }
            rest = tail;
        }
        assert!(rest.is_empty());
        match (trailers["grpc-status"].to_str().unwrap(), message) {
            ("0", Some(message)) if self.encoding.is_json() => {
                Ok(from_json(rpc, std::str::from_utf8(&message).unwrap()))
            }
            ("0", Some(message)) => Ok(from_proto(rpc, &message)),
            _ => Err(failure(&trailers)),
        }
    }
}

impl Encoding {
    fn is_at_url(self) -> bool {
        matches!(self, Self::GrpcAtUrl | Self::WebAtUrl | Self::WebTextAtUrl)
    }

    pub fn is_json(self) -> bool {
        matches!(self, Self::Rest | Self::ConnectJson | Self::GrpcJson | Self::WebJson)
    }

    fn is_text(self) -> bool {
        matches!(self, Self::WebText | Self::WebTextAtUrl)
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Rest | Self::ConnectJson => "application/json",
            Self::ConnectProto => "application/proto",
            Self::Grpc => "application/grpc",
            Self::GrpcJson => "application/grpc+json",
            Self::WebJson => "application/grpc-web+json",
            Self::GrpcAtUrl => "application/grpc+proto",
            Self::Web => "application/grpc-web",
            Self::WebAtUrl => "application/grpc-web+proto",
            Self::WebText => "application/grpc-web-text",
            Self::WebTextAtUrl => "application/grpc-web-text+proto",
        }
    }
}

fn binding(rpc: &str) -> &'static Binding {
    let found = BINDINGS.iter().find(|(path, _)| path[1..] == *rpc);
    &found.unwrap().1[0]
}

/// The binding of a call, what of the message is not in its URL, and the URL.
fn url(call: &Call<'_>) -> (&'static Binding, Value, String) {
    let binding = binding(call.rpc);
    let mut rest = call.message.as_object().unwrap().clone();
    let segments: Vec<String> = binding
        .template
        .split('/')
        .map(|segment| match segment.strip_prefix('{').and_then(|field| field.strip_suffix('}')) {
            None => segment.to_owned(),
            Some(field) => {
                let name = if field == "organization_id" { "organizationId" } else { field };
                let value = rest.remove(name).map(|value| text(&value)).unwrap_or_default();
                utf8_percent_encode(&value, NON_ALPHANUMERIC).to_string()
            }
        })
        .collect();
    let mut uri = segments.join("/");
    if binding.takes_query {
        let pairs = rest.iter().flat_map(|(name, values)| {
            let values = values.as_array().unwrap();
            values
                .iter()
                .map(move |value| format!("{name}={}", utf8_percent_encode(&text(value), NON_ALPHANUMERIC)))
        });
        let query: Vec<String> = pairs.collect();
        if !query.is_empty() {
            uri = format!("{uri}?{}", query.join("&"));
        }
    }
    (binding, Value::Object(rest), uri)
}

fn from_json(rpc: &str, json: &str) -> Value {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let message = DynamicMessage::deserialize(method(rpc).output(), &mut deserializer).unwrap();
    let value = serde_json::to_value(&message).unwrap();
    // Not only the meaning: order, names and white space are as another implementation writes them.
    assert_eq!(json, serde_json::to_string(&message).unwrap());
    value
}

fn from_proto(rpc: &str, message: &[u8]) -> Value {
    serde_json::to_value(DynamicMessage::decode(method(rpc).output(), message).unwrap()).unwrap()
}

fn failure(headers: &HeaderMap) -> Failure {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
    let code: i32 = header("grpc-status").unwrap().parse().unwrap();
    let message =
        percent_decode_str(header("grpc-message").unwrap_or_default()).decode_utf8().unwrap().into_owned();
    let detail = header("grpc-status-details-bin").map(|encoded| {
        let bytes = STANDARD_NO_PAD.decode(encoded.trim_end_matches('=')).unwrap();
        let status = POOL.get_message_by_name("google.rpc.Status").unwrap();
        let status = DynamicMessage::decode(status, &bytes[..]).unwrap();
        assert_eq!(status.get_field_by_name("code").unwrap().as_i32().unwrap(), code);
        assert_eq!(status.get_field_by_name("message").unwrap().as_str().unwrap(), message);
        let details = status.get_field_by_name("details").unwrap().as_list().unwrap().to_vec();
        assert_eq!(details.len(), 1);
        let any = details[0].as_message().unwrap();
        let type_url = any.get_field_by_name("type_url").unwrap().as_str().unwrap().to_owned();
        assert_eq!(type_url, "type.googleapis.com/zitadel.v1.ErrorDetail");
        error_detail(any.get_field_by_name("value").unwrap().as_bytes().unwrap())
    });
    Failure { code: i64::from(code), message, detail }
}

fn error_detail(bytes: &[u8]) -> (String, String) {
    let detail =
        DynamicMessage::decode(POOL.get_message_by_name("zitadel.v1.ErrorDetail").unwrap(), bytes).unwrap();
    let field = |name| detail.get_field_by_name(name).unwrap().as_str().unwrap().to_owned();
    (field("id"), field("message"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Contract 6.1, written down once more.
fn http_status(code: i64) -> u16 {
    match code {
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500,
    }
}
