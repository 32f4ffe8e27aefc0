//! Leadership transfer: a leader hands its leadership to a chosen peer (thesis, section 3.10).
//!
//! ```text
//!   leader                                        successor
//!     |  transfer_leader(2)                          |
//!     |  takes no proposals from now on              |
//!     |  --- MsgAppend: what it lacks ----------->   |
//!     |  <-- MsgAppendResponse: it has all -------   |
//!     |  --- MsgTimeoutNow ---------------------->   |  campaigns at once, in the next term
//!     |  <-- MsgRequestVote ----------------------   |
//!     |  follower, votes for it                      |  leader
//! ```
//!
//! It is an ordinary election, started at a good moment: nothing about safety rests on it. What gets lost is sent
//! again; what does not succeed within an election timeout is given up, and the old leader goes on.

use super::message::message;
use super::storage::LogStorage;
use super::{Raft, RaftError, Role};
use crate::ids::{NO_PEER, PeerId, Term};
use crate::proto::eraftpb::{Message, MessageType};

/// A transfer that a leader has begun. One of an earlier leadership means nothing any more: a peer leads a term once at
/// most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transfer {
    /// The successor.
    pub to: PeerId,
    /// The term in which it was begun.
    pub term: Term,
    /// Ticks since then.
    pub elapsed: u32,
}

impl<S: LogStorage> Raft<S> {
    /// Wants `to` for leader. A follower passes the wish on to its leader; where none is known, it is lost.
    ///
    /// After, on a leader: proposals are refused until the transfer has succeeded or is given up; the successor is told
    /// to campaign as soon as it has the whole log, at once if it has it now, and is sent what it lacks otherwise.
    ///
    /// - The successor that is wanted already: nothing changes, the time it has left neither.
    /// - Another one: the earlier transfer is given up.
    /// - The leader itself: it stays; a transfer under way is given up.
    /// - Who is no voter of the group: nothing changes.
    pub fn transfer_leader(&mut self, to: PeerId) {
        // LAB 3a BEGIN: who decides? whom is it about? `transfer`, `hand_over`; Progress::ask, `append_due`
        if self.role != Role::Leader {
            if self.leader_id != NO_PEER {
                let wish = Message { from: to, ..message(MessageType::MsgTransferLeader, self.leader_id) };
                self.send(wish);
            }
            return;
        }
        if to == self.lead_transferee() {
            return;
        }
        let Some(progress) = self.progress.get_mut(&to) else { return };
        self.transfer = None;
        if to == self.config.id {
            return;
        }
        progress.ask = true;
        self.append_due = true;
        self.transfer = Some(Transfer { to, term: self.term, elapsed: 0 });
        tracing::info!(id = self.config.id, to, "hands over the leadership");
        self.hand_over(to);
        // LAB 3a END
    }

    /// The peer to which this leader hands its leadership, or [`NO_PEER`].
    pub fn lead_transferee(&self) -> PeerId {
        // LAB 3a BEGIN: a transfer of an earlier leadership is none
        match self.transfer {
            Some(transfer) if self.role == Role::Leader && transfer.term == self.term => transfer.to,
            _ => NO_PEER,
        }
        // LAB 3a END
    }

    /// A follower has answered, an append or a heartbeat, and its progress accounts for the answer.
    ///
    /// After: if it is the wanted successor and has the whole log, it has been told to campaign. Again, if that was
    /// done before: the message may have been lost, and twice does no harm, since the second is of an old term by then.
    pub(super) fn hand_over(&mut self, from: PeerId) {
        // LAB 3a BEGIN idle: MsgTimeoutNow, to whom, and when?
        let has_all = self.progress.get(&from).is_some_and(|p| p.matched == self.log.last_index());
        if has_all && from == self.lead_transferee() {
            self.send(message(MessageType::MsgTimeoutNow, from));
        }
        // LAB 3a END
    }

    /// One tick of a leader: a transfer that takes an election timeout ([`Config::election_tick`](super::Config) ticks)
    /// has failed.
    ///
    /// After that many ticks: it is given up, and proposals are taken again.
    pub(super) fn tick_transfer(&mut self) {
        // LAB 3a BEGIN idle: count; give up
        if let Some(transfer) = &mut self.transfer {
            transfer.elapsed += 1;
            if transfer.elapsed >= self.config.election_tick {
                self.transfer = None;
            }
        }
        // LAB 3a END
    }

    /// The leader of this term wants this peer for its successor.
    ///
    /// After: it stands for election, as if its timer had run out. (A peer that is no voter does nothing, and what is
    /// in the way of a [`campaign`](Raft::campaign) is in the way here, too.)
    pub(super) fn handle_timeout_now(&mut self) {
        // LAB 3a BEGIN: there is a function for this
        self.campaign();
        // LAB 3a END
    }

    /// May a leader take proposals now? Whatever it added to its log, its successor would lack.
    ///
    /// # Errors
    /// [`RaftError::LeaderTransferring`].
    pub(super) fn check_transfer(&self) -> Result<(), RaftError> {
        // LAB 3a BEGIN idle: is a transfer under way?
        let to = self.lead_transferee();
        if to != NO_PEER {
            return Err(RaftError::LeaderTransferring { to });
        }
        // LAB 3a END
        Ok(())
    }
}
