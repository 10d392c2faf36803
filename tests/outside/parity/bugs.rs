//! Bugs that servers have, and what they must be called.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderValue, Method};

use super::unfaithful::{
    Answer,
    Encoding::{self, ConnectJson, ConnectProto, Grpc, GrpcAtUrl, GrpcJson, Other, Rest, Web, WebText},
    Spoil,
};

/// A bug.
pub struct Bug {
    pub name: &'static str,
    /// Who must be found wrong, by the names that parity has for them.
    pub encodings: &'static [&'static str],
    /// All rules that must be found broken, and no others.
    pub rules: &'static [&'static str],
    pub spoil: Spoil,
}

const CONNECT: [Encoding; 2] = [ConnectJson, ConnectProto];

fn set(answer: &mut Answer, name: &'static str, value: &'static str) {
    if answer.headers.contains_key(name) {
        answer.headers.insert(name, HeaderValue::from_static(value));
    }
}

/// The last frame of gRPC-Web, changed.
fn web_trailers(answer: &mut Answer, change: fn(&str) -> String) {
    if answer.encoding != Web {
        return;
    }
    let mut at = 0;
    while at < answer.body.len() {
        let length = u32::from_be_bytes(answer.body[at + 1..at + 5].try_into().unwrap()) as usize;
        if answer.body[at] == 0x80 {
            let text = change(std::str::from_utf8(&answer.body[at + 5..at + 5 + length]).unwrap());
            answer.body.truncate(at);
            if !text.is_empty() {
                answer.body.push(0x80);
                answer.body.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
                answer.body.extend(text.bytes());
            }
            return;
        }
        at += 5 + length;
    }
}

/// The status of gRPC, with another content in `grpc-status-details-bin`.
fn details(answer: &mut Answer, change: fn(&mut Vec<u8>)) {
    let end = answer.end();
    if let Some(value) = end.get("grpc-status-details-bin") {
        let text = value.to_str().unwrap().trim_end_matches('=').to_owned();
        let mut bytes = base64::engine::general_purpose::STANDARD_NO_PAD.decode(text).unwrap();
        change(&mut bytes);
        end.insert("grpc-status-details-bin", STANDARD.encode(bytes).parse().unwrap());
    }
}

