//! Scenarios that were made up, as a file that can be read and made again.

use std::fmt::Write;

use crate::{
    dialect::Encoding,
    place::Place,
    scenario::{Body, Node, Scenario, Step},
};

/// The beginning of a file: what an API's scenarios need besides themselves.
pub fn head(types: &[String], rest_prefixes: &[(String, String)]) -> String {
    let prefixes = rest_prefixes.iter().map(|(service, prefix)| (text(service), text(prefix)));
    let mut head = String::new();
    line(&mut head, "types", &list(types.iter().map(|name| text(name))));
    line(&mut head, "rest_prefixes", &map(prefixes));
    head + "scenarios:\n"
}

/// A scenario's lines, for below [`head`].
pub fn scenario(scenario: &Scenario) -> String {
    let mut lines = format!("  - name: {}\n    steps:\n", plain(&scenario.name));
    for step in &scenario.steps {
        write(&mut lines, step);
    }
    lines
}

fn write(lines: &mut String, step: &Step) {
    let rpc = format!("{}/{}", step.method.parent_service().full_name(), step.method.name());
    let places = |places: &[Place]| list(places.iter().map(|place| text(&place.to_string())));
    let raw = step.raw.iter().filter(|(encoding, _)| !inherits(**encoding)).map(|(encoding, body)| {
        let body = match body {
            Body::Bytes(bytes) => {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{{hex: {}}}", text(&hex))
            }
            Body::Text(node) => format!("{{text: {}}}", value(node)),
        };
        (encoding.to_string(), body)
    });
    let headers = step.headers.iter().map(|(name, node)| (text(name.as_str()), value(node)));
    lines.push_str(&format!("      - name: {}\n        rpc: {rpc}\n", plain(&step.name)));
    for (name, value) in [
        ("message", value(&step.message)),
        ("raw", map(raw)),
        ("headers", map(headers)),
        ("mask", places(&step.mask)),
        ("unordered", places(&step.unordered)),
        ("without", list(step.without.iter().map(|rule| rule.id().to_owned()))),
    ] {
        line(lines, &format!("        {name}"), &value);
    }
}

/// Whether its raw bytes are those of what it is a variant of.
fn inherits(encoding: Encoding) -> bool {
    encoding.is_at_url()
}

/// A member, unless there is nothing in it.
fn line(lines: &mut String, name: &str, value: &str) {
    if !["[]", "{}"].contains(&value) {
        lines.push_str(&format!("{name}: {value}\n"));
    }
}

fn value(node: &Node) -> String {
    match node {
        Node::Null => "null".to_owned(),
        Node::Bool(value) => value.to_string(),
        Node::Number(number) => number.to_string(),
        Node::Text(value) => text(value),
        Node::List(items) => list(items.iter().map(|item| value(item))),
        Node::Map(members) => map(members.iter().map(|(name, node)| (text(name), value(node)))),
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn map(members: impl Iterator<Item = (String, String)>) -> String {
    format!("{{{}}}", members.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join(", "))
}

/// A text in which a dollar is only that.
fn plain(value: &str) -> String {
    text(&value.replace('$', "$$"))
}

/// A text in double quotes, with escapes for all that YAML does not print (YAML 1.2, section 5.1).
fn text(value: &str) -> String {
    let mut quoted = String::from("\"");
    for character in value.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => escape(&mut quoted, character),
            other if other.is_control() => escape(&mut quoted, other),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

/// All of these have four digits.
fn escape(quoted: &mut String, character: char) {
    let _ = write!(quoted, "\\u{:04x}", u32::from(character));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scenario::{self, At, template};

    #[test]
    fn values_are_read_back_as_they_were() {
        for value in [
            json!({"a": [1, -2, 1.5, 1e300, u64::MAX, i64::MIN, true, null], "b c: {}": {}}),
            json!([
                "",
                " ",
                "\0\u{1}\n\r\t\u{7f}\u{85}",
                "\u{2028}\u{2029}\u{feff}\u{ffff}",
                "\"\\'",
                "🦀é日",
                "e\u{301}"
            ]),
            json!(["yes", "null", "1", "~", "- a", "# x", "$x ${y} $$", "\u{10ffff}"]),
        ] {
            let node = crate::explore::node(&value);
            let text = super::value(&node);
            let read: At<Node> = scenario::parse(&text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
            assert_eq!(template::fill(&read, &template::Variables::new()), Ok(value), "{text}");
        }
    }
}
