//! Leader election: timers, terms, votes (sections 5.1, 5.2 and 5.4.1).

use super::message::{is_from_leader, message};
use super::progress::Progress;
use super::quorum::{VoteResult, vote_result};
use super::storage::LogStorage;
use super::{Raft, RaftError, Role};
use crate::ids::{Index, NO_PEER, PeerId, Term};
use crate::proto::eraftpb::{Entry, Message, MessageType};

impl<S: LogStorage> Raft<S> {
    /// One tick of a follower or candidate: when the election timer runs out, it stands for election. That
    /// is also how a candidate leaves a split vote: by a new election, with a new timeout (section 5.2).
    pub(super) fn tick_election(&mut self) {
        // LAB 2aa BEGIN: count; when the timeout is reached, campaign
        self.election_elapsed += 1;
        if self.election_elapsed >= self.election_timeout {
            self.election_elapsed = 0; // also where campaign() does nothing, or the count would run on
            self.campaign();
        }
        // LAB 2aa END
    }

    /// Starts the election timer anew, with a timeout drawn anew: as long as timeouts differ, one peer
    /// times out first, and wins before the others wake (section 5.2).
    fn reset_election_timer(&mut self) {
        // LAB 2aa BEGIN: Config::election_timeout draws; each draw has a number
        self.election_elapsed = 0;
        self.election_timeout = self.config.election_timeout(self.timeouts_drawn);
        self.timeouts_drawn += 1;
        // LAB 2aa END
    }

    /// Stands for election in a new term: votes for itself and asks all others (section 5.2). A peer that
    /// is no voter of its group does nothing, and a leader has no need to.
    ///
    /// After: the peer is a candidate of the next term; where its own vote is a majority, the leader.
    pub(super) fn start_election(&mut self) {
        // LAB 2aa BEGIN: become a candidate, ask for votes, count the own one
        if self.role == Role::Leader || !self.progress.contains_key(&self.config.id) {
            return;
        }
        self.become_candidate();
        for to in self.others() {
            let (index, log_term) = (self.log.last_index(), self.log.last_term());
            self.send(Message { index, log_term, ..message(MessageType::MsgRequestVote, to) });
        }
        self.record_vote(self.config.id, true);
        // LAB 2aa END
    }

    /// Compares the message's term with the own one (section 5.1, figure 2 "Rules for Servers"). Returns
    /// true if the message is of the current term, so that it should be handled.
    ///
    /// A higher term in any message, request or answer, ends the own role: the peer becomes a follower of
    /// that term. A lower one is out of date: a request is refused, with the own term, so that a leader or
    /// candidate that was away learns that it has been replaced; an answer is dropped.
    pub(super) fn check_term(&mut self, m: &Message) -> bool {
        // LAB 2aa BEGIN: higher, lower, or equal; who is the leader if a leader speaks?
        if m.term > self.term {
            let leader = if is_from_leader(m.msg_type()) { m.from } else { NO_PEER };
            self.become_follower(m.term, leader);
        }
        if m.term == self.term {
            return true;
        }
        let answer = match m.msg_type() {
            MessageType::MsgRequestVote => MessageType::MsgRequestVoteResponse,
            MessageType::MsgAppend => MessageType::MsgAppendResponse,
            MessageType::MsgHeartbeat => MessageType::MsgHeartbeatResponse,
            _ => return false,
        };
        self.send(Message { reject: true, ..message(answer, m.from) });
        false
        // LAB 2aa END
    }

    /// The leader of the current term has spoken: a candidate gives up, and the election timer starts anew
    /// (section 5.2).
    ///
    /// # Errors
    /// [`RaftError::BadMessage`] if this term has another leader, be it this peer: two leaders of one term cannot
    /// be, so the message is ignored.
    pub(super) fn follow_leader(&mut self, leader: PeerId) -> Result<(), RaftError> {
        // LAB 2aa BEGIN: one leader a term; whoever hears it follows and waits
        if ![NO_PEER, leader].contains(&self.leader_id) {
            let why = format!("it claims to lead term {}, which {} leads", self.term, self.leader_id);
            return Err(RaftError::BadMessage { from: leader, why });
        }
        if self.role == Role::Candidate || self.leader_id == NO_PEER {
            self.become_follower(self.term, leader);
        }
        self.reset_election_timer();
        Ok(())
        // LAB 2aa END
    }

