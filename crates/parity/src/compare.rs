//! Answers against answers, and against what is expected.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use crate::{
    code::Code,
    dialect::Dialect,
    outcome::Outcome,
    place::Place,
    rule::{Finding, Rule},
    scenario::{
        At, Step,
        template::{self, Variables},
    },
};

/// What stands for a value that may differ.
const MASKED: &str = "…";

/// Longer texts are not looked into for base64.
const BASE64_CHARS_MAX: usize = 4096;

/// The document of an outcome that is compared: masked, put into order, with `${run}` for its namespace, and only the
/// headers that are compared.
pub fn comparable(outcome: &Outcome, step: &Step, run: &str) -> Value {
    let mut outcome = outcome.clone();
    outcome.headers.retain(|name, _| step.compare_headers.contains(name));
    let mut document = outcome.to_document();
    rename(&mut document, run);
    for place in &step.mask {
        place.change(&mut document, &mut |value| *value = MASKED.into());
    }
    for place in &step.unordered {
        place.change(&mut document, &mut |value| {
            if let Value::Array(items) = value {
                items.sort_by_cached_key(Value::to_string);
            }
        });
    }
    document
}

/// Puts `${run}` wherever the namespace stands, also inside of base64.
fn rename(value: &mut Value, run: &str) {
    match value {
        Value::String(text) if text.contains(run) => *text = text.replace(run, "${run}"),
        Value::String(text) if text.len() <= BASE64_CHARS_MAX => {
            let decoded = STANDARD.decode(&text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            if let Some(inside) = decoded.filter(|inside| inside.contains(run)) {
                *text = format!("base64({})", inside.replace(run, "${run}"));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, run)),
        Value::Object(members) => {
            if members.keys().any(|name| name.contains(run)) {
                let renamed = std::mem::take(members).into_iter();
                *members = renamed.map(|(name, value)| (name.replace(run, "${run}"), value)).collect();
            }
            members.values_mut().for_each(|value| rename(value, run));
        }
        _ => {}
    }
}

/// Where two documents differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// A path into the document.
    pub place: String,
    /// What stands in the first, if anything.
    pub left: Option<Value>,
    /// What stands in the second, if anything.
    pub right: Option<Value>,
}

/// All places where two documents differ, each as deep as it can be told.
pub fn differences(left: &Value, right: &Value) -> Vec<Difference> {
    let mut all = Vec::new();
    collect("", Some(left), Some(right), &mut all);
    all
}

fn collect(place: &str, left: Option<&Value>, right: Option<&Value>, all: &mut Vec<Difference>) {
    let inside = |name: &str| if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
    match (left, right) {
        (left, right) if left == right => {}
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            for (name, value) in left {
                collect(&inside(name), Some(value), right.get(name), all);
            }
            for (name, value) in right.iter().filter(|(name, _)| !left.contains_key(*name)) {
                collect(&inside(name), None, Some(value), all);
            }
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                collect(&inside(&index.to_string()), Some(left), Some(right), all);
            }
        }
        (left, right) => {
            all.push(Difference { place: place.to_owned(), left: left.cloned(), right: right.cloned() })
        }
    }
}

/// Who compares: the encodings with each other, or an answer with the other server's or the file's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// The other encodings.
    Encodings,
    /// Another server, or a golden file.
    Reference,
}

fn rule(against: Against, place: &str) -> Rule {
    let part = place.split('.').next().unwrap_or_default();
    match (against, part) {
        (Against::Encodings, "code") => Rule::SameCode,
        (Against::Encodings, "message") => Rule::SameMessage,
        (Against::Encodings, "details") => Rule::SameDetails,
        (Against::Encodings, "headers") => Rule::SameHeaders,
        (Against::Encodings, _) => Rule::SameResponse,
        (Against::Reference, "code") => Rule::ReferenceCode,
        (Against::Reference, "message") => Rule::ReferenceMessage,
        (Against::Reference, "details") => Rule::ReferenceDetails,
        (Against::Reference, "headers") => Rule::ReferenceHeaders,
        (Against::Reference, _) => Rule::ReferenceResponse,
    }
}

/// The findings of `got` where it is not what `who` say.
pub fn findings(against: Against, who: &str, want: &Value, got: &Value) -> Vec<Finding> {
    let mut differences = differences(want, got);
    // Another code has other text, details and message: the code alone is the difference.
    if differences.iter().any(|difference| difference.place == "code") {
        differences.retain(|difference| difference.place == "code");
    }
    let findings = differences.into_iter().map(|Difference { place, left, right }| {
        let (left, right) = (shown(left.as_ref()), shown(right.as_ref()));
        Finding {
            rule: rule(against, &place),
            text: format!("{place} is {}, where {who} {}", brief(&right), brief(&left)),
            place,
            values: Some((left, right)),
        }
    });
    findings.collect()
}

