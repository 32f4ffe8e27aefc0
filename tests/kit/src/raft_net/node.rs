//! One node of the net, as everybody but the node itself sees it: its disk, its state machine, and what it
//! showed of its inside when it was last looked at.

use std::collections::VecDeque;

use raftkv::ids::{Index, PeerId, Term};
use raftkv::proto::eraftpb::{Entry, HardState};
use raftkv::raft::{LogStorage, MemLogStorage, Role};

use super::driver::Work;
use super::group::members;
use super::setup::compacted_to;

/// What a node showed after its last step. Reports and invariants read this and never the node itself, so
/// they work even when the code under test has just panicked.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Leader, candidate or follower; a node that is down is a follower here.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// Whom it voted for in that term, or 0.
    pub vote: PeerId,
    /// Whom it takes for the leader, or 0.
    pub leader: PeerId,
    /// Its commit index.
    pub commit: Index,
    /// The last index that it knows to be applied.
    pub applied: Index,
    /// The index of `log[0]`.
    pub first: Index,
    /// Its log, from `first` on.
    pub log: Vec<Entry>,
    /// The members of the group, as the node sees it.
    pub voters: Vec<PeerId>,
    /// A snapshot has come and is not saved, which ends here: the node knows of a group that its owner has not heard
    /// of.
    pub restored: Option<Index>,
    /// The first index at which the log differs from what it was one look before.
    pub changed_from: Index,
}

impl Seen {
    /// The last index; `first - 1` when the log is empty.
    pub fn last(&self) -> Index {
        (self.first + self.log.len() as u64).saturating_sub(1)
    }

    /// The entry at `index`, if the log has it.
    pub fn entry(&self, index: Index) -> Option<&Entry> {
        self.log.get(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }

    /// The entries from `index` on.
    pub fn entries_from(&self, index: Index) -> &[Entry] {
        &self.log[(index.max(self.first) - self.first) as usize..]
    }
}

/// One node.
pub struct Node {
    /// Its id.
    pub id: PeerId,
    /// False between a crash and the restart.
    pub up: bool,
    /// What survives a crash.
    pub disk: MemLogStorage,
    /// What the state machine was given, in order. It keeps it over a crash, as if each command were on
    /// disk when it is applied.
    pub applied: Vec<Entry>,
    /// Where the state machine began: what lies before is in its snapshot.
    pub applied_base: Index,
    /// What is known of its inside.
    pub seen: Seen,
    /// The members of its group, as of the last change that it has applied, ascending. The net knows that from what it
    /// has handed to the node, and does not ask the node.
    pub group: Vec<PeerId>,
    /// The entry of that change, or the end of the snapshot that named the group; 0 in the beginning.
    pub group_since: Index,
    /// The group is ahead of the log: the node crashed when it knew a snapshot, and had saved nothing of it but the
    /// group.
    pub group_ahead: bool,
    /// Where the snapshot ends that the state machine still has to load.
    pub loading: Option<Index>,
    /// A state machine that is held loads no snapshot.
    pub(super) loading_held: bool,
    /// A state machine that is held applies nothing.
    pub(super) applying_held: bool,
    /// A held disk completes no write.
    pub(super) disk_held: bool,
    /// Writes under way, oldest first.
    pub(super) writing: VecDeque<Work>,
    /// How often it has been started.
    pub(super) starts: u64,
    /// From here on the log may differ from the disk.
    pub(super) unsaved_from: Index,
}

impl Node {
    pub(super) fn new(id: PeerId, disk: MemLogStorage) -> Node {
        Node {
            id,
            up: true,
            applied: Vec::new(),
            applied_base: compacted_to(&disk),
            group: members(&disk),
            group_since: 0,
            group_ahead: false,
            disk,
            seen: Seen::default(),
            loading: None,
            loading_held: false,
            applying_held: false,
            disk_held: false,
            writing: VecDeque::new(),
            starts: 0,
            unsaved_from: 0,
        }
    }

    /// Term, vote and commit index on disk.
    pub fn hard_state(&self) -> &HardState {
        self.disk.hard_state()
    }

    /// The last entry that the state machine has.
    pub fn applied_to(&self) -> Index {
        self.applied_base + self.applied.len() as u64
    }

    /// True if entry `index` of this term is on disk, or compacted there: then it was committed, and there is no other.
    pub fn has_on_disk(&self, index: Index, term: Term) -> bool {
        index < compacted_to(&self.disk) || self.disk.term(index) == Ok(term)
    }
}
