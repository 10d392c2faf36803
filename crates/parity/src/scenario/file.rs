//! A file of scenarios, as it is written.

use std::{borrow::Cow, collections::BTreeMap, fmt, path::Path};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use super::{At, Mistake, Node};
use crate::{dialect::Encoding, rule::Rule};

/// Names and values, in the order of the file: variables, of which later ones may be made of earlier ones, or headers.
#[derive(Clone, Debug, Default)]
pub struct Row(pub Vec<(String, At<Node>)>);

impl<'a> IntoIterator for &'a Row {
    type Item = &'a (String, At<Node>);
    type IntoIter = std::slice::Iter<'a, (String, At<Node>)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Row;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("names and values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Row, A::Error> {
                let mut row = Row::default();
                while let Some(member) = members.next_entry()? {
                    row.0.push(member);
                }
                Ok(row)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

impl JsonSchema for Row {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Row".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, Node>::json_schema(generator)
    }
}

/// Scenarios for one API. What stands here holds for each of them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct File {
    /// Words for `--tag` and `--without-tag`.
    #[serde(default)]
    pub tags: Vec<At<String>>,
    /// A table: all scenarios are made once for each row, whose values are variables.
    #[serde(default)]
    pub each: Vec<Row>,
    /// The service of every `rpc` that names only a method: `package.Service`.
    pub service: Option<At<String>>,
    /// Where the URLs of a service begin, for a server that mounts them below a path: `package.Service: /prefix`.
    #[serde(default)]
    pub rest_prefixes: BTreeMap<String, String>,
    /// Messages in details of errors that no method names, for servers that are asked for their descriptors.
    #[serde(default)]
    pub types: Vec<String>,
    /// Variables, which `--variable` can set to other values. `null` for one that must be given.
    #[serde(default)]
    pub variables: Row,
    /// Headers of every call. `null` takes one away that stands further out.
    #[serde(default)]
    pub headers: Row,
    /// What may differ: its value is not compared, whether it is there is. `response.**.changeDate`, say.
    #[serde(default)]
    pub mask: Vec<At<String>>,
    /// Lists whose order does not matter.
    #[serde(default)]
    pub unordered: Vec<At<String>>,
    /// Headers of answers that are compared, those with several values too.
    #[serde(default)]
    pub compare_headers: Vec<String>,
    /// Rules that do not hold here.
    #[serde(default)]
    pub without: Vec<At<Rule>>,
    /// The scenarios.
    pub scenarios: Vec<ScenarioText>,
}

/// Steps in an order, made in every encoding, each time in a namespace of its own: `${run}`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
#[schemars(rename = "Scenario")]
pub struct ScenarioText {
    /// A sentence that says what holds.
    pub name: At<String>,
    /// Words for `--tag` and `--without-tag`.
    #[serde(default)]
    pub tags: Vec<String>,
    /// A table: the scenario is made once for each row, whose values are variables.
    #[serde(default)]
    pub each: Vec<Row>,
    /// Headers of every call.
    #[serde(default)]
    pub headers: Row,
    /// What may differ.
    #[serde(default)]
    pub mask: Vec<At<String>>,
    /// Lists whose order does not matter.
    #[serde(default)]
    pub unordered: Vec<At<String>>,
    /// Rules that do not hold here.
    #[serde(default)]
    pub without: Vec<At<Rule>>,
    /// Steps that must succeed before the others begin.
    #[serde(default)]
    pub setup: Vec<StepText>,
    /// The steps, one after the other.
    pub steps: Vec<StepText>,
    /// Steps that are made at the end, however it came.
    #[serde(default)]
    pub teardown: Vec<StepText>,
}

/// One call.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
#[schemars(rename = "Step")]
pub struct StepText {
    /// What it shows; the method's name if nothing is said.
    pub name: Option<At<String>>,
    /// `package.Service/Method`, or `Method` of the file's service; `${…}` of what is known before the run.
    pub rpc: At<String>,
    /// A table: the step is made once for each row, whose values are variables.
    #[serde(default)]
    pub each: Vec<Row>,
    /// The request, as proto3 JSON.
    pub message: Option<At<Node>>,
    /// Bytes in place of the message, for each encoding that shall get them, with its variant at the URLs of REST; the others
    /// do not make the step.
    #[serde(default)]
    pub raw: BTreeMap<Encoding, RawText>,
    /// Headers. `null` takes one away that stands further out.
    #[serde(default)]
    pub headers: Row,
    /// How long the server may take, as the encoding says it to the server: `500ms`, `2s`.
    pub timeout: Option<At<String>>,
    /// The encodings that make the step, with their variants; all, if nothing is said.
    pub encodings: Option<Vec<Encoding>>,
    /// Whether all encodings must answer the same. True, if nothing is said.
    #[serde(default = "yes")]
    pub same: bool,
    /// What must come of it.
    pub expect: Option<Expect>,
    /// What may differ.
    #[serde(default)]
    pub mask: Vec<At<String>>,
    /// Lists whose order does not matter.
    #[serde(default)]
    pub unordered: Vec<At<String>>,
    /// Rules that do not hold here.
    #[serde(default)]
    pub without: Vec<At<Rule>>,
    /// Variables for later steps, from places in the answer: `sequence: response.details.sequence`.
    #[serde(default)]
    pub capture: BTreeMap<String, At<String>>,
}

/// Bytes of a body, or of the message in its envelope.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Raw")]
pub enum RawText {
    /// Text, which may hold `${…}`.
    Text(String),
    /// Pairs of hexadecimal digits, with spaces where one likes; `${…}` of what is known before the run.
    Hex(String),
}

/// What must come of a step. What is not named is not looked at.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct Expect {
    /// `ok`, `not_found` …, or the code's number.
    pub code: Option<At<Node>>,
    /// The text of the error.
    pub message: Option<At<Node>>,
    /// The details of the error, each with its `@type`.
    pub details: Option<At<Node>>,
    /// Fields of the answer. Members that are not named may be there; lists are complete. `null`: the field must not be there.
    pub response: Option<At<Node>>,
    /// Headers or trailers of the answer. `null`: it must not be there.
    #[serde(default)]
    pub headers: Row,
}

fn yes() -> bool {
    true
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or is not as [`schema`] says.
    pub fn read(path: &Path) -> Result<Self, Mistake> {
        let mistake = |line, column, text| Mistake { file: path.to_owned(), line, column, text };
        let text = std::fs::read_to_string(path).map_err(|error| mistake(0, 0, error.to_string()))?;
        parse(&text).map_err(|(line, column, text)| mistake(line, column, text))
    }
}

/// Parses YAML. An error is line, column and text.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, (u64, u64, String)> {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let location = error.location();
        let (line, column) = location.map_or((0, 0), |location| (location.line(), location.column()));
        let text = error.without_snippet().to_string();
        let text = text.trim_start_matches("error: ");
        let place = format!("line {line} column {column}: ");
        (line, column, text.strip_prefix(&place).unwrap_or(text).trim_end().to_owned())
    })
}

/// The JSON Schema of a file of scenarios, for editors.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(File).to_value()
}
