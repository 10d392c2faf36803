//! The module tree: one module a package, which includes what was generated for it.

use std::{collections::BTreeSet, fmt::Write, path::Path};

use prost_reflect::DescriptorPool;

use crate::{is_generated, naming};

/// The packages for which Rust is generated, in order.
pub(crate) fn packages(pool: &DescriptorPool) -> Vec<String> {
    let names: BTreeSet<_> =
        pool.files().map(|file| file.package_name().to_owned()).filter(|name| is_generated(name)).collect();
    names.into_iter().collect()
}

/// The text of `mod.rs`.
pub(crate) fn tree(packages: &[String], out: &Path) -> String {
    let mut text = String::new();
    level(packages, "", out, &mut text);
    text
}

fn level(packages: &[String], prefix: &str, out: &Path, text: &mut String) {
    if packages.iter().any(|package| package == prefix) {
        for kind in ["rs", "serde.rs", "rules.rs"] {
            let file = out.join(format!("{prefix}.{kind}"));
            if file.exists() {
                let _ = writeln!(text, "include!({:?});", file.display().to_string());
            }
        }
    }
    let inside = if prefix.is_empty() { String::new() } else { format!("{prefix}.") };
    let children: BTreeSet<_> = packages
        .iter()
        .filter_map(|package| package.strip_prefix(inside.as_str()))
        .filter_map(|rest| rest.split('.').next())
        .filter(|name| !name.is_empty())
        .collect();
    for child in children {
        let _ = writeln!(text, "/// `{inside}{child}`\npub mod {} {{", naming::module(child));
        level(packages, &format!("{inside}{child}"), out, text);
        text.push_str("}\n");
    }
}
