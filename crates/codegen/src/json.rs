//! proto3 JSON: pbjson's generated code, pointed at `protojson`.

use std::{fs, path::Path};

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind};

use crate::{Result, is_generated, messages_of, modules, naming};

/// The well-known types of `protojson`.
pub(crate) const WELL_KNOWN: [(&str, &str); 2] =
    [(".google.protobuf.Any", "::protojson::Any"), (".google.protobuf.Timestamp", "::protojson::Timestamp")];

/// Where pbjson skips unknown fields, and where `protojson` has a word on it.
const SKIPPED: (&str, &str) = (
    "Ok(GeneratedField::__SkipField__)",
    "::protojson::private::unknown_field(value).map(|()| GeneratedField::__SkipField__)",
);

/// What each message has that may skip fields.
const SKIPPABLE: &str = " __SkipField__,\n";

/// Writes `<package>.serde.rs` for every package.
pub(crate) fn generate(descriptors: &[u8], pool: &DescriptorPool, out: &Path) -> Result<()> {
    let packages = modules::packages(pool);
    let files = pool.files().filter(|file| is_generated(file.package_name()));
    for field in
        files.flat_map(|file| messages_of(&file)).flat_map(|message| message.fields().collect::<Vec<_>>())
    {
        // `protojson` writes them as they are.
        if field.json_name().contains(|c: char| c.is_control() || matches!(c, '"' | '\\')) {
            return Err(format!("{}: its name in JSON would have to be escaped", field.full_name()).into());
        }
    }
    let prefixes: Vec<String> = packages.iter().map(|package| format!(".{package}")).collect();
    let mut pbjson = pbjson_build::Builder::new();
    pbjson.register_descriptors(descriptors)?.out_dir(out).ignore_unknown_fields();
    for (proto, rust) in WELL_KNOWN {
        pbjson.extern_path(proto, rust);
    }
    pbjson.build(&prefixes)?;
    for package in &packages {
        let path = out.join(format!("{package}.serde.rs"));
        if !path.exists() {
            continue;
        }
        let code = fs::read_to_string(&path)?;
        let (found, messages) = (code.matches(SKIPPED.0).count(), code.matches(SKIPPABLE).count());
        if found != messages {
            return Err(format!("{package}: {found} messages skip fields, of {messages}").into());
        }
        let (code, replaced) = point_at_protojson(&code.replace(SKIPPED.0, SKIPPED.1));
        // A place that was missed would fall back to pbjson's ways with enums, and nobody would notice.
        let expected = enum_fields(pool, package);
        if replaced != expected {
            return Err(
                format!("{package}: replaced {replaced:?} enum fields, there are {expected:?}").into()
            );
        }
        fs::write(&path, code)?;
    }
    Ok(())
}

/// The list of all types that a `google.protobuf.Any` may hold; nothing where there is no such field.
pub(crate) fn types(pool: &DescriptorPool) -> String {
    let messages = || {
        let files = pool.files().filter(|file| is_generated(file.package_name()));
        files.flat_map(|file| messages_of(&file))
    };
    let is_any = |field: FieldDescriptor| matches!(field.kind(), Kind::Message(message) if message.full_name() == "google.protobuf.Any");
    if !messages().any(|message| message.fields().any(is_any)) {
        return String::new();
    }
    let types: String = messages()
        .map(|message| {
            let path = naming::path_from_root(&message);
            format!("    ::protojson::Type::of::<{path}>({:?}),\n", message.full_name())
        })
        .collect();
    format!(
        "/// What a `google.protobuf.Any` may hold.\npub const TYPES: &[::protojson::Type] = &[\n{types}];\n"
    )
}

/// Enum fields, single and repeated.
type EnumFields = [usize; 2];

/// Replaces pbjson's runtime by `protojson`'s. Returns the code, and how many enum fields are read by the latter.
///
/// pbjson refuses unknown names and numbers where it reads enums, and unknown numbers where it writes them.
fn point_at_protojson(code: &str) -> (String, EnumFields) {
    const SINGLE: (&str, &str) = ("map_.next_value::<", ">()? as i32");
    const REPEATED: (&str, &str) =
        ("map_.next_value::<Vec<", ">>()?.into_iter().map(|x| x as i32).collect()");
    const WRITTEN: (&str, &str) = ("let v = ", ")");

    let [mut single, mut repeated] = EnumFields::default();
    let mut lines: Vec<String> = Vec::new();
    for line in code.lines() {
        let line = line.replace("pbjson::private::", "protojson::private::");
        if let Some((before, path, after)) = cut(&line, REPEATED) {
            lines.push(format!(
                "{before}map_.next_value::<::protojson::private::EnumsDeserialize<{path}>>()?.0{after}"
            ));
            repeated += 1;
        } else if let Some((before, path, after)) = cut(&line, SINGLE) {
            lines.push(format!(
                "{before}map_.next_value::<::protojson::private::EnumDeserialize<{path}>>()?.0{after}"
            ));
            single += 1;
        } else if line
            .trim_start()
            .starts_with(".map_err(|_| serde::ser::Error::custom(format!(\"Invalid variant")
            && let Some(last) = lines.last_mut()
            && let Some((before, value, _)) = cut(last, WRITTEN)
            && let Some((_, number)) = value.split_once("::try_from(")
        {
            *last = format!(
                "{before}let v = ::protojson::private::EnumSerialize({value}).map_err(|_| {number}));"
            );
        } else {
            lines.push(line);
        }
    }
    (lines.join("\n"), [single, repeated])
}

/// What stands before, between and after the two parts of a pattern.
fn cut<'a>(line: &'a str, (begin, end): (&str, &str)) -> Option<(&'a str, &'a str, &'a str)> {
    let (before, rest) = line.split_once(begin)?;
    let (between, after) = rest.split_once(end)?;
    Some((before, between, after))
}

fn enum_fields(pool: &DescriptorPool, package: &str) -> EnumFields {
    let files = pool.files().filter(|file| file.package_name() == package);
    let messages = files.flat_map(|file| messages_of(&file));
    let fields = messages.flat_map(|message| message.fields().collect::<Vec<_>>());
    let (repeated, single) = fields
        .filter(|field| matches!(field.kind(), Kind::Enum(_)))
        .partition::<Vec<_>, _>(|field| field.is_list());
    [single.len(), repeated.len()]
}
