//! Binding: setting a message's fields from the path and the query of a URL.

use std::fmt::Write;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::{Result, naming, options::HttpRule};

/// The names of the fields in a path template: `/metadata/{key}` → `key`.
pub(crate) fn path_fields(template: &str) -> Vec<String> {
    template
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(str::to_owned)
        .collect()
}

/// Emits `impl Bind` for the request of an RPC.
pub(crate) fn bind(
    message: &MessageDescriptor,
    rules: &[HttpRule],
    package: &str,
    out: &mut String,
) -> Result<()> {
    for rule in rules {
        for name in path_fields(&rule.template) {
            let bound = message.get_field_by_name(&name);
            if !bound.is_some_and(|field| is_text(&field) && !field.is_list()) {
                return Err(format!(
                    "{}: {} names {name:?}, which is no string field",
                    message.full_name(),
                    rule.template
                )
                .into());
            }
        }
        // What would silently be dropped from the query is refused here instead.
        if let Some(field) = message.fields().find(|field| !rule.takes_body && !is_text(field)) {
            return Err(
                format!("{}: a query parameter of this type is not implemented", field.full_name()).into()
            );
        }
    }
    writeln!(out, "impl ::metagate::front::Bind for {} {{", naming::rust_path(message, package))?;
    let fields: Vec<_> = message.fields().filter(is_text).collect();
    if fields.is_empty() {
        writeln!(out, "    fn bind(&mut self, _: &str, _: ::std::string::String) {{}}\n}}\n")?;
        return Ok(());
    }
    writeln!(
        out,
        "    fn bind(&mut self, field: &str, value: ::std::string::String) {{\n        match field {{"
    )?;
    for field in fields {
        let name = naming::field(field.name());
        let set =
            if field.is_list() { format!("self.{name}.push(value)") } else { format!("self.{name} = value") };
        let mut names = format!("{:?}", field.name());
        if field.json_name() != field.name() {
            write!(names, " | {:?}", field.json_name())?;
        }
        writeln!(out, "            {names} => {set},")?;
    }
    writeln!(out, "            _ => {{}}\n        }}\n    }}\n}}\n")?;
    Ok(())
}

fn is_text(field: &FieldDescriptor) -> bool {
    field.kind() == Kind::String && !field.is_map() && !field.supports_presence()
}
