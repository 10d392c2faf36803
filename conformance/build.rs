//! Generates the service of the suite from `proto/`.

use std::{env, error::Error, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=../proto/metagate");
    codegen::generate(
        Path::new("proto"),
        &[Path::new("../proto")],
        &["connectrpc"],
        Path::new(&env::var("OUT_DIR")?),
    )
}