#[rustfmt::skip] // A row a bug.
pub const BUGS: &[Bug] = &[
    Bug { name: "no bug at all", encodings: &[], rules: &[], spoil: |_| {} },
    Bug { name: "errors of REST are all 400", encodings: &["rest"], rules: &["http-status"],
        spoil: |a| if a.encoding == Rest && a.is_error() { a.status = 400 } },
    Bug { name: "errors of REST are 200", encodings: &["rest"], rules: &["answer", "expected-code", "same-code", "unknown-fields"],
        spoil: |a| if a.encoding == Rest && a.is_error() { a.status = 200 } },
    Bug { name: "errors of Connect are 200 for those who look at the body", encodings: &["connect-json", "connect-proto"], rules: &["http-status"],
        spoil: |a| if CONNECT.contains(&a.encoding) && a.is_error() { a.status = 500 } },
    Bug { name: "a proxy answers for REST", encodings: &["rest"], rules: &["answer", "content-type"],
        spoil: |a| if a.encoding == Rest && a.is_error() { a.status = 502; set(a, "content-type", "text/html"); a.body = b"<h1>Bad gateway</h1>".to_vec() } },
    Bug { name: "REST calls its JSON text", encodings: &["rest"], rules: &["content-type"],
        spoil: |a| if a.encoding == Rest { set(a, "content-type", "text/plain; charset=utf-8") } },
    Bug { name: "gRPC-Web answers as gRPC", encodings: &["grpc-web"], rules: &["content-type"],
        spoil: |a| if a.encoding == Web { set(a, "content-type", "application/grpc") } },
    Bug { name: "REST loses details", encodings: &["rest"], rules: &["expected-details", "same-details"],
        spoil: |a| if a.encoding == Rest && a.is_error() { let text = String::from_utf8(a.body.clone()).unwrap(); let at = text.find(",\"details\"").unwrap_or(text.len() - 1); a.body = format!("{}}}", &text[..at]).into_bytes() } },
    Bug { name: "gRPC loses details", encodings: &["grpc"], rules: &["expected-details", "same-details"],
        spoil: |a| if a.encoding == Grpc { a.end().remove("grpc-status-details-bin"); } },
    Bug { name: "details of gRPC repeat another code", encodings: &["grpc"], rules: &["status-details"],
        spoil: |a| if a.encoding == Grpc { details(a, |bytes| if bytes[0] == 8 { bytes[1] = 2 }) } },
    Bug { name: "details of gRPC are broken", encodings: &["grpc"], rules: &["expected-details", "same-details", "status-details"],
        spoil: |a| if a.encoding == Grpc { details(a, |bytes| *bytes = vec![0xff]) } },
    Bug { name: "gRPC says another code", encodings: &["grpc"], rules: &["expected-code", "same-code", "status-details"],
        spoil: |a| if a.encoding == Grpc && a.end().get("grpc-status").is_some_and(|code| code == "5") { a.end().insert("grpc-status", HeaderValue::from_static("2")); } },
    Bug { name: "Connect says the text in another case", encodings: &["connect-json", "connect-proto"], rules: &["expected-message", "same-message"],
        spoil: |a| if CONNECT.contains(&a.encoding) && a.is_error() { a.replace("\"message\":\"M", "\"message\":\"m"); a.replace("\"message\":\"O", "\"message\":\"o"); } },
    Bug { name: "Connect pads details", encodings: &["connect-json", "connect-proto"], rules: &["error-body"],
        spoil: |a| if CONNECT.contains(&a.encoding) && a.is_error() { a.replace("\",\"debug\"", "==\",\"debug\""); a.replace("\"}]", "==\"}]"); } },
    Bug { name: "errors of REST have a fourth member", encodings: &["rest"], rules: &["error-body"],
        spoil: |a| if a.encoding == Rest && a.is_error() { a.replace("{\"code\"", "{\"error\":\"x\",\"code\""); } },
    Bug { name: "times of REST have an offset", encodings: &["rest"], rules: &["json-times"],
        spoil: |a| if a.encoding == Rest && !a.is_error() { a.replace("Z\"", "+00:00\""); } },
    Bug { name: "64-bit integers of Connect are numbers", encodings: &["connect-json"], rules: &["json-numbers"],
        spoil: |a| if a.encoding == ConnectJson { a.replace("\"totalResult\":\"1\"", "\"totalResult\":1"); } },
    Bug { name: "bytes of REST have no padding", encodings: &["rest"], rules: &["json-bytes"],
        spoil: |a| if a.encoding == Rest { a.replace("aGVsbG8=", "aGVsbG8"); } },
    Bug { name: "REST has names of the proto", encodings: &["rest"], rules: &["json-names"],
        spoil: |a| if a.encoding == Rest { a.replace("resourceOwner", "resource_owner"); } },
    Bug { name: "REST writes null", encodings: &["rest"], rules: &["json-defaults"],
        spoil: |a| if a.encoding == Rest && !a.is_error() { a.replace("{\"metadata\":{", "{\"metadata\":{\"details\":null,"); a.replace("\"details\":null,\"details\"", "\"details\""); a.replace("{\"details\":{\"sequence\"", "{\"details\":{\"changeDate\":null,\"sequence\""); a.replace("\"changeDate\":null,\"sequence\":\"1\",", "\"sequence\":\"1\","); } },
    Bug { name: "REST has a field more", encodings: &["rest"], rules: &["unknown-fields"],
        spoil: |a| if a.encoding == Rest && !a.is_error() { a.replace("{\"details\"", "{\"took\":1,\"details\""); } },
    Bug { name: "messages of gRPC-Web have a field more", encodings: &["grpc-web"], rules: &["unknown-fields"],
        spoil: |a| if a.encoding == Web && a.body.first() == Some(&0) { let length = a.body[4] + 3; a.body[4] = length; let at = 5 + usize::from(length) - 3; a.body.splice(at..at, [0xf8, 0x7f, 1]); } },
    Bug { name: "REST knows only ASCII", encodings: &["rest"], rules: &["expected-details", "expected-message", "expected-response", "same-details", "same-message", "same-response"],
        spoil: |a| if a.encoding == Rest { a.replace("ü", "?"); } },
    Bug { name: "REST writes a letter and its marks apart", encodings: &["rest"], rules: &["expected-response", "same-response"],
        spoil: |a| if a.encoding == Rest && !a.is_error() { a.replace("ü", "u\u{308}"); } },
    Bug { name: "gRPC drops its trailers", encodings: &["grpc"], rules: &["trailers"],
        spoil: |a| if a.encoding == Grpc { a.trailers.clear() } },
    Bug { name: "gRPC says its status before the message", encodings: &["grpc"], rules: &["trailers"],
        spoil: |a| if a.encoding == Grpc && !a.trailers.is_empty() { a.headers.extend(std::mem::take(&mut a.trailers)) } },
    Bug { name: "gRPC-Web has no last frame", encodings: &["grpc-web"], rules: &["trailers"],
        spoil: |a| web_trailers(a, |_| String::new()) },
    Bug { name: "gRPC-Web has trailers in upper case", encodings: &["grpc-web"], rules: &["trailers"],
        spoil: |a| web_trailers(a, |text| text.replace("grpc-status", "Grpc-Status")) },
    Bug { name: "gRPC-Web text has no padding", encodings: &["grpc-web-text"], rules: &["text-padding"],
        spoil: |a| if a.encoding == WebText { while a.body.last() == Some(&b'=') { a.body.pop(); } } },
    Bug { name: "gRPC writes texts as they are", encodings: &["grpc"], rules: &["message-escapes"],
        spoil: |a| if a.encoding == Grpc && let Some(text) = a.end().get("grpc-message").cloned() { a.end().insert("grpc-message", HeaderValue::from_bytes(text.to_str().unwrap().replace("%C3%BC", "ü").as_bytes()).unwrap()); } },
    Bug { name: "gRPC sends a message twice", encodings: &["grpc"], rules: &["envelope"],
        spoil: |a| if a.encoding == Grpc { a.body = a.body.repeat(2) } },
    Bug { name: "gRPC says that a message is compressed", encodings: &["grpc"], rules: &["envelope"],
        spoil: |a| if a.encoding == Grpc && let Some(flag) = a.body.first_mut() { *flag = 1 } },
    Bug { name: "gRPC breaks off", encodings: &["grpc"], rules: &["answer"],
        spoil: |a| if a.encoding == Grpc { a.body.pop(); } },
    Bug { name: "gRPC has lost the message", encodings: &["grpc"], rules: &["expected-response", "same-response"],
        spoil: |a| if a.encoding == Grpc && !a.body.is_empty() { a.body = vec![0; 5] } },
    Bug { name: "REST drops a header", encodings: &["rest"], rules: &["same-headers"],
        spoil: |a| if a.encoding == Rest { a.headers.remove("cache-control"); } },
    Bug { name: "Connect forgets other origins", encodings: &["connect-json", "connect-proto"], rules: &["cors"],
        spoil: |a| if CONNECT.contains(&a.encoding) { a.headers.remove("access-control-allow-origin"); } },
    Bug { name: "preflights allow no headers", encodings: &["rest", "grpc-web", "grpc-web-text", "connect-json", "connect-proto"], rules: &["cors-preflight"],
        spoil: |a| if a.encoding == Other && a.method == Method::OPTIONS { a.headers.remove("access-control-allow-headers"); } },
];

