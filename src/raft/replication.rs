//! Log replication as the leader does it (section 5.3).

use super::message::message;
use super::progress::{Progress, ProgressState};
use super::storage::LogStorage;
use super::{Raft, RaftError, RaftLog, Role};
use crate::ids::{NO_PEER, PeerId};
use crate::proto::eraftpb::{Entry, Message, MessageType};

impl<S: LogStorage> Raft<S> {
    /// Puts proposals into the log, in order, or passes them on to whom they are for. Of the entries count type, data
    /// and context.
    ///
    /// After: on a leader each is an entry behind the last one; a follower has sent all of them to its leader, in one
    /// message.
    ///
    /// # Errors
    /// [`RaftError::ProposalDropped`] where no leader is known.
    pub(super) fn propose_all(&mut self, entries: Vec<Entry>) -> Result<(), RaftError> {
        // LAB 2ab BEGIN: leader: append; follower with a leader: forward; else: refuse
        if self.role == Role::Leader {
            for entry in entries {
                let index = self.log.last_index() + 1;
                self.log.push(Entry { term: self.term, index, ..entry });
            }
            self.append_due = true;
            return Ok(());
        }
        if self.leader_id == NO_PEER {
            return Err(RaftError::ProposalDropped { id: self.config.id, term: self.term });
        }
        self.send(Message { entries, ..message(MessageType::MsgPropose, self.leader_id) });
        Ok(())
        // LAB 2ab END
    }

    /// Puts into the outbox, for each follower, the appends it is ready for: as many as its window allows,
    /// each within the size limit. A follower whose next entry is compacted cannot be sent appends: that is
    /// [`Raft::send_snapshot`]'s business, which does nothing before stage 2c.
    ///
    /// Appends are made here, when the outbox is taken, and not with each proposal: whatever has come in
    /// since then travels together.
    pub(super) fn send_appends(&mut self) {
        // LAB 2ab BEGIN idle: if due and leader: to each follower a snapshot, or all appends that it is ready for
        if !std::mem::take(&mut self.append_due) || self.role != Role::Leader {
            return;
        }
        for to in self.others() {
            let progress = self.progress.get_mut(&to).expect("others() are keys of progress");
            if !progress.is_paused() && self.log.term(progress.next - 1).is_none() {
                self.send_snapshot(to);
                continue;
            }
            let mut appends = Vec::new();
            while let Some(m) = next_append(&self.log, to, progress, self.config.max_bytes_per_msg) {
                appends.push(m);
            }
            for m in appends {
                self.send(m);
            }
        }
        // LAB 2ab END
    }

    /// A follower has accepted or refused an append of this term.
    ///
    /// After an acceptance: its progress is raised, and the commit index too if that makes a majority. After
    /// a refusal: it will be probed further back. Either way what it lacks will be sent.
    ///
    /// # Errors
    /// If it claims to hold entries that this leader does not have; the message is ignored.
    pub(super) fn handle_append_response(&mut self, m: &Message) -> Result<(), RaftError> {
        // LAB 2ab BEGIN: refused: go back to where it may agree; accepted: raise, commit
        let Some(progress) = self.progress.get_mut(&m.from) else { return Ok(()) };
        if m.reject {
            let (hint, _) = self.log.find_conflict_by_term(m.reject_hint, m.log_term);
            self.append_due |= progress.rejected(m.index, hint);
            return Ok(());
        }
        if m.index > self.log.last_index() {
            let why = format!("it acknowledges entry {}, the log ends at {}", m.index, self.log.last_index());
            return Err(RaftError::BadMessage { from: m.from, why });
        }
        let has_grown = progress.accepted(m.index);
        let has_news = progress.next <= self.log.last_index() || progress.commit_sent < self.log.committed();
        self.append_due |= has_news && !progress.is_paused();
        if has_grown {
            self.maybe_commit();
        }
        Ok(())
        // LAB 2ab END
    }

    /// A follower has answered a heartbeat: whatever got lost on the way to it is sent again.
    pub(super) fn handle_heartbeat_response(&mut self, m: &Message) {
        // LAB 2ab BEGIN idle: Progress::heard
        if let Some(progress) = self.progress.get_mut(&m.from) {
            progress.heard(self.log.last_index());
            self.append_due |= progress.ask;
        }
        // LAB 2ab END
    }
}

// SOLUTION 2ab BEGIN
/// The next append for one follower, or `None` if there is nothing to send, or no leave to send it.
///
/// A free function over the log and one progress: the borrow checker then sees that the rest of the peer
/// stays untouched.
fn next_append<S: LogStorage>(
    log: &RaftLog<S>,
    to: PeerId,
    progress: &mut Progress,
    max_bytes: usize,
) -> Option<Message> {
    if progress.is_paused() {
        return None;
    }
    let previous = progress.next - 1;
    let log_term = log.term(previous)?;
    let missing = within_bytes(log.entries(progress.next, log.last_index() + 1), max_bytes);
    let last = previous + missing.len() as u64;
    let is_probe = progress.state == ProgressState::Probe;
    let knows_commit = progress.commit_sent >= log.committed().min(last);
    if missing.is_empty() && knows_commit && !progress.ask && !is_probe {
        return None;
    }
    let entries = missing.to_vec();
    progress.sent(last, log.committed());
    let append = message(MessageType::MsgAppend, to);
    Some(Message { index: previous, log_term, entries, commit: log.committed(), ..append })
}

/// As many entries from the front as have `max_bytes` of payload together; one at least, or a large entry
/// would never be sent.
fn within_bytes(entries: &[Entry], max_bytes: usize) -> &[Entry] {
    let mut bytes = 0;
    let fitting = entries.iter().take_while(|e| {
        bytes += e.data.len();
        bytes <= max_bytes
    });
    let count = fitting.count().max(1);
    &entries[..count.min(entries.len())]
}
// SOLUTION 2ab END
