//! Organizations, asked for by every call: those who wait share a statement.

use std::collections::HashMap;

use domain::{Organization, OrganizationId};
use storage::Standing;
use tokio_postgres::types::Type;

use crate::{
    database::Database,
    error::Failure,
    lanes::{Asked, Work},
    read::{column, count, organization_of},
};

/// Asks for organizations, whatever their state, and for the registry's revision. An answer is of a statement that began after it was asked for.
pub(crate) struct Lookups {
    pub(crate) database: Database,
}

impl Work for Lookups {
    type Question = OrganizationId;
    type Answer = Standing;

    async fn perform(&self, batch: Vec<Asked<Self>>) {
        let found = self.find(&batch).await.map_err(Failure::into_error);
        for asked in batch {
            let answer = match &found {
                Ok((revision, found)) => {
                    Ok(Standing { organization: found.get(&asked.question).cloned(), revision: *revision })
                }
                Err(error) => Err(error.copy()),
            };
            asked.answer(answer);
        }
    }
}

impl Lookups {
    /// The registry's revision, and the organizations that there are.
    async fn find(
        &self,
        batch: &[Asked<Self>],
    ) -> Result<(u64, HashMap<OrganizationId, Organization>), Failure> {
        /// Behind those of an organization.
        const REVISION: usize = 10;
        let mut ids: Vec<&str> = batch.iter().map(|asked| asked.question.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let parameters: &[_] = &[(&ids as _, Type::TEXT_ARRAY)];
        let rows = self.database.query("SELECT * FROM metagate.standings_3($1)", parameters).await?;
        let (mut revision, mut organizations) = (0, HashMap::new());
        for row in &rows {
            revision = count(column(row, REVISION)?);
            if column::<Option<i64>>(row, 0)?.is_some() {
                let (organization, _) = organization_of(row)?;
                organizations.insert(organization.id.clone(), organization);
            }
        }
        Ok((revision, organizations))
    }
}