/// Compares the answers of all dialects: those of the most are taken for right, the earliest of equals.
pub fn same(documents: &[(Dialect, &Value)]) -> BTreeMap<Dialect, Vec<Finding>> {
    let mut groups: Vec<(&Value, Vec<Dialect>)> = Vec::new();
    for (dialect, document) in documents {
        match groups.iter_mut().find(|(other, _)| other == document) {
            Some((_, dialects)) => dialects.push(*dialect),
            None => groups.push((document, vec![*dialect])),
        }
    }
    let mut most: Option<&(&Value, Vec<Dialect>)> = None;
    for group in &groups {
        if most.is_none_or(|most| group.1.len() > most.1.len()) {
            most = Some(group);
        }
    }
    let Some((want, right)) = most else { return BTreeMap::new() };
    let names: Vec<String> = right.iter().map(Dialect::to_string).collect();
    let who = format!("{} {}", names.join(", "), if names.len() == 1 { "has" } else { "have" });
    let others = groups.iter().filter(|(document, _)| document != want);
    let others = others.flat_map(|(document, dialects)| {
        dialects.iter().map(|dialect| (*dialect, findings(Against::Encodings, &who, want, document)))
    });
    others.collect()
}

/// Holds an outcome against what its step expects. Lists without an order may be in any.
///
/// # Errors
/// If the expectation cannot be filled in.
pub fn expected(step: &Step, outcome: &Outcome, variables: &Variables) -> Result<Vec<Finding>, At<String>> {
    let (expect, mut findings) = (&step.expect, Vec::new());
    let mut judge = |rule, place: &str, want: &Value, got: &Value| {
        if want != got {
            let (want, got) = (shown(Some(want)), shown(Some(got)));
            findings.push(Finding {
                rule,
                place: place.to_owned(),
                text: format!("{place} is {}, expected {}", brief(&got), brief(&want)),
                values: Some((want, got)),
            });
        }
    };
    if let Some(node) = &expect.code {
        let want = template::fill(node, variables)?;
        let code = match &want {
            Value::Number(number) => number.as_i64().and_then(Code::from_number),
            other => other.as_str().and_then(Code::from_name),
        };
        let code = code.ok_or_else(|| {
            let names: Vec<_> = Code::names().collect();
            node.with(format!("{want} is no code: they are {}, or their numbers", names.join(", ")))
        })?;
        judge(Rule::ExpectedCode, "code", &code.name().into(), &outcome.code.name().into());
        if code != outcome.code {
            // What the server says of it is what one looks for first.
            if let Some(finding) = findings.last_mut().filter(|_| !outcome.message.is_empty()) {
                finding.text.push_str(&format!(": {}", brief(&outcome.message)));
            }
            return Ok(findings);
        }
    }
    if let Some(node) = &expect.message {
        let want = template::fill(node, variables)?;
        judge(Rule::ExpectedMessage, "message", &want, &outcome.message.clone().into());
    }
    if let Some(node) = &expect.details {
        let want = template::fill(node, variables)?;
        judge(Rule::ExpectedDetails, "details", &want, &outcome.details.clone().into());
    }
    for (name, node) in &expect.headers {
        let want = template::fill(node, variables)?;
        let got = outcome.headers.get(&name.to_lowercase()).map(|values| values.join(", "));
        judge(
            Rule::ExpectedHeaders,
            &format!("headers.{name}"),
            &want,
            &got.map_or(Value::Null, Value::from),
        );
    }
    if let Some(node) = &expect.response {
        let want = template::fill(node, variables)?;
        let empty = Value::Object(Map::new());
        let got = outcome.response.as_ref().unwrap_or(&empty);
        contains("response", &want, Some(got), &step.unordered, &mut findings);
    }
    Ok(findings)
}

/// Whether all that is named is there.
fn contains(
    place: &str,
    want: &Value,
    got: Option<&Value>,
    unordered: &[Place],
    findings: &mut Vec<Finding>,
) {
    let mut missed = || {
        let (want, got) = (shown(Some(want)), shown(got));
        findings.push(Finding {
            rule: Rule::ExpectedResponse,
            place: place.to_owned(),
            text: format!("{place} is {}, expected {}", brief(&got), brief(&want)),
            values: Some((want, got)),
        });
    };
    match (want, got) {
        (Value::Null, None) => {}
        (Value::Object(members), Some(Value::Object(given))) => {
            for (name, want) in members {
                contains(&format!("{place}.{name}"), want, given.get(name), unordered, findings);
            }
        }
        (Value::Array(items), Some(Value::Array(given))) if items.len() == given.len() => {
            let mut given: Vec<&Value> = given.iter().collect();
            if unordered.iter().any(|list| list.matches(place)) {
                given = in_the_order_of(items, given, unordered);
            }
            for (index, (want, got)) in items.iter().zip(given).enumerate() {
                contains(&format!("{place}.{index}"), want, Some(got), unordered, findings);
            }
        }
        // YAML writes numbers where proto3 JSON has strings.
        (Value::Number(number), Some(Value::String(text))) if number.to_string() == *text => {}
        (want, Some(got)) if want == got => {}
        _ => missed(),
    }
}

