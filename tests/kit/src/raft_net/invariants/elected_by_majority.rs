//! A leader has the votes of a majority (section 5.2).

use std::collections::{BTreeMap, BTreeSet};

use raftkv::ids::{PeerId, Term};
use raftkv::proto::eraftpb::{Message, MessageType};
use raftkv::raft::Role;

use super::{Invariant, Verdict, World, check};

/// Counts the votes that were given, each voter's once, by term and candidate; and looks at a leader when it becomes
/// one, in the group that it has then.
#[derive(Default)]
pub struct ElectedByMajority {
    leads: BTreeMap<PeerId, Term>,
    given: BTreeMap<(Term, PeerId), BTreeSet<PeerId>>,
}

impl ElectedByMajority {
    fn count(&mut self, m: &Message) {
        if m.msg_type() == MessageType::MsgRequestVoteResponse && !m.reject {
            self.given.entry((m.term, m.to)).or_default().insert(m.from);
        }
    }
}

impl Invariant for ElectedByMajority {
    fn rule(&self) -> &'static str {
        "a candidate becomes leader only with the votes of a majority of the group, in this term, its own \
         included (section 5.2)"
    }

    fn after_step(&mut self, world: &World, id: PeerId) -> Verdict {
        let seen = world.seen(id);
        if seen.role != Role::Leader || self.leads.insert(id, seen.term) == Some(seen.term) {
            return Ok(());
        }
        let mut voters = self.given.get(&(seen.term, id)).cloned().unwrap_or_default();
        voters.insert(id);
        voters.retain(|voter| world.group(id).contains(voter));
        check(voters.len() >= world.majority(id), || {
            format!(
                "node {id} leads term {} with the votes of {voters:?}; {} of the group {:?} are needed",
                seen.term,
                world.majority(id),
                world.group(id)
            )
        })
    }

    fn on_send(&mut self, _world: &World, m: &Message) -> Verdict {
        self.count(m);
        Ok(())
    }

    fn on_inject(&mut self, m: &Message) {
        self.count(m);
    }
}
