//! Organizations, asked for by every call: those who wait share a statement.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::{Organization, OrganizationId};
use storage::StoreError;
use tokio::sync::oneshot;
use tokio_postgres::types::Type;

use crate::{database::Database, error::Failure, read::organization_of};

/// How many statements are under way at once; who asks while there are so many shares the next one.
const LANES_MAX: usize = 2;

type Answer = Result<Option<Organization>, StoreError>;

/// Asks for organizations. An answer is of a statement that began after it was asked for.
#[derive(Clone)]
pub(crate) struct Lookups(Arc<Shared>);

struct Shared {
    database: Database,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    askers: Vec<(OrganizationId, oneshot::Sender<Answer>)>,
    lanes: usize,
}

impl Lookups {
    pub(crate) fn new(database: Database) -> Self {
        Self(Arc::new(Shared { database, waiting: Mutex::default() }))
    }

    /// The organization, whatever its state.
    pub(crate) async fn organization(&self, id: &OrganizationId) -> Answer {
        let (sender, answer) = oneshot::channel();
        {
            let mut waiting = self.0.lock();
            waiting.askers.push((id.clone(), sender));
            if waiting.lanes < LANES_MAX {
                waiting.lanes += 1;
                tokio::spawn(Lane { shared: self.0.clone(), counts: true }.run());
            }
        }
        answer.await.map_err(|_| StoreError::unavailable("the question was lost"))?
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One statement after the other, until nobody waits.
struct Lane {
    shared: Arc<Shared>,
    /// Whether it counts among the lanes.
    counts: bool,
}

impl Drop for Lane {
    fn drop(&mut self) {
        if self.counts {
            self.shared.lock().lanes -= 1;
        }
    }
}

impl Lane {
    async fn run(mut self) {
        while let Some(askers) = self.next() {
            let found = self.ask(&askers).await.map_err(Failure::into_error);
            for (id, sender) in askers {
                let answer = match &found {
                    Ok(found) => Ok(found.get(&id).cloned()),
                    Err(error) => Err(error.copy()),
                };
                // Who has left does not want to know.
                let _ = sender.send(answer);
            }
        }
    }

    fn next(&mut self) -> Option<Vec<(OrganizationId, oneshot::Sender<Answer>)>> {
        let mut waiting = self.shared.lock();
        let mut askers = mem::take(&mut waiting.askers);
        askers.retain(|(_, sender)| !sender.is_closed());
        if askers.is_empty() {
            // At once: who asks next must see that nobody would take him along.
            (waiting.lanes, self.counts) = (waiting.lanes - 1, false);
            return None;
        }
        Some(askers)
    }

    async fn ask(
        &self,
        askers: &[(OrganizationId, oneshot::Sender<Answer>)],
    ) -> Result<HashMap<OrganizationId, Organization>, Failure> {
        let mut ids: Vec<&str> = askers.iter().map(|(id, _)| id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let parameters: &[_] = &[(&ids as _, Type::TEXT_ARRAY)];
        let rows =
            self.shared.database.query("SELECT * FROM metagate.organizations_1($1)", parameters).await?;
        let organizations = rows.iter().map(|row| organization_of(row).map(|(organization, _)| organization));
        organizations.map(|found| found.map(|found| (found.id.clone(), found))).collect()
    }
}
