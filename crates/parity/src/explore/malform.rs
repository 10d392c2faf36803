//! Bytes that are no message, or not one in its usual form.

use fastrand::Rng;
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor, ReflectMessage};
use serde_json::Value;

use super::Raw;

/// Something near the message, in JSON or in protobuf.
pub(super) fn raw(rng: &mut Rng, method: &MethodDescriptor, message: &Value) -> Option<Raw> {
    let filled: Value = serde_json::from_str(&message.to_string().replace("${run}", "r")).ok()?;
    let message = DynamicMessage::deserialize(method.input(), filled).ok()?;
    if rng.bool() { json(rng, &message) } else { protobuf(rng, &message) }
}

fn json(rng: &mut Rng, message: &DynamicMessage) -> Option<Raw> {
    let text = serde_json::to_string(message).ok()?;
    let inside = text.strip_prefix('{')?.strip_suffix('}')?;
    let comma = if inside.is_empty() { "" } else { "," };
    let first = message
        .descriptor()
        .fields()
        .next()
        .map_or_else(|| "x".to_owned(), |field| field.json_name().to_owned());
    let snake = message.descriptor().fields().find(|field| field.name() != field.json_name());
    let (what, text) = match rng.u8(..12) {
        0 => ("broken-off JSON", text[..text.floor_char_boundary(rng.usize(..text.len()))].to_owned()),
        1 => ("an unknown field in JSON", format!("{{{inside}{comma}\"nobodyKnowsThis\":1}}")),
        2 => ("a field twice in JSON", format!("{{\"{first}\":null,{inside}{comma}\"{first}\":null}}")),
        3 => ("a list for a message", format!("[{text}]")),
        4 => ("null for a message", "null".to_owned()),
        5 => ("an empty body", String::new()),
        6 => ("something behind the JSON", format!("{text} x")),
        7 => ("a field of another type in JSON", format!("{{\"{first}\":{{\"a\":[1]}}}}")),
        8 => ("a field that is null in JSON", format!("{{\"{first}\":null}}")),
        9 => ("spaces around the JSON", format!(" \n\t{text}\r\n ")),
        10 => ("half a surrogate in JSON", format!("{{\"{first}\":\"\\ud800\"}}")),
        _ => {
            let field = snake?;
            let name = format!("\"{}\":", field.json_name());
            ("names of the proto in JSON", text.replace(&name, &format!("\"{}\":", field.name())))
        }
    };
    let mut bytes = text.into_bytes();
    if rng.u8(..12) == 0 {
        bytes = format!("{{\"{first}\":\"").into_bytes();
        bytes.extend(b"\xff\"}");
        return Some(Raw { what: "JSON that is no UTF-8", bytes, is_json: true });
    }
    Some(Raw { what, bytes, is_json: true })
}

fn protobuf(rng: &mut Rng, message: &DynamicMessage) -> Option<Raw> {
    let mut bytes = message.encode_to_vec();
    let first = message.descriptor().fields().next()?.number();
    let mut key = Vec::new();
    let what = match rng.u8(..8) {
        0 if !bytes.is_empty() => {
            bytes.truncate(rng.usize(..bytes.len()));
            "broken-off protobuf"
        }
        1 => {
            // Field 1999, a varint of 1.
            bytes.extend([0xf8, 0x7c, 1]);
            "an unknown field in protobuf"
        }
        2 => {
            bytes.extend(bytes.clone());
            "every field twice in protobuf"
        }
        3 => {
            prost::encoding::encode_key(first, prost::encoding::WireType::Varint, &mut key);
            bytes.extend(key);
            bytes.push(1);
            "a field of another wire type"
        }
        4 => {
            prost::encoding::encode_key(first, prost::encoding::WireType::LengthDelimited, &mut key);
            bytes.extend(key);
            bytes.extend([2, 0xff, 0xfe]);
            "text that is no UTF-8 in protobuf"
        }
        5 => {
            bytes.extend([0xff; 11]);
            "a number that does not end in protobuf"
        }
        6 => {
            // A group that begins and does not end.
            bytes.push(0x0b);
            "an open group in protobuf"
        }
        _ => {
            bytes.push(0);
            "a field of number 0 in protobuf"
        }
    };
    Some(Raw { what, bytes, is_json: false })
}
