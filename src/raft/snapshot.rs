//! Snapshots: what takes the place of a log's beginning (section 7).
//!
//! ```text
//!   leader                                                follower
//!     |  next entry of the follower is compacted             |
//!     |  Progress: Snapshot      --- MsgSnapshot --->        |  log restored: it begins behind the snapshot
//!     |                                                      |  Ready::snapshot: saved
//!     |  Progress: Replicate     <-- MsgAppendResponse ---   |  acknowledged
//!     |  ...                     --- MsgAppend --->          |  data loaded, then applied again
//! ```
//!
//! Raft knows a snapshot by the entry that it ends with, and by the members of the group at that entry. The data goes
//! from owner to owner on its own way, and may take long: what comes meanwhile goes into the log, and waits to be
//! applied.
//!
//! Sections and functions belong together like this: the log is compacted by each peer for itself
//! ([`Raft::compact_log`]), the leader sends a snapshot only where it has no entries any more
//! ([`Raft::send_snapshot`]), the receiver does what figure 13 says ([`Raft::handle_snapshot`]). A snapshot goes out in
//! one message here, not in pieces: how it travels is the owner's business.

use super::message::message;
use super::progress::{Progress, ProgressState};
use super::storage::LogStorage;
use super::{Raft, RaftLog};
use crate::ids::{Index, PeerId};
use crate::proto::eraftpb::{ConfState, Message, MessageType, Snapshot, SnapshotMetadata};

/// As the leader sees it.
impl<S: LogStorage> Raft<S> {
    /// Sends the storage's snapshot to a follower whose next entry is compacted.
    ///
    /// After: the follower's progress waits for the snapshot, and nothing else is sent to it until then. Where there is
    /// no snapshot yet (the storage may have to make it first), nothing has changed: this is called again when the
    /// follower answers the next heartbeat, and not before, so that nobody spins.
    pub(super) fn send_snapshot(&mut self, to: PeerId) {
        // LAB 2c BEGIN idle: LogStorage::snapshot; Progress::become_snapshot; MsgSnapshot
        let snapshot = match self.log.storage().snapshot() {
            Ok(snapshot) => snapshot,
            Err(error) => {
                tracing::debug!(to, %error, "no snapshot to send");
                return;
            }
        };
        let index = metadata(&snapshot).index;
        let Some(progress) = self.progress.get_mut(&to) else { return };
        progress.become_snapshot(index);
        self.send(Message { snapshot: Some(snapshot), ..message(MessageType::MsgSnapshot, to) });
        // LAB 2c END
    }

    /// A follower has answered an append, or the snapshot; [`Raft::handle_append_response`] looks at the answer next.
    /// Decides whether the follower still waits for the snapshot.
    ///
    /// After: if it holds what the leader's log goes on behind, be it by this snapshot, a later one or by entries, its
    /// progress probes, and sending goes on. Older answers, which were under way when the snapshot was sent, change
    /// nothing.
    pub(super) fn leave_snapshot(&mut self, m: &Message) {
        // LAB 2c BEGIN idle: what does the answer say, and does the log go on behind that?
        let Some(progress) = self.progress.get_mut(&m.from) else { return };
        let waits = matches!(progress.state, ProgressState::Snapshot(_));
        if waits && !m.reject && self.log.term(m.index).is_some() {
            progress.become_probe(m.index + 1);
            self.append_due = true;
        }
        // LAB 2c END
    }

    /// The owner tells what became of the snapshot that it was given for a peer: `arrived`, or lost on the way.
    ///
    /// After: the peer is probed again, once it has answered a heartbeat. If the snapshot arrived, from behind it; its
    /// acknowledgement may be lost, too, and the probe finds out. If it was lost, from where the peer was: it gets
    /// another. A report on a peer that does not wait for a snapshot any more says nothing new.
    pub fn report_snapshot(&mut self, peer: PeerId, arrived: bool) {
        // LAB 2c BEGIN: back to Probe; where does the next append begin? when may it be sent?
        let Some(progress) = self.progress.get_mut(&peer) else { return };
        let ProgressState::Snapshot(index) = progress.state else { return };
        progress.become_probe(if arrived { index + 1 } else { progress.matched + 1 });
        progress.probe_sent = true;
        // LAB 2c END
    }
}

