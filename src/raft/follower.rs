//! Appends as a follower sees them (section 5.3).

use super::Raft;
use super::RaftError;
use super::message::message;
use super::storage::LogStorage;
use crate::proto::eraftpb::{Message, MessageType};

impl<S: LogStorage> Raft<S> {
    /// Takes in the leader's entries, if the own log agrees with the leader's at the entry before them
    /// (figure 2, "AppendEntries RPC"). The message is of the current term, and the timer has been reset.
    ///
    /// After: either the log holds the message's entries, the commit index is at least the smaller one of
    /// the message's and its last entry's index, and the answer says up to where the logs agree now; or
    /// nothing has changed, and the answer names the refused position and an earlier entry to try.
    ///
    /// # Errors
    /// [`RaftError::CommittedEntryReplaced`]: the peer must stop.
    pub(super) fn handle_append(&mut self, m: Message) -> Result<(), RaftError> {
        // LAB 2ab BEGIN idle: consistency check, take over, commit, answer; or refuse with a hint
        let answer = message(MessageType::MsgAppendResponse, m.from);
        if !self.log.matches(m.index, m.log_term) {
            let (reject_hint, log_term) = self.log.find_conflict_by_term(m.index, m.log_term);
            self.send(Message { reject: true, index: m.index, reject_hint, log_term, ..answer });
            return Ok(());
        }
        let last_new = m.entries.last().map_or(m.index, |e| e.index);
        self.log.append_from_leader(m.from, m.entries)?;
        // Behind the message's last entry the own log may still hold what no leader knows: not committed.
        self.log.commit_to(m.commit.min(last_new));
        self.send(Message { index: last_new, ..answer });
        // LAB 2ab END
        Ok(())
    }
}
