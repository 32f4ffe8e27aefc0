//! RaftKV: a replicated, sharded key-value store, written stage by stage.
//!
//! Read in this order: [`storage`] (stage 1), [`raft`] (stage 2a), [`raftstore`] (stage 2b), [`worker`] (stage 2c).
//! [`scheduler`] stands beside them; `server`, behind the feature of that name, is what runs all of it.
//! `docs/architecture.md` has the map.

pub mod engine;
pub mod error;
pub mod ids;
pub mod proto;
pub mod raft;
pub mod raftstore;
pub mod scheduler;
#[cfg(feature = "server")]
pub mod server;
pub mod storage;
pub mod worker;