    /// Becomes a follower in `term`, which is not below the own one, of `leader` (or [`NO_PEER`]).
    ///
    /// A new term comes with a new vote. Within a term the vote stands: giving it twice could elect two
    /// leaders (section 5.2). The election timer of a follower or candidate runs on: only a leader that is
    /// heard and a vote that is granted reset it, or candidates that cannot win would keep silent those
    /// who can.
    pub(super) fn become_follower(&mut self, term: Term, leader: PeerId) {
        // LAB 2aa BEGIN: term, vote, role, leader; the timer only for one who led until now
        if term > self.term {
            self.term = term;
            self.vote = NO_PEER;
        }
        if self.role == Role::Leader {
            self.reset_election_timer();
        }
        self.role = Role::Follower;
        self.leader_id = leader;
        tracing::debug!(id = self.config.id, term, leader, "follower");
        // LAB 2aa END
    }

    /// Becomes a candidate of the next term, with its own vote given to itself (section 5.2).
    fn become_candidate(&mut self) {
        // LAB 2aa BEGIN: next term, own vote, no leader, no answers yet, timer anew
        self.term += 1;
        self.vote = self.config.id;
        self.role = Role::Candidate;
        self.leader_id = NO_PEER;
        self.votes.clear();
        self.reset_election_timer();
        tracing::debug!(id = self.config.id, term = self.term, "candidate");
        // LAB 2aa END
    }

    /// Becomes the leader of the current term.
    ///
    /// After: nothing that an earlier leadership knew about the followers is left; the log ends with an
    /// empty entry of the new term, because only an entry of its own term can the leader commit by counting
    /// (section 5.4.2; section 8: a no-op at the start of its term); heartbeats and that entry go out.
    fn become_leader(&mut self) {
        // LAB 2aa BEGIN: role, a fresh Progress for each voter, the no-op, heartbeats
        self.role = Role::Leader;
        self.leader_id = self.config.id;
        self.election_elapsed = 0;
        self.heartbeat_elapsed = 0;
        let next = self.log.last_index() + 1;
        for progress in self.progress.values_mut() {
            *progress = Progress::new(next, self.config.max_inflight_msgs);
        }
        self.log.push(Entry { term: self.term, index: next, ..Default::default() });
        self.append_due = true;
        self.broadcast_heartbeat();
        tracing::info!(id = self.config.id, term = self.term, "leader");
        // LAB 2aa END
    }

    /// Answers a request for a vote of the current term: granted to the first candidate that asks, again to
    /// the same one (the answer may have been lost), and only if its log is at least as up to date as the
    /// own one (sections 5.2 and 5.4.1).
    ///
    /// After granting, the election timer starts anew: the candidate gets its time to win.
    pub(super) fn handle_request_vote(&mut self, m: &Message) {
        // LAB 2aa BEGIN: one vote a term, for an up-to-date log
        let is_free = self.vote == NO_PEER || self.vote == m.from;
        let granted = is_free && self.is_up_to_date(m.index, m.log_term);
        if granted {
            self.vote = m.from;
            self.reset_election_timer();
        }
        self.send(Message { reject: !granted, ..message(MessageType::MsgRequestVoteResponse, m.from) });
        // LAB 2aa END
    }

    /// Is a log that ends with entry `index` of `term` at least as up to date as the own one? The later
    /// term wins; in the same term the longer log; equal is enough (section 5.4.1).
    fn is_up_to_date(&self, index: Index, term: Term) -> bool {
        // LAB 2aa BEGIN: compare the last terms first, then the lengths
        (term, index) >= (self.log.last_term(), self.log.last_index())
        // LAB 2aa END
    }

    /// A candidate gets an answer in its own term.
    pub(super) fn handle_vote_response(&mut self, m: &Message) {
        // LAB 2aa BEGIN: count it
        self.record_vote(m.from, !m.reject);
        // LAB 2aa END
    }

    /// Notes one voter's answer, the first one only, and draws the conclusion: a majority makes a leader;
    /// when it can no longer be had, the candidate is a follower again.
    fn record_vote(&mut self, from: PeerId, granted: bool) {
        // LAB 2aa BEGIN: only voters count, and each once
        if !self.progress.contains_key(&from) {
            return;
        }
        self.votes.entry(from).or_insert(granted);
        let yes = self.votes.values().filter(|granted| **granted).count();
        match vote_result(self.progress.len(), yes, self.votes.len() - yes) {
            VoteResult::Won => self.become_leader(),
            VoteResult::Lost => self.become_follower(self.term, NO_PEER),
            VoteResult::Pending => {}
        }
        // LAB 2aa END
    }
}
