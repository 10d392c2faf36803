//! Why a store does not open, and what the database's errors mean to its callers.

use std::{error::Error as _, io, time::Duration};

use deadpool_postgres::{PoolError, TimeoutType};
use storage::StoreError;
use tokio_postgres::{Error, error::SqlState};

/// Why a store does not open, in one line for whoever started the program. Never holds a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address cannot be used.
    #[error("storage postgres: {0}")]
    Address(String),
    /// There is no store in the database, and it is not to be made.
    #[error("storage postgres: there is none in the database")]
    Absent,
    /// The database cannot be reached, or refuses what a store needs.
    #[error("storage postgres: {0}")]
    Database(String),
    /// A newer program has made tables that this one cannot use.
    #[error(
        "storage postgres: its schema is of version {found} and needs a program that knows {oldest}, and this one knows \
         {known}; use a newer one"
    )]
    NewerSchema {
        /// The schema's version.
        found: i32,
        /// The oldest version that can work with it.
        oldest: i32,
        /// This program's version.
        known: i32,
    },
}

/// How a statement failed, and what is certain of it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nothing was applied, and the same may succeed when it is tried again.
    Again(StoreError),
    /// It is open what was applied: the answer is lost. To try again is a guess, unless it makes no difference how often.
    Open(StoreError),
    /// To try again would not help.
    Final(StoreError),
}

impl Failure {
    pub(crate) fn into_error(self) -> StoreError {
        match self {
            Self::Again(error) | Self::Open(error) | Self::Final(error) => error,
        }
    }

    /// What it means that no connection was to be had: nothing was sent.
    pub(crate) fn of_pool(error: PoolError) -> Self {
        match error {
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
                Self::Again(StoreError::unavailable("the database does not answer"))
            }
            PoolError::Timeout(TimeoutType::Wait) => Self::Final(StoreError::unavailable(
                "all connections to the database are in use; see postgres-connections-max",
            )),
            PoolError::Backend(error) => Self::Again(StoreError::unavailable(one_line(&error))),
            other => Self::Final(StoreError::unavailable(other)),
        }
    }

    /// What it means that a statement has failed.
    pub(crate) fn of_statement(error: Error) -> Self {
        let is_lost = error.is_closed() || error.source().is_some_and(|cause| cause.is::<io::Error>());
        let Some(code) = error.code().cloned() else {
            let error = StoreError::unavailable(one_line(&error));
            return if is_lost { Self::Open(error) } else { Self::Final(error) };
        };
        let cause = one_line(&error);
        let again = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
            // A server that was promoted or demoted: another one of the address takes writes.
            SqlState::READ_ONLY_SQL_TRANSACTION,
        ];
        // It may have come behind the commit (PostgreSQL's manual, "Synchronous Replication").
        let ends = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN];
        let full = [SqlState::DISK_FULL, SqlState::OUT_OF_MEMORY];
        let damaged = [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED];
        if again.contains(&code) {
            Self::Again(StoreError::unavailable(cause))
        } else if ends.contains(&code) {
            Self::Open(StoreError::unavailable(cause))
        } else if full.contains(&code) {
            Self::Final(StoreError::Full(cause.into()))
        } else if damaged.contains(&code) {
            Self::Final(StoreError::Damaged(cause.into()))
        } else {
            Self::Final(StoreError::unavailable(cause))
        }
    }

    /// What it means that a statement was given up: a write may still happen.
    pub(crate) fn given_up(after: Duration) -> Self {
        Self::Final(StoreError::unavailable(format!("the database did not answer within {after:?}")))
    }
}

/// The error and its causes; tokio-postgres keeps the server's words in the cause.
pub(crate) fn one_line(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text.replace('\n', " ")
}
