//! All decide the same about one index.

use std::collections::BTreeMap;

use raftkv::ids::{Index, RegionId, Term};
use raftkv::raftstore::Peer;

use super::{Disks, Invariant, Place, Verdict, check, fingerprint};

/// What was committed first at each index, by whomever.
#[derive(Default)]
pub struct StateMachineSafety {
    committed: BTreeMap<(RegionId, Index), (Term, u64)>,
    checked: BTreeMap<Place, Index>,
}

impl Invariant for StateMachineSafety {
    fn forget(&mut self, at: Place) {
        self.checked.remove(&at);
    }

    fn rule(&self) -> &'static str {
        "State Machine Safety: all stores commit, and so apply, the same command at the same index (section 5.4.3)"
    }

    fn after_step(&mut self, _disks: &Disks<'_>, at: Place, peer: &Peer) -> Verdict {
        let raft = peer.node().raft();
        let checked = self.checked.entry(at).or_default();
        for entry in raft.log().entries(*checked + 1, raft.commit() + 1) {
            let this = (entry.term, fingerprint(&entry.data));
            let first = *self.committed.entry((at.1, entry.index)).or_insert(this);
            check(first == this, || {
                format!(
                    "{}@{} counts as committed here; elsewhere it was {}@{}{}",
                    entry.index,
                    entry.term,
                    entry.index,
                    first.0,
                    if first.0 == entry.term { " with another command" } else { "" }
                )
            })?;
        }
        *checked = (*checked).max(raft.commit());
        Ok(())
    }

    fn on_start(&mut self, _disks: &Disks<'_>, at: Place, _peer: &Peer) -> Verdict {
        self.checked.remove(&at);
        Ok(())
    }
}
