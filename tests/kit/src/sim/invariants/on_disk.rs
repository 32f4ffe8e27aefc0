//! What a store goes by is on its disks.

use std::collections::BTreeMap;

use raftkv::ids::{Index, Term};
use raftkv::raftstore::Peer;

use super::{Disks, Invariant, Place, Verdict, applied_on_disk, check, entry_on_disk, new_entries};

/// When a store has no work left, its disks have what it has in memory: term, vote, every entry of the log, the applied
/// index. Compared only where something has changed.
#[derive(Default)]
pub struct OnDisk {
    last: BTreeMap<Place, [u64; 5]>,
    /// The log of each peer as far as it has been compared.
    seen: BTreeMap<Place, BTreeMap<Index, Term>>,
}

impl Invariant for OnDisk {
    fn forget(&mut self, at: Place) {
        self.last.remove(&at);
        self.seen.remove(&at);
    }

    fn rule(&self) -> &'static str {
        "when a store has done its work, term, vote and log are on the raft engine, synced, and the applied index is on the kv \
         engine (figure 2, \"Persistent state\")"
    }

    fn after_step(&mut self, disks: &Disks<'_>, at: Place, peer: &Peer) -> Verdict {
        let raft = peer.node().raft();
        let applied = peer.apply_state().applied_index;
        let now = [raft.term(), raft.vote(), raft.log().last_index(), raft.log().last_term(), applied];
        let old = self.last.insert(at, now).unwrap_or_default();
        if old[..4] != now[..4] {
            self.compare_raft(disks, at, peer)?;
        }
        if old[4] != applied {
            compare_applied(disks, at, peer)?;
        }
        Ok(())
    }

    fn on_start(&mut self, _disks: &Disks<'_>, at: Place, _peer: &Peer) -> Verdict {
        self.last.remove(&at);
        self.seen.remove(&at);
        Ok(())
    }
}

impl OnDisk {
    fn compare_raft(&mut self, disks: &Disks<'_>, at: Place, peer: &Peer) -> Verdict {
        let (raft, disk) = (peer.node().raft(), disks.raft());
        let state = disks.raft_state(at.1)?;
        let saved = state.hard_state.unwrap_or_default();
        check((saved.term, saved.vote) == (raft.term(), raft.vote()), || {
            let (term, vote) = (raft.term(), raft.vote());
            format!("term {term}, vote {vote}; on the disk: term {}, vote {}", saved.term, saved.vote)
        })?;
        let last = raft.log().last_index();
        check(state.last_index == last, || {
            format!("the log ends at {last}; last_index on the disk is {}", state.last_index)
        })?;
        for entry in new_entries(self.seen.entry(at).or_default(), raft.log()) {
            let saved = entry_on_disk(disk, at.1, entry.index);
            check(saved.as_ref() == Some(entry), || {
                let (index, term) = (entry.index, entry.term);
                match &saved {
                    None => format!("the log has entry {index}@{term}, and the disk has none at {index}"),
                    Some(saved) if saved.term != term => {
                        format!("the log has entry {index}@{term}, and the disk {index}@{}", saved.term)
                    }
                    Some(_) => {
                        format!("entry {index}@{term} holds another command on the disk than in the log")
                    }
                }
            })?;
        }
        Ok(())
    }
}

fn compare_applied(disks: &Disks<'_>, at: Place, peer: &Peer) -> Verdict {
    let applied = peer.apply_state().applied_index;
    let saved = applied_on_disk(disks, at.1)?;
    let known = peer.node().raft().log().applied();
    check(saved == applied && known == applied, || {
        format!("applied {applied}; Raft was told {known}, and on the disk it is {saved}")
    })
}
