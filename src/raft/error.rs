//! What can go wrong in Raft, and who has to know.

use super::StorageError;
use crate::ids::{Index, PeerId, Term};

/// An error of the Raft core.
///
/// [`RaftError::is_fatal`] tells the two kinds apart: most say that one call could not be served, and the
/// peer goes on; the others say that the peer can no longer keep Raft's promises and must stop.
#[derive(Debug, thiserror::Error)]
pub enum RaftError {
    /// The settings cannot work.
    #[error("bad raft config: {0}")]
    Config(String),

    /// There is no leader to give the proposal to. Nothing was appended: the caller may try again.
    #[error("proposal dropped: peer {id} knows of no leader in term {term}")]
    ProposalDropped {
        /// The peer that was asked.
        id: PeerId,
        /// Its term.
        term: Term,
    },

    /// The leader hands its leadership over and takes no proposals meanwhile. Nothing was appended: the caller may try
    /// again, here or with the next leader.
    #[error("proposal dropped: the leadership is being handed to peer {to}")]
    LeaderTransferring {
        /// The next leader, if all goes well.
        to: PeerId,
    },

    /// A change of the group that may not be made: not now, or not at all. Nothing was appended.
    #[error("change of the group refused: {0}")]
    ConfChangeRefused(&'static str),

    /// A message that no correct peer sends. It has been ignored.
    #[error("message from peer {from} ignored: {why}")]
    BadMessage {
        /// Who claims to have sent it.
        from: PeerId,
        /// What is wrong with it.
        why: String,
    },

    /// A leader sent an entry that differs from one that is already committed. Two leaders have decided
    /// differently about one index: state machine safety (section 5.4.3) is gone, or a disk has forgotten.
    #[error(
        "entry {index} is committed here with term {ours}, but peer {from} replaces it with term {theirs}"
    )]
    CommittedEntryReplaced {
        /// The sender.
        from: PeerId,
        /// The index in dispute.
        index: Index,
        /// The term of the committed entry.
        ours: Term,
        /// The term of the entry that was to replace it.
        theirs: Term,
    },

    /// The log could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl RaftError {
    /// True if the peer must stop: going on could break what it has promised to others.
    pub fn is_fatal(&self) -> bool {
        match self {
            RaftError::CommittedEntryReplaced { .. } => true,
            RaftError::Storage(error) => *error != StorageError::SnapshotTemporarilyUnavailable,
            RaftError::Config(_)
            | RaftError::ProposalDropped { .. }
            | RaftError::LeaderTransferring { .. }
            | RaftError::ConfChangeRefused(_)
            | RaftError::BadMessage { .. } => false,
        }
    }
}
