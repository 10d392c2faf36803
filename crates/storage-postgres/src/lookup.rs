//! Organizations, asked for by every call: those who wait share a statement.

use std::collections::HashMap;

use domain::{Organization, OrganizationId};
use tokio_postgres::types::Type;

use crate::{
    database::Database,
    error::Failure,
    lanes::{Asked, Work},
    read::organization_of,
};

/// Asks for organizations, whatever their state. An answer is of a statement that began after it was asked for.
pub(crate) struct Lookups {
    pub(crate) database: Database,
}

impl Work for Lookups {
    type Question = OrganizationId;
    type Answer = Option<Organization>;

    async fn perform(&self, batch: Vec<Asked<Self>>) {
        let found = self.find(&batch).await.map_err(Failure::into_error);
        for asked in batch {
            let answer = match &found {
                Ok(found) => Ok(found.get(&asked.question).cloned()),
                Err(error) => Err(error.copy()),
            };
            asked.answer(answer);
        }
    }
}

impl Lookups {
    async fn find(&self, batch: &[Asked<Self>]) -> Result<HashMap<OrganizationId, Organization>, Failure> {
        let mut ids: Vec<&str> = batch.iter().map(|asked| asked.question.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let parameters: &[_] = &[(&ids as _, Type::TEXT_ARRAY)];
        let rows = self.database.query("SELECT * FROM metagate.organizations_1($1)", parameters).await?;
        let organizations = rows.iter().map(|row| organization_of(row).map(|(organization, _)| organization));
        organizations.map(|found| found.map(|found| (found.id.clone(), found))).collect()
    }
}
