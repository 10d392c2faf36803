//! Build time: from proto files to everything that follows from them.
//!
//! Depends on nothing of ours, and never on a crate that includes its output. Called by build scripts, it writes one
//! module tree: for each package the messages (prost), their proto3 JSON (pbjson, pointed at `protojson`), their
//! validation, and for each service a trait to implement and the table of its RPCs for the front door; and one OpenAPI
//! document.

mod binding;
mod json;
mod modules;
mod naming;
mod openapi;
mod options;
mod service;
mod validation;

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use prost::Message as _;
use prost_reflect::{DescriptorPool, FileDescriptor, prost_types::FileDescriptorSet};

/// What goes wrong at build time, in words for the person who changed a proto.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Generates code for all `.proto` files below `proto` whose path begins with one of `roots`, into `out`:
/// `mod.rs`, which includes the rest, `descriptors.binpb`, the descriptor set that reflection serves, and `openapi.json`.
/// What they import may also come from `imports`.
///
/// Packages of options and well-known types are only read; they are not part of the module tree.
///
/// # Errors
/// A proto that does not compile, or that uses something for which there is no generator.
pub fn generate(proto: &Path, imports: &[&Path], roots: &[&str], out: &Path) -> Result<()> {
    let mut files = Vec::new();
    for root in roots {
        find_protos(&proto.join(root), &mut files)?;
    }
    files.sort();
    let mut compiler = protox::Compiler::new([proto].iter().chain(imports))?;
    compiler.include_imports(true).include_source_info(true).open_files(&files)?;
    let descriptors = compiler.encode_file_descriptor_set();
    fs::write(out.join("descriptors.binpb"), &descriptors)?;

    // prost's own descriptor types drop extensions, so options are read from the pool.
    let pool = DescriptorPool::decode(descriptors.as_slice())?;
    let set = FileDescriptorSet::decode(descriptors.as_slice())?;
    let mut prost = prost_build::Config::new();
    prost.out_dir(out).bytes(["."]).enable_type_names();
    for (proto, rust) in json::WELL_KNOWN {
        prost.extern_path(proto, rust);
    }
    prost.compile_fds(set)?;
    json::generate(&descriptors, &pool, out)?;
    fs::write(out.join("openapi.json"), openapi::document(&pool)?)?;

    let packages = modules::packages(&pool);
    for package in &packages {
        let code = package_code(&pool, package)?;
        fs::write(out.join(format!("{package}.rules.rs")), code)?;
    }
    fs::write(out.join("mod.rs"), modules::tree(&packages, out) + &json::types(&pool))?;
    Ok(())
}

/// Validation, field binding and services of one package.
fn package_code(pool: &DescriptorPool, package: &str) -> Result<String> {
    let mut code = String::new();
    for file in pool.files().filter(|file| file.package_name() == package) {
        for message in messages_of(&file) {
            validation::message(&message, &mut code)?;
        }
        for descriptor in file.services() {
            service::service(&descriptor, &mut code)?;
        }
    }
    Ok(code)
}

/// All messages of a file, nested ones too, without the entries of maps.
fn messages_of(file: &FileDescriptor) -> Vec<prost_reflect::MessageDescriptor> {
    let mut all = Vec::new();
    let mut open: Vec<_> = file.messages().collect();
    while let Some(message) = open.pop() {
        open.extend(message.child_messages());
        if !message.is_map_entry() {
            all.push(message);
        }
    }
    all
}

fn is_generated(package: &str) -> bool {
    let options = ["google.", "metagate.", "zitadel.protoc_gen_zitadel."];
    !(package == "validate" || options.iter().any(|prefix| package.starts_with(prefix)))
}

fn find_protos(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            find_protos(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            found.push(path);
        }
    }
    Ok(())
}
