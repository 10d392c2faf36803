//! `${…}` in texts: variables and a few functions.
//!
//! ```text
//! expression = name | number | 'text' | name "(" expression { "," expression } ")"
//! ```
//! `$$` is a dollar.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::{At, Node};

/// Names and what they stand for.
pub type Variables = BTreeMap<String, Value>;

/// The longest text that a function may make, in bytes.
const TEXT_BYTES_MAX: usize = 64 << 20;

/// What an expression may ask for.
#[derive(Clone, Debug, PartialEq)]
enum Expression {
    Name(String),
    Literal(Value),
    Function(String, Vec<Expression>),
}

/// A piece of a text.
enum Piece {
    Text(String),
    Expression(Expression),
}

/// Fills in a value. A text that is one expression and nothing else becomes what the expression stands for, number or list.
///
/// # Errors
/// With the place of the text that cannot be filled in.
pub fn fill(node: &At<Node>, variables: &Variables) -> Result<Value, At<String>> {
    match &node.value {
        Node::Null => Ok(Value::Null),
        Node::Bool(value) => Ok((*value).into()),
        Node::Number(number) => Ok(number.clone().into()),
        Node::Text(text) => fill_text(text, variables).map_err(|error| node.with(error)),
        Node::List(items) => items.iter().map(|item| fill(item, variables)).collect(),
        Node::Map(members) => {
            let filled = members.iter().map(|(name, value)| {
                let key = fill_text(name, variables).map_err(|error| name.with(error))?;
                Ok((text_of(&key), fill(value, variables)?))
            });
            filled.collect::<Result<Map<_, _>, _>>().map(Value::from)
        }
    }
}

/// Fills in one text.
///
/// # Errors
/// If it cannot be parsed, or asks for what there is not.
pub fn fill_text(text: &str, variables: &Variables) -> Result<Value, String> {
    let pieces = parse(text)?;
    if let [Piece::Expression(expression)] = pieces.as_slice() {
        return evaluate(expression, variables);
    }
    let mut filled = String::new();
    for piece in &pieces {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Expression(expression) => filled.push_str(&text_of(&evaluate(expression, variables)?)),
        }
    }
    Ok(filled.into())
}

/// The names that a text asks for.
///
/// # Errors
/// If it cannot be parsed, or calls a function that there is not.
pub(super) fn names(text: &str) -> Result<Vec<String>, String> {
    fn collect(expression: &Expression, names: &mut Vec<String>) -> Result<(), String> {
        match expression {
            Expression::Name(name) => names.push(name.clone()),
            Expression::Literal(_) => {}
            Expression::Function(name, arguments) => {
                if !FUNCTIONS.contains(&name.as_str()) {
                    return Err(format!("there is no function {name}: they are {}", FUNCTIONS.join(", ")));
                }
                for argument in arguments {
                    collect(argument, names)?;
                }
            }
        }
        Ok(())
    }
    let mut all = Vec::new();
    for piece in parse(text)? {
        if let Piece::Expression(expression) = piece {
            collect(&expression, &mut all)?;
        }
    }
    Ok(all)
}

/// A value inside of a text.
pub(crate) fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

const FUNCTIONS: [&str; 4] = ["repeat", "bytes", "base64", "env"];

fn evaluate(expression: &Expression, variables: &Variables) -> Result<Value, String> {
    match expression {
        Expression::Literal(value) => Ok(value.clone()),
        Expression::Name(name) => {
            variables.get(name).cloned().ok_or_else(|| format!("there is no variable {name}"))
        }
        Expression::Function(name, arguments) => {
            let arguments: Vec<Value> =
                arguments.iter().map(|argument| evaluate(argument, variables)).collect::<Result<_, _>>()?;
            call(name, &arguments)
        }
    }
}

fn call(name: &str, arguments: &[Value]) -> Result<Value, String> {
    let count = |value: &Value, unit: usize| {
        let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
        count
            .filter(|count| count.saturating_mul(unit) <= TEXT_BYTES_MAX)
            .ok_or_else(|| format!("{name}: {value} is no count, or makes more than {TEXT_BYTES_MAX} bytes"))
    };
    match (name, arguments) {
        ("repeat", [text, times]) => {
            let text = text_of(text);
            Ok(text.repeat(count(times, text.len())?).into())
        }
        ("bytes", [length]) => Ok(STANDARD.encode(vec![0; count(length, 1)?]).into()),
        ("base64", [text]) => Ok(STANDARD.encode(text_of(text)).into()),
        ("env", [name]) => {
            let name = text_of(name);
            std::env::var(&name)
                .map(Value::from)
                .map_err(|_| format!("there is no {name} in the environment"))
        }
        _ => Err(format!("{name} takes other arguments: repeat('x', 3), bytes(3), base64('x'), env('NAME')")),
    }
}

