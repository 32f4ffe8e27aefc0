//! Words for scripts about leadership transfer and about changes of the group; and how the net keeps account of the
//! group.

use prost::Message as _;
use raftkv::ids::{Index, PeerId};
use raftkv::proto::eraftpb::{ConfChange, ConfChangeType, ConfState, Entry, EntryType};
use raftkv::raft::{LogStorage, MemLogStorage, RaftError};

use super::driver::Driver;
use super::faults::Fault;
use super::letter::{add_node, change_text, remove_node};
use super::net::Net;
use super::node::Node;
use super::trace::Event;

/// The members of the group, as a disk names them, ascending.
pub(super) fn members(disk: &MemLogStorage) -> Vec<PeerId> {
    let (_, conf_state) = disk.initial_state().expect("MemLogStorage does not fail");
    ascending(conf_state.voters)
}

fn ascending(mut ids: Vec<PeerId>) -> Vec<PeerId> {
    ids.sort_unstable();
    ids
}

/// What a change makes of a group. One that is made already changes nothing, and the last member stays.
fn changed(group: &[PeerId], change: &ConfChange) -> Vec<PeerId> {
    let mut group = group.to_vec();
    let id = change.node_id;
    match change.change_type() {
        ConfChangeType::AddNode if !group.contains(&id) => group.push(id),
        ConfChangeType::RemoveNode if group != [id] => group.retain(|member| *member != id),
        _ => {}
    }
    ascending(group)
}

/// What the net does on its own.
impl<D: Driver> Net<D> {
    /// The state machine takes what is committed, entry by entry, in the order that the contract of `Ready` asks for: a
    /// change of the group is told to the node at its place, and that the round is over comes last.
    #[track_caller]
    pub(super) fn apply(&mut self, id: PeerId) {
        let entries = self.peer(id).to_apply();
        if self.node_mut(id).applying_held && !entries.is_empty() {
            return;
        }
        for entry in &entries {
            self.node_mut(id).applied.push(entry.clone());
            if entry.entry_type() == EntryType::EntryConfChange {
                self.apply_change(id, entry);
            }
        }
        self.peer(id).applied(entries.last().map(|entry| entry.index));
        self.observe(id);
    }

    #[track_caller]
    fn apply_change(&mut self, id: PeerId, entry: &Entry) {
        let change = ConfChange::decode(entry.data.clone()).expect("a change that is committed can be read");
        let conf_state = self.peer(id).apply_conf_change(&change);
        let old = self.node_mut(id).group.clone();
        if let Some(end) = self.node_mut(id).seen.restored {
            // A snapshot has overtaken the entry. Its group is newer, and is saved a little early.
            self.save_group(id, &conf_state);
            return self.set_group(id, ascending(conf_state.voters), end);
        }
        let new = changed(&old, &change);
        assert_eq!(
            ascending(conf_state.voters.clone()),
            new,
            "node {id} applies {} to the group {old:?}, and what it gives its owner to save is not the new group",
            change_text(&change)
        );
        self.save_group(id, &conf_state);
        self.set_group(id, new, entry.index);
        self.observe(id);
    }

    /// The group is the one that a snapshot names. It is saved already.
    pub(super) fn restore_group(&mut self, id: PeerId, index: Index) {
        let group = members(&self.node_mut(id).disk);
        self.set_group(id, group, index);
    }

    fn save_group(&mut self, id: PeerId, conf_state: &ConfState) {
        self.node_mut(id).disk.set_conf_state(conf_state.clone());
        self.peer(id).disk().set_conf_state(conf_state.clone());
    }

    fn set_group(&mut self, id: PeerId, group: Vec<PeerId>, since: Index) {
        let is_news = self.world.nodes.values().all(|n| n.group_since < since);
        let node = self.node_mut(id);
        let old = std::mem::replace(&mut node.group, group.clone());
        node.group_ahead = since < node.group_since;
        node.group_since = node.group_since.max(since);
        if old == group {
            return;
        }
        self.trace.note(Event::Changed(id, format!("its group is {group:?}")));
        // The first one to get there counts for all.
        if is_news {
            let fault = if group.len() > old.len() { Fault::Joined } else { Fault::Left };
            self.faults.count(fault);
        }
    }

