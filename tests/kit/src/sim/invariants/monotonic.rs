//! What only grows.

use std::collections::BTreeMap;

use raftkv::raftstore::Peer;

use super::{Disks, Invariant, Place, Verdict, check};

/// While a store runs, its peers' terms, commit and applied indexes never go back.
#[derive(Default)]
pub struct Monotonic {
    last: BTreeMap<Place, [u64; 3]>,
}

fn now(peer: &Peer) -> [u64; 3] {
    [peer.term(), peer.node().raft().commit(), peer.apply_state().applied_index]
}

impl Invariant for Monotonic {
    fn forget(&mut self, at: Place) {
        self.last.remove(&at);
    }

    fn rule(&self) -> &'static str {
        "term, commit index and applied index never go back (section 5.1; figure 2)"
    }

    fn after_step(&mut self, _disks: &Disks<'_>, at: Place, peer: &Peer) -> Verdict {
        let new = now(peer);
        let old = self.last.insert(at, new).unwrap_or_default();
        check(old.iter().zip(&new).all(|(old, new)| old <= new), || {
            format!("term, commit, applied were {old:?} and are {new:?}")
        })
    }

    fn on_start(&mut self, _disks: &Disks<'_>, at: Place, peer: &Peer) -> Verdict {
        self.last.insert(at, now(peer));
        Ok(())
    }
}
