//! Places in a document, by pattern: `response.details.sequence`, `response.result.*.key`, `**.changeDate`.

use std::fmt;

use serde_json::Value;

/// A pattern of names: `*` stands for any one name or index, `**` for any number of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(Vec<String>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

impl Place {
    /// Parses a pattern.
    ///
    /// # Errors
    /// If a name between its dots is empty, or the first is none of an answer's parts.
    pub fn parse(text: &str) -> Result<Self, String> {
        const PARTS: [&str; 7] = ["code", "message", "details", "response", "headers", "*", "**"];
        let names: Vec<String> = text.split('.').map(str::to_owned).collect();
        if names.iter().any(String::is_empty) {
            return Err(format!("{text:?} has an empty name"));
        }
        if !PARTS.contains(&names[0].as_str()) {
            return Err(format!("{text:?} does not begin with one of {}", PARTS.join(", ")));
        }
        Ok(Self(names))
    }

    /// Whether it stands for this path.
    pub fn matches(&self, path: &str) -> bool {
        let path: Vec<&str> = path.split('.').collect();
        fits(&self.0, &path)
    }

    /// The first value that it stands for.
    pub fn find<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        find(&self.0, document)
    }

    /// Changes every value that it stands for.
    pub fn change(&self, document: &mut Value, change: &mut dyn FnMut(&mut Value)) {
        visit(&self.0, document, change);
    }
}

fn fits(pattern: &[String], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((name, rest)), _) if name == "**" => {
            fits(rest, path) || path.split_first().is_some_and(|(_, behind)| fits(pattern, behind))
        }
        (Some((name, rest)), Some((first, behind))) => (name == "*" || name == first) && fits(rest, behind),
        _ => false,
    }
}

fn find<'a>(pattern: &[String], value: &'a Value) -> Option<&'a Value> {
    let Some((name, rest)) = pattern.split_first() else { return Some(value) };
    let children = || -> Box<dyn Iterator<Item = &'a Value>> {
        match value {
            Value::Object(members) => Box::new(members.values()),
            Value::Array(items) => Box::new(items.iter()),
            _ => Box::new(std::iter::empty()),
        }
    };
    match name.as_str() {
        "**" => find(rest, value).or_else(|| children().find_map(|child| find(pattern, child))),
        "*" => children().find_map(|child| find(rest, child)),
        name => find(rest, child(value, name)?),
    }
}

fn child<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        value => value.get(name),
    }
}

fn visit(pattern: &[String], value: &mut Value, change: &mut dyn FnMut(&mut Value)) {
    let Some((name, rest)) = pattern.split_first() else { return change(value) };
    if name == "**" {
        visit(rest, value, change);
    }
    let behind = if name == "**" { pattern } else { rest };
    let is_any = name == "**" || name == "*";
    match value {
        Value::Object(members) => {
            members
                .iter_mut()
                .filter(|(key, _)| is_any || *key == name)
                .for_each(|(_, value)| visit(behind, value, change));
        }
        Value::Array(items) => {
            let items =
                items.iter_mut().enumerate().filter(|(index, _)| is_any || *name == index.to_string());
            items.for_each(|(_, value)| visit(behind, value, change));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_stand_for_paths() {
        let document = || json!({"code": "ok", "response": {"a": {"b": 1}, "c": [{"b": 2}, {"d": 3}]}});
        let all = [
            "code",
            "response",
            "response.a",
            "response.a.b",
            "response.c",
            "response.c.0",
            "response.c.0.b",
        ];
        for (pattern, first, matched) in [
            ("code", Some(json!("ok")), &["code"][..]),
            ("response.a.b", Some(json!(1)), &["response.a.b"]),
            ("response.*.b", Some(json!(1)), &["response.a.b"]),
            ("response.c.*.b", Some(json!(2)), &["response.c.0.b"]),
            ("response.c.0", Some(json!({"b": 2})), &["response.c.0"]),
            ("**.b", Some(json!(1)), &["response.a.b", "response.c.0.b"]),
            ("response.**.b", Some(json!(1)), &["response.a.b", "response.c.0.b"]),
            ("**", Some(document()), &all),
            ("response.x", None, &[]),
        ] {
            let place = Place::parse(pattern).unwrap();
            assert_eq!(place.find(&document()), first.as_ref(), "{pattern}");
            let found: Vec<_> = all.into_iter().filter(|path| place.matches(path)).collect();
            assert_eq!(found, matched, "{pattern}");
        }
        for wrong in ["", "a", "response..b", "response."] {
            assert!(Place::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_value_is_changed() {
        let mut document = json!({"response": {"a": {"b": 1}, "b": [{"b": 2}, {"b": 3}]}});
        let mut count = 0;
        Place::parse("**.b").unwrap().change(&mut document, &mut |value| {
            if value.is_number() {
                *value = json!("x");
                count += 1;
            }
        });
        assert_eq!(document, json!({"response": {"a": {"b": "x"}, "b": [{"b": "x"}, {"b": "x"}]}}));
        assert_eq!(count, 3);
    }
}
