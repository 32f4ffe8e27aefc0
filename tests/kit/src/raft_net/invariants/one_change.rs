//! One change of the group at a time (thesis, section 4.1).

use raftkv::ids::PeerId;
use raftkv::proto::eraftpb::EntryType;

use super::{Invariant, Verdict, World, check};
use crate::raft_net::letter::log_text;

/// Looks for two changes that may still be undecided in one log.
pub struct OneChange;

impl Invariant for OneChange {
    fn rule(&self) -> &'static str {
        "one change of the group at a time: who has a second one in its log knows that the first is committed (thesis, section 4.1)"
    }

    fn after_step(&mut self, world: &World, id: PeerId) -> Verdict {
        // A puppet's leader sends what it likes.
        if !world.puppets.is_empty() {
            return Ok(());
        }
        let seen = world.seen(id);
        let undecided = seen.entries_from(seen.commit + 1);
        let changes = undecided.iter().filter(|e| e.entry_type() == EntryType::EntryConfChange).count();
        check(changes <= 1, || {
            format!(
                "node {id} knows entries up to {} to be committed, and behind them it has {changes} changes: {}",
                seen.commit,
                log_text(undecided)
            )
        })
    }
}
