//! Which scenarios are made, and how.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::Args;
use parity::{
    dialect::{Dialect, Encoding, HttpVersion},
    scenario::{File, Suite, Tags},
};

use super::{ParityError, server::pair};

/// Which scenarios are made, and how.
#[derive(Args, Debug)]
#[command(next_help_heading = "Scenarios")]
pub(super) struct Selection {
    /// Files of scenarios (YAML), or folders of them
    #[arg(required = true, value_name = "SCENARIOS")]
    files: Vec<PathBuf>,
    /// Only scenarios with one of these tags
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// No scenarios with one of these tags
    #[arg(long = "without-tag", value_name = "TAG")]
    without_tags: Vec<String>,
    /// Only scenarios whose name has this in it
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// A variable, above those of the files
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = pair)]
    variables: Vec<(String, String)>,
    /// Encodings: rest, grpc, grpc-web, grpc-web-text, connect-json, connect-proto; and, of servers that speak them, grpc-json,
    /// grpc-web-json, grpc-at-url, grpc-web-at-url, grpc-web-text-at-url (see docs/parity.md)
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = Encoding::USUAL)]
    encodings: Vec<Encoding>,
    /// Versions of HTTP, each with each encoding: 1.1, 2. If nothing is said, gRPC goes over 2 and all else over 1.1
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    http: Vec<HttpVersion>,
    /// Scenarios that are made side by side
    #[arg(long, value_name = "COUNT", default_value_t = 16)]
    pub(super) jobs: usize,
    /// What each `${run}` begins with: letters and digits. If nothing is said, something new each time
    #[arg(long, value_name = "ID")]
    pub(super) run_id: Option<String>,
}

impl Selection {
    /// Reads all files; of a folder, those that end in .yaml or .yml, in the order of their names.
    pub(super) fn read(&self) -> Result<Vec<(PathBuf, File)>, ParityError> {
        let (mut files, mut mistakes) = (Vec::new(), Vec::new());
        for path in &self.files {
            let paths = listed(path);
            let paths = paths.map_err(|error| ParityError::Setup(format!("{}: {error}", path.display())))?;
            for path in paths {
                match File::read(&path) {
                    Ok(file) => files.push((path, file)),
                    Err(mistake) => mistakes.push(mistake),
                }
            }
        }
        if mistakes.is_empty() { Ok(files) } else { Err(ParityError::Scenarios(mistakes)) }
    }

    pub(super) fn tags(&self) -> Tags {
        Tags { with: self.tags.clone(), without: self.without_tags.clone() }
    }

    pub(super) fn variables(&self) -> BTreeMap<String, String> {
        self.variables.iter().cloned().collect()
    }

    pub(super) fn narrow(&self, suite: &mut Suite) -> Result<(), ParityError> {
        if let Some(name) = &self.name {
            suite.retain_names(name);
        }
        // Nothing compared must not look like nothing wrong.
        if suite.scenarios.is_empty() {
            return Err(ParityError::Setup("no scenario fits --tag, --without-tag and --name".to_owned()));
        }
        Ok(())
    }

    pub(super) fn dialects(&self) -> Vec<Dialect> {
        Dialect::product(&self.encodings, &self.http)
    }
}

/// What each `${run}` begins with: what was given, or something new.
pub(super) fn run_id(given: Option<&str>) -> Result<String, String> {
    match given {
        Some(id) if id.chars().all(|character| character.is_ascii_alphanumeric()) && id.len() >= 3 => {
            Ok(id.to_owned())
        }
        Some(id) => Err(format!("{id:?} is no run id: it is three letters and digits or more")),
        None => getrandom::u32().map(|random| format!("p{random:08x}")).map_err(|error| error.to_string()),
    }
}

fn listed(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        return Err(std::io::Error::other("there are no files of scenarios (.yaml) in this folder"));
    }
    Ok(paths)
}
