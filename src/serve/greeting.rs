//! What is printed at the start.

use std::path::Path;

use secrecy::ExposeSecret;

use super::directory::DevelopmentAccess;
use crate::{config::Config, front::Place};

/// Where the server listens, and lines to paste.
pub(super) fn greeting(places: &[Place], config: &Config, development: Option<&DevelopmentAccess>) -> String {
    let is_secure = config.tls_certificate.is_some();
    let scheme = if is_secure { "https" } else { "http" };
    let mut text = String::new();
    for place in places {
        match place {
            Place::Tcp(address) => text.push_str(&format!("metagate listens on {scheme}://{address}\n")),
            Place::Unix(_) => text.push_str(&format!("metagate listens on {place}\n")),
        }
    }
    text.push_str(&format!("storage: {}\n", config.storage));
    let Some(DevelopmentAccess { place, organization, token }) = development else {
        let directory = config.directory.as_deref().unwrap_or(Path::new(""));
        text.push_str(&format!("directory: {}\n", directory.display()));
        return text;
    };
    // For this it was made.
    let token = token.expose_secret();
    text.push_str(&format!(
        "directory: {place} (for development: one organization, one owner; give your own with --directory)\n\
         organization: {organization}\n\
         token: {token}\n"
    ));
    // A port is the simplest to paste.
    let port = places.iter().find(|place| matches!(place, Place::Tcp(_)));
    let (curl, url, grpcurl, target) = match port.or(places.first()) {
        Some(Place::Tcp(address)) => {
            let grpcurl = if is_secure { "grpcurl" } else { "grpcurl -plaintext" };
            ("curl".to_owned(), format!("{scheme}://{address}"), grpcurl, address.to_string())
        }
        Some(Place::Unix(address)) => {
            let path = address.as_pathname().unwrap_or(Path::new("")).display();
            let curl = format!("curl --unix-socket {path}");
            (curl, "http://localhost".to_owned(), "grpcurl -plaintext -unix", path.to_string())
        }
        None => return text,
    };
    text.push_str(&format!(
        "\n\
         Set a value, and get it back:\n\
         \n  \
         {curl} -H 'Authorization: Bearer {token}' -d '{{\"value\":\"aGVsbG8=\"}}' {url}/management/v1/metadata/greeting\n  \
         {curl} -H 'Authorization: Bearer {token}' {url}/management/v1/metadata/greeting\n  \
         {grpcurl} -H 'authorization: Bearer {token}' -d '{{\"key\":\"greeting\"}}' {target} \
         zitadel.management.v1.ManagementService/GetOrgMetadata\n\n"
    ));
    text
}