/// Each value that is there at the place of the first that it fits; what fits nowhere takes the places that are left.
fn in_the_order_of<'a>(items: &[Value], mut given: Vec<&'a Value>, unordered: &[Place]) -> Vec<&'a Value> {
    let mut places = Vec::with_capacity(items.len());
    for want in items {
        let fits = given.iter().position(|got| {
            let mut findings = Vec::new();
            contains("response", want, Some(got), unordered, &mut findings);
            findings.is_empty()
        });
        places.push(fits.map(|index| given.remove(index)));
    }
    let mut rest = given.into_iter();
    places.into_iter().filter_map(|place| place.or_else(|| rest.next())).collect()
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "absent".to_owned(), Value::to_string)
}

/// As much of a text as fits a line.
fn brief(text: &str) -> String {
    const CHARS_MAX: usize = 160;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dialect::Encoding;

    #[test]
    fn documents_differ_at_their_deepest_places() {
        let left = json!({"code": "ok", "response": {"a": 1, "b": [1, 2], "c": {"d": "x"}}});
        let right = json!({"code": "ok", "response": {"a": 2, "b": [1], "c": {"d": "x"}, "e": null}});
        let places: Vec<_> =
            differences(&left, &right).into_iter().map(|difference| difference.place).collect();
        assert_eq!(places, ["response.a", "response.b", "response.e"]);
        assert_eq!(differences(&left, &left), []);
    }

    #[test]
    fn the_most_are_right_and_another_code_is_one_difference() {
        let dialects = Dialect::product(&Encoding::USUAL, &[]);
        let right = json!({"code": "ok", "response": {"a": 1}});
        let wrong = json!({"code": "not_found", "message": "x"});
        let documents: Vec<_> = dialects
            .iter()
            .map(|dialect| (*dialect, if dialect.encoding == Encoding::Rest { &wrong } else { &right }))
            .collect();
        let found = same(&documents);
        let [finding] = found[&dialects[0]].as_slice() else { panic!("{found:?}") };
        assert_eq!((found.len(), finding.rule), (1, Rule::SameCode));
        assert_eq!(
            finding.text,
            "code is \"not_found\", where grpc, grpc-web, grpc-web-text, connect-json, connect-proto have \"ok\""
        );
    }

    #[test]
    fn a_namespace_is_not_a_difference() {
        let mut value = json!({"a": "x-r1", "b": STANDARD.encode("r1!"), "r1": ["r1r1"], "c": "r"});
        rename(&mut value, "r1");
        assert_eq!(
            value,
            json!({"a": "x-${run}", "b": "base64(${run}!)", "${run}": ["${run}${run}"], "c": "r"})
        );
    }

    #[test]
    fn what_is_not_named_is_not_looked_at() {
        let got = json!({"a": "7", "b": {"c": 1, "d": [{"e": 1, "f": 2}]}});
        for (want, places) in [
            (json!({}), &[][..]),
            (json!({"a": 7}), &[]),
            (json!({"a": "7", "b": {"d": [{"e": 1}]}}), &[]),
            (json!({"z": null}), &[]),
            (json!({"a": null}), &["response.a"]),
            (json!({"a": 8, "z": 1}), &["response.a", "response.z"]),
            (json!({"b": {"d": []}}), &["response.b.d"]),
            (json!({"b": {"d": [{"e": 2}]}}), &["response.b.d.0.e"]),
        ] {
            let mut findings = Vec::new();
            contains("response", &want, Some(&got), &[], &mut findings);
            let found: Vec<_> = findings.iter().map(|finding| finding.place.as_str()).collect();
            assert_eq!(found, places, "{want}");
        }
    }

    #[test]
    fn a_list_without_an_order_is_complete_all_the_same() {
        let unordered = [Place::parse("response.a").unwrap()];
        let got = json!({"a": [{"b": 1, "c": 2}, {"b": 1}, {"b": 3}]});
        for (want, count) in [
            (json!({"a": [{"b": 3}, {"b": 1, "c": 2}, {"b": 1}]}), 0),
            (json!({"a": [{"b": 3}, {"b": 1}, {"b": 3}]}), 1),
            (json!({"a": [{"b": 3}]}), 1),
        ] {
            let mut findings = Vec::new();
            contains("response", &want, Some(&got), &unordered, &mut findings);
            assert_eq!(findings.len(), count, "{findings:?}");
        }
    }
}
