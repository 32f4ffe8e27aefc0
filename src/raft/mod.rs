//! Raft (placeholder docs).

mod commit;
mod config;
mod election;
mod error;
mod follower;
mod heartbeat;
mod inflights;
mod log;
mod mem_storage;
mod message;
mod progress;
mod quorum;
#[expect(clippy::module_inception, reason = "the struct Raft lives in raft.rs, as in the field's code")]
mod raft;
mod raw_node;
mod replication;
mod storage;

pub use commit::majority_index;
pub use config::Config;
pub use error::RaftError;
pub use inflights::Inflights;
pub use log::RaftLog;
pub use mem_storage::MemLogStorage;
pub use message::{is_from_leader, may_precede_persist, message};
pub use progress::{Progress, ProgressState};
pub use quorum::{VoteResult, majority, vote_result};
pub use raft::{Outbox, Raft, Role, SoftState};
pub use raw_node::{RawNode, Ready};
pub use storage::{LogStorage, StorageError};
