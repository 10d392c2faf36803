//! Messages in JSON: read to the canonical form, with a finding for all that was not.

use prost_reflect::{
    Cardinality, DeserializeOptions, DynamicMessage, Kind, MessageDescriptor, ReflectMessage, Value as Field,
};
use serde_json::Value;

use crate::rule::{Finding, Rule};

/// A message's canonical JSON, from JSON that may be another.
pub(crate) fn read(
    descriptor: &MessageDescriptor,
    given: &Value,
    place: &str,
    findings: &mut Vec<Finding>,
) -> Result<Value, String> {
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let message = DynamicMessage::deserialize_with_options(descriptor.clone(), given, &options)
        .map_err(|error| format!("no {}: {error}", descriptor.full_name()))?;
    let canonical = write(&message, place, findings)?;
    judge(descriptor, given, &canonical, place, findings);
    Ok(canonical)
}

/// A message's canonical JSON.
pub(crate) fn write(
    message: &DynamicMessage,
    place: &str,
    findings: &mut Vec<Finding>,
) -> Result<Value, String> {
    if let Some(path) = unknown(message) {
        findings.push(Finding::new(
            Rule::UnknownFields,
            place,
            format!(
                "{} has fields that its descriptor does not know",
                join(message.descriptor().full_name(), &path)
            ),
        ));
    }
    serde_json::to_value(message)
        .map_err(|error| format!("{} has no JSON: {error}", message.descriptor().full_name()))
}

/// The path to the first message that holds unknown fields.
fn unknown(message: &DynamicMessage) -> Option<String> {
    if message.unknown_fields().next().is_some() {
        return Some(String::new());
    }
    message.fields().find_map(|(field, value)| {
        let inside = match value {
            Field::Message(inner) => unknown(inner),
            Field::List(items) => items.iter().filter_map(Field::as_message).find_map(unknown),
            Field::Map(entries) => entries.values().filter_map(Field::as_message).find_map(unknown),
            _ => None,
        };
        inside.map(|path| join(field.json_name(), &path))
    })
}

/// Compares JSON as it came with what it means, message by message.
fn judge(
    descriptor: &MessageDescriptor,
    given: &Value,
    canonical: &Value,
    place: &str,
    findings: &mut Vec<Finding>,
) {
    if descriptor.full_name().starts_with("google.protobuf.") {
        let is_time = matches!(descriptor.name(), "Timestamp" | "Duration");
        if given != canonical && is_time {
            findings.push(Finding::new(Rule::JsonTimes, place, format!("{given} instead of {canonical}")));
        }
        return;
    }
    let Some(members) = given.as_object() else { return };
    for (name, value) in members {
        let place = join(place, name);
        let mut found = |rule, text: String| findings.push(Finding::new(rule, &place, text));
        let by_json_name = descriptor.get_field_by_json_name(name);
        let Some(field) = by_json_name.clone().or_else(|| descriptor.get_field_by_name(name)) else {
            found(Rule::UnknownFields, format!("{} has no field {name}", descriptor.full_name()));
            continue;
        };
        if by_json_name.is_none() {
            found(Rule::JsonNames, format!("{name} instead of {}", field.json_name()));
        }
        let Some(wanted) = canonical.get(field.json_name()) else {
            found(Rule::JsonDefaults, format!("{name} has no value, and is written as {value}"));
            continue;
        };
        match (field.is_map(), field.cardinality(), field.kind()) {
            (true, _, Kind::Message(entry)) => {
                let kind = entry.map_entry_value_field().kind();
                for (key, value) in value.as_object().into_iter().flatten() {
                    judge_value(&kind, value, wanted.get(key), &join(&place, key), findings);
                }
            }
            (false, Cardinality::Repeated, kind) => {
                for (index, value) in value.as_array().into_iter().flatten().enumerate() {
                    judge_value(&kind, value, wanted.get(index), &join(&place, &index.to_string()), findings);
                }
            }
            (_, _, kind) => judge_value(&kind, value, Some(wanted), &place, findings),
        }
    }
}

/// Compares one value with what it means.
fn judge_value(
    kind: &Kind,
    given: &Value,
    canonical: Option<&Value>,
    place: &str,
    findings: &mut Vec<Finding>,
) {
    let Some(canonical) = canonical else { return };
    let rule = match kind {
        Kind::Message(descriptor) => return judge(descriptor, given, canonical, place, findings),
        Kind::Bytes => Rule::JsonBytes,
        Kind::Enum(_) => Rule::JsonEnums,
        _ => Rule::JsonNumbers,
    };
    if given != canonical {
        findings.push(Finding::new(rule, place, format!("{given} instead of {canonical}")));
    }
}

fn join(place: &str, name: &str) -> String {
    match (place.is_empty(), name.is_empty()) {
        (true, _) => name.to_owned(),
        (_, true) => place.to_owned(),
        _ => format!("{place}.{name}"),
    }
}