/// As the follower sees it.
impl<S: LogStorage> Raft<S> {
    /// The leader has sent a snapshot (figure 13, "InstallSnapshot RPC"). The message is of the current term, and the
    /// timer has been reset.
    ///
    /// - A snapshot of what is committed here already is old. It changes nothing.
    /// - If the log has the entry that the snapshot ends with, it has all before it, too: committing it is enough, and
    ///   what follows stays (figure 13, step 6).
    /// - Otherwise the log gives way to the snapshot (step 7), and the members of the group are those that the snapshot
    ///   names. One that does not name this peer is not for it, and changes nothing.
    ///
    /// After: the answer says up to where the log agrees with the leader's now.
    pub(super) fn handle_snapshot(&mut self, m: Message) {
        // LAB 2c BEGIN idle: old, known, or news; answer
        let from = m.from;
        let snapshot = m.snapshot.unwrap_or_default();
        let SnapshotMetadata { conf_state, index, term } = metadata(&snapshot).clone();
        let voters = conf_state.unwrap_or_default();
        let known = index <= self.log.committed() || self.log.term(index) == Some(term);
        if known {
            self.log.commit_to(index);
        } else if voters.voters.contains(&self.config.id) {
            self.log.restore(snapshot);
            self.restore_members(&voters);
            tracing::info!(id = self.config.id, index, term, "restored from a snapshot");
        }
        let index = self.log.committed();
        self.send(Message { index, ..message(MessageType::MsgAppendResponse, from) });
        // LAB 2c END
    }

    // SOLUTION 2c BEGIN
    fn restore_members(&mut self, conf_state: &ConfState) {
        let (next, inflight) = (self.log.last_index() + 1, self.config.max_inflight_msgs);
        self.progress = conf_state.voters.iter().map(|&id| (id, Progress::new(next, inflight))).collect();
    }
    // SOLUTION 2c END

    /// The owner has saved the snapshot that ends at `index`: the log on its disk begins behind it.
    ///
    /// After: that snapshot is pending no more. A newer one, which came meanwhile, still is.
    pub fn on_snapshot_saved(&mut self, index: Index) {
        // LAB 2c BEGIN idle: RaftLog::pending_snapshot
        if self.log.snapshot.as_ref().is_some_and(|pending| metadata(pending).index == index) {
            self.log.snapshot = None;
        }
        // LAB 2c END
    }

    /// The storage may have dropped the beginning of its log. Drops the same entries here; for they were kept in memory
    /// only to be sent.
    ///
    /// After: the log begins where the storage's does, and knows the term of the entry before that. What is not applied
    /// here stays, whatever the storage says.
    pub fn compact_log(&mut self) {
        // LAB 2c BEGIN idle: LogStorage::first_index; give the memory back
        let Ok(first) = self.log.storage().first_index() else { return };
        self.log.compact_to((first - 1).min(self.log.applied()));
        // LAB 2c END
    }
}

impl<S: LogStorage> RaftLog<S> {
    /// The log gives way to a snapshot of something that is committed, and that this log does not have.
    ///
    /// After: it is empty and begins behind the snapshot, all before that is committed, and the snapshot is pending:
    /// the owner has to save it. Nothing is applied until the owner says that its data is loaded
    /// ([`Raft::on_applied`]).
    pub(super) fn restore(&mut self, snapshot: Snapshot) {
        // LAB 2c BEGIN: entries, truncated, committed, stabled; not applied
        let SnapshotMetadata { index, term, .. } = *metadata(&snapshot);
        self.entries.clear();
        (self.truncated_index, self.truncated_term) = (index, term);
        self.committed = index;
        self.stabled = index;
        self.snapshot = Some(snapshot);
        // LAB 2c END
    }

    // SOLUTION 2c BEGIN
    /// Drops the entries up to `index`.
    fn compact_to(&mut self, index: Index) {
        let Some(term) = self.term(index).filter(|_| index > self.truncated_index) else { return };
        self.entries.drain(..(index - self.truncated_index) as usize);
        // A drained vector keeps its place; of a burst, nothing should be left.
        self.entries.shrink_to(2 * self.entries.len());
        (self.truncated_index, self.truncated_term) = (index, term);
    }
    // SOLUTION 2c END
}

impl Progress {
    /// The follower is sent a snapshot that ends at `index`.
    ///
    /// After: nothing more is sent until it is answered, or the owner reports. What it holds is not known to be more
    /// than before: `matched` stands.
    pub(super) fn become_snapshot(&mut self, index: Index) {
        // LAB 2c BEGIN: what of a Progress belongs to the state that it leaves?
        self.state = ProgressState::Snapshot(index);
        self.probe_sent = false;
        self.ask = false;
        self.inflights.clear();
        // LAB 2c END
    }
}

// SOLUTION 2c BEGIN
/// Where the snapshot stands in the log. Messages without it have been refused at the door.
fn metadata(snapshot: &Snapshot) -> &SnapshotMetadata {
    const NOTHING: &SnapshotMetadata = &SnapshotMetadata { conf_state: None, index: 0, term: 0 };
    snapshot.metadata.as_ref().unwrap_or(NOTHING)
}
// SOLUTION 2c END
