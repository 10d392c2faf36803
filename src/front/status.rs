//! Where an error becomes bytes: one function an encoding, and nowhere else.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use domain::{Code, Detail, Status};
use http::{HeaderValue, Response, StatusCode, header};
use prost::Message;
use serde::Serialize;

use super::{Body, encoding::Encoding, head::Record};

const DETAIL_TYPE: &str = "zitadel.v1.ErrorDetail";

/// `zitadel.v1.ErrorDetail`, borrowed from nobody so that prost can write it.
#[derive(Clone, PartialEq, Message)]
struct ErrorDetail {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    message: String,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

/// The answer that tells `status` in the caller's encoding. Notes the code for the log.
pub fn draw(status: &Status, encoding: Encoding, record: &Record) -> Response<Body> {
    record.failed(status.code);
    match encoding {
        Encoding::Rest => rest(status),
        Encoding::Connect(_) => connect(status),
        Encoding::Grpc(media_type) | Encoding::Web(media_type) | Encoding::WebText(media_type) => {
            grpc(status, media_type)
        }
    }
}

/// A JSON answer that is not of an RPC, with the HTTP status it says: `{"code":5,"message":"Not Found"}`.
pub fn plain(http_status: StatusCode, code: Code, message: &str) -> Response<Body> {
    #[derive(Serialize)]
    struct Plain<'a> {
        code: u8,
        message: &'a str,
    }
    json(http_status, &Plain { code: code.number(), message })
}

fn rest(status: &Status) -> Response<Body> {
    #[derive(Serialize)]
    struct RestDetail {
        #[serde(rename = "@type")]
        type_url: &'static str,
        id: &'static str,
        message: &'static str,
    }
    #[derive(Serialize)]
    struct RestError<'a> {
        code: u8,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        details: Option<[RestDetail; 1]>,
    }
    let details = status.detail.map(|Detail { id, message }| {
        [RestDetail { type_url: "type.googleapis.com/zitadel.v1.ErrorDetail", id, message }]
    });
    let body = RestError { code: status.code.number(), message: &status.message, details };
    let mut response = json(http_status(status.code), &body);
    if status.code == Code::Unauthenticated
        && let Ok(message) = HeaderValue::from_str(&status.message)
    {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, message);
    }
    response
}

fn connect(status: &Status) -> Response<Body> {
    #[derive(Serialize)]
    struct Debug {
        id: &'static str,
        message: &'static str,
    }
    #[derive(Serialize)]
    struct ConnectDetail {
        r#type: &'static str,
        value: String,
        debug: Debug,
    }
    #[derive(Serialize)]
    struct ConnectError<'a> {
        code: &'static str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        details: Option<[ConnectDetail; 1]>,
    }
    let details = status.detail.map(|detail| {
        let value = STANDARD_NO_PAD.encode(encode_detail(detail));
        let Detail { id, message } = detail;
        [ConnectDetail { r#type: DETAIL_TYPE, value, debug: Debug { id, message } }]
    });
    let body = ConnectError { code: status.code.connect_name(), message: &status.message, details };
    json(http_status(status.code), &body)
}

/// Status, message and details in the headers of an answer without a body: what gRPC calls trailers-only, and what
/// gRPC-Web clients read as well.
fn grpc(status: &Status, media_type: &'static str) -> Response<Body> {
    let mut response = to_tonic(status).into_http();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// The status in tonic's type, details included.
pub(super) fn to_tonic(status: &Status) -> tonic::Status {
    let code = tonic::Code::from(i32::from(status.code.number()));
    let Some(detail) = status.detail else { return tonic::Status::new(code, status.message.clone()) };
    let details = RpcStatus {
        code: i32::from(status.code.number()),
        message: status.message.clone(),
        details: vec![prost_types::Any {
            type_url: format!("type.googleapis.com/{DETAIL_TYPE}"),
            value: encode_detail(detail),
        }],
    };
    tonic::Status::with_details(code, status.message.clone(), details.encode_to_vec().into())
}

fn encode_detail(detail: Detail) -> Vec<u8> {
    ErrorDetail { id: detail.id.to_owned(), message: detail.message.to_owned() }.encode_to_vec()
}

fn http_status(code: Code) -> StatusCode {
    StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    // Strings and numbers only: there is nothing that could fail.
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
