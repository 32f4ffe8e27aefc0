//! Leader Completeness: a committed entry is in the logs of the leaders of all later terms (section 5.4,
//! figure 3).

use std::collections::BTreeMap;

use raftkv::ids::{Index, PeerId, Term};
use raftkv::raft::Role;

use super::{Invariant, Verdict, World, check};

/// Remembers each committed entry: its term, and the term in which it was first known to be committed.
#[derive(Default)]
pub struct LeaderCompleteness {
    committed: BTreeMap<Index, (Term, Term)>,
    /// Node and term of the leaders that have been checked against all that was committed before.
    checked: BTreeMap<PeerId, Term>,
}

impl Invariant for LeaderCompleteness {
    fn rule(&self) -> &'static str {
        "Leader Completeness: an entry that is committed in a term is in the logs of the leaders of all \
         later terms (section 5.4)"
    }

    fn after_step(&mut self, world: &World, id: PeerId) -> Verdict {
        let seen = world.seen(id);
        let news = self.committed.last_key_value().map_or(0, |(i, _)| *i) + 1..=seen.commit;
        for index in news.clone() {
            if let Some(entry) = seen.entry(index) {
                self.committed.insert(index, (entry.term, seen.term));
            }
        }
        if seen.role == Role::Leader && self.checked.insert(id, seen.term) != Some(seen.term) {
            for index in self.committed.keys() {
                self.leader_has(world, id, *index)?;
            }
        }
        for leader in world.nodes.values().filter(|n| n.seen.role == Role::Leader) {
            for index in news.clone() {
                self.leader_has(world, leader.id, index)?;
            }
        }
        Ok(())
    }
}

impl LeaderCompleteness {
    fn leader_has(&self, world: &World, leader: PeerId, index: Index) -> Verdict {
        let seen = world.seen(leader);
        let Some(&(term, committed_in)) = self.committed.get(&index) else { return Ok(()) };
        if seen.term <= committed_in || index < seen.first {
            return Ok(());
        }
        let ours = seen.entry(index).map(|e| e.term);
        check(ours == Some(term), || {
            let what = ours.map_or("nothing".to_string(), |t| format!("an entry of term {t}"));
            format!(
                "entry {index}@{term} was committed in term {committed_in}; node {leader} leads term {} and \
                 has {what} there",
                seen.term
            )
        })
    }
}
