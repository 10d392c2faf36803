//! Services: the trait to implement, and the table of RPCs for the front door.

use std::{collections::BTreeSet, fmt::Write};

use heck::ToSnakeCase;
use prost_reflect::{MethodDescriptor, ServiceDescriptor};

use crate::{Result, binding, naming, options};

/// Emits the trait of a service, its RPC table, and the binding of its requests.
pub(crate) fn service(service: &ServiceDescriptor, out: &mut String) -> Result<()> {
    let package = service.package_name();
    let file = service.parent_file();
    let name = service.name();
    out.push_str(&naming::doc(
        options::comment(&file, service.path()),
        &format!("`{}`", service.full_name()),
        "",
    ));
    writeln!(out, "pub trait {name}: Send + Sync + 'static {{")?;
    for method in service.methods() {
        if method.is_client_streaming() || method.is_server_streaming() {
            return Err(format!("{}: streaming is not implemented", method.full_name()).into());
        }
        out.push_str(&naming::doc(
            options::comment(&file, method.path()),
            &format!("`{}`", method.full_name()),
            "    ",
        ));
        writeln!(
            out,
            "    fn {}(&self, call: ::metagate::front::Call, request: {}) -> impl ::std::future::Future<Output = \
             ::std::result::Result<{}, ::domain::Error>> + Send;",
            naming::field(method.name()),
            naming::rust_path(&method.input(), package),
            naming::rust_path(&method.output(), package)
        )?;
    }
    writeln!(out, "}}\n")?;
    table(service, out)?;

    let mut bound = BTreeSet::new();
    for method in service.methods() {
        if bound.insert(method.input().full_name().to_owned()) {
            binding::bind(&method.input(), &options::http_rules(&method)?, package, out)?;
        }
    }
    Ok(())
}

fn table(service: &ServiceDescriptor, out: &mut String) -> Result<()> {
    let name = service.name();
    writeln!(out, "/// The RPCs of `{}`, for the front door.", service.full_name())?;
    writeln!(
        out,
        "pub fn {}_rpcs<S: {name}>(service: &::std::sync::Arc<S>) -> ::std::vec::Vec<::metagate::front::Rpc> {{\n    vec![",
        name.to_snake_case()
    )?;
    for method in service.methods() {
        rpc(service, &method, out)?;
    }
    writeln!(out, "    ]\n}}\n")?;
    Ok(())
}

fn rpc(service: &ServiceDescriptor, method: &MethodDescriptor, out: &mut String) -> Result<()> {
    let settings = options::service_settings(service)?;
    let access = match options::permission(method).as_deref() {
        None => "::metagate::front::Access::Anybody".to_owned(),
        Some("authenticated") => "::metagate::front::Access::Authenticated".to_owned(),
        Some("org.read") => permission("OrgRead"),
        Some("org.write") => permission("OrgWrite"),
        Some(other) => return Err(format!("{}: unknown permission {other:?}", method.full_name()).into()),
    };
    writeln!(out, "        ::metagate::front::Rpc::new(\n            ::metagate::front::Description {{")?;
    writeln!(out, "                service: {:?},", service.full_name())?;
    writeln!(out, "                method: {:?},", method.name())?;
    writeln!(out, "                path: \"/{}/{}\",", service.full_name(), method.name())?;
    writeln!(out, "                access: {access},")?;
    writeln!(out, "                message_bytes_max: {},", settings.message_bytes_max)?;
    writeln!(out, "                malformed: {},", code(settings.malformed_code, service)?)?;
    writeln!(out, "                rest_prefix: {:?},", settings.rest_prefix)?;
    writeln!(out, "                bindings: &[")?;
    for rule in options::http_rules(method)? {
        let bound = binding::path_fields(&rule.template);
        let takes_query = !rule.takes_body
            && method.input().fields().any(|field| !bound.contains(&field.name().to_owned()));
        writeln!(
            out,
            "                    ::metagate::front::Binding {{ http_method: ::http::Method::{}, template: {:?}, \
             takes_body: {}, takes_query: {takes_query} }},",
            rule.http_method,
            settings.rest_prefix.clone() + &rule.template,
            rule.takes_body
        )?;
    }
    writeln!(out, "                ],\n            }},")?;
    writeln!(
        out,
        "            {{ let service = service.clone(); move |call, request| {{ let service = service.clone(); \
         async move {{ service.{}(call, request).await }} }} }},\n        ),",
        naming::field(method.name())
    )?;
    Ok(())
}

fn permission(variant: &str) -> String {
    format!("::metagate::front::Access::Permission(::domain::Permission::{variant})")
}

fn code(number: u64, service: &ServiceDescriptor) -> Result<&'static str> {
    match number {
        3 => Ok("::domain::Code::InvalidArgument"),
        13 => Ok("::domain::Code::Internal"),
        _ => Err(format!("{}: malformed_code must be 3 or 13", service.full_name()).into()),
    }
}
