//! Why a store does not open, and what the database's errors mean to its callers.

use std::time::Duration;

use deadpool_postgres::PoolError;
use storage::StoreError;
use tokio_postgres::{Error, error::SqlState};

/// Why a store does not open, in one line for whoever started the program. Never holds a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address cannot be used.
    #[error("storage postgres: {0}")]
    Address(String),
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
    /// Nothing was applied, or it is open what was: to try again would not help, or be a guess.
    Final(StoreError),
}

impl Failure {
    pub(crate) fn into_error(self) -> StoreError {
        match self {
            Self::Again(error) | Self::Final(error) => error,
        }
    }

    /// What it means that no connection was to be had: nothing was sent.
    pub(crate) fn of_pool(error: PoolError) -> Self {
        match error {
            PoolError::Timeout(_) => Self::Final(StoreError::unavailable(
                "all connections to the database are in use; see postgres-connections",
            )),
            PoolError::Backend(error) => Self::Again(StoreError::unavailable(one_line(&error))),
            other => Self::Final(StoreError::unavailable(other)),
        }
    }

    /// What it means that a statement has failed.
    pub(crate) fn of_statement(error: Error) -> Self {
        let Some(code) = error.code().cloned() else {
            // The connection is lost, and with it the answer.
            return Self::Final(StoreError::unavailable(one_line(&error)));
        };
        let cause = one_line(&error);
        let again = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
            // A server that was promoted or demoted: another one of the address takes writes.
            SqlState::READ_ONLY_SQL_TRANSACTION,
        ];
        let full = [SqlState::DISK_FULL, SqlState::OUT_OF_MEMORY];
        let damaged = [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED];
        if again.contains(&code) {
            Self::Again(StoreError::unavailable(cause))
        } else if full.contains(&code) {
            Self::Final(StoreError::Full(cause.into()))
        } else if damaged.contains(&code) {
            Self::Final(StoreError::Damaged(cause.into()))
        } else {
            // A shutdown too may have come behind the commit (PostgreSQL, "Synchronous Replication").
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
