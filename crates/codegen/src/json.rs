//! proto3 JSON: pbjson's generated code, pointed at `protojson`.

use std::{fs, path::Path};

use prost_reflect::DescriptorPool;

use crate::{Result, modules};

/// What pbjson writes, what it has to say instead, and why `protojson` documents.
const REPLACEMENTS: &[(&str, &str)] = &[("::pbjson::private::", "::protojson::private::")];

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
        let mut code = fs::read_to_string(&path)?;
        for (from, to) in REPLACEMENTS {
            code = code.replace(from, to);
        }
        fs::write(&path, code)?;
    }
    Ok(())
}
