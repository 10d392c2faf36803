//! The bare servers in Go (`baselines/go`): generated from metagate's descriptors and built, where there is Go.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use bytes::Bytes;
use metagate::api::DESCRIPTORS;
use prost::Message;

use crate::Error;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baselines/go");

/// What is generated, and the package that it becomes.
const PROTOS: [(&str, &str); 6] = [
    ("zitadel/management.proto", "management"),
    ("zitadel/metadata.proto", "metadata"),
    ("zitadel/object.proto", "object"),
    ("zitadel/options.proto", "auth"),
    ("metagate/service.proto", "service"),
    ("validate/validate.proto", "validate"),
];

/// The programs, built.
pub struct Programs(PathBuf);

impl Programs {
    /// Builds them in a folder of `target`, unless `skip_build`.
    ///
    /// # Errors
    /// If there is no Go, or its modules cannot be had.
    pub fn build(target: &Path, skip_build: bool) -> Result<Self, Error> {
        let home = target.join("baselines-go");
        let programs = home.join("bin");
        if !skip_build {
            run(Command::new("go").arg("version").stdout(Stdio::null()))?;
            let source = home.join("source");
            if source.exists() {
                fs::remove_dir_all(&source)?;
            }
            copy(Path::new(SOURCE), &source)?;
            run(go(&source).env("GOBIN", &programs).args(["install", "tool"]))?;
            let all: Vec<_> = PROTOS.iter().map(|(proto, _)| *proto).collect();
            let service = &all[..1];
            generate(&programs.join("protoc-gen-go"), "", &all, &source)?;
            generate(&programs.join("protoc-gen-go-grpc"), "", service, &source)?;
            // A DELETE has a body in this API.
            let gateway = programs.join("protoc-gen-grpc-gateway");
            generate(&gateway, ",allow_delete_body=true", service, &source)?;
            let build = ["build", "-buildvcs=false", "-o"];
            run(go(&source).args(build).arg(&programs).args(["./grpc", "./zitadel"]))?;
        }
        for name in ["grpc", "zitadel"] {
            if !programs.join(name).is_file() {
                return Err(format!("{name} is not built").into());
            }
        }
        Ok(Self(programs))
    }

    /// grpc-go alone.
    pub fn grpc(&self) -> Command {
        Command::new(self.0.join("grpc"))
    }

    /// grpc-go, grpc-gateway and improbable's grpc-web on one port.
    pub fn zitadel(&self) -> Command {
        Command::new(self.0.join("zitadel"))
    }
}

fn go(source: &Path) -> Command {
    let mut command = Command::new("go");
    command.current_dir(source);
    command
}

fn run(command: &mut Command) -> Result<(), Error> {
    let name = command.get_program().display().to_string();
    let status = command.status().map_err(|error| format!("cannot start {name}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name} ended with {status}").into()) }
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// `google.protobuf.FileDescriptorSet`. Files stay as they are, with the options that prost's own types would drop.
#[derive(Message)]
struct Files {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    files: Vec<Bytes>,
}

/// What protoc asks of its plugins: `google.protobuf.compiler.CodeGeneratorRequest`.
#[derive(Message)]
struct Request {
    #[prost(string, repeated, tag = "1")]
    file_to_generate: Vec<String>,
    #[prost(string, tag = "2")]
    parameter: String,
    #[prost(bytes = "bytes", repeated, tag = "15")]
    proto_file: Vec<Bytes>,
}

/// `google.protobuf.compiler.CodeGeneratorResponse`.
#[derive(Message)]
struct Response {
    #[prost(string, tag = "1")]
    error: String,
    #[prost(message, repeated, tag = "15")]
    file: Vec<Generated>,
}

#[derive(Message)]
struct Generated {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "15")]
    content: String,
}

/// Has a plugin write code for `files` below `source`.
fn generate(plugin: &Path, option: &str, files: &[&str], source: &Path) -> Result<(), Error> {
    let packages = PROTOS.map(|(proto, package)| format!(",M{proto}=metagate/baselines/pb/{package}"));
    let request = Request {
        file_to_generate: files.iter().map(|&file| file.to_owned()).collect(),
        parameter: format!("module=metagate/baselines{option}{}", packages.concat()),
        proto_file: Files::decode(DESCRIPTORS)?.files,
    };
    let mut child = Command::new(plugin).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().ok_or("a plugin without stdin")?;
    let writer = thread::spawn(move || stdin.write_all(&request.encode_to_vec()));
    let output = child.wait_with_output()?;
    writer.join().map_err(|_| "the writer to a plugin panicked")??;
    let response = Response::decode(output.stdout.as_slice())?;
    if !output.status.success() || !response.error.is_empty() {
        let name = plugin.file_name().unwrap_or_default();
        return Err(format!("{}: {} {}", name.display(), output.status, response.error).into());
    }
    for Generated { name, content } in response.file {
        let path = source.join(name);
        fs::create_dir_all(path.parent().ok_or("a file without a folder")?)?;
        fs::write(path, content)?;
    }
    Ok(())
}
