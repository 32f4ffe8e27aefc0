//! At most one leader a term.

use std::collections::BTreeMap;

use raftkv::ids::{PeerId, RegionId, Term};
use raftkv::raftstore::Peer;

use super::{Disks, Invariant, Place, Verdict, check};

/// Who has led which term of which region.
#[derive(Default)]
pub struct ElectionSafety {
    leaders: BTreeMap<(RegionId, Term), PeerId>,
}

impl Invariant for ElectionSafety {
    fn rule(&self) -> &'static str {
        "Election Safety: at most one leader can be elected in a given term (section 5.2; figure 3)"
    }

    fn after_step(&mut self, _disks: &Disks<'_>, (_, region): Place, peer: &Peer) -> Verdict {
        if !peer.is_leader() {
            return Ok(());
        }
        let first = *self.leaders.entry((region, peer.term())).or_insert(peer.id());
        check(first == peer.id(), || {
            format!("peer {} leads term {}, which peer {first} has led already", peer.id(), peer.term())
        })
    }
}
