//! Generates the API from `proto/`.

use std::{env, error::Error, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    codegen::generate(Path::new("proto"), &[], &["zitadel", "google/rpc"], Path::new(&env::var("OUT_DIR")?))
}
