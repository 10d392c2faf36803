//! URLs of methods, as `google.api.http` says them.

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use prost_reflect::{DynamicMessage, MethodDescriptor, ReflectMessage, Value as Field};
use serde_json::{Map, Value};

/// What stands in a path as it is (RFC 3986, section 2.3), but for dots: a segment of dots would be taken for a way up.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// The same in a query, where dots mean nothing.
const ESCAPED_IN_QUERY: &AsciiSet = &ESCAPED.remove(b'.');

/// A method's URL: its path template, and where the rest of the message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// HTTP's method.
    pub http_method: Method,
    template: Vec<Part>,
    body: String,
    /// The field that is the whole answer, if it is not the message.
    pub response_body: Option<String>,
}

/// A piece of a path template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// A field by its path of names; whether it may hold several segments.
    Field {
        path: Vec<String>,
        is_deep: bool,
    },
}

/// Why a message has no URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unspeakable(pub String);

impl Binding {
    /// The first URL of a method, if it has one.
    ///
    /// # Errors
    /// If the rule cannot be understood.
    pub fn of(method: &MethodDescriptor, prefix: &str) -> Result<Option<Self>, String> {
        let options = method.options();
        let rule = options.extensions().find(|(extension, _)| extension.full_name() == "google.api.http");
        let Some(rule) = rule.and_then(|(_, value)| value.as_message()) else { return Ok(None) };
        let text = |message: &DynamicMessage, name: &str| {
            let field = message.get_field_by_name(name)?;
            field.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let verb = ["get", "put", "post", "delete", "patch"]
            .into_iter()
            .find_map(|verb| Some((verb.to_uppercase(), text(rule, verb)?)));
        let custom = || {
            let custom = rule.get_field_by_name("custom")?;
            let custom = custom.as_message()?;
            Some((text(custom, "kind")?, text(custom, "path")?))
        };
        let Some((http_method, template)) = verb.or_else(custom) else { return Ok(None) };
        let wrong = |what: &dyn std::fmt::Display| format!("{}: {template:?}: {what}", method.full_name());
        Ok(Some(Self {
            http_method: http_method.parse().map_err(|error| wrong(&error))?,
            template: parse(&format!("{prefix}{template}")).map_err(|error| wrong(&error))?,
            body: text(rule, "body").unwrap_or_default(),
            response_body: text(rule, "response_body"),
        }))
    }

    /// The path, with its query, and the body of a message.
    ///
    /// # Errors
    /// If the message has no URL: a field of the path is empty.
    pub fn url(&self, message: &DynamicMessage) -> Result<(String, Option<Value>), Unspeakable> {
        let mut json = serde_json::to_value(message).map_err(|error| Unspeakable(error.to_string()))?;
        let mut url = String::new();
        for part in &self.template {
            match part {
                Part::Literal(text) => url.push_str(text),
                Part::Field { path, is_deep } => {
                    let value = take(&mut json, message, path);
                    if value.is_empty() {
                        return Err(Unspeakable(format!(
                            "the path has no place for an empty {}",
                            path.join(".")
                        )));
                    }
                    let segments: Vec<&str> =
                        if *is_deep { value.split('/').collect() } else { vec![value.as_str()] };
                    let segments =
                        segments.iter().map(|segment| utf8_percent_encode(segment, ESCAPED).to_string());
                    url.push_str(&segments.collect::<Vec<_>>().join("/"));
                }
            }
        }
        let body = match self.body.as_str() {
            "" => None,
            "*" => Some(std::mem::take(&mut json)),
            field => {
                let name = message.descriptor().get_field_by_name(field);
                let name = name.map_or_else(|| field.to_owned(), |field| field.json_name().to_owned());
                let members = json.as_object_mut();
                Some(
                    members
                        .and_then(|members| members.remove(&name))
                        .unwrap_or_else(|| Value::Object(Map::new())),
                )
            }
        };
        let mut query = Vec::new();
        parameters("", &json, &mut query);
        for (index, (name, value)) in query.iter().enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            let escape = |text: &str| utf8_percent_encode(text, ESCAPED_IN_QUERY).to_string();
            url.push_str(&format!("{}={}", escape(name), escape(value)));
        }
        Ok((url, body))
    }
}

