//! The server under test, as it is named on the command line.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue};
use parity::{
    api::Api,
    transport::{Target, Transport, Trust},
};
use secrecy::{ExposeSecret, SecretString};

use crate::store;

/// The server, and what is known of it.
#[derive(Args, Debug)]
#[command(next_help_heading = "Server")]
pub(super) struct Server {
    /// The server: http://localhost:8080. An encoding that is served elsewhere has a URL of its own: grpc=http://localhost:9090
    #[arg(long, value_name = "[ENCODING=]URL", required = true)]
    pub(super) target: Vec<String>,
    /// A file with the bearer token of every call; `-` is stdin
    #[arg(long, value_name = "FILE|-", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// The bearer token of every call; others on this machine see it here: rather give the file, or the variable
    #[arg(long, env = "METAGATE_PARITY_TOKEN", hide_env_values = true)]
    token: Option<SecretString>,
    /// A header of every call
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Certificates (PEM) of authorities, instead of the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Take any certificate
    #[arg(long)]
    insecure: bool,
    /// Seconds until an answer is given up
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,
    /// Descriptors (a FileDescriptorSet) instead of the server's reflection
    #[arg(long, value_name = "FILE", conflicts_with = "proto")]
    descriptors: Option<PathBuf>,
    /// Proto files instead of the server's reflection
    #[arg(long, value_name = "FILE")]
    proto: Vec<PathBuf>,
    /// Folders in which proto files find what they import
    #[arg(long, value_name = "FOLDER")]
    proto_path: Vec<PathBuf>,
    /// A message in details of errors that no method names, for servers that are asked for their descriptors
    #[arg(long = "type", value_name = "NAME")]
    pub(super) types: Vec<String>,
    /// Where the URLs of a service begin, if the server mounts them below a path
    #[arg(long = "rest-prefix", value_name = "SERVICE=/PATH", value_parser = pair)]
    pub(super) rest_prefixes: Vec<(String, String)>,
}

impl Server {
    pub(super) fn transport(&self) -> Result<Transport, String> {
        let trust = Trust { ca: self.ca.clone(), anyone: self.insecure };
        Transport::new(&trust, Duration::from_secs(self.wait))
    }

    pub(super) fn headers(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        let token = match &self.token_file {
            Some(file) => Some(store::read_secret(file).map_err(|error| error.to_string())?),
            None => self.token.clone(),
        };
        if let Some(token) = token {
            let value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()));
            let mut value = value.map_err(|_| "the token is no text of a header".to_owned())?;
            value.set_sensitive(true);
            headers.insert("authorization", value);
        }
        for line in &self.headers {
            let wrong = || format!("{line:?} is no header: it is like 'x-name: value'");
            let (name, value) = line.split_once(':').ok_or_else(wrong)?;
            let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| wrong())?;
            headers.append(name, HeaderValue::from_bytes(value.trim().as_bytes()).map_err(|_| wrong())?);
        }
        Ok(headers)
    }

    pub(super) async fn api(
        &self,
        transport: &Transport,
        target: &Target,
        headers: &HeaderMap,
        types: Vec<String>,
    ) -> Result<Api, String> {
        match (&self.descriptors, self.proto.is_empty()) {
            (Some(file), _) => Api::from_descriptor_set(file),
            (None, false) => Api::from_proto_files(&self.proto, &self.proto_path),
            (None, true) => Api::from_reflection(transport, target, headers, &types).await,
        }
    }
}

/// `name=value`
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    pair.ok_or_else(|| "it is like name=value".to_owned())
}
