//! Descriptors from files.

use std::path::{Path, PathBuf};

use prost_reflect::DescriptorPool;

use super::Api;

impl Api {
    /// An API from a `google.protobuf.FileDescriptorSet`, as `protoc --descriptor_set_out --include_imports` and `buf build`
    /// write it.
    ///
    /// # Errors
    /// If the file cannot be read, or is none.
    pub fn from_descriptor_set(file: &Path) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let bytes = std::fs::read(file).map_err(|error| failed(&error))?;
        let pool = DescriptorPool::decode(bytes.as_slice())
            .map_err(|error| failed(&format!("no descriptor set: {error}")))?;
        Ok(Self::new(pool))
    }

    /// An API from proto files, which find what they import in `includes`, or beside themselves if there are none.
    ///
    /// # Errors
    /// If a file cannot be read, or does not compile, with its line.
    pub fn from_proto_files(files: &[PathBuf], includes: &[PathBuf]) -> Result<Self, String> {
        let beside: Vec<PathBuf> =
            files.iter().filter_map(|file| file.parent()).map(Path::to_owned).collect();
        let includes = if includes.is_empty() { &beside } else { includes };
        let mut compiler = protox::Compiler::new(includes).map_err(|error| error.to_string())?;
        compiler.include_imports(true);
        for file in files {
            compiler.open_file(file).map_err(|error| format!("{error:?}"))?;
        }
        let set = compiler.encode_file_descriptor_set();
        let pool = DescriptorPool::decode(set.as_slice()).map_err(|error| error.to_string())?;
        Ok(Self::new(pool))
    }
}
