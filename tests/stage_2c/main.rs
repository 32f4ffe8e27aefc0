//! Stage 2c: log GC and snapshots.
//!
//! `raft` is about Raft alone, without a store; begin there. `delete_log` and `files` are about the workers by
//! themselves, `records` about what `PeerStorage` writes for a snapshot. The rest drives whole stores in the simulator,
//! as in stage 2b: clients enter through the raw handlers, what they heard must be linearizable, and invariants look at
//! every step.

mod chaos;
mod compact_log;
mod damage;
mod delete_log;
mod files;
mod log_gc;
mod one_snapshot;
mod proposals;
mod raft;
mod records;
mod recover;
mod storms;
mod story;
mod sweep;
mod traffic;
