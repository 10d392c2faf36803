//! What is printed at the start.

use std::{net::SocketAddr, path::Path};

use super::directory::DevelopmentAccess;
use crate::config::Config;

/// Where the server listens, and lines to paste.
pub(super) fn greeting(
    address: SocketAddr,
    config: &Config,
    development: Option<&DevelopmentAccess>,
) -> String {
    let (scheme, plaintext) =
        if config.tls_certificate.is_some() { ("https", "") } else { ("http", "-plaintext ") };
    let mut text = format!("metagate listens on {scheme}://{address}\nstorage: {}\n", config.storage);
    let Some(DevelopmentAccess { place, organization, token }) = development else {
        let directory = config.directory.as_deref().unwrap_or(Path::new(""));
        text.push_str(&format!("directory: {}\n", directory.display()));
        return text;
    };
    text.push_str(&format!(
        "directory: {place} (for development: one organization, one owner; give your own with --directory)\n\
         organization: {organization}\n\
         token: {token}\n\
         \n\
         Set a value, and get it back:\n\
         \n  \
         curl -H 'Authorization: Bearer {token}' -d '{{\"value\":\"aGVsbG8=\"}}' {scheme}://{address}/management/v1/metadata/greeting\n  \
         curl -H 'Authorization: Bearer {token}' {scheme}://{address}/management/v1/metadata/greeting\n  \
         grpcurl {plaintext}-H 'authorization: Bearer {token}' -d '{{\"key\":\"greeting\"}}' {address} \
         zitadel.management.v1.ManagementService/GetOrgMetadata\n\n"
    ));
    text
}
