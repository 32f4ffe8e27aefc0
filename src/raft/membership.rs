//! Membership changes, one peer at a time (thesis, section 4.1).
//!
//! ```text
//!   leader:  propose_conf_change  ->  an entry of the log  ->  committed  ->  apply_conf_change   (every peer, when it applies
//!                                                                                                  the entry)
//! ```
//!
//! A group of which one member is added or removed has majorities that all overlap with those of the group before. So
//! old and new group may decide side by side for a while, and never differently, as long as no third group joins in.
//!
//! **A change counts from when it is applied**, here as in etcd and TiKV; in the thesis, from when it is in the log.
//! Three rules keep two groups that are two steps apart from deciding at the same time:
//!
//! 1. A leader proposes no change while an earlier one in its log is not applied ([`Raft::pending_conf_index`]).
//! 2. And none before it has committed an entry of its own term. (Ongaro's repair of the algorithm as it was published.
//!    Where a change is made by a majority of the old group, as here, the first rule suffices, and this one is a second
//!    lock; see docs/raft.md.)
//! 3. Who knows that a change is committed, and has not applied it, does not campaign ([`Raft::check_campaign`]). Who
//!    has a second change in its log knows that the first is committed. So nobody asks for votes in a group that is two
//!    steps old.
//!
//! Safe is not enough: a peer that is removed may be needed once more, by those who have not heard of it. It may hold
//! more than they do, and not give them its vote; and it never stands for election itself. So whoever refuses its vote
//! says what it knows to be committed ([`Raft::learn_committed`]): with that, the others can do without it.

use prost::Message as _;

use super::progress::Progress;
use super::storage::LogStorage;
use super::{Raft, RaftError, Role};
use crate::ids::{Index, NO_PEER, PeerId};
use crate::proto::eraftpb::{ConfChange, ConfChangeType, ConfState, Entry, EntryType, Message};

impl<S: LogStorage> Raft<S> {
    /// Asks for a change of the group to be put into the log, as [`Raft::propose`] does with a command. It counts once
    /// the owner has called [`Raft::apply_conf_change`].
    ///
    /// # Errors
    /// As for [`Raft::propose`]; and [`RaftError::ConfChangeRefused`] where this leader may not propose it now, or
    /// nobody ever.
    pub fn propose_conf_change(&mut self, change: &ConfChange) -> Result<(), RaftError> {
        let entry_type = EntryType::EntryConfChange.into();
        self.take_proposals(vec![Entry {
            entry_type,
            data: change.encode_to_vec().into(),
            ..Default::default()
        }])
    }

    /// May this leader put these proposals, its own or those that a follower has passed on, into its log? Commands
    /// always. A change of the group only if
    ///
    /// - it is the only change among them, adds or removes one peer, and leaves somebody in the group;
    /// - no change in the log is waiting to be applied ([`Raft::pending_conf_index`]);
    /// - an entry of the leader's own term is committed.
    ///
    /// # Errors
    /// [`RaftError::ConfChangeRefused`], with the reason. Then none of the proposals is taken.
    pub(super) fn check_conf_changes(&self, entries: &[Entry]) -> Result<(), RaftError> {
        // LAB 3a BEGIN idle: are there any? then the three rules
        let refuse = |why: &'static str| Err(RaftError::ConfChangeRefused(why));
        let Some(entry) = entries.iter().find(|entry| is_change(entry)) else { return Ok(()) };
        if entries.iter().filter(|entry| is_change(entry)).count() > 1 {
            return refuse("one change at a time");
        }
        let Ok(change) = ConfChange::decode(entry.data.clone()) else {
            return refuse("it cannot be read");
        };
        match ConfChangeType::try_from(change.change_type) {
            _ if change.node_id == NO_PEER => return refuse("it names nobody"),
            Ok(ConfChangeType::RemoveNode) if self.is_last_voter(change.node_id) => {
                return refuse("it would leave nobody in the group");
            }
            Ok(ConfChangeType::AddNode | ConfChangeType::RemoveNode) => {}
            Ok(ConfChangeType::AddLearnerNode) | Err(_) => {
                return refuse("a peer is added or removed, nothing else");
            }
        }
        if self.pending_conf_index().is_some() {
            return refuse("an earlier change is not applied yet");
        }
        if self.log.term(self.log.committed()) != Some(self.term) {
            return refuse("the leader has committed nothing in its term yet");
        }
        // LAB 3a END
        Ok(())
    }

