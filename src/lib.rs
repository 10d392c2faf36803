//! metagate
