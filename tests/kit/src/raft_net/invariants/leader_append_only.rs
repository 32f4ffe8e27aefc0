//! Leader Append-Only: a leader never overwrites or deletes entries of its log (section 5.3, figure 3).

use std::collections::BTreeMap;

use raftkv::ids::{Index, PeerId, Term};
use raftkv::raft::Role;

use super::{Invariant, Verdict, World, check};

/// Remembers, for each node that leads, the term and where its log ended.
#[derive(Default)]
pub struct LeaderAppendOnly {
    leading: BTreeMap<PeerId, (Term, Index)>,
}

impl Invariant for LeaderAppendOnly {
    fn rule(&self) -> &'static str {
        "Leader Append-Only: a leader only adds entries to its log, it never overwrites or deletes one \
         (section 5.3)"
    }

    fn after_step(&mut self, world: &World, id: PeerId) -> Verdict {
        let seen = world.seen(id);
        if seen.role != Role::Leader {
            self.leading.remove(&id);
            return Ok(());
        }
        let Some((term, last)) = self.leading.insert(id, (seen.term, seen.last())) else { return Ok(()) };
        check(term != seen.term || seen.changed_from > last.max(seen.first - 1), || {
            format!(
                "node {id} leads term {term}, its log ended at {last}, and now entry {} is different or gone",
                seen.changed_from
            )
        })
    }

    fn on_start(&mut self, _world: &World, id: PeerId) -> Verdict {
        self.leading.remove(&id);
        Ok(())
    }
}