/// Takes a field out of the JSON of a message, as text.
fn take(json: &mut Value, message: &DynamicMessage, path: &[String]) -> String {
    let (mut json, mut message) = (json.as_object_mut(), Some(message.clone()));
    for (index, name) in path.iter().enumerate() {
        let Some(field) = message.as_ref().and_then(|message| message.descriptor().get_field_by_name(name))
        else {
            return String::new();
        };
        let value = message.as_ref().map(|message| message.get_field(&field).into_owned());
        if index + 1 == path.len() {
            let in_json = json.and_then(|json| json.remove(field.json_name()));
            return match (in_json, value) {
                (Some(Value::String(text)), _) => text,
                (Some(other), _) => other.to_string(),
                (
                    None,
                    Some(Field::Bool(_) | Field::String(_) | Field::Bytes(_) | Field::Message(_)) | None,
                ) => String::new(),
                (None, Some(_)) => "0".to_owned(),
            };
        }
        json = json.and_then(|json| json.get_mut(field.json_name())).and_then(Value::as_object_mut);
        message = value.and_then(|value| value.as_message().cloned());
    }
    String::new()
}

/// What is left of a message, as parameters of a query: nested fields with dots, lists by repetition.
fn parameters(name: &str, value: &Value, query: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::Object(members) => {
            for (member, value) in members {
                let name = if name.is_empty() { member.clone() } else { format!("{name}.{member}") };
                parameters(&name, value, query);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| parameters(name, item, query)),
        Value::String(text) => query.push((name.to_owned(), text.clone())),
        other => query.push((name.to_owned(), other.to_string())),
    }
}

/// Reads a path template: `/v1/{name=shelves/*}/books:verb`.
fn parse(template: &str) -> Result<Vec<Part>, String> {
    if !template.starts_with('/') {
        return Err("it does not begin with /".to_owned());
    }
    let (mut parts, mut rest) = (Vec::new(), template);
    while let Some((literal, behind)) = rest.split_once('{') {
        let (variable, behind) = behind
            .split_once('}')
            .ok_or_else(|| format!("'{{' at column {} is not closed", column(template, behind)))?;
        parts.push(Part::Literal(literal.to_owned()));
        let (path, pattern) = variable.split_once('=').unwrap_or((variable, "*"));
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err(format!("a field without a name before column {}", column(template, behind)));
        }
        parts.push(Part::Field { path, is_deep: pattern != "*" });
        rest = behind;
    }
    if let Some(at) = rest.find('}') {
        return Err(format!("unexpected '}}' at column {}", column(template, &rest[at..])));
    }
    parts.push(Part::Literal(rest.to_owned()));
    parts.retain(|part| *part != Part::Literal(String::new()));
    Ok(parts)
}

/// Where `rest`, the template's end, begins.
fn column(template: &str, rest: &str) -> usize {
    template.len() - rest.len() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        let field = |path: &[&str], is_deep| Part::Field {
            path: path.iter().map(|&name| name.to_owned()).collect(),
            is_deep,
        };
        let literal = |text: &str| Part::Literal(text.to_owned());
        for (template, want) in [
            ("/", Ok(vec![literal("/")])),
            ("/a/{key}", Ok(vec![literal("/a/"), field(&["key"], false)])),
            ("/a/{key=*}:undo", Ok(vec![literal("/a/"), field(&["key"], false), literal(":undo")])),
            ("/v1/{book.name=shelves/*/books/**}", Ok(vec![literal("/v1/"), field(&["book", "name"], true)])),
            ("a", Err("it does not begin with /")),
            ("/a/{key", Err("'{' at column 5 is not closed")),
            ("/a}", Err("unexpected '}' at column 3")),
            ("/{}", Err("a field without a name before column 4")),
        ] {
            assert_eq!(parse(template), want.map_err(str::to_owned), "{template}");
        }
    }
}
