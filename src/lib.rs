//! RaftKV: a replicated, sharded key-value store, written stage by stage.
//!
//! Read in this order: [`storage`] (stage 1), [`raft`] (stage 2a), [`raftstore`]
//! (stage 2b). `docs/architecture.md` has the map.

pub mod engine;
pub mod error;
pub mod ids;
pub mod proto;
pub mod raft;
pub mod raftstore;
pub mod storage;
