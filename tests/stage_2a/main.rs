//! Stage 2a: Raft. Leader election (`aa`), log replication (`ab`), `RawNode` (`ac`).
//!
//! Every test is a short script for the net of `tests/kit` (`raftkv_testkit::raft_net`), which also checks the
//! paper's invariants after every step. In each sub-stage, `paper` goes through the sections of the paper
//! sentence by sentence; the other modules go around the corners. In assertions, `4@2` is the entry at
//! index 4 of term 2.

mod aa;
mod ab;
mod ac;
