//! What a method adds to its answer besides the message: headers and trailers, in whatever place its encoding has for
//! them.

use std::sync::OnceLock;

use http::{HeaderMap, HeaderName, HeaderValue, Response, header};

use super::{body::Body, encoding::Encoding};

/// Headers and trailers of an answer. They never replace what the front door says itself.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// What comes before the message.
    pub headers: HeaderMap,
    /// What comes behind it.
    pub trailers: HeaderMap,
}

/// The metadata of an answer, once the method has said what it is.
#[derive(Debug, Default)]
pub struct Slot(OnceLock<Box<Metadata>>);

impl Slot {
    /// Answers with `metadata`, be it a success or a failure. The first counts.
    pub fn set(&self, metadata: Metadata) {
        let _ = self.0.set(Box::new(metadata));
    }

    /// Adds the metadata to an answer in `encoding`.
    pub fn add_to(&self, response: &mut Response<Body>, encoding: Encoding) {
        let Some(Metadata { headers, trailers }) = self.0.get().map(Box::as_ref) else { return };
        let into = response.headers_mut();
        let own = into.clone();
        let mut append = |metadata, prefix| append(into, metadata, prefix, &own);
        match encoding {
            // As grpc-gateway does, which has no place for trailers but these.
            Encoding::Rest => {
                append(headers, "grpc-metadata-");
                append(trailers, "grpc-trailer-");
            }
            Encoding::Connect(_) => {
                append(headers, "");
                append(trailers, "trailer-");
            }
            Encoding::Grpc(_) | Encoding::Web(_) | Encoding::WebText(_) => {
                append(headers, "");
                if own.contains_key("grpc-status") {
                    // There is no body that trailers could follow.
                    append(trailers, "");
                } else if let Some(into) = response.body_mut().trailers_mut() {
                    let own = into.clone();
                    self::append(into, trailers, "", &own);
                }
            }
        }
    }
}

/// Announces the trailers of a gRPC answer over HTTP/1.1: hyper sends no others.
pub fn announce_trailers(response: &mut Response<Body>) {
    const NAMES: &str = "grpc-status, grpc-message, grpc-status-details-bin";
    let own = response.body().trailers().into_iter().flat_map(HeaderMap::keys).map(HeaderName::as_str);
    let more: String = own
        .filter(|name| !NAMES.split(", ").any(|known| known == *name))
        .map(|name| format!(", {name}"))
        .collect();
    let names = match more.as_str() {
        "" => Ok(HeaderValue::from_static(NAMES)),
        more => HeaderValue::try_from(format!("{NAMES}{more}")),
    };
    // Names of headers are always a value of one.
    if let Ok(names) = names {
        response.headers_mut().insert(header::TRAILER, names);
    }
}

/// Appends all of `from`, with `prefix` before the names, but those that are in `own`.
fn append(into: &mut HeaderMap, from: &HeaderMap, prefix: &str, own: &HeaderMap) {
    for (name, value) in from {
        let name = match prefix {
            "" => Ok(name.clone()),
            _ => HeaderName::try_from(format!("{prefix}{name}")),
        };
        if let Ok(name) = name
            && !own.contains_key(&name)
        {
            into.append(name, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::front::ConnectCodec;

    fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    fn slot() -> Slot {
        let slot = Slot::default();
        let headers = map(&[("a", "1"), ("a", "2"), ("both", "3"), ("content-type", "x")]);
        slot.set(Metadata {
            headers,
            trailers: map(&[("both", "4"), ("grpc-status", "9"), ("status", "5")]),
        });
        slot.set(Metadata { headers: map(&[("a", "too late")]), trailers: HeaderMap::new() });
        slot
    }

    fn response(own: &[(&'static str, &str)], body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.headers_mut() = map(own);
        response
    }

    #[test]
    fn every_encoding_has_a_place_for_it() {
        let own = [("content-type", "own")];
        for (encoding, want) in [
            (
                Encoding::Rest,
                &[
                    ("content-type", "own"),
                    ("grpc-metadata-a", "1"),
                    ("grpc-metadata-a", "2"),
                    ("grpc-metadata-both", "3"),
                    ("grpc-metadata-content-type", "x"),
                    ("grpc-trailer-both", "4"),
                    ("grpc-trailer-grpc-status", "9"),
                    ("grpc-trailer-status", "5"),
                ][..],
            ),
            (
                Encoding::Connect(ConnectCodec::Json),
                &[
                    ("content-type", "own"),
                    ("a", "1"),
                    ("a", "2"),
                    ("both", "3"),
                    ("trailer-both", "4"),
                    ("trailer-grpc-status", "9"),
                    ("trailer-status", "5"),
                ],
            ),
        ] {
            let mut response = response(&own, Body::empty());
            slot().add_to(&mut response, encoding);
            assert_eq!(*response.headers(), map(want), "{encoding:?}");
        }
    }

    #[test]
    fn a_failure_without_a_body_has_all_of_it_in_its_headers() {
        for encoding in [Encoding::Grpc("application/grpc"), Encoding::Web("application/grpc-web")] {
            let mut response = response(&[("content-type", "own"), ("grpc-status", "5")], Body::empty());
            slot().add_to(&mut response, encoding);
            let want = [
                ("content-type", "own"),
                ("grpc-status", "5"),
                ("a", "1"),
                ("a", "2"),
                ("both", "3"),
                ("both", "4"),
                ("status", "5"),
            ];
            assert_eq!(*response.headers(), map(&want));
        }
    }

    #[tokio::test]
    async fn trailers_stand_with_the_status_and_are_announced() {
        let body = Body::from("message").with_trailers(map(&[("grpc-status", "0")]));
        let mut response = response(&[("content-type", "own")], body);
        slot().add_to(&mut response, Encoding::Grpc("application/grpc"));
        announce_trailers(&mut response);
        let names = "grpc-status, grpc-message, grpc-status-details-bin, both, status";
        assert_eq!(response.headers()["trailer"], names);
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(*body.trailers().unwrap(), map(&[("grpc-status", "0"), ("both", "4"), ("status", "5")]));
        assert_eq!(body.to_bytes(), "message");
    }
}
