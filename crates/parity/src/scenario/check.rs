//! What can be told to be wrong before anything is sent, with its place.

use std::collections::BTreeSet;

use prost_reflect::{
    Cardinality, DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor,
};
use serde_json::{Value, json};

use super::{
    At, Node,
    template::{self, Variables},
};
use crate::api::distance;

/// Whether a message's members are fields, and what can be known of their values fits. `known` is for the members' names.
///
/// # Errors
/// With the place of the first that does not.
pub(super) fn message(
    descriptor: &MessageDescriptor,
    node: &At<Node>,
    known: &Variables,
) -> Result<(), At<String>> {
    let full_name = descriptor.full_name();
    match &node.value {
        Node::Null => Ok(()),
        _ if full_name.starts_with("google.protobuf.") => whole(descriptor, node),
        Node::Text(text) if text.contains("${") => Ok(()),
        Node::Map(members) => members.iter().try_for_each(|(name, value)| {
            // Only the run tells what it is.
            let Ok(filled) = template::fill_text(name, known) else { return Ok(()) };
            let filled = template::text_of(&filled);
            let by_name = || descriptor.get_field_by_name(&filled);
            let Some(found) = descriptor.get_field_by_json_name(&filled).or_else(by_name) else {
                let alike = descriptor.fields().map(|field| field.json_name().to_owned());
                let alike = alike.min_by_key(|other| distance(&filled, other));
                let hint = alike.map_or_else(String::new, |other| format!("; did you mean {other}?"));
                return Err(name.with(format!("{full_name} has no field {filled}{hint}")));
            };
            field(descriptor, &found, value, known)
        }),
        _ => Err(node.with(format!("{full_name} is a message: it has members"))),
    }
}

fn field(
    parent: &MessageDescriptor,
    field: &FieldDescriptor,
    node: &At<Node>,
    known: &Variables,
) -> Result<(), At<String>> {
    if is_open(node) {
        return Ok(());
    }
    let value = |kind: &Kind, node: &At<Node>, name: &str| match kind {
        Kind::Message(descriptor) => message(descriptor, node, known),
        _ => scalar(parent, name, node),
    };
    match (&node.value, field.kind()) {
        (Node::Map(entries), Kind::Message(entry)) if field.is_map() => {
            let kind = entry.map_entry_value_field().kind();
            entries.iter().try_for_each(|(_, entry)| match &kind {
                Kind::Message(descriptor) => message(descriptor, entry, known),
                _ => Ok(()),
            })
        }
        (Node::List(items), kind) if field.cardinality() == Cardinality::Repeated => {
            items.iter().try_for_each(|item| match &kind {
                Kind::Message(descriptor) => message(descriptor, item, known),
                _ => repeated(parent, field.json_name(), item),
            })
        }
        (_, kind) => value(&kind, node, field.json_name()),
    }
}

/// Whether only the run will tell what it is.
fn is_open(node: &At<Node>) -> bool {
    matches!(&node.value, Node::Text(text) if text.contains("${"))
}

fn scalar(parent: &MessageDescriptor, name: &str, node: &At<Node>) -> Result<(), At<String>> {
    tried(parent, node, |value| json!({ name: value }))
}

fn repeated(parent: &MessageDescriptor, name: &str, node: &At<Node>) -> Result<(), At<String>> {
    tried(parent, node, |value| json!({ name: [value] }))
}

fn whole(descriptor: &MessageDescriptor, node: &At<Node>) -> Result<(), At<String>> {
    tried(descriptor, node, |value| value)
}

/// Reads a value as part of a message, if nothing in it is open.
fn tried(
    descriptor: &MessageDescriptor,
    node: &At<Node>,
    place: impl Fn(Value) -> Value,
) -> Result<(), At<String>> {
    if !names_of(node)?.is_empty() {
        return Ok(());
    }
    let value = template::fill(node, &Variables::new())?;
    DynamicMessage::deserialize_with_options(descriptor.clone(), place(value), &DeserializeOptions::new())
        .map(drop)
        .map_err(|error| node.with(error.to_string()))
}

/// The variables that a value asks for.
fn names_of(node: &At<Node>) -> Result<Vec<At<String>>, At<String>> {
    let (mut texts, mut all) = (Vec::new(), Vec::new());
    collect(node, &mut texts);
    for text in texts {
        let names = template::names(&text).map_err(|error| text.with(error))?;
        all.extend(names.into_iter().map(|name| text.with(name)));
    }
    Ok(all)
}

/// Every text of a value, keys included.
fn collect(node: &At<Node>, texts: &mut Vec<At<String>>) {
    match &node.value {
        Node::Text(text) => texts.push(node.with(text.clone())),
        Node::List(items) => items.iter().for_each(|item| collect(item, texts)),
        Node::Map(members) => {
            for (name, value) in members {
                texts.push(name.clone());
                collect(value, texts);
            }
        }
        _ => {}
    }
}

/// What can be asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Variables that there are.
    pub(super) names: BTreeSet<String>,
    /// Variables that must be given, and are not.
    pub(super) missing: BTreeSet<String>,
}

/// Whether all variables that a value asks for will be there.
///
/// # Errors
/// With the place of the text that asks for another, or cannot be parsed.
pub(super) fn known(node: &At<Node>, known: &Known) -> Result<(), At<String>> {
    for name in names_of(node)? {
        if !known.names.contains(&name.value) {
            if known.missing.contains(&name.value) {
                return Err(
                    name.with(format!("the variable {0} must be given: --variable {0}=…", name.value))
                );
            }
            let alike = known.names.iter().min_by_key(|other| distance(&name, other));
            let near = alike.filter(|other| distance(&name, other) <= 2);
            let hint = near.map_or_else(String::new, |other| format!("; did you mean {other}?"));
            return Err(name.with(format!("there is no variable {}{hint}", name.value)));
        }
    }
    Ok(())
}
