//! Names: what prost calls things in Rust, and what protoc-gen-go calls them in texts.

use heck::{ToSnakeCase, ToUpperCamelCase};
use prost_reflect::MessageDescriptor;

/// The Rust path of a message from within the module of `package`.
pub(crate) fn rust_path(message: &MessageDescriptor, package: &str) -> String {
    let up = "super::".repeat(package.split('.').count());
    format!("{up}{}", path_from_root(message))
}

/// The Rust path of a message from the root of the module tree.
pub(crate) fn path_from_root(message: &MessageDescriptor) -> String {
    let mut path: Vec<String> = message.package_name().split('.').map(module).collect();
    let mut parents = Vec::new();
    let mut parent = message.parent_message();
    while let Some(outer) = parent {
        parents.push(module(outer.name()));
        parent = outer.parent_message();
    }
    path.extend(parents.into_iter().rev());
    path.push(message.name().to_upper_camel_case());
    path.join("::")
}

/// The module that prost puts a package's part, or the messages nested in a message, into.
pub(crate) fn module(name: &str) -> String {
    name.to_snake_case()
}

/// The Rust name of a field or method.
pub(crate) fn field(name: &str) -> String {
    let name = name.to_snake_case();
    if matches!(name.as_str(), "type" | "match" | "ref" | "move" | "in" | "use") {
        format!("r#{name}")
    } else {
        name
    }
}

/// protoc-gen-go's name of a field: `organization_id` → `OrganizationId`.
pub(crate) fn go_field(name: &str) -> String {
    let mut out = String::new();
    let mut upper = true;
    for c in name.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                out.extend(c.to_uppercase());
                upper = false;
            }
            c => out.push(c),
        }
    }
    out
}

/// protoc-gen-go's name of a message: nested ones are joined by `_`.
pub(crate) fn go_message(message: &MessageDescriptor) -> String {
    match message.parent_message() {
        Some(parent) => format!("{}_{}", go_message(&parent), message.name()),
        None => message.name().to_owned(),
    }
}

/// The comment of a descriptor as Rust doc lines.
pub(crate) fn doc(comment: Option<String>, fallback: &str, indent: &str) -> String {
    let text = comment.unwrap_or_else(|| fallback.to_owned());
    text.lines()
        .map(|line| format!("{indent}/// {}\n", line.replace('[', "\\[").replace('<', "\\<")))
        .collect()
}
