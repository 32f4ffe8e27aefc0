//! Term, commit index and applied index never go back (section 5.1; figure 2: "increases monotonically").

use std::collections::BTreeMap;

use raftkv::ids::{Index, PeerId, Term};

use super::{Invariant, Verdict, World, check};

/// Remembers how far each node was. A crash takes a node back to its disk.
#[derive(Default)]
pub struct Monotonic {
    latest: BTreeMap<PeerId, (Term, Index, Index)>,
}

impl Invariant for Monotonic {
    fn rule(&self) -> &'static str {
        "the term and the commit index of a node never go back (section 5.1, figure 2)"
    }

    fn after_step(&mut self, world: &World, id: PeerId) -> Verdict {
        let seen = world.seen(id);
        let now = (seen.term, seen.commit, seen.applied);
        let old = self.latest.insert(id, now).unwrap_or_default();
        check(now.0 >= old.0, || format!("node {id} was in term {} and is now in term {}", old.0, now.0))?;
        check(now.1 >= old.1, || format!("the commit index of node {id} went from {} to {}", old.1, now.1))?;
        check(now.2 >= old.2, || format!("the applied index of node {id} went from {} to {}", old.2, now.2))
    }

    fn on_start(&mut self, world: &World, id: PeerId) -> Verdict {
        let saved = world.nodes[&id].hard_state();
        self.latest.insert(id, (saved.term, saved.commit, 0));
        Ok(())
    }
}
