//! Heartbeats: how a leader stays one (section 5.2).

use super::Raft;
use super::message::message;
use super::storage::LogStorage;
use crate::proto::eraftpb::{Message, MessageType};

impl<S: LogStorage> Raft<S> {
    /// One tick of a leader: every `heartbeat_tick` ticks it lets all followers hear from it.
    pub(super) fn tick_heartbeat(&mut self) {
        // LAB 2aa BEGIN: count; when it is time, broadcast
        self.heartbeat_elapsed += 1;
        if self.heartbeat_elapsed >= self.config.heartbeat_tick {
            self.heartbeat_elapsed = 0;
            self.broadcast_heartbeat();
        }
        // LAB 2aa END
    }

    /// Sends a heartbeat to every other voter.
    ///
    /// It carries the commit index, but no more than the follower is known to hold: beyond that its log may
    /// differ, and a heartbeat has no consistency check.
    pub(super) fn broadcast_heartbeat(&mut self) {
        // LAB 2aa BEGIN: for each other voter: commit is min(its matched, the own commit index)
        for to in self.others() {
            let commit = self.progress[&to].matched.min(self.log.committed());
            self.send(Message { commit, ..message(MessageType::MsgHeartbeat, to) });
        }
        // LAB 2aa END
    }

    /// A follower hears from its leader. (The timer has been reset by `follow_leader` already.)
    ///
    /// After: the commit index accounts for the one in the message; the leader gets an answer, from which
    /// it learns that this follower is alive.
    pub(super) fn handle_heartbeat(&mut self, m: &Message) {
        // LAB 2aa BEGIN: RaftLog::commit_to, then answer
        self.log.commit_to(m.commit);
        self.send(message(MessageType::MsgHeartbeatResponse, m.from));
        // LAB 2aa END
    }
}
