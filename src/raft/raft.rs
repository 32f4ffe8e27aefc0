//! One peer of a Raft group: its state, and the door through which messages come in.
//!
//! What happens behind the door stands in the files of the topics: `election`, `heartbeat`, `replication`,
//! `follower`, `commit`, `snapshot`, `transfer`, `membership`.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::message::{is_from_leader, may_precede_persist, validate};
use super::progress::Progress;
use super::storage::{LogStorage, StorageError};
use super::transfer::Transfer;
use super::{Config, RaftError, RaftLog};
use crate::ids::{Index, NO_PEER, PeerId, Term};
use crate::proto::eraftpb::{Entry, HardState, Message, MessageType};

/// What a peer is at the moment (section 5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Answers leaders and candidates.
    #[default]
    Follower,
    /// Asks for votes.
    Candidate,
    /// Takes proposals and replicates them.
    Leader,
}

/// What the owner wants to hear about when it changes, but need not store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoftState {
    /// The leader of this term, if known; else [`NO_PEER`].
    pub leader_id: PeerId,
    /// The peer's own role.
    pub role: Role,
}

/// Messages to send, by the moment at which they may be sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outbox {
    /// At once, even before the own disk is written.
    pub now: Vec<Message>,
    /// Only once the hard state and the entries are on disk: these promise something that must survive a
    /// crash. The rule and its reasons are at [`may_precede_persist`].
    pub after_persist: Vec<Message>,
}

/// One peer of a Raft group.
///
/// It does nothing by itself: the owner calls [`tick`](Raft::tick), [`step`](Raft::step) and
/// [`propose`](Raft::propose), stores what has changed, reports that
/// ([`on_persisted`](Raft::on_persisted)) and sends what [`take_messages`](Raft::take_messages) gives. Most
/// owners use [`RawNode`](super::RawNode), which bundles that.
///
/// - `term` never goes back. `vote` changes at most once in a term, and only from [`NO_PEER`].
/// - `progress` has the voters of the group, this peer too if it is one; it means something on a leader.
/// - `leader_id` is the leader of `term`, once this peer has heard from it; it does not change within a term
///   from one peer to another.
#[derive(Debug)]
pub struct Raft<S> {
    pub(super) config: Config,
    pub(super) term: Term,
    pub(super) vote: PeerId,
    pub(super) log: RaftLog<S>,
    pub(super) role: Role,
    pub(super) leader_id: PeerId,

    /// The voters. Ordered, because the order of messages must not differ between two runs.
    pub(super) progress: BTreeMap<PeerId, Progress>,
    /// A candidate's answers so far: granted or not.
    pub(super) votes: BTreeMap<PeerId, bool>,

    /// Ticks since the election timer was last reset; a leader's stands still.
    pub(super) election_elapsed: u32,
    /// The timer runs out when it gets here.
    pub(super) election_timeout: u32,
    /// How many timeouts have been drawn: see [`Config::election_timeout`].
    pub(super) timeouts_drawn: u64,
    /// A leader's ticks since its last heartbeats.
    pub(super) heartbeat_elapsed: u32,

    /// A leader has something to send that is not in the outbox yet: appends are made when the outbox is
    /// taken, so that many proposals travel in one message.
    pub(super) append_due: bool,
    /// A leader hands its leadership to another peer.
    pub(super) transfer: Option<Transfer>,
    outbox: Outbox,
}

impl<S: LogStorage> Raft<S> {
    /// A peer as its storage remembers it: a follower, with the term and vote it had.
    pub fn new(config: &Config, storage: S) -> Result<Raft<S>, RaftError> {
        config.validate()?;
        let (hard_state, conf_state) = storage.initial_state()?;
        let log = RaftLog::new(storage, hard_state.commit, config.applied)?;
        if hard_state.term < log.last_term() {
            // The vote of that term is lost as well, and the peer might vote twice.
            let (term, last) = (hard_state.term, log.last_term());
            let text = format!("the log ends in term {last}, but the saved term is {term}: it was lost");
            return Err(StorageError::Other(text).into());
        }
        let new_progress = |&id: &PeerId| (id, Progress::new(log.last_index() + 1, config.max_inflight_msgs));
        Ok(Raft {
            term: hard_state.term,
            vote: hard_state.vote,
            role: Role::Follower,
            leader_id: NO_PEER,
            progress: conf_state.voters.iter().map(new_progress).collect(),
            votes: BTreeMap::new(),
            election_elapsed: 0,
            election_timeout: config.election_timeout(0),
            timeouts_drawn: 1,
            heartbeat_elapsed: 0,
            append_due: false,
            transfer: None,
            outbox: Outbox::default(),
            config: config.clone(),
            log,
        })
    }

    /// One tick of the clock has passed.
    pub fn tick(&mut self) {
        match self.role {
            Role::Leader => {
                self.tick_transfer();
                self.tick_heartbeat();
            }
            Role::Follower | Role::Candidate => self.tick_election(),
        }
    }

    /// Stands for election now, without waiting for the timer; see `start_election`. Not while a change of the group is
    /// in the way: see `check_campaign`.
    pub fn campaign(&mut self) {
        match self.check_campaign() {
            Ok(()) => self.start_election(),
            Err(error) => tracing::debug!(id = self.config.id, %error, "no campaign"),
        }
    }

