//! What is known of a request besides its body.

use std::{borrow::Cow, pin::Pin, sync::Arc};

use domain::{Language, Status};
use http::{HeaderMap, HeaderValue, Response, header, request::Parts, uri::Authority};

use super::{
    body::Body,
    deadline::Deadline,
    encoding::Encoding,
    metadata::{Metadata, Slot},
    record::Record,
    status,
};

/// The head of a request, as far as a call needs it.
#[derive(Debug)]
pub struct Head {
    /// All headers; over REST also those that came as `grpc-metadata-…`.
    pub headers: HeaderMap,
    /// The language that the headers ask for.
    pub language: Language,
    /// The request's encoding, and so the answer's.
    pub encoding: Encoding,
    /// When the caller stops waiting.
    pub deadline: Deadline,
    /// Who connected, and what is noted for the log.
    pub record: Arc<Record>,
    /// What HTTP/2 has instead of the `Host` header.
    authority: Option<Authority>,
    metadata: Slot,
}

impl Head {
    /// Reads the head of a request in `encoding`, of which is noted what goes into its line in the log.
    ///
    /// # Errors
    /// The answer to a head that cannot be read: a deadline that is none.
    #[expect(clippy::result_large_err, reason = "an answer, on its way out")]
    pub fn read(parts: Parts, encoding: Encoding, record: Arc<Record>) -> Result<Arc<Self>, Response<Body>> {
        record.encoding(encoding.name());
        let mut headers = parts.headers;
        let mut is_wrapped = false;
        for (name, value) in &mut headers {
            let name = name.as_str();
            // Not for whoever prints headers.
            if name.ends_with("authorization") {
                value.set_sensitive(true);
            }
            is_wrapped |= name.starts_with(WRAPPED);
        }
        if is_wrapped && encoding == Encoding::Rest {
            unwrap_metadata(&mut headers);
        }
        let language = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let language = language.map_or(Language::En, Language::negotiate);
        match Deadline::of(&headers, encoding, record.start) {
            Ok(deadline) => {
                let (authority, metadata) = (parts.uri.into_parts().authority, Slot::default());
                Ok(Arc::new(Self { headers, encoding, deadline, language, record, authority, metadata }))
            }
            Err(error) => Err(status::draw(&error.to_status(Language::En), encoding, &record)),
        }
    }

    /// Answers with `metadata` too, be it a success or a failure. The first counts.
    pub fn answer_with(&self, metadata: Metadata) {
        self.metadata.set(metadata);
    }

    /// Runs `work`, but not beyond the deadline, draws its failure, and adds the metadata. `work` stays where it is: it is large.
    pub async fn conclude(
        &self,
        work: Pin<&mut impl Future<Output = Result<Response<Body>, Status>>>,
    ) -> Response<Body> {
        let outcome = match self.deadline.limit(work).await {
            Ok(outcome) => outcome,
            Err(exceeded) => Err(exceeded.to_status(Language::En)),
        };
        let mut response =
            outcome.unwrap_or_else(|failure| status::draw(&failure, self.encoding, &self.record));
        self.metadata.add_to(&mut response, self.encoding);
        response
    }

    /// The host that the client named: the target's, else the `Host` header's; may be empty.
    pub fn host(&self) -> Cow<'_, str> {
        match &self.authority {
            Some(authority) => authority.as_str().into(),
            None => {
                String::from_utf8_lossy(self.headers.get(header::HOST).map_or(b"", HeaderValue::as_bytes))
            }
        }
    }
}

/// What the names of headers begin with that came through grpc-gateway's way of naming them.
const WRAPPED: &str = "grpc-metadata-";

/// Over REST a header travels as `grpc-metadata-<name>` too; the plain one wins (departure D10).
fn unwrap_metadata(headers: &mut HeaderMap) {
    for (wrapped, value) in headers.clone().iter() {
        let name =
            wrapped.as_str().strip_prefix(WRAPPED).and_then(|name| name.parse::<http::HeaderName>().ok());
        if let Some(name) = name
            && !headers.contains_key(&name)
        {
            headers.insert(name, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn credentials_are_not_printed() {
        for name in ["authorization", "grpc-metadata-authorization", "proxy-authorization"] {
            let request =
                Request::builder().header(name, "Bearer sesame").header("x", "shown").body(()).unwrap();
            let head = Head::read(request.into_parts().0, Encoding::Rest, Arc::default()).unwrap();
            let printed = format!("{head:?}");
            assert!(!printed.contains("sesame") && printed.contains("shown"), "{printed}");
        }
    }
}
