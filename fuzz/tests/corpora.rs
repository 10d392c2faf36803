//! What was found by fuzzing, and what it began with, once more.

#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

#[test]
fn no_input_of_the_corpora_breaks_its_property() {
    for (name, target) in metagate_fuzz::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let mut inputs: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
        inputs.sort();
        assert!(inputs.len() >= 10, "the corpus of {name} is gone");
        for path in inputs {
            let input = fs::read(&path).unwrap();
            println!("{}", path.display());
            target(&input);
        }
    }
}
