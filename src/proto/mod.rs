//! The messages that travel between clients, stores and the scheduler, and that stores keep on disk.
//!
//! Names and field numbers are those of TiKV's protocol, of which this is a subset, so a TiKV client can talk
//! to a RaftKV store. The `.proto` files beside this one are the source and carry the comments. The Rust is
//! generated from them by `just proto` and checked in, so a build needs no protobuf compiler. Never edit it
//! by hand: `just verify` compares it with a fresh copy.
//!
//! All `bytes` fields are [`bytes::Bytes`]: cloning a message shares its payload instead of copying it.
//!
//! | module | who uses it |
//! |---|---|
//! | [`kvrpcpb`] | clients ask a store: the raw calls |
//! | [`errorpb`] | a store sends a client elsewhere: region errors |
//! | [`metapb`] | everyone: regions, peers, stores |
//! | [`eraftpb`] | Raft itself: messages, entries, hard state |
//! | [`raft_cmdpb`] | inside a log entry: the commands of a region |
//! | [`raft_serverpb`] | between stores, and on their disks |
//! | [`tikvpb`] | the store's gRPC service |
//! | [`pdpb`] | the scheduler's gRPC service |

#[rustfmt::skip]
pub mod eraftpb;
#[rustfmt::skip]
pub mod errorpb;
#[rustfmt::skip]
pub mod kvrpcpb;
#[rustfmt::skip]
pub mod metapb;
#[rustfmt::skip]
pub mod pdpb;
#[rustfmt::skip]
pub mod raft_cmdpb;
#[rustfmt::skip]
pub mod raft_serverpb;
#[rustfmt::skip]
pub mod tikvpb;
