//! The snap worker: snapshots on their way between two stores.
//!
//! ```text
//!   Task::Send                                                                            Event::Snapshot
//!      |                                                                                        ^
//!      v             chunk 1: the message                                                       |
//!   SnapSender  -->  chunk 2..: file by file, at most 1 MiB each, none empty  -->  SnapReceiver: temporary files,
//!      ^                                                                            sizes and checksums, then
//!      |                                                                            their real names
//!      +----------------------------- Done, or an error <------------------------------+
//! ```
//!
//! A snapshot never travels with ordinary messages: it would hold up the heartbeats behind it. It has a stream of its
//! own (rpc `Snapshot` of `tikvpb.Tikv`), and there are at most so many of them at once ([`Permits`]).
//!
//! - Memory: one chunk on either side, however large the region is.
//! - A stream that breaks leaves nothing behind: the receiver's temporary files are removed when it ends.
//! - What is damaged, cut, too short or too long is never loaded: the receiver compares size and checksum of every file
//!   with what the message says before it gives the files their names.
//! - That the pairs in a file are sorted and of the region is seen when they are loaded: until then, whoever sends is
//!   believed to be a store of the cluster.
//! - The file that says what the others are has to be there, and comes last: without it a snapshot is not complete. A
//!   store that starts removes all that no region needs ([`SnapFiles::open`]).

mod files;
mod pair_file;
mod permits;
mod receive;
mod send;

pub use files::{FORMAT, SnapFiles};
pub use pair_file::{PairFile, PairFileWriter};
pub use permits::{Permit, Permits};
pub use receive::SnapReceiver;
pub use send::SnapSender;

use thiserror::Error;

use crate::engine::EngineError;

/// The most bytes of data in one chunk.
pub const CHUNK_SIZE: usize = 1 << 20;

/// Why a snapshot did not get through. None of these hurts the store: the sender tries again.
#[derive(Debug, Error)]
pub enum SnapError {
    /// The disk failed, or is full.
    #[error(transparent)]
    Engine(#[from] EngineError),

    /// The first chunk does not say what comes, or says something that cannot be.
    #[error("not a snapshot: {0}")]
    BadMessage(&'static str),

    /// More or less data than announced.
    #[error("{file}: {received} bytes have come, {expected} were announced")]
    Size {
        /// Of which column family.
        file: String,
        /// So far.
        received: u64,
        /// In all.
        expected: u64,
    },

    /// The data is not what was sent.
    #[error("{file}: the checksum is {received:08x}, {expected:08x} was announced")]
    Checksum {
        /// Of which column family.
        file: String,
        /// Of what came.
        received: u32,
        /// Of what was sent.
        expected: u32,
    },

    /// As many snapshots as allowed are on their way already.
    #[error("{0} snapshots are being received already")]
    Busy(usize),
}
