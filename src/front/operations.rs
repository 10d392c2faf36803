//! URLs for those who operate the server (contract 10), and the document for those who call it.

use std::sync::Arc;

use axum::{
    Router,
    extract::{RawQuery, Request},
    routing::any,
};
use bytes::Bytes;
use domain::{Code, Error, Language};
use http::{HeaderValue, Method, Response, StatusCode, header};

use super::{
    body::Body,
    encoding::Encoding,
    health::{Health, UNKNOWN_SERVICE},
    path,
    record::Record,
    status,
};
use crate::metrics::{self, Metrics};

/// The axum router of these URLs.
pub fn router(health: &Health, metrics: &Arc<Metrics>, openapi: &'static [u8]) -> Router {
    let (ready, serving, metrics) = (health.clone(), health.clone(), metrics.clone());
    Router::new()
        .route("/debug/healthz", any(async || text(StatusCode::OK, "text/plain; charset=utf-8", "ok")))
        .route("/debug/ready", any(async move || debug_ready(&ready)))
        .route("/debug/metrics", any(async move || debug_metrics(&metrics)))
        .route("/openapi/v2/swagger.json", any(async move |method: Method| document(&method, openapi)))
        .route(
            "/healthz",
            any(async move |RawQuery(query): RawQuery, request: Request| {
                healthz(&serving, request.method(), query.as_deref().unwrap_or_default())
            }),
        )
}

fn debug_ready(health: &Health) -> Response<Body> {
    if health.is_serving() {
        text(StatusCode::OK, "application/json", "\"ok\"")
    } else {
        text(StatusCode::PRECONDITION_FAILED, "text/plain; charset=utf-8", "not ready")
    }
}

fn debug_metrics(metrics: &Metrics) -> Response<Body> {
    match metrics.text() {
        Ok(all) => text(StatusCode::OK, metrics::MEDIA_TYPE, all),
        Err(error) => {
            let refusal = Error::Internal { cause: error.to_string() }.to_status(Language::En);
            status::draw(&refusal, Encoding::Rest, &Record::default())
        }
    }
}

fn document(method: &Method, openapi: &'static [u8]) -> Response<Body> {
    if method == Method::GET || method == Method::HEAD {
        return text(StatusCode::OK, "application/json", Bytes::from_static(openapi));
    }
    let mut refusal =
        status::plain(StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented, "Method Not Allowed");
    refusal.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    refusal
}

fn healthz(health: &Health, method: &Method, query: &str) -> Response<Body> {
    if method != Method::GET {
        return status::plain(StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented, "Method Not Allowed");
    }
    let refuse =
        |error: Error| status::draw(&error.to_status(Language::En), Encoding::Rest, &Record::default());
    let fields = match path::query(query) {
        Ok(fields) => fields,
        Err(error) => return refuse(error),
    };
    let service =
        fields.iter().find(|(name, _)| name == "service").map_or("", |(_, service)| service.as_str());
    if !health.knows(service) {
        let (code, message) = UNKNOWN_SERVICE;
        return refuse(Error::protocol(code, message));
    }
    if health.is_serving() {
        text(StatusCode::OK, "application/json", "{\"status\":\"SERVING\"}\n")
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, "application/json", "{\"status\":\"NOT_SERVING\"}\n")
    }
}

fn text(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
