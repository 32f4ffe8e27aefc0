//! Election Safety: at most one leader can be elected in a term (section 5.2, figure 3).

use std::collections::BTreeMap;

use raftkv::ids::{PeerId, Term};
use raftkv::raft::Role;

use super::{Invariant, Verdict, World, check};

/// Remembers who has led each term, also after it is down or has stepped down.
#[derive(Default)]
pub struct ElectionSafety {
    leaders: BTreeMap<Term, PeerId>,
}

impl Invariant for ElectionSafety {
    fn rule(&self) -> &'static str {
        "Election Safety: at most one leader can be elected in a term (section 5.2)"
    }

    fn after_step(&mut self, world: &World, id: PeerId) -> Verdict {
        let seen = world.seen(id);
        if seen.role != Role::Leader {
            return Ok(());
        }
        let first = *self.leaders.entry(seen.term).or_insert(id);
        check(first == id, || {
            format!("term {} has had leader {first}, and now node {id} leads it too", seen.term)
        })
    }
}
