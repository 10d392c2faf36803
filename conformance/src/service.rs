//! `connectrpc.conformance.v1.ConformanceService`: says what came, and answers as it was told.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{Code, Detail, Error, Status};
use http::{HeaderMap, HeaderName, HeaderValue};
use metagate::front::{Access, Admission, Call, Head, Metadata};
use prost::Name;
use protojson::Any;

use crate::generated::connectrpc::conformance::v1::{
    self as suite, ConformancePayload, ConformanceService, Header, IdempotentUnaryRequest,
    IdempotentUnaryResponse, UnaryRequest, UnaryResponse, UnaryResponseDefinition, UnimplementedRequest,
    UnimplementedResponse, conformance_payload::RequestInfo, unary_response_definition::Response,
};

/// Lets everybody in.
pub struct Everybody;

#[async_trait]
impl Admission for Everybody {
    async fn admit(&self, _: Access, head: &Arc<Head>) -> Result<Call, Error> {
        let language = head.language;
        Ok(Call { caller: None, organization: None, language, head: head.clone(), hold: None })
    }
}

/// The service.
pub struct Conformance;

impl ConformanceService for Conformance {
    async fn unary(&self, call: Call, request: UnaryRequest) -> Result<UnaryResponse, Error> {
        let payload = answer(&call, &request, request.response_definition.as_ref()).await?;
        Ok(UnaryResponse { payload: Some(payload) })
    }

    async fn unimplemented(&self, _: Call, _: UnimplementedRequest) -> Result<UnimplementedResponse, Error> {
        Err(Error::protocol(Code::Unimplemented, "this method is never implemented"))
    }

    async fn idempotent_unary(
        &self,
        call: Call,
        request: IdempotentUnaryRequest,
    ) -> Result<IdempotentUnaryResponse, Error> {
        let payload = answer(&call, &request, request.response_definition.as_ref()).await?;
        Ok(IdempotentUnaryResponse { payload: Some(payload) })
    }
}

async fn answer(
    call: &Call,
    request: &impl Name,
    definition: Option<&UnaryResponseDefinition>,
) -> Result<ConformancePayload, Error> {
    let info = RequestInfo {
        request_headers: headers(&call.head.headers),
        timeout_ms: call.head.deadline.left().and_then(|left| i64::try_from(left.as_millis()).ok()),
        requests: vec![Any::pack(request)],
    };
    let Some(definition) = definition else {
        return Ok(ConformancePayload { request_info: Some(info), ..Default::default() });
    };
    call.head.answer_with(Metadata {
        headers: header_map(&definition.response_headers),
        trailers: header_map(&definition.response_trailers),
    });
    tokio::time::sleep(Duration::from_millis(definition.response_delay_ms.into())).await;
    match &definition.response {
        Some(Response::Error(error)) => Err(failure(error, &info)),
        Some(Response::ResponseData(data)) => {
            Ok(ConformancePayload { data: data.clone(), request_info: Some(info) })
        }
        None => Ok(ConformancePayload { request_info: Some(info), ..Default::default() }),
    }
}

fn failure(error: &suite::Error, info: &RequestInfo) -> Error {
    let mut details = Vec::new();
    for any in error.details.iter().chain([&Any::pack(info)]) {
        let detail = any.message_to_json().map(|json| Detail::Message {
            type_name: any.type_name().to_owned(),
            proto: any.value.to_vec(),
            json,
        });
        match detail {
            Ok(detail) => details.push(detail),
            Err(error) => return Error::Internal { cause: error.to_string() },
        }
    }
    let code = Code::ALL.into_iter().find(|code| i32::from(code.number()) == error.code);
    Error::Stated(Box::new(Status {
        code: code.unwrap_or(Code::Unknown),
        message: error.message().to_owned(),
        details,
    }))
}

fn headers(map: &HeaderMap) -> Vec<Header> {
    let values =
        |name| map.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into());
    map.keys().map(|name| Header { name: name.to_string(), value: values(name).collect() }).collect()
}

fn header_map(headers: &[Header]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for header in headers {
        for value in &header.value {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(&header.name), HeaderValue::try_from(value))
            {
                map.append(name, value);
            }
        }
    }
    map
}
