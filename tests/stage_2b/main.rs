//! Stage 2b: the replicated store, in a simulated cluster (`raftkv_testkit::sim`).
//!
//! Clients enter where real ones do: a raw request goes into its handler, becomes a command, goes through Raft, and the
//! handler makes the response. What all clients heard must be linearizable; thirteen invariants look at every step of
//! every store.
//!
//! `handlers` and `storage` are about one file each, without a cluster; begin with them.

mod alone;
mod basic;
mod chaos;
mod commands;
mod disk;
mod handlers;
mod header;
mod layout;
mod partition;
mod proposals;
mod reads;
mod regions;
mod restart;
mod results;
mod storage;
mod sweep;
mod unreliable;
