//! Two logs that agree at one entry agree up to it.

use std::collections::BTreeMap;

use raftkv::ids::{Index, RegionId, Term};
use raftkv::raftstore::Peer;

use super::{Disks, Invariant, Place, Verdict, check, fingerprint, new_entries};

/// For each index and term that any log has had: the term of the entry before, and what is in the entry. If these are
/// always the same, then by induction so is everything before.
#[derive(Default)]
pub struct LogMatching {
    entries: BTreeMap<(RegionId, Index, Term), (Option<Term>, u64)>,
    /// The log of each peer as far as it has been looked at.
    seen: BTreeMap<Place, BTreeMap<Index, Term>>,
}

impl Invariant for LogMatching {
    fn forget(&mut self, at: Place) {
        self.seen.remove(&at);
    }

    fn rule(&self) -> &'static str {
        "Log Matching: if two logs hold an entry with the same index and term, they are identical up to it (section 5.3; \
         figure 3)"
    }

    fn after_step(&mut self, _disks: &Disks<'_>, at: Place, peer: &Peer) -> Verdict {
        let log = peer.node().raft().log();
        for entry in new_entries(self.seen.entry(at).or_default(), log) {
            let content = (log.term(entry.index - 1), fingerprint(&entry.data));
            let known = *self.entries.entry((at.1, entry.index, entry.term)).or_insert(content);
            check(known.1 == content.1, || {
                format!("entry {}@{} holds another command here than elsewhere", entry.index, entry.term)
            })?;
            check(known.0 == content.0 || content.0.is_none() || known.0.is_none(), || {
                format!(
                    "the entry before {}@{} has term {:?} here, and {:?} elsewhere",
                    entry.index, entry.term, content.0, known.0
                )
            })?;
        }
        Ok(())
    }

    fn on_start(&mut self, _disks: &Disks<'_>, at: Place, _peer: &Peer) -> Verdict {
        self.seen.remove(&at);
        Ok(())
    }
}
