//! One line a request.

use http::{Method, StatusCode, Uri};

use super::head::Record;

/// Writes the line of a request that was answered with `status`. Never a header's value but the request id, never a
/// query, never a body.
pub fn write(method: &Method, uri: &Uri, status: StatusCode, record: &Record) {
    let [rpc, encoding, organization, caller] = record.names();
    let duration_us = u64::try_from(record.start.elapsed().as_micros()).unwrap_or(u64::MAX);
    tracing::info!(
        target: "metagate::access",
        method = method.as_str(),
        path = uri.path(),
        rpc,
        encoding,
        status = status.as_u16(),
        grpc_code = record.code(),
        organization,
        caller,
        duration_us,
        request_id = record.request_id(),
        "request"
    );
}