fn parse(text: &str) -> Result<Vec<Piece>, String> {
    let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find('$') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('$') {
            plain.push('$');
            rest = behind;
        } else if let Some(inside) = rest.strip_prefix('{') {
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            let mut parser = Parser { rest: inside };
            let expression = parser.expression().and_then(|expression| {
                parser.expect('}')?;
                Ok(expression)
            });
            pieces.push(Piece::Expression(expression.map_err(|error| format!("in {text:?}: {error}"))?));
            rest = parser.rest;
        } else {
            plain.push('$');
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn expression(&mut self) -> Result<Expression, String> {
        self.rest = self.rest.trim_start();
        if let Some(inside) = self.rest.strip_prefix('\'') {
            let (text, behind) = inside.split_once('\'').ok_or("a text is not closed with '")?;
            self.rest = behind;
            return Ok(Expression::Literal(text.into()));
        }
        let is_part = |character: char| character.is_ascii_alphanumeric() || "_-.".contains(character);
        let end = self.rest.find(|character| !is_part(character)).unwrap_or(self.rest.len());
        let (word, behind) = self.rest.split_at(end);
        if word.is_empty() {
            return Err(format!("a name is missing before {:?}", behind.chars().next().unwrap_or(' ')));
        }
        self.rest = behind;
        if let Ok(number) = word.parse::<i64>() {
            return Ok(Expression::Literal(number.into()));
        }
        if !self.rest.trim_start().starts_with('(') {
            return Ok(Expression::Name(word.to_owned()));
        }
        self.expect('(')?;
        let mut arguments = vec![self.expression()?];
        while self.expect(',').is_ok() {
            arguments.push(self.expression()?);
        }
        self.expect(')')?;
        Ok(Expression::Function(word.to_owned(), arguments))
    }

    fn expect(&mut self, character: char) -> Result<(), String> {
        self.rest = self.rest.trim_start();
        self.rest = self.rest.strip_prefix(character).ok_or_else(|| match self.rest.chars().next() {
            Some(other) => format!("{other:?} where {character:?} should be"),
            None => format!("{character:?} is missing"),
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_filled_in() {
        let variables = Variables::from([
            ("run".to_owned(), json!("r1")),
            ("n".to_owned(), json!(3)),
            ("no".to_owned(), Value::Null),
        ]);
        for (text, want) in [
            ("", Ok(json!(""))),
            ("plain", Ok(json!("plain"))),
            ("${run}", Ok(json!("r1"))),
            ("${n}", Ok(json!(3))),
            ("a-${ run }-${n}", Ok(json!("a-r1-3"))),
            ("$${run} costs $5 and $", Ok(json!("${run} costs $5 and $"))),
            ("${repeat('ä', n)}", Ok(json!("äää"))),
            ("${repeat('x', 0)}", Ok(json!(""))),
            ("${bytes(3)}", Ok(json!("AAAA"))),
            ("${base64(run)}", Ok(json!("cjE="))),
            ("${repeat(repeat('a', 2), 2)}", Ok(json!("aaaa"))),
            ("${x}", Err("there is no variable x")),
            ("${no}", Ok(Value::Null)),
            ("${run", Err("in \"${run\": '}' is missing")),
            ("${}", Err("in \"${}\": a name is missing before '}'")),
            ("${run run}", Err("in \"${run run}\": 'r' where '}' should be")),
            ("${repeat('x)}", Err("in \"${repeat('x)}\": a text is not closed with '")),
            ("${repeat('x', -1)}", Err("repeat: -1 is no count, or makes more than 67108864 bytes")),
            (
                "${repeat('xx', 40000000)}",
                Err("repeat: 40000000 is no count, or makes more than 67108864 bytes"),
            ),
            (
                "${nope(1)}",
                Err("nope takes other arguments: repeat('x', 3), bytes(3), base64('x'), env('NAME')"),
            ),
        ] {
            assert_eq!(fill_text(text, &variables), want.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn names_are_known_before_anything_runs() {
        assert_eq!(names("${a}-${repeat(b, 3)}$$"), Ok(vec!["a".to_owned(), "b".to_owned()]));
        let error = names("${nope(1)}").unwrap_err();
        assert_eq!(error, "there is no function nope: they are repeat, bytes, base64, env");
    }
}
