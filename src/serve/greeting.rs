//! What is printed at the start.

use std::path::Path;

use super::directory::DevelopmentAccess;
use crate::{config::Config, front::Place};

/// Where the server listens, and lines to paste.
pub(super) fn greeting(places: &[Place], config: &Config, development: Option<&DevelopmentAccess>) -> String {
    let is_secure = config.tls_certificate.is_some();
    let (scheme, plaintext) = if is_secure { ("https", "") } else { ("http", "-plaintext ") };
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
    text.push_str(&format!(
        "directory: {place} (for development: one organization, one owner; give your own with --directory)\n\
         organization: {organization}\n\
         token: {token}\n"
    ));
    let address = places.iter().find_map(|place| match place {
        Place::Tcp(address) => Some(address),
        Place::Unix(_) => None,
    });
    if let Some(address) = address {
        text.push_str(&format!(
            "\n\
             Set a value, and get it back:\n\
             \n  \
             curl -H 'Authorization: Bearer {token}' -d '{{\"value\":\"aGVsbG8=\"}}' {scheme}://{address}/management/v1/metadata/greeting\n  \
             curl -H 'Authorization: Bearer {token}' {scheme}://{address}/management/v1/metadata/greeting\n  \
             grpcurl {plaintext}-H 'authorization: Bearer {token}' -d '{{\"key\":\"greeting\"}}' {address} \
             zitadel.management.v1.ManagementService/GetOrgMetadata\n\n"
        ));
    }
    text
}
