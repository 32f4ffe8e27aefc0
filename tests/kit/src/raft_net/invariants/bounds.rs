//! applied <= commit <= last index (section 5.3; figure 2, "commitIndex" and "lastApplied").

use raftkv::ids::PeerId;

use super::{Invariant, Verdict, World, check};

/// Nothing is applied that is not committed, nothing committed that is not in the log.
pub struct Bounds;

impl Invariant for Bounds {
    fn rule(&self) -> &'static str {
        "applied <= commit <= last index: what is not in the log cannot be committed, what is not committed \
         cannot be applied (section 5.3)"
    }

    fn after_step(&mut self, world: &World, id: PeerId) -> Verdict {
        let seen = world.seen(id);
        check(seen.commit <= seen.last(), || {
            format!("node {id} says that {} is committed, and its log ends at {}", seen.commit, seen.last())
        })?;
        check(seen.applied <= seen.commit, || {
            format!("node {id} says that {} is applied, and only {} is committed", seen.applied, seen.commit)
        })
    }
}
