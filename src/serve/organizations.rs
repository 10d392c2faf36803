//! A directory's organizations in the store.

use domain::OrganizationState;
use futures_util::{StreamExt, TryStreamExt, stream};
use identity::{Directory, DirectoryOrganization};
use storage::{Store, StoreError};

use super::{ServeError, error::Mismatch};

/// How many organizations are changed at once, so that they share the store's commits.
const CONCURRENT_MAX: usize = 256;

/// The organizations of `directory` that are missing in `store`, or are in another state than it says.
///
/// # Errors
/// [`ServeError::Mismatch`] with all that is in the way: what the store calls removed and the directory does not, and
/// what the directory names and neither of them has. [`ServeError::Store`].
pub(super) async fn changes<'a>(
    directory: &'a Directory,
    store: &dyn Store,
) -> Result<Vec<&'a DirectoryOrganization>, ServeError> {
    let mut changes = Vec::new();
    let mut problems = Vec::new();
    for organization in directory.organizations() {
        let state = store.organization(&organization.id).await?.map(|stored| stored.state);
        if state == Some(OrganizationState::Removed) && organization.state != OrganizationState::Removed {
            let text = format!("organization {:?} was removed, which is final", organization.id.as_str());
            problems.push(organization.place.with_text(text));
        } else if state != Some(organization.state) {
            changes.push(organization);
        }
    }
    for reference in directory.references() {
        if store.organization(&reference.organization).await?.is_none() {
            problems.push(reference.problem.clone());
        }
    }
    if problems.is_empty() { Ok(changes) } else { Err(Mismatch(problems).into()) }
}

/// Creates organizations where they are missing, and brings them to their states.
///
/// # Errors
/// Those of the store; some of the organizations may have been changed.
pub(super) async fn apply(changes: Vec<&DirectoryOrganization>, store: &dyn Store) -> Result<(), StoreError> {
    let changes = changes.into_iter().map(async |DirectoryOrganization { id, name, state, .. }| {
        let stored = store.create_organization(id, name).await?;
        if stored.state != *state {
            store.set_organization_state(id, *state).await?;
        }
        Ok(())
    });
    stream::iter(changes).buffer_unordered(CONCURRENT_MAX).try_collect().await
}
