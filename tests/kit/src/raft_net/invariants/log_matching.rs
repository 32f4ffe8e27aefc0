//! Log Matching: if two logs have an entry with the same index and term, they are identical up to it
//! (section 5.3, figure 3).

use std::collections::BTreeMap;

use bytes::Bytes;
use raftkv::ids::{Index, PeerId, Term};
use raftkv::raft::LogStorage;

use super::{Invariant, Verdict, World, check};
use crate::raft_net::letter::entry_text;

/// The first copy of an entry that was seen: every other one must be like it.
struct Copy {
    on: PeerId,
    data: Bytes,
    previous_term: Term,
}

/// Remembers every entry that ever was in a log, with its content and the term of the entry before it.
/// That the whole logs agree follows by induction, as in the paper.
#[derive(Default)]
pub struct LogMatching {
    entries: BTreeMap<(Index, Term), Copy>,
}

impl LogMatching {
    /// Entries that were nowhere but in the memory of a node that has crashed never were: a group of one may
    /// lose its unsaved term with them, and then use it again.
    fn forget_the_lost(&mut self, world: &World, id: PeerId) {
        let is_elsewhere = |index: Index, term: Term| {
            let logs = world.nodes.values().map(|n| &n.seen);
            logs.filter_map(|seen| seen.entry(index)).any(|e| e.term == term)
        };
        self.entries.retain(|&(index, term), copy| copy.on != id || is_elsewhere(index, term));
    }
}

impl Invariant for LogMatching {
    fn rule(&self) -> &'static str {
        "Log Matching: two logs that have an entry of the same index and term have the same entries up to it \
         (section 5.3)"
    }

    fn on_start(&mut self, world: &World, id: PeerId) -> Verdict {
        self.forget_the_lost(world, id);
        Ok(())
    }

    fn after_step(&mut self, world: &World, id: PeerId) -> Verdict {
        let seen = world.seen(id);
        let from = seen.changed_from.max(seen.first);
        for (index, entry) in (from..).zip(seen.entries_from(from)) {
            check(entry.index == index, || {
                format!(
                    "the entry in place {index} of node {id}'s log says that its index is {}",
                    entry.index
                )
            })?;
            let before = seen.entry(index - 1).map(|e| e.term);
            // Before the first entry: compacted, and the disk may remember the term, if it is not compacted further by
            // now. (Behind a snapshot that is not saved yet, the disk still has the old log.)
            let on_disk = || world.nodes[&id].disk.term(index - 1).ok().filter(|_| seen.restored.is_none());
            let previous = before.or_else(on_disk);
            let previous_term = previous.unwrap_or(0);
            check(entry.term >= previous_term && entry.term <= seen.term, || {
                format!(
                    "in term {} node {id} has entry {} behind one of term {previous_term}",
                    seen.term,
                    entry_text(entry)
                )
            })?;
            if previous.is_none() {
                continue;
            }
            let copy = || Copy { on: id, data: entry.data.clone(), previous_term };
            let first = self.entries.entry((index, entry.term)).or_insert_with(copy);
            check(first.data == entry.data && first.previous_term == previous_term, || {
                format!(
                    "node {id} has {} (behind an entry of term {previous_term}), but node {} had it with \
                     content {:?} (behind an entry of term {})",
                    entry_text(entry),
                    first.on,
                    first.data,
                    first.previous_term
                )
            })?;
        }
        Ok(())
    }
}
