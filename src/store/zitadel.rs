//! Records of a ZITADEL.

use storage::archive::Records;

use super::CommandError;

pub(super) fn records(_url: &str, _token: String) -> Result<Records, CommandError> {
    Err(CommandError::Zitadel("not yet".to_owned()))
}
