//! The seam between Raft and its owner: what to store, to send and to apply.

use bytes::Bytes;

use super::storage::LogStorage;
use super::{Config, Raft, RaftError, SoftState};
use crate::ids::PeerId;
use crate::proto::eraftpb::{ConfChange, ConfState, Entry, HardState, Message, Snapshot};

/// One round of work for the owner, to be done in this order:
///
/// 1. send `messages` (or do it later: nothing depends on when),
/// 2. write `snapshot`, then `hard_state` and `entries`, in one go; where `must_sync`, wait until the disk has them,
/// 3. send `persisted_messages`,
/// 4. apply `committed_entries`,
/// 5. hand the `Ready` back to [`RawNode::advance`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ready {
    /// Role or leader, if one of them has changed. Not to be stored.
    pub soft_state: Option<SoftState>,
    /// Term, vote and commit index, if one of them has changed.
    pub hard_state: Option<HardState>,
    /// Takes the place of the whole log, and of the state machine: see [`RaftLog::pending_snapshot`](super::RaftLog).
    /// The owner saves that it is to be loaded; loading itself may take its time, and its end is told to
    /// [`Raft::on_applied`]. Never before stage 2c.
    pub snapshot: Option<Snapshot>,
    /// To be written to the log behind the entry before the first one, or behind the snapshot; what stands there gives
    /// way.
    pub entries: Vec<Entry>,
    /// To be applied, in order, each exactly once. They may be among `entries`: so write first.
    pub committed_entries: Vec<Entry>,
    /// May be sent at once.
    pub messages: Vec<Message>,
    /// Votes and acknowledgements: saved before sent. Who sends one and forgets it in a crash breaks a
    /// promise, and two leaders or a lost entry may follow.
    pub persisted_messages: Vec<Message>,
    /// The write must reach the disk before step 3: for a new term or vote, for entries, for a snapshot. False if only
    /// the commit index has changed: it can be learned again.
    pub must_sync: bool,
}

/// A Raft peer and the bookkeeping of what its owner has been told.
///
/// - Between [`ready`](RawNode::ready) and [`advance`](RawNode::advance) the owner may step and tick; what
///   comes of that is in the next `Ready`.
/// - After `advance`, nothing of that `Ready` is handed out again.
#[derive(Debug)]
pub struct RawNode<S> {
    raft: Raft<S>,
    /// What the owner was told last.
    soft_state: SoftState,
    /// What the owner has stored.
    hard_state: HardState,
}

impl<S: LogStorage> RawNode<S> {
    /// The peer as its storage remembers it.
    pub fn new(config: &Config, storage: S) -> Result<RawNode<S>, RaftError> {
        let raft = Raft::new(config, storage)?;
        let (soft_state, hard_state) = (raft.soft_state(), raft.hard_state());
        Ok(RawNode { raft, soft_state, hard_state })
    }

    /// One tick of the clock: see [`Raft::tick`].
    pub fn tick(&mut self) {
        self.raft.tick();
    }

    /// Stands for election now: see [`Raft::campaign`].
    pub fn campaign(&mut self) {
        self.raft.campaign();
    }

    /// Asks for a command to be put into the log: see [`Raft::propose`].
    pub fn propose(&mut self, data: Bytes) -> Result<(), RaftError> {
        self.raft.propose(data)
    }

    /// Asks for a change of the group to be put into the log: see [`Raft::propose_conf_change`].
    pub fn propose_conf_change(&mut self, change: &ConfChange) -> Result<(), RaftError> {
        self.raft.propose_conf_change(change)
    }

    /// A change of the group is applied: see [`Raft::apply_conf_change`].
    pub fn apply_conf_change(&mut self, change: &ConfChange) -> ConfState {
        self.raft.apply_conf_change(change)
    }

    /// Wants another peer for leader: see [`Raft::transfer_leader`].
    pub fn transfer_leader(&mut self, to: PeerId) {
        self.raft.transfer_leader(to);
    }

    /// Takes in a message from another peer: see [`Raft::step`].
    pub fn step(&mut self, m: Message) -> Result<(), RaftError> {
        self.raft.step(m)
    }

    /// Tells what became of a snapshot on its way to a peer: see [`Raft::report_snapshot`].
    pub fn report_snapshot(&mut self, peer: PeerId, arrived: bool) {
        self.raft.report_snapshot(peer, arrived);
    }

    /// True if [`RawNode::ready`] may have something to do; false if it certainly has not, so that the owner
    /// can wait.
    pub fn has_ready(&self) -> bool {
        // LAB 2ac BEGIN: messages, a changed state, a snapshot or entries to store, entries to apply
        self.raft.has_messages()
            || self.raft.soft_state() != self.soft_state
            || self.raft.hard_state() != self.hard_state
            || self.raft.log().pending_snapshot().is_some()
            || !self.raft.log().unstable_entries().is_empty()
            || !self.raft.log().next_committed_entries().is_empty()
        // LAB 2ac END
    }

    /// Everything that is to be done now. The states are `None` if they are as the owner knows them.
    pub fn ready(&mut self) -> Ready {
        // LAB 2ac BEGIN: compare with what the owner was told; take the messages; ask the log
        let outbox = self.raft.take_messages();
        let (soft_state, hard_state) = (self.raft.soft_state(), self.raft.hard_state());
        let entries = self.raft.log().unstable_entries().to_vec();
        let snapshot = self.raft.log().pending_snapshot().cloned();
        let promised = (hard_state.term, hard_state.vote) != (self.hard_state.term, self.hard_state.vote);
        Ready {
            soft_state: (soft_state != self.soft_state).then_some(soft_state),
            must_sync: promised || !entries.is_empty() || snapshot.is_some(),
            hard_state: (hard_state != self.hard_state).then_some(hard_state),
            committed_entries: self.raft.log().next_committed_entries().to_vec(),
            snapshot,
            entries,
            messages: outbox.now,
            persisted_messages: outbox.after_persist,
        }
        // LAB 2ac END
    }

    /// The owner has done what `ready` asked for.
    ///
    /// After: its states are known as stored, its snapshot as saved, its entries as persisted (a leader counts itself
    /// as their holder), its committed entries as applied: those of this `ready`, not what has come since. What the
    /// storage has dropped of its log, Raft has dropped too ([`Raft::compact_log`]).
    pub fn advance(&mut self, ready: Ready) {
        // LAB 2ac BEGIN: remember the states; on_snapshot_saved, on_persisted, on_applied; compact_log
        if let Some(soft_state) = ready.soft_state {
            self.soft_state = soft_state;
        }
        if let Some(hard_state) = ready.hard_state {
            self.hard_state = hard_state;
        }
        if let Some(last) = ready.snapshot.and_then(|snapshot| snapshot.metadata) {
            self.raft.on_snapshot_saved(last.index);
        }
        if let Some(last) = ready.entries.last() {
            self.raft.on_persisted(last.index, last.term);
        }
        if let Some(last) = ready.committed_entries.last() {
            self.raft.on_applied(last.index);
        }
        self.raft.compact_log();
        // LAB 2ac END
    }

    /// The peer.
    pub fn raft(&self) -> &Raft<S> {
        &self.raft
    }

    /// The peer, to reach what this seam does not show.
    pub fn raft_mut(&mut self) -> &mut Raft<S> {
        &mut self.raft
    }

    /// The disk, to read from it.
    pub fn storage(&self) -> &S {
        self.raft.log().storage()
    }

    /// The disk, to write to it.
    pub fn storage_mut(&mut self) -> &mut S {
        self.raft.log_mut().storage_mut()
    }
}