/// Bugs of encodings that not every server has.
#[rustfmt::skip]
pub const VARIANTS: &[Bug] = &[
    Bug { name: "no bug at all", encodings: &[], rules: &[], spoil: |_| {} },
    Bug { name: "gRPC's JSON has times with an offset", encodings: &["grpc-json"], rules: &["json-times"],
        spoil: |a| if a.encoding == GrpcJson { a.replace_in_frame("Z\"", "+00:00\"") } },
    Bug { name: "gRPC's JSON calls itself gRPC", encodings: &["grpc-json"], rules: &["content-type"],
        spoil: |a| if a.encoding == GrpcJson { set(a, "content-type", "application/grpc") } },
    Bug { name: "gRPC at a URL says another code", encodings: &["grpc-at-url"], rules: &["expected-code", "same-code", "status-details"],
        spoil: |a| if a.encoding == GrpcAtUrl && a.end().get("grpc-status").is_some_and(|code| code == "5") { a.end().insert("grpc-status", HeaderValue::from_static("2")); } },
];

/// Bugs of an API whose counts have names.
#[rustfmt::skip]
pub const ENUMS: &[Bug] = &[
    Bug { name: "no bug at all", encodings: &[], rules: &[],
        spoil: |a| { a.replace("\"totalResult\":\"1\"", "\"totalResult\":\"ONE\""); } },
    Bug { name: "enums of REST are numbers", encodings: &["rest"], rules: &["json-enums"],
        spoil: |a| { let name = if a.encoding == Rest { "1" } else { "\"ONE\"" }; a.replace("\"totalResult\":\"1\"", &format!("\"totalResult\":{name}")); } },
];

/// Bugs that show when a message is too large.
#[rustfmt::skip]
pub const LARGE: &[Bug] = &[
    Bug { name: "no bug at all", encodings: &[], rules: &[], spoil: |_| {} },
    Bug { name: "too large a message is an invalid one to REST", encodings: &["rest"], rules: &["expected-code", "same-code"],
        spoil: |a| if a.encoding == Rest && a.is_error() { a.status = 400; a.replace("\"code\":8", "\"code\":3"); } },
];
