//! Where an error becomes bytes: one function an encoding, and nowhere else.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use domain::{Code, Detail, Status};
use http::{HeaderValue, Response, StatusCode, header};
use prost::Message;
use protojson::TYPE_URL_PREFIX;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Body, encoding::Encoding, record::Record};

const DETAIL_TYPE: &str = "zitadel.v1.ErrorDetail";

/// `zitadel.v1.ErrorDetail`, borrowed from nobody so that prost can write it; serde does too.
#[derive(Clone, PartialEq, Message, Serialize)]
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
    struct RestError<'a> {
        code: u8,
        message: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        details: Vec<Box<RawValue>>,
    }
    let details = status.details.iter().filter_map(|detail| {
        RawValue::from_string(protojson::any_json(&type_url(detail), &detail_json(detail))).ok()
    });
    let body = RestError { code: status.code.number(), message: &status.message, details: details.collect() };
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
    struct ConnectDetail<'a> {
        r#type: &'a str,
        value: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        debug: Option<Box<RawValue>>,
    }
    #[derive(Serialize)]
    struct ConnectError<'a> {
        code: &'static str,
        message: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        details: Vec<ConnectDetail<'a>>,
    }
    let details = status.details.iter().map(|detail| ConnectDetail {
        r#type: type_name(detail),
        value: STANDARD_NO_PAD.encode(detail_proto(detail)),
        debug: RawValue::from_string(detail_json(detail).into_owned()).ok(),
    });
    let body = ConnectError {
        code: status.code.connect_name(),
        message: &status.message,
        details: details.collect(),
    };
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
    if status.details.is_empty() {
        return tonic::Status::new(code, status.message.clone());
    }
    let details = status.details.iter().map(|detail| prost_types::Any {
        type_url: type_url(detail),
        value: detail_proto(detail).into_owned(),
    });
    let details = RpcStatus {
        code: i32::from(status.code.number()),
        message: status.message.clone(),
        details: details.collect(),
    };
    tonic::Status::with_details(code, status.message.clone(), details.encode_to_vec().into())
}

fn error_detail(id: &str, message: &str) -> ErrorDetail {
    ErrorDetail { id: id.to_owned(), message: message.to_owned() }
}

fn type_name(detail: &Detail) -> &str {
    match detail {
        Detail::Error { .. } => DETAIL_TYPE,
        Detail::Message { type_name, .. } => type_name,
    }
}

fn type_url(detail: &Detail) -> String {
    format!("{TYPE_URL_PREFIX}{}", type_name(detail))
}

fn detail_proto(detail: &Detail) -> Cow<'_, [u8]> {
    match detail {
        Detail::Error { id, message } => error_detail(id, message).encode_to_vec().into(),
        Detail::Message { proto, .. } => proto.into(),
    }
}

fn detail_json(detail: &Detail) -> Cow<'_, str> {
    match detail {
        // Strings only: there is nothing that could fail.
        Detail::Error { id, message } => {
            serde_json::to_string(&error_detail(id, message)).unwrap_or_default().into()
        }
        Detail::Message { json, .. } => json.into(),
    }
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

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::front::ConnectCodec;

    #[tokio::test]
    async fn details_of_any_type_are_told_in_every_encoding() {
        let details = vec![
            Detail::Error { id: "ID", message: "text" },
            Detail::Message { type_name: "a.B".into(), proto: vec![8, 1], json: "{\"c\":1}".into() },
            Detail::Message { type_name: "a.Empty".into(), proto: Vec::new(), json: "{}".into() },
        ];
        let status = Status { code: Code::NotFound, message: "no".into(), details };
        for (encoding, want) in [
            (
                Encoding::Rest,
                concat!(
                    r#"{"code":5,"message":"no","details":["#,
                    r#"{"@type":"type.googleapis.com/zitadel.v1.ErrorDetail","id":"ID","message":"text"},"#,
                    r#"{"@type":"type.googleapis.com/a.B","c":1},{"@type":"type.googleapis.com/a.Empty"}]}"#
                ),
            ),
            (
                Encoding::Connect(ConnectCodec::Proto),
                concat!(
                    r#"{"code":"not_found","message":"no","details":["#,
                    r#"{"type":"zitadel.v1.ErrorDetail","value":"CgJJRBIEdGV4dA","#,
                    r#""debug":{"id":"ID","message":"text"}},"#,
                    r#"{"type":"a.B","value":"CAE","debug":{"c":1}},{"type":"a.Empty","value":"","debug":{}}]}"#
                ),
            ),
        ] {
            let body = draw(&status, encoding, &Record::default()).into_body().collect().await.unwrap();
            assert_eq!(body.to_bytes(), want, "{encoding:?}");
        }
        let response = draw(&status, Encoding::Grpc("application/grpc"), &Record::default());
        let header = &response.headers()["grpc-status-details-bin"];
        let packed = RpcStatus::decode(&*STANDARD_NO_PAD.decode(header).unwrap()).unwrap();
        let types: Vec<_> = packed.details.iter().map(|any| any.type_url.as_str()).collect();
        let prefixed =
            ["zitadel.v1.ErrorDetail", "a.B", "a.Empty"].map(|name| TYPE_URL_PREFIX.to_owned() + name);
        assert_eq!(types, prefixed);
        assert_eq!(packed.details[1].value, [8, 1]);
    }
}
