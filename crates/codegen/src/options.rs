//! Reading the options that stand in the protos: REST bindings, permissions, rules, service settings.

use prost_reflect::{
    DynamicMessage, FieldDescriptor, FileDescriptor, MethodDescriptor, ReflectMessage, ServiceDescriptor,
    Value,
};

use crate::Result;

/// The value of an extension of `options`, if it is set.
pub(crate) fn extension(options: &DynamicMessage, name: &str) -> Option<Value> {
    options.extensions().find(|(extension, _)| extension.full_name() == name).map(|(_, value)| value.clone())
}

/// A string field of a message value, empty if unset.
pub(crate) fn text(message: &DynamicMessage, field: &str) -> String {
    message.get_field_by_name(field).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// An unsigned field of a message value, if it is set.
pub(crate) fn number(message: &DynamicMessage, field: &str) -> Option<u64> {
    if !message.has_field_by_name(field) {
        return None;
    }
    let value = message.get_field_by_name(field)?;
    match value.as_ref() {
        Value::U64(number) => Some(*number),
        Value::U32(number) => Some(u64::from(*number)),
        Value::I32(number) | Value::EnumNumber(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

/// `metagate.v1.service` of a service.
pub(crate) struct ServiceSettings {
    pub(crate) rest_prefix: String,
    pub(crate) message_bytes_max: u64,
    pub(crate) malformed_code: u64,
}

pub(crate) fn service_settings(service: &ServiceDescriptor) -> Result<ServiceSettings> {
    let value = extension(&service.options(), "metagate.v1.service");
    let Some(Value::Message(settings)) = value else {
        return Err(format!("{}: set option (metagate.v1.service)", service.full_name()).into());
    };
    let required = |field| {
        number(&settings, field)
            .ok_or_else(|| format!("{}: (metagate.v1.service).{field} is not set", service.full_name()))
    };
    Ok(ServiceSettings {
        rest_prefix: text(&settings, "rest_prefix"),
        message_bytes_max: required("message_bytes_max")?,
        malformed_code: required("malformed_code")?,
    })
}

/// The permission that a method's auth option names: `authenticated`, `org.write`, …; `None` means anybody.
pub(crate) fn permission(method: &MethodDescriptor) -> Option<String> {
    let options = method.options();
    if let Some(Value::Message(v1)) = extension(&options, "zitadel.v1.auth_option") {
        return Some(text(&v1, "permission"));
    }
    let Some(Value::Message(v2)) = extension(&options, "zitadel.protoc_gen_zitadel.v2.options") else {
        return None;
    };
    let auth = v2.get_field_by_name("auth_option")?;
    auth.as_message().map(|auth| text(auth, "permission"))
}

/// One `google.api.http` rule.
pub(crate) struct HttpRule {
    pub(crate) http_method: &'static str,
    pub(crate) template: String,
    pub(crate) takes_body: bool,
}

pub(crate) fn http_rules(method: &MethodDescriptor) -> Result<Vec<HttpRule>> {
    let Some(Value::Message(rule)) = extension(&method.options(), "google.api.http") else {
        return Ok(Vec::new());
    };
    let mut rules = vec![http_rule(method, &rule)?];
    if let Some(Value::List(more)) = rule.get_field_by_name("additional_bindings").as_deref() {
        for value in more {
            if let Some(rule) = value.as_message() {
                rules.push(http_rule(method, rule)?);
            }
        }
    }
    Ok(rules)
}

fn http_rule(method: &MethodDescriptor, rule: &DynamicMessage) -> Result<HttpRule> {
    let (http_method, template) =
        [("get", "GET"), ("put", "PUT"), ("post", "POST"), ("delete", "DELETE"), ("patch", "PATCH")]
            .into_iter()
            .find(|(field, _)| {
                rule.descriptor().get_field_by_name(field).is_some_and(|field| rule.has_field(&field))
            })
            .map(|(field, http_method)| (http_method, text(rule, field)))
            .ok_or_else(|| format!("{}: a google.api.http rule without a path", method.full_name()))?;
    let takes_body = match text(rule, "body").as_str() {
        "" => false,
        "*" => true,
        other => {
            return Err(format!("{}: body {other:?}: only \"*\" is implemented", method.full_name()).into());
        }
    };
    Ok(HttpRule { http_method, template, takes_body })
}

/// `validate.rules` of a field.
pub(crate) fn rules(field: &FieldDescriptor) -> Option<DynamicMessage> {
    match extension(&field.options(), "validate.rules")? {
        Value::Message(rules) => Some(rules),
        _ => None,
    }
}

/// A message in a field of another, if it is set.
pub(crate) fn nested(message: &DynamicMessage, field: &str) -> Option<DynamicMessage> {
    if !message.has_field_by_name(field) {
        return None;
    }
    message.get_field_by_name(field)?.as_message().cloned()
}

/// The leading comment at a descriptor's path, if there is one, without the white space around its lines.
pub(crate) fn comment(file: &FileDescriptor, path: &[i32]) -> Option<String> {
    let info = file.file_descriptor_proto().source_code_info.as_ref()?;
    let location = info.location.iter().find(|location| location.path == path)?;
    let lines: Vec<_> = location.leading_comments().lines().map(str::trim).collect();
    Some(lines.join("\n").trim().to_owned()).filter(|text| !text.is_empty())
}