    #[track_caller]
    fn join_from(&mut self, id: PeerId, disk: MemLogStorage) {
        let is_new = !self.world.everybody().contains(&id);
        assert!(is_new, "node {id} is there already");
        self.world.nodes.insert(id, Node::new(id, disk));
        self.start(id);
    }
}

/// Words.
impl<D: Driver> Net<D> {
    /// A node that is no member appears. It has never run, and knows who founded the group, so it can read the log from
    /// its first entry on.
    #[track_caller]
    pub fn join(&mut self, id: PeerId) {
        self.command(format!("{id} appears"));
        let founders = self.world.voters.clone();
        self.join_from(id, MemLogStorage::new_with_voters(&founders));
    }

    /// A node that is no member appears. It has never run and knows nothing, as a peer that is created by a message:
    /// only a snapshot can tell it who is in the group.
    #[track_caller]
    pub fn join_blank(&mut self, id: PeerId) {
        self.command(format!("{id} appears, and knows nothing"));
        self.join_from(id, MemLogStorage::default());
    }

    /// The owner of a node wants `to` for leader.
    #[track_caller]
    pub fn transfer(&mut self, id: PeerId, to: PeerId) {
        self.command(format!("{id} is asked to make {to} leader"));
        self.peer(id).transfer_leader(to);
        self.settle(id);
    }

    /// Somebody proposes a change of the group.
    #[track_caller]
    pub fn try_change(&mut self, id: PeerId, change: &ConfChange) -> Result<(), RaftError> {
        self.command(format!("propose {id} {}", change_text(change)));
        let result = self.act(id, |peer| peer.propose_conf_change(change));
        if let Err(e) = &result {
            self.trace.note(Event::Refused(id, e.to_string()));
        }
        result
    }

    /// It is proposed to add a member; the node must take that.
    #[track_caller]
    pub fn add(&mut self, id: PeerId, member: PeerId) {
        self.change(id, &add_node(member));
    }

    /// It is proposed to remove a member; the node must take that.
    #[track_caller]
    pub fn remove(&mut self, id: PeerId, member: PeerId) {
        self.change(id, &remove_node(member));
    }

    #[track_caller]
    fn change(&mut self, id: PeerId, change: &ConfChange) {
        if let Err(e) = self.try_change(id, change) {
            panic!("node {id} refuses {}, although nothing is in its way: {e}", change_text(change));
        }
    }

    /// The members of the group, as of the last change that this node has applied.
    #[track_caller]
    pub fn group(&self, id: PeerId) -> &[PeerId] {
        &self.node(id).group
    }

    /// A leader of these, whom all of them follow in its term.
    pub fn leader_among(&self, members: &[PeerId]) -> Option<PeerId> {
        let leader = self.leader().filter(|leader| members.contains(leader))?;
        let term = self.term(leader);
        let follows = |id: &PeerId| (self.term(*id), self.leader_of(*id)) == (term, leader);
        members.iter().all(follows).then_some(leader)
    }

    /// The node's owner drops all of its log that is applied, if that is anything. A snapshot is of that place then,
    /// and names the group as it is.
    #[track_caller]
    pub fn compact_applied(&mut self, id: PeerId) {
        let node = self.node(id);
        let first = node.disk.first_index().expect("MemLogStorage does not fail");
        let applied = node.seen.applied;
        if applied >= first && applied == node.applied_to() {
            self.compact(id, applied);
        }
    }

    /// The node's state machine takes nothing: what is committed waits, until [`Net::release_applying`].
    pub fn hold_applying(&mut self, id: PeerId) {
        self.command(format!("{id} applies nothing"));
        self.faults.count(Fault::SlowApply);
        self.node_mut(id).applying_held = true;
    }

    /// It takes all that has waited.
    #[track_caller]
    pub fn release_applying(&mut self, id: PeerId) {
        self.command(format!("{id} applies what has waited"));
        self.node_mut(id).applying_held = false;
        self.apply(id);
        self.settle(id);
    }
}
