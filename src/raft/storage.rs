//! The disk as Raft sees it: what a peer finds when it starts.
//!
//! Raft only reads here, and the log only at its start: while it runs, [`RaftLog`](super::RaftLog) keeps it in
//! memory. Writing is the owner's part, told by each [`Ready`](super::Ready).

use crate::ids::{Index, Term};
use crate::proto::eraftpb::{ConfState, Entry, HardState, Snapshot};

/// Why the stored log could not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// The entry has been compacted away: a snapshot stands in its place.
    #[error("log entry {0} is compacted")]
    Compacted(Index),
    /// The log does not reach that far.
    #[error("log entry {0} does not exist")]
    Unavailable(Index),
    /// A snapshot is being made; ask again later.
    #[error("the snapshot is not ready yet")]
    SnapshotTemporarilyUnavailable,
    /// The disk failed, or what it holds is not a Raft log.
    #[error("raft storage: {0}")]
    Other(String),
}

/// The persistent state of one peer, and its log.
///
/// The log holds the entries `first_index()..=last_index()`. The entry before the first is gone, but its
/// term is remembered, because the consistency check of the first entry needs it: `term(first_index() - 1)`
/// always answers. A fresh log has `first_index() == 1`, `last_index() == 0` and `term(0) == 0`.
pub trait LogStorage {
    /// The term, vote and commit index last saved, and the members of the group as of the last applied
    /// change. All zero and empty on a new peer that was created by a message.
    fn initial_state(&self) -> Result<(HardState, ConfState), StorageError>;

    /// The entries `low..high`.
    fn entries(&self, low: Index, high: Index) -> Result<Vec<Entry>, StorageError>;

    /// The term of an entry in `first_index() - 1 ..= last_index()`.
    fn term(&self, index: Index) -> Result<Term, StorageError>;

    /// The first index that is still in the log.
    fn first_index(&self) -> Result<Index, StorageError>;

    /// The last index in the log; `first_index() - 1` when it is empty.
    fn last_index(&self) -> Result<Index, StorageError>;

    /// The latest snapshot of the state machine, for a follower whose next entry is compacted. It names the members of
    /// the group; one that was made before the last applied change of the group is out of date, and is not given, for a
    /// new member would not find its name in it, and ignore it.
    fn snapshot(&self) -> Result<Snapshot, StorageError>;
}
