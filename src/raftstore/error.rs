//! What stops a store.
//!
//! What a client may hear is [`crate::error::Error`]; what stands here is for whoever runs the store.

use thiserror::Error;

use crate::engine::EngineError;
use crate::ids::{RegionId, StoreId};
use crate::raft::{RaftError, StorageError};

/// Why a store cannot start, or cannot go on.
///
/// Every one of these stops the store. A store that has lost track of its disk or of its log could break what it has
/// promised; stopped, it is one more crashed server, and those the others outlive.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The settings cannot work.
    #[error("bad store config: {0}")]
    Config(String),

    /// The disk failed.
    #[error(transparent)]
    Engine(#[from] EngineError),

    /// A peer cannot keep Raft's promises any more.
    #[error("region {region}: {error}")]
    Raft {
        /// Whose peer.
        region: RegionId,
        /// What happened.
        error: RaftError,
    },

    /// A worker could not do what the store's promises rest on.
    #[error("a worker has failed: {0}")]
    Worker(String),

    /// What is on the disk cannot have been written by this program.
    #[error("the data of this store is damaged: {0}")]
    Corrupt(String),

    /// The folder belongs to another store.
    #[error("this is the data of {found}, not of {expected}: give the store its own folder back")]
    WrongStore {
        /// Who was to be started.
        expected: StoreName,
        /// Whose data it is.
        found: StoreName,
    },

    /// The folder is new: [`bootstrap_store`](super::bootstrap_store) comes first.
    #[error("there is no store here yet: bootstrap it first")]
    NotBootstrapped,

    /// There is a store here already.
    #[error("{0} is here already: it cannot be bootstrapped again")]
    AlreadyBootstrapped(StoreName),

    /// It has stopped before, for the reason in the text.
    #[error("the store has stopped: {0}")]
    Stopped(String),
}

/// A store and its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreName {
    /// The cluster's id.
    pub cluster: u64,
    /// The store's id.
    pub store: StoreId,
}

impl std::fmt::Display for StoreName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "store {} of cluster {}", self.store, self.cluster)
    }
}

impl From<RaftError> for StoreError {
    fn from(error: RaftError) -> StoreError {
        match error {
            RaftError::Config(text) => StoreError::Config(text),
            error => StoreError::Raft { region: 0, error },
        }
    }
}

/// The log as Raft reads it comes from an engine, so a failed engine is a failed log.
impl From<EngineError> for StorageError {
    fn from(error: EngineError) -> StorageError {
        StorageError::Other(error.to_string())
    }
}