    /// The last change of the group that is in the log and not applied yet, whoever has proposed it.
    pub fn pending_conf_index(&self) -> Option<Index> {
        // LAB 3a BEGIN: the log knows
        let waiting = self.log.entries(self.log.applied() + 1, self.log.last_index() + 1);
        waiting.iter().rev().find(|entry| is_change(entry)).map(|entry| entry.index)
        // LAB 3a END
    }

    /// The owner applies an entry that changes the group; it calls this at the entry's place in the log, before it
    /// applies what follows.
    ///
    /// After: the group is the new one. Adding a member or removing a stranger changes nothing, and the last member
    /// stays: what stands in the log must mean the same to everybody. Nor does a change that a snapshot has overtaken:
    /// it came while the entry was being applied, and its data is not loaded; its group is newer.
    ///
    /// - A new peer is not known to hold anything, and is sent to soon.
    /// - After a removal fewer make a majority: entries may be committed by it. A transfer to the removed peer is given
    ///   up.
    /// - A leader that is removed tells the others what is committed, as well as it can, and steps down. It answers and
    ///   votes as long as it is asked: the others may not know yet that they can do without.
    ///
    /// Returns the group as it is then, for the owner to save.
    pub fn apply_conf_change(&mut self, change: &ConfChange) -> ConfState {
        // LAB 3a BEGIN: is it news? then a Progress comes or goes; and then?
        let id = change.node_id;
        let is_overtaken = self.log.applied() + 1 < self.log.first_index();
        match change.change_type() {
            _ if is_overtaken => {}
            ConfChangeType::AddNode if id != NO_PEER && !self.progress.contains_key(&id) => {
                let next = self.log.last_index() + 1;
                self.progress.insert(id, Progress::new(next, self.config.max_inflight_msgs));
                self.append_due = true;
            }
            ConfChangeType::RemoveNode if !self.is_last_voter(id) => self.remove_voter(id),
            _ => {}
        }
        ConfState { voters: self.voters().collect(), ..Default::default() }
        // LAB 3a END
    }

    // SOLUTION 3a BEGIN
    fn remove_voter(&mut self, id: PeerId) {
        let was_member = self.progress.remove(&id).is_some();
        if !was_member || self.role != Role::Leader {
            return;
        }
        if id == self.config.id {
            self.append_due = true;
            self.send_appends();
            self.become_follower(self.term, NO_PEER);
            return;
        }
        if id == self.lead_transferee() {
            self.transfer = None;
        }
        self.maybe_commit();
    }

    fn is_last_voter(&self, id: PeerId) -> bool {
        self.voters().eq([id])
    }
    // SOLUTION 3a END

    /// A peer answers a request for votes. Where it refuses, it says up to where its log is committed: `commit`, an
    /// entry of `log_term`.
    ///
    /// After a refusal, if this peer's log has that entry, and up to it a change of the group that is news: all up to
    /// there is committed here, too, and a candidate is a follower again, for it was asking an old group (rule 3). A
    /// leader learns nothing: it counts.
    pub(super) fn learn_committed(&mut self, m: &Message) {
        // LAB 3a BEGIN idle: do you have that entry? what lies between?
        let is_here = self.log.term(m.commit) == Some(m.log_term);
        let news = self.log.entries(self.log.committed() + 1, m.commit + 1);
        if !m.reject || !is_here || self.role == Role::Leader || !news.iter().any(is_change) {
            return;
        }
        self.log.commit_to(m.commit);
        self.become_follower(self.term, self.leader_id);
        // LAB 3a END
    }

    /// May this peer stand for election? Not while it knows of a change of the group that is committed, and has not
    /// applied it: it would ask an old group. (Rule 3 above.)
    ///
    /// # Errors
    /// [`RaftError::ConfChangeRefused`], for the log.
    pub(super) fn check_campaign(&self) -> Result<(), RaftError> {
        // LAB 3a BEGIN idle: between applied and committed
        let waiting = self.log.entries(self.log.applied() + 1, self.log.committed() + 1);
        if waiting.iter().any(is_change) {
            return Err(RaftError::ConfChangeRefused("no campaign before a committed change is applied"));
        }
        // LAB 3a END
        Ok(())
    }
}

// SOLUTION 3a BEGIN
fn is_change(entry: &Entry) -> bool {
    entry.entry_type() == EntryType::EntryConfChange
}
// SOLUTION 3a END
