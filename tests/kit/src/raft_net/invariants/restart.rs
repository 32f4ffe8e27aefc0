//! A restart finds what was saved (figure 2, "Persistent state").

use raftkv::ids::PeerId;
use raftkv::raft::{LogStorage, Role};

use super::{Invariant, Verdict, World, check};

/// Compares a node that has just started with its disk.
pub struct Restart;

impl Invariant for Restart {
    fn rule(&self) -> &'static str {
        "a node starts as a follower with the term, the vote, the commit index and the log that are on its \
         disk (section 5.2; figure 2, persistent state)"
    }

    fn on_start(&mut self, world: &World, id: PeerId) -> Verdict {
        let node = &world.nodes[&id];
        let (seen, saved) = (&node.seen, node.hard_state());
        check(seen.role == Role::Follower, || format!("node {id} starts as {:?}", seen.role))?;
        check((seen.term, seen.vote) == (saved.term, saved.vote), || {
            format!(
                "the disk of node {id} says term {}, vote {}; it starts with term {}, vote {}",
                saved.term, saved.vote, seen.term, seen.vote
            )
        })?;
        check(seen.commit >= saved.commit, || {
            format!("the disk of node {id} says commit {}; it starts with {}", saved.commit, seen.commit)
        })?;
        let last = node.disk.last_index().expect("MemLogStorage does not fail");
        check(seen.last() == last, || {
            format!(
                "the log on node {id}'s disk ends at {last}; it starts with one that ends at {}",
                seen.last()
            )
        })
    }
}
