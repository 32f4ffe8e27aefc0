//! State Machine Safety: no two servers apply different commands at the same index (section 5.4.3,
//! figure 3); and each applies every command once, in the order of the log.

use std::collections::BTreeMap;

use raftkv::ids::{Index, PeerId};
use raftkv::proto::eraftpb::Entry;

use super::{Invariant, Verdict, World, check};
use crate::raft_net::letter::entry_text;

/// Remembers what was first committed at each index, and how much of each node has been compared.
#[derive(Default)]
pub struct StateMachineSafety {
    decided: BTreeMap<Index, (PeerId, Entry)>,
    compared_commit: BTreeMap<PeerId, Index>,
    compared_applied: BTreeMap<PeerId, Index>,
}

impl Invariant for StateMachineSafety {
    fn rule(&self) -> &'static str {
        "State Machine Safety: all nodes commit and apply the same command at the same index, each node every \
         command once and in order (section 5.4.3)"
    }

    fn after_step(&mut self, world: &World, id: PeerId) -> Verdict {
        let node = &world.nodes[&id];
        let compared = self.compared_commit.insert(id, node.seen.commit).unwrap_or(0);
        for index in compared + 1..=node.seen.commit {
            if let Some(entry) = node.seen.entry(index) {
                self.decide(id, entry, "has committed")?;
            }
        }
        let done = self
            .compared_applied
            .insert(id, node.applied_to())
            .unwrap_or(0)
            .saturating_sub(node.applied_base);
        for (n, entry) in node.applied.iter().enumerate().skip(done as usize) {
            let expected = node.applied_base + 1 + n as u64;
            check(entry.index == expected, || {
                format!(
                    "node {id} was handed {} to apply; the next one that it has not applied is entry {expected}",
                    entry_text(entry)
                )
            })?;
            self.decide(id, entry, "has applied")?;
        }
        Ok(())
    }

    fn on_start(&mut self, _world: &World, id: PeerId) -> Verdict {
        self.compared_commit.insert(id, 0);
        Ok(())
    }
}

impl StateMachineSafety {
    fn decide(&mut self, id: PeerId, entry: &Entry, did: &str) -> Verdict {
        let (first, decided) = self.decided.entry(entry.index).or_insert_with(|| (id, entry.clone()));
        check(decided == entry, || {
            format!(
                "node {id} {did} {}, but for node {first} that index is {}",
                entry_text(entry),
                entry_text(decided)
            )
        })
    }
}
