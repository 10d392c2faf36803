//! Descriptors from the server itself, by `grpc.reflection`.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use prost::Message;
use prost_reflect::DescriptorPool;
use prost_types::FileDescriptorProto;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServerReflectionResponse, server_reflection_request::MessageRequest,
    server_reflection_response::MessageResponse,
};

use super::Api;
use crate::{
    dialect::{Dialect, Encoding, HttpVersion},
    encoding::envelope,
    exchange::RawRequest,
    transport::{Target, Transport},
};

/// Services that say what a server is, not what it does.
const ABOUT_THE_SERVER: &str = "grpc.reflection.";

impl Api {
    /// Asks a server for its services, and for `types` besides: messages that no method names, such as details of errors.
    ///
    /// Both versions of reflection are tried. `headers` go along.
    ///
    /// # Errors
    /// If the server does not answer, has no reflection, or does not know a type.
    pub async fn from_reflection(
        transport: &Transport,
        target: &Target,
        headers: &HeaderMap,
        types: &[String],
    ) -> Result<Self, String> {
        let mut last = String::new();
        for version in ["v1", "v1alpha"] {
            let server = Reflection { transport, target, headers, version };
            match server.api(types).await {
                Ok(api) => return Ok(api),
                Err(error) => last = error,
            }
        }
        Err(format!(
            "{} does not describe itself: {last}; give --descriptors or --proto instead",
            target.origin(Encoding::Grpc).unwrap_or("the server")
        ))
    }
}

struct Reflection<'a> {
    transport: &'a Transport,
    target: &'a Target,
    headers: &'a HeaderMap,
    version: &'a str,
}

impl Reflection<'_> {
    async fn api(&self, types: &[String]) -> Result<Api, String> {
        let mut services = Vec::new();
        for answer in self.ask(vec![MessageRequest::ListServices(String::new())]).await? {
            if let MessageResponse::ListServicesResponse(list) = answer {
                services.extend(list.service.into_iter().map(|service| service.name));
            }
        }
        services.retain(|name| !name.starts_with(ABOUT_THE_SERVER));
        let symbols = services.into_iter().chain(types.iter().cloned());
        let mut questions: Vec<_> = symbols.map(MessageRequest::FileContainingSymbol).collect();
        // As they came: what extensions say in options (URLs, above all) is lost once they are decoded as plain descriptors.
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut imported = BTreeSet::new();
        let mut asked = Vec::new();
        while !questions.is_empty() {
            for answer in self.ask(std::mem::take(&mut questions)).await? {
                let MessageResponse::FileDescriptorResponse(response) = answer else { continue };
                for bytes in response.file_descriptor_proto {
                    let file = FileDescriptorProto::decode(bytes.as_slice())
                        .map_err(|error| format!("a descriptor cannot be read: {error}"))?;
                    imported.extend(file.dependency.iter().cloned());
                    files.insert(file.name().to_owned(), bytes);
                }
            }
            let missing = imported.iter().filter(|name| !files.contains_key(*name));
            let missing: Vec<_> = missing.cloned().map(MessageRequest::FileByFilename).collect();
            // Nothing is missing when the first answers bring all imports along, as grpc-go's do.
            if !missing.is_empty() && missing == asked {
                return Err("it keeps files to itself that its own import".to_owned());
            }
            questions.clone_from(&missing);
            asked = missing;
        }
        let mut set = Vec::new();
        for file in files.values() {
            prost::encoding::bytes::encode(1, file, &mut set);
        }
        let mut pool = DescriptorPool::new();
        let decoded = pool.decode_file_descriptor_set(set.as_slice());
        decoded.map_err(|error| format!("its descriptors do not fit together: {error}"))?;
        Ok(Api::new(pool))
    }

    /// All questions in one stream.
    async fn ask(&self, questions: Vec<MessageRequest>) -> Result<Vec<MessageResponse>, String> {
        let mut body = Vec::new();
        for question in questions {
            let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
            body.extend(envelope::wrap(0, &request.encode_to_vec()));
        }
        let mut headers = self.headers.clone();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        headers.insert("te", HeaderValue::from_static("trailers"));
        let request = RawRequest {
            http_method: Method::POST,
            path: format!("/grpc.reflection.{}.ServerReflection/ServerReflectionInfo", self.version),
            headers,
            body: Bytes::from(body),
        };
        let dialects = Dialect::product(&[Encoding::Grpc], &[HttpVersion::Http2]);
        let Some(&dialect) = dialects.first() else { return Ok(Vec::new()) };
        let answer = self.transport.send(self.target, dialect, request).await.answer?;
        let status = answer.trailers.get("grpc-status").or_else(|| answer.headers.get("grpc-status"));
        match status.and_then(|status| status.to_str().ok()) {
            Some("0") => {}
            Some(code) => return Err(format!("grpc.reflection.{} ends with code {code}", self.version)),
            None => return Err(format!("HTTP {} without a gRPC status", answer.status)),
        }
        let mut answers = Vec::new();
        for frame in envelope::unwrap(&answer.body)? {
            let response = ServerReflectionResponse::decode(frame.message)
                .map_err(|error| format!("an answer of reflection cannot be read: {error}"))?;
            match response.message_response {
                Some(MessageResponse::ErrorResponse(error)) => return Err(error.error_message),
                Some(answer) => answers.push(answer),
                None => {}
            }
        }
        Ok(answers)
    }
}
