//! What a store can refuse, and how it fails.

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The organization is absent, or removed.
    #[error("no such organization")]
    OrganizationNotFound,
    /// A key that was to be removed is absent.
    #[error("change {index} removes a key that is absent")]
    KeyAbsent {
        /// The place of the change in the call's list, from 0.
        index: usize,
    },
    /// Records are not as they were expected to be; nothing was changed.
    #[error("somebody else has changed records meanwhile")]
    Conflict,
    /// A record's name or body is too long; nothing was changed.
    #[error("a record is too large")]
    TooLarge,
    /// There is no room for the write, and nobody sees anything of it. It may work once there is. Should the process die
    /// before, a restart may find the write after all, whole.
    #[error("store full: {0}")]
    Full(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What was asked for was not stored as it is now read; nothing was written.
    #[error("store damaged: {0}")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store cannot answer. The outcome of a write is open, but it is all or nothing.
    #[error("store unavailable: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// [`StoreError::Unavailable`], for a reason.
    pub fn unavailable(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(reason.into())
    }

    /// The same, for one more caller who waits for the same.
    pub fn copy(&self) -> Self {
        match self {
            Self::OrganizationNotFound => Self::OrganizationNotFound,
            Self::KeyAbsent { index } => Self::KeyAbsent { index: *index },
            Self::Conflict => Self::Conflict,
            Self::TooLarge => Self::TooLarge,
            Self::Full(cause) => Self::Full(cause.to_string().into()),
            Self::Damaged(cause) => Self::Damaged(cause.to_string().into()),
            Self::Unavailable(cause) => Self::unavailable(cause.to_string()),
        }
    }
}
