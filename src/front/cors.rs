//! Cross-origin requests: any origin, one allow-list for every path (contract 7.5, departure D14).

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};

use super::body::Body;

const ALLOWED_METHODS: [&str; 7] = ["OPTIONS", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

const ALLOWED_HEADERS: [&str; 13] = [
    "origin",
    "content-type",
    "accept",
    "accept-language",
    "authorization",
    "x-zitadel-orgid",
    "x-user-agent",
    "x-grpc-web",
    "x-requested-with",
    "connect-protocol-version",
    "connect-timeout-ms",
    "grpc-timeout",
    "u-a",
];

const EXPOSED_HEADERS: &str =
    "Location, Content-Length, Grpc-Status, Grpc-Message, Grpc-Status-Details-Bin, X-Request-Id";

const PREFLIGHT_VARY: &str = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

/// How long a browser may remember a preflight, in seconds.
const MAX_AGE_SECONDS: &str = "600";

/// The answer to a preflight; `None` if the request is none.
pub fn preflight<B>(request: &Request<B>) -> Option<Response<Body>> {
    let asked = request.headers();
    let method = asked.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    if request.method() != Method::OPTIONS {
        return None;
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static(PREFLIGHT_VARY));
    let Some(origin) = asked.get(header::ORIGIN) else { return Some(response) };
    if !ALLOWED_METHODS.iter().any(|allowed| method == *allowed) || !all_allowed(asked) {
        return Some(response);
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, method.clone());
    for names in asked.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.append(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE_SECONDS));
    Some(response)
}

/// Lets scripts of `origin` read an answer that is no preflight's.
pub fn expose(origin: Option<HeaderValue>, headers: &mut HeaderMap) {
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
}

fn all_allowed(asked: &HeaderMap) -> bool {
    asked.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS).iter().all(|names| {
        names.to_str().is_ok_and(|names| {
            let mut names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
            names.all(|name| ALLOWED_HEADERS.iter().any(|allowed| name.eq_ignore_ascii_case(allowed)))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preflights() {
        for (method, names, allowed) in [
            ("POST", "authorization,content-type", true),
            ("POST", "Content-Type, AUTHORIZATION , x-grpc-web", true),
            ("POST", "grpc-timeout,x-grpc-web", true),
            ("DELETE", "", true),
            ("post", "", false),
            ("TRACE", "", false),
            ("POST", "x-zitadel-instance-host", false),
            ("POST", "authorization,x-other", false),
        ] {
            let request = Request::options("/")
                .header("origin", "https://a.example")
                .header("access-control-request-method", method)
                .header("access-control-request-headers", names)
                .body(())
                .unwrap();
            let response = preflight(&request).unwrap();
            assert_eq!(response.status(), StatusCode::NO_CONTENT);
            let headers = response.headers();
            if allowed {
                assert_eq!(headers["access-control-allow-origin"], "https://a.example");
                assert_eq!(headers["access-control-allow-methods"], method);
                assert_eq!(headers["access-control-allow-headers"], names);
                assert_eq!(headers["access-control-max-age"], "600");
            } else {
                let allows = headers.keys().filter(|name| name.as_str().starts_with("access-control"));
                assert_eq!(allows.count(), 0, "{method} {names:?}");
            }
        }
    }

    #[test]
    fn only_options_with_a_method_is_a_preflight() {
        let get = Request::get("/").header("access-control-request-method", "GET").body(()).unwrap();
        assert!(preflight(&get).is_none());
        assert!(preflight(&Request::options("/").body(()).unwrap()).is_none());
    }
}
