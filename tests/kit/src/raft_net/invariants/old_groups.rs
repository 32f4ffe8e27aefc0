//! Nobody asks a group for votes that it knows to be an old one.

use std::collections::BTreeMap;

use raftkv::ids::{PeerId, Term};
use raftkv::proto::eraftpb::EntryType;
use raftkv::raft::Role;

use super::{Invariant, Verdict, World, check};
use crate::raft_net::letter::entry_text;

/// Remembers the term of each node, to see when it stands for election.
#[derive(Default)]
pub struct OldGroups {
    terms: BTreeMap<PeerId, Term>,
}

impl Invariant for OldGroups {
    fn rule(&self) -> &'static str {
        "who knows that a change of the group is committed applies it before it stands for election, or it would ask a group that is \
         two steps old (src/raft/membership.rs, rule 3)"
    }

    fn after_step(&mut self, world: &World, id: PeerId) -> Verdict {
        let node = &world.nodes[&id];
        let seen = &node.seen;
        let before = self.terms.insert(id, seen.term).unwrap_or(0);
        if seen.role != Role::Candidate || seen.term == before {
            return Ok(());
        }
        let unapplied =
            seen.entries_from(node.applied_to() + 1).iter().take_while(|e| e.index <= seen.commit);
        let change = unapplied.into_iter().find(|e| e.entry_type() == EntryType::EntryConfChange);
        check(change.is_none(), || {
            format!(
                "node {id} stands for election in term {} in the group {:?}; it knows that {} is committed, and has not applied it",
                seen.term,
                node.group,
                change.map_or(String::new(), entry_text)
            )
        })
    }

    fn on_start(&mut self, world: &World, id: PeerId) -> Verdict {
        self.terms.insert(id, world.nodes[&id].hard_state().term);
        Ok(())
    }
}
