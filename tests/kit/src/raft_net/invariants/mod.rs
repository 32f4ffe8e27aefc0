//! What must hold in every moment of every run, one invariant a file.
//!
//! | invariant | section of the paper | file |
//! |---|---|---|
//! | one leader a term | 5.2, figure 3 "Election Safety" | `election_safety` |
//! | a leader has the votes of a majority | 5.2 | `elected_by_majority` |
//! | one vote a term | 5.2, figure 2 "votedFor" | `one_vote` |
//! | a leader never changes its log, only adds to it | 5.3, figure 3 "Leader Append-Only" | `leader_append_only` |
//! | logs that agree at an entry agree up to it | 5.3, figure 3 "Log Matching" | `log_matching` |
//! | committed means: on a majority's disks | 5.3 | `commit_by_majority` |
//! | counting commits only entries of the own term | 5.4.2, figure 8 | `commit_by_majority` |
//! | later leaders have what is committed | 5.4, figure 3 "Leader Completeness" | `leader_completeness` |
//! | all apply the same, in order, once | 5.4.3, figure 3 "State Machine Safety" | `state_machine_safety` |
//! | term, commit and applied index never go back | 5.1, figure 2 | `monotonic` |
//! | applied <= commit <= last index | 5.3, figure 2 "lastApplied" | `bounds` |
//! | saved before told | figure 2 "Persistent state" | `saved_before_told` |
//! | a restart finds what was saved | figure 2 "Persistent state" | `restart` |
//! | a leader sends what its log has, and only a leader sends it | 5.3, figure 2 | `true_messages` |
//! | the group is that of the last change applied; who is no member stands for nothing | thesis, 4.1, 4.2.2 | `groups` |
//! | one change of the group at a time | thesis, 4.1 | `one_change` |
//! | who stands for election has applied every change that it knows to be committed | thesis, 4.1 | `old_groups` |
//!
//! They look at every node after every step, at every message when it is sent, and at every restart. None
//! asks how a node came to its state, so any correct implementation keeps them.

mod bounds;
mod commit_by_majority;
mod elected_by_majority;
mod election_safety;
mod groups;
mod leader_append_only;
mod leader_completeness;
mod log_matching;
mod monotonic;
mod old_groups;
mod one_change;
mod one_vote;
mod restart;
mod saved_before_told;
mod state_machine_safety;
mod true_messages;

use std::collections::{BTreeMap, BTreeSet};

use raftkv::ids::{Index, PeerId, Term};
use raftkv::proto::eraftpb::{Message, MessageType};

use super::node::Node;

/// All that an invariant may look at.
pub struct World {
    /// The members of the group in the beginning.
    pub voters: Vec<PeerId>,
    /// Those for which the test speaks. Nobody knows what their disks hold.
    pub puppets: BTreeSet<PeerId>,
    /// The others.
    pub nodes: BTreeMap<PeerId, Node>,
    /// The last entry that a puppet has acknowledged to a leader of a term.
    pub puppet_acks: BTreeMap<(PeerId, Term), Index>,
}

impl World {
    /// How many of the group, as this node has it, make a majority.
    pub fn majority(&self, id: PeerId) -> usize {
        self.group(id).len() / 2 + 1
    }

    /// The members of the group, as far as this node has applied changes of it.
    pub fn group(&self, id: PeerId) -> &[PeerId] {
        &self.nodes[&id].group
    }

    /// All that are, were, or may become members.
    pub fn everybody(&self) -> BTreeSet<PeerId> {
        let others = self.nodes.keys().chain(&self.puppets);
        self.voters.iter().chain(others).copied().collect()
    }

    /// What the node showed after its last step.
    pub fn seen(&self, id: PeerId) -> &super::node::Seen {
        &self.nodes[&id].seen
    }

    /// Learns from a message that the test has written itself.
    pub(super) fn injected(&mut self, m: &Message) {
        if m.msg_type() == MessageType::MsgAppendResponse && !m.reject && self.puppets.contains(&m.from) {
            let acked = self.puppet_acks.entry((m.from, m.term)).or_default();
            *acked = (*acked).max(m.index);
        }
    }
}

/// `Err` says what happened; the invariant itself says what should have.
pub type Verdict = Result<(), String>;

/// One invariant.
pub trait Invariant {
    /// The rule, as a sentence, with its section.
    fn rule(&self) -> &'static str;

    /// Node `id` has done something.
    fn after_step(&mut self, _world: &World, _id: PeerId) -> Verdict {
        Ok(())
    }

    /// A node sends a message.
    fn on_send(&mut self, _world: &World, _m: &Message) -> Verdict {
        Ok(())
    }

    /// The test sends a message for a puppet.
    fn on_inject(&mut self, _m: &Message) {}

    /// Node `id` has started from its disk.
    fn on_start(&mut self, _world: &World, _id: PeerId) -> Verdict {
        Ok(())
    }
}

/// All of them.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(restart::Restart),
        Box::new(bounds::Bounds),
        Box::new(monotonic::Monotonic::default()),
        Box::new(one_vote::OneVote::default()),
        Box::new(elected_by_majority::ElectedByMajority::default()),
        Box::new(election_safety::ElectionSafety::default()),
        Box::new(leader_append_only::LeaderAppendOnly::default()),
        Box::new(log_matching::LogMatching::default()),
        Box::new(commit_by_majority::CommitByMajority::default()),
        Box::new(leader_completeness::LeaderCompleteness::default()),
        Box::new(state_machine_safety::StateMachineSafety::default()),
        Box::new(saved_before_told::SavedBeforeTold),
        Box::new(true_messages::TrueMessages::default()),
        Box::new(groups::Groups::default()),
        Box::new(one_change::OneChange),
        Box::new(old_groups::OldGroups::default()),
    ]
}

/// `Err` with this text unless `holds`.
fn check(holds: bool, text: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(text()) }
}
