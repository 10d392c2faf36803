//! proto3 JSON: pbjson's generated code, pointed at `protojson`.

use std::{fs, path::Path};

use prost_reflect::{DescriptorPool, Kind};

use crate::{Result, messages_of, modules};

/// Writes `<package>.serde.rs` for every package.
pub(crate) fn generate(descriptors: &[u8], pool: &DescriptorPool, out: &Path) -> Result<()> {
    let packages = modules::packages(pool);
    let prefixes: Vec<String> = packages.iter().map(|package| format!(".{package}")).collect();
    pbjson_build::Builder::new()
        .register_descriptors(descriptors)?
        .out_dir(out)
        .ignore_unknown_fields()
        .extern_path(".google.protobuf.Timestamp", "::protojson::Timestamp")
        .build(&prefixes)?;
    for package in &packages {
        let path = out.join(format!("{package}.serde.rs"));
        if !path.exists() {
            continue;
        }
        let (code, enums) = point_at_protojson(&fs::read_to_string(&path)?);
        // A place that was missed would fall back to pbjson's reading of enums, and nobody would notice.
        let expected = enum_fields(pool, package);
        if enums != expected {
            return Err(format!("{package}: {enums} of {expected} enum fields are read by protojson").into());
        }
        fs::write(&path, code)?;
    }
    Ok(())
}

/// Replaces pbjson's runtime by `protojson`'s. Returns the code, and the count of enum fields that were replaced.
fn point_at_protojson(code: &str) -> (String, usize) {
    let mut enums = 0;
    let mut lines = Vec::new();
    for line in code.lines() {
        let mut line = line.replace("pbjson::private::", "protojson::private::");
        for (begin, end, reader) in [
            ("map_.next_value::<Vec<", ">>()?.into_iter().map(|x| x as i32).collect()", "EnumsDeserialize"),
            ("map_.next_value::<", ">()? as i32", "EnumDeserialize"),
        ] {
            if let Some((before, rest)) = line.split_once(begin)
                && let Some((path, after)) = rest.split_once(end)
            {
                line =
                    format!("{before}map_.next_value::<::protojson::private::{reader}<{path}>>()?.0{after}");
                enums += 1;
            }
        }
        lines.push(line);
    }
    (lines.join("\n"), enums)
}

fn enum_fields(pool: &DescriptorPool, package: &str) -> usize {
    let files = pool.files().filter(|file| file.package_name() == package);
    let messages = files.flat_map(|file| messages_of(&file));
    messages
        .flat_map(|message| message.fields().collect::<Vec<_>>())
        .filter(|field| matches!(field.kind(), Kind::Enum(_)))
        .count()
}
