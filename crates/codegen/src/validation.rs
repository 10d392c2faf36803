//! Validation: the rules of `validate.rules`, in the words of protoc-gen-validate (contract 2.2).

use std::fmt::Write;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

use crate::{
    Result, naming,
    options::{self, nested, rules},
};

/// Emits `impl Validate` for a message. Fields are checked in order of declaration, the members of a oneof after
/// all plain fields; the first failure wins.
pub(crate) fn message(message: &MessageDescriptor, out: &mut String) -> Result<()> {
    let package = message.package_name();
    let type_name = naming::go_message(message);
    let mut checks = String::new();
    for field in message.fields().filter(|field| real_oneof(field).is_none()) {
        plain_field(&field, &type_name, &mut checks)?;
    }
    for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
        let path = naming::rust_path(message, package);
        let (types, _) = path.rsplit_once("::").unwrap_or(("self", ""));
        let module = format!("{types}::{}", naming::module(message.name()));
        let choice = heck::ToUpperCamelCase::to_upper_camel_case(oneof.name());
        writeln!(checks, "        match &self.{} {{", naming::field(oneof.name()))?;
        for field in oneof.fields() {
            let variant = heck::ToUpperCamelCase::to_upper_camel_case(field.name());
            let mut inner = String::new();
            value(&field, &type_name, &naming::go_field(field.name()), "value", &rules(&field), &mut inner)?;
            let pattern = if inner.is_empty() { "_" } else { "value" };
            writeln!(
                checks,
                "            Some({module}::{choice}::{variant}({pattern})) => {{\n{inner}            }}"
            )?;
        }
        let required =
            matches!(options::extension(&oneof.options(), "validate.required"), Some(Value::Bool(true)));
        let none = if required {
            format!(
                "return Err(\"invalid {type_name}.{}: value is required\".to_owned())",
                naming::go_field(oneof.name())
            )
        } else {
            "{}".to_owned()
        };
        writeln!(checks, "            None => {none},\n        }}")?;
    }
    writeln!(out, "impl ::metagate::front::Validate for {} {{", naming::rust_path(message, package))?;
    writeln!(out, "    fn validate(&self) -> ::std::result::Result<(), ::std::string::String> {{")?;
    writeln!(out, "{checks}        Ok(())\n    }}\n}}\n")?;
    Ok(())
}

fn real_oneof(field: &FieldDescriptor) -> Option<prost_reflect::OneofDescriptor> {
    field.containing_oneof().filter(|oneof| !oneof.is_synthetic())
}

fn plain_field(field: &FieldDescriptor, type_name: &str, out: &mut String) -> Result<()> {
    let name = naming::field(field.name());
    let go_name = naming::go_field(field.name());
    let rules = rules(field);
    let mut inner = String::new();
    if field.is_list() {
        let items = rules
            .as_ref()
            .and_then(|rules| nested(rules, "repeated"))
            .and_then(|rules| nested(&rules, "items"));
        value(field, type_name, &format!("{go_name}[{{index}}]"), "value", &items, &mut inner)?;
        if !inner.is_empty() {
            writeln!(
                out,
                "        for (index, value) in self.{name}.iter().enumerate() {{\n{inner}        }}"
            )?;
        }
    } else if matches!(field.kind(), Kind::Message(_)) || field.supports_presence() {
        value(field, type_name, &go_name, "value", &rules, &mut inner)?;
        if !inner.is_empty() {
            writeln!(out, "        if let Some(value) = &self.{name} {{\n{inner}        }}")?;
        }
    } else {
        value(field, type_name, &go_name, &format!("(&self.{name})"), &rules, out)?;
    }
    Ok(())
}

/// Emits the checks of one value, which `value` is a reference to.
fn value(
    field: &FieldDescriptor,
    type_name: &str,
    go_name: &str,
    value: &str,
    rules: &Option<DynamicMessage>,
    out: &mut String,
) -> Result<()> {
    let failure = |text: &str| format!("return Err(format!(\"invalid {type_name}.{go_name}: {text}\"));");
    match field.kind() {
        Kind::Message(message) if message.package_name().starts_with("google.") => {}
        Kind::Message(_) => {
            let failure = failure("embedded message failed validation | caused by: {cause}");
            writeln!(
                out,
                "            if let Err(cause) = ::metagate::front::Validate::validate({value}) {{ {failure} }}"
            )?;
        }
        Kind::String => length(rules, "string", "runes", &format!("{value}.chars().count()"), failure, out)?,
        Kind::Bytes => length(rules, "bytes", "bytes", &format!("{value}.len()"), failure, out)?,
        Kind::Enum(descriptor) => {
            let defined_only = rules.as_ref().and_then(|rules| nested(rules, "enum"));
            if defined_only.is_some_and(|rules| {
                rules.get_field_by_name("defined_only").is_some_and(|v| v.as_bool() == Some(true))
            }) {
                let numbers: Vec<_> = descriptor.values().map(|value| value.number().to_string()).collect();
                let failure = failure("value must be one of the defined enum values");
                writeln!(out, "            if !matches!(*{value}, {}) {{ {failure} }}", numbers.join(" | "))?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn length(
    rules: &Option<DynamicMessage>,
    kind: &str,
    unit: &str,
    measure: &str,
    failure: impl Fn(&str) -> String,
    out: &mut String,
) -> Result<()> {
    let Some(rules) = rules.as_ref().and_then(|rules| nested(rules, kind)) else { return Ok(()) };
    let (condition, text) = match (options::number(&rules, "min_len"), options::number(&rules, "max_len")) {
        (None, None) => return Ok(()),
        (Some(min), None) => {
            (format!("length < {min}"), format!("value length must be at least {min} {unit}"))
        }
        (None, Some(max)) => {
            (format!("length > {max}"), format!("value length must be at most {max} {unit}"))
        }
        (Some(min), Some(max)) => (
            format!("!({min}..={max}).contains(&length)"),
            format!("value length must be between {min} and {max} {unit}, inclusive"),
        ),
    };
    writeln!(
        out,
        "            let length = {measure};\n            if {condition} {{ {} }}",
        failure(&text)
    )?;
    Ok(())
}
