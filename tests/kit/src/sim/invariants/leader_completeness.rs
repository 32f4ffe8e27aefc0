//! A new leader has everything that is committed.

use std::collections::BTreeMap;

use raftkv::ids::{Index, RegionId, Term};
use raftkv::raftstore::Peer;

use super::{Disks, Invariant, Place, Verdict, check};

/// What is committed, with the term in which that was first seen, and which leaders have been looked at. A leader of an
/// earlier term may be elected late, when the last vote for it arrives: it owes nothing to what a later one has
/// committed meanwhile.
#[derive(Default)]
pub struct LeaderCompleteness {
    committed: BTreeMap<RegionId, BTreeMap<Index, (Term, Term)>>,
    checked: BTreeMap<Place, Index>,
    leaders: BTreeMap<(RegionId, Term), ()>,
}

impl Invariant for LeaderCompleteness {
    fn forget(&mut self, at: Place) {
        self.checked.remove(&at);
    }

    fn rule(&self) -> &'static str {
        "Leader Completeness: what was committed in one term is in the logs of the leaders of all later ones (section 5.4; \
         figure 3)"
    }

    fn after_step(&mut self, _disks: &Disks<'_>, at: Place, peer: &Peer) -> Verdict {
        let raft = peer.node().raft();
        let committed = self.committed.entry(at.1).or_default();
        if peer.is_leader() && self.leaders.insert((at.1, peer.term()), ()).is_none() {
            let owed = committed.range(raft.log().first_index()..);
            for (index, (term, _)) in owed.filter(|(_, (_, seen_in))| *seen_in < peer.term()) {
                check(raft.log().term(*index) == Some(*term), || {
                    format!(
                        "it leads term {}, and {index}@{term}, which is committed, is not in its log: there it is {:?}",
                        peer.term(),
                        raft.log().term(*index)
                    )
                })?;
            }
        }
        let checked = self.checked.entry(at).or_default();
        for entry in raft.log().entries(*checked + 1, raft.commit() + 1) {
            committed.entry(entry.index).or_insert((entry.term, peer.term()));
        }
        *checked = (*checked).max(raft.commit());
        Ok(())
    }
}