    /// Asks for one command to be put into the log. On a leader it becomes the entry behind the last; a
    /// follower passes it on to its leader, and nobody knows then whether it arrives.
    ///
    /// # Errors
    /// [`RaftError::ProposalDropped`] where no leader is known, [`RaftError::LeaderTransferring`] where the leader is
    /// about to hand over. Nothing is silently lost: the caller must be able to answer its client.
    pub fn propose(&mut self, data: Bytes) -> Result<(), RaftError> {
        self.take_proposals(vec![Entry { data, ..Default::default() }])
    }

    /// [`Raft::propose`] for several entries, the own owner's or those that a follower has passed on: all of them, or
    /// none.
    pub(super) fn take_proposals(&mut self, entries: Vec<Entry>) -> Result<(), RaftError> {
        if self.role == Role::Leader {
            self.check_transfer()?;
            self.check_conf_changes(&entries)?;
        }
        self.propose_all(entries)
    }

    /// Takes in one message. The answers are in the outbox afterwards.
    ///
    /// # Errors
    /// The message has been ignored, or the peer must stop: see [`RaftError::is_fatal`].
    pub fn step(&mut self, m: Message) -> Result<(), RaftError> {
        validate(&m, self.config.id)?;
        if m.msg_type() == MessageType::MsgPropose {
            return self.take_proposals(m.entries);
        }
        if !self.check_term(&m) {
            return Ok(());
        }
        if is_from_leader(m.msg_type()) {
            self.follow_leader(m.from)?;
        }
        self.dispatch(m)
    }

    /// Hands a message of the current term to its topic. Types that are not listed belong to later stages
    /// or to other implementations; they are no reason to stop.
    fn dispatch(&mut self, m: Message) -> Result<(), RaftError> {
        match (m.msg_type(), self.role) {
            (MessageType::MsgRequestVote, _) => self.handle_request_vote(&m),
            (MessageType::MsgRequestVoteResponse, _) => {
                self.learn_committed(&m);
                if self.role == Role::Candidate {
                    self.handle_vote_response(&m);
                }
            }
            (MessageType::MsgHeartbeat, _) => self.handle_heartbeat(&m),
            (MessageType::MsgHeartbeatResponse, Role::Leader) => {
                self.handle_heartbeat_response(&m);
                self.hand_over(m.from);
            }
            (MessageType::MsgAppend, _) => return self.handle_append(m),
            (MessageType::MsgAppendResponse, Role::Leader) => {
                self.leave_snapshot(&m);
                self.handle_append_response(&m)?;
                self.hand_over(m.from);
            }
            (MessageType::MsgSnapshot, _) => self.handle_snapshot(m),
            (MessageType::MsgTransferLeader, _) => self.transfer_leader(m.from),
            (MessageType::MsgTimeoutNow, _) => self.handle_timeout_now(),
            (msg_type, role) => tracing::debug!(?msg_type, ?role, from = m.from, "nothing to do"),
        }
        Ok(())
    }

    /// Puts a message into the outbox it belongs to, signed with the own id (unless it speaks for somebody else) and
    /// term. An answer to a request for votes also says up to where the own log is committed.
    pub(super) fn send(&mut self, mut m: Message) {
        if m.from == NO_PEER {
            m.from = self.config.id;
        }
        if m.msg_type() != MessageType::MsgPropose {
            m.term = self.term;
        }
        if m.msg_type() == MessageType::MsgRequestVoteResponse {
            // For `learn_committed`. Nothing is promised by it: what is committed stays so.
            m.commit = self.log.committed();
            m.log_term = self.log.term(m.commit).unwrap_or_default();
        }
        if may_precede_persist(m.msg_type()) {
            self.outbox.now.push(m);
        } else {
            self.outbox.after_persist.push(m);
        }
    }

    /// Empties the outbox, after a leader has put in the appends that are due.
    pub fn take_messages(&mut self) -> Outbox {
        self.send_appends();
        std::mem::take(&mut self.outbox)
    }

    /// True if [`take_messages`](Raft::take_messages) may have something to give.
    pub fn has_messages(&self) -> bool {
        self.append_due || !self.outbox.now.is_empty() || !self.outbox.after_persist.is_empty()
    }

    /// The other voters.
    pub(super) fn others(&self) -> Vec<PeerId> {
        self.progress.keys().copied().filter(|&id| id != self.config.id).collect()
    }

    /// This peer.
    pub fn id(&self) -> PeerId {
        self.config.id
    }

    /// The latest term this peer has seen.
    pub fn term(&self) -> Term {
        self.term
    }

    /// Whom it has voted for in this term, or [`NO_PEER`].
    pub fn vote(&self) -> PeerId {
        self.vote
    }

    /// What it is now.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The leader of this term, or [`NO_PEER`] while it has not been heard of.
    pub fn leader_id(&self) -> PeerId {
        self.leader_id
    }

    /// The last entry it knows to be committed.
    pub fn commit(&self) -> Index {
        self.log.committed()
    }

    /// The log.
    pub fn log(&self) -> &RaftLog<S> {
        &self.log
    }

    /// The log, to reach the disk below it.
    pub fn log_mut(&mut self) -> &mut RaftLog<S> {
        &mut self.log
    }

    /// What must be on disk before anything that follows from it is told to others.
    pub fn hard_state(&self) -> HardState {
        HardState { term: self.term, vote: self.vote, commit: self.log.committed() }
    }

    /// Role and leader.
    pub fn soft_state(&self) -> SoftState {
        SoftState { leader_id: self.leader_id, role: self.role }
    }

    /// The voters of the group, ascending.
    pub fn voters(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.progress.keys().copied()
    }

    /// A leader's view of a voter.
    pub fn progress(&self, id: PeerId) -> Option<&Progress> {
        self.progress.get(&id)
    }
}
