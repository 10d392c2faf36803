//! Messages made up from their descriptors: values at the edges of each type, and around declared limits.

use base64::{Engine, engine::general_purpose::STANDARD};
use fastrand::Rng;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::limits;

/// Messages within messages.
const DEPTH_MAX: usize = 4;

/// Texts that servers and their libraries stumble over.
const TEXTS: [&str; 24] = [
    "",
    "a",
    "A",
    " ",
    " a ",
    "ä",
    "a\u{308}",
    "ß",
    "😀",
    "👩‍👩‍👧",
    "\u{202e}abc",
    "\u{feff}",
    "\u{fffd}",
    "\0",
    "a\nb",
    "\"\\/",
    "%",
    "%2F",
    "a/b",
    "..",
    "a+b c",
    "?a=b&c#d",
    "_search",
    "$5",
];

/// A message as JSON.
pub(super) fn message(rng: &mut Rng, descriptor: &MessageDescriptor) -> Value {
    nested(rng, descriptor, 0)
}

fn nested(rng: &mut Rng, descriptor: &MessageDescriptor, depth: usize) -> Value {
    if let Some(value) = well_known(rng, descriptor) {
        return value;
    }
    let mut members = Map::new();
    let mut taken = Vec::new();
    let mut fields: Vec<_> = descriptor.fields().collect();
    rng.shuffle(&mut fields);
    for field in fields {
        let is_deep = depth >= DEPTH_MAX && matches!(field.kind(), Kind::Message(_));
        if is_deep || rng.u8(..10) < 3 {
            continue;
        }
        if let Some(oneof) = field.containing_oneof() {
            if taken.contains(&oneof.full_name().to_owned()) {
                continue;
            }
            taken.push(oneof.full_name().to_owned());
        }
        members.insert(field.json_name().to_owned(), value(rng, &field, depth));
    }
    members.into()
}

fn value(rng: &mut Rng, field: &FieldDescriptor, depth: usize) -> Value {
    let kind = field.kind();
    if let (true, Kind::Message(entry)) = (field.is_map(), &kind) {
        let (key, inside) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        let entries = (0..rng.usize(..3)).map(|_| {
            let name = match one(rng, &key, &key.kind(), depth) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            (name, one(rng, &inside, &inside.kind(), depth + 1))
        });
        return entries.collect::<Map<_, _>>().into();
    }
    if field.is_list() {
        let count = if rng.u8(..20) == 0 { 50 } else { rng.usize(..4) };
        return (0..count).map(|_| one(rng, field, &kind, depth + 1)).collect();
    }
    one(rng, field, &kind, depth + 1)
}

fn one(rng: &mut Rng, field: &FieldDescriptor, kind: &Kind, depth: usize) -> Value {
    match kind {
        Kind::Message(descriptor) => nested(rng, descriptor, depth),
        Kind::Bool => rng.bool().into(),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            pick(rng, &[0, 1, -1, 2, 100, i32::MAX, i32::MIN]).into()
        }
        Kind::Uint32 | Kind::Fixed32 => pick(rng, &[0, 1, 2, 100, 1000, 1001, 0x7fff_ffff, u32::MAX]).into(),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            pick(rng, &[0, 1, -1, 1 << 53, (1 << 53) + 1, i64::MAX, i64::MIN]).to_string().into()
        }
        Kind::Uint64 | Kind::Fixed64 => {
            pick(rng, &[0, 1, 2, 1000, (1 << 53) + 1, 1 << 63, u64::MAX]).to_string().into()
        }
        Kind::Float => {
            pick(rng, &[json!(0), json!(-0.0), json!(1.5), json!(3.0e38), json!("NaN"), json!("-Infinity")])
        }
        Kind::Double => pick(
            rng,
            &[json!(0), json!(0.1), json!(-1.0e308), json!(5.0e-324), json!("NaN"), json!("Infinity")],
        ),
        Kind::Enum(descriptor) => {
            let values: Vec<_> = descriptor.values().map(|value| Value::from(value.name())).collect();
            if rng.u8(..8) == 0 { json!(9999) } else { pick(rng, &values) }
        }
        Kind::String => text(rng, &limits::lengths(field, "string")).into(),
        Kind::Bytes => {
            let mut lengths = limits::lengths(field, "bytes");
            lengths.extend([0, 1, 2, 3, 255]);
            let length = around(rng, &lengths);
            STANDARD.encode((0..length).map(|index| (index % 251) as u8 ^ 0xa5).collect::<Vec<u8>>()).into()
        }
    }
}

/// A text: one that is hard, one of a length at the edge, or one that no other encoding uses.
fn text(rng: &mut Rng, limits: &[u64]) -> String {
    let base = pick(rng, &TEXTS);
    match rng.u8(..4) {
        0 => base.to_owned(),
        1 if !limits.is_empty() => {
            let unit = pick(rng, &["x", "ä", "😀"]);
            unit.repeat(around(rng, limits))
        }
        _ => format!("${{run}}{base}"),
    }
}

/// One of the lengths, or the next to it.
fn around(rng: &mut Rng, lengths: &[u64]) -> usize {
    let length = pick(rng, lengths);
    let length = pick(rng, &[length.saturating_sub(1), length, length + 1]);
    usize::try_from(length).unwrap_or(usize::MAX)
}

fn pick<T: Clone>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())].clone()
}

/// Messages that JSON has a form of its own for.
fn well_known(rng: &mut Rng, descriptor: &MessageDescriptor) -> Option<Value> {
    Some(match descriptor.full_name() {
        "google.protobuf.Timestamp" => {
            let times = [
                "1970-01-01T00:00:00Z",
                "0001-01-01T00:00:00Z",
                "9999-12-31T23:59:59.999999999Z",
                "2024-02-29T12:00:00.100Z",
            ];
            pick(rng, &times).into()
        }
        "google.protobuf.Duration" => {
            pick(rng, &["0s", "1s", "-1.500s", "315576000000s", "0.000000001s"]).into()
        }
        "google.protobuf.FieldMask" => pick(rng, &["", "a", "a.b,c"]).into(),
        "google.protobuf.Struct" => {
            pick(rng, &[json!({}), json!({"a": 1, "b": [null, true], "c": {"d": "ä"}})])
        }
        "google.protobuf.Value" => pick(rng, &[json!(1), json!("a"), json!([1, "b"]), json!({"a": false})]),
        "google.protobuf.ListValue" => pick(rng, &[json!([]), json!([1, "a", null])]),
        "google.protobuf.BoolValue" => rng.bool().into(),
        "google.protobuf.StringValue" => pick(rng, &TEXTS).into(),
        "google.protobuf.BytesValue" => pick(rng, &["", "AA==", "AAE="]).into(),
        "google.protobuf.Int32Value" | "google.protobuf.UInt32Value" => pick(rng, &[0, 1, i32::MAX]).into(),
        "google.protobuf.Int64Value" | "google.protobuf.UInt64Value" => {
            pick(rng, &["0", "1", "9223372036854775807"]).into()
        }
        "google.protobuf.FloatValue" | "google.protobuf.DoubleValue" => {
            pick(rng, &[json!(0), json!(1.5), json!("NaN")])
        }
        "google.protobuf.Any" => json!({}),
        _ => return None,
    })
}
