//! What a store goes by is on its disks.

use std::collections::BTreeMap;

use prost::Message;
use raftkv::engine::{Cf, keys};
use raftkv::proto::eraftpb::Entry;
use raftkv::proto::raft_serverpb::RaftApplyState;
use raftkv::raftstore::Peer;

use super::{Invariant, Place, Verdict, check, raft_state_on_disk};

/// When a store has no work left, its disks have what it has in memory: term, vote, the end of the log, the applied index.
/// Compared only when something has changed.
#[derive(Default)]
pub struct OnDisk {
    last: BTreeMap<Place, [u64; 5]>,
}

impl Invariant for OnDisk {
    fn rule(&self) -> &'static str {
        "term, vote and log are on the raft engine, the applied index on the kv engine, when a store has done its work (figure 2, \
         \"Persistent state\")"
    }

    fn after_step(&mut self, at: Place, peer: &Peer) -> Verdict {
        let raft = peer.node().raft();
        let last = raft.log().last_index();
        let applied = peer.apply_state().applied_index;
        let now = [raft.term(), raft.vote(), last, raft.log().last_term(), applied];
        let old = self.last.insert(at, now).unwrap_or_default();
        if old[..4] != now[..4] {
            let disk = peer.engines().raft.snapshot();
            let state = raft_state_on_disk(&*disk, at.1)?;
            let saved = state.hard_state.unwrap_or_default();
            check((saved.term, saved.vote) == (raft.term(), raft.vote()), || {
                let (term, vote) = (raft.term(), raft.vote());
                format!("term {term}, vote {vote}; on the disk: term {}, vote {}", saved.term, saved.vote)
            })?;
            check(state.last_index == last, || {
                format!("the log ends at {last}; last_index on the disk is {}", state.last_index)
            })?;
            let entry =
                disk.get(Cf::Default, &keys::raft_log(at.1, last)).map_err(|error| error.to_string())?;
            let entry = entry.and_then(|value| Entry::decode(value).ok());
            check(
                last < raft.log().first_index()
                    || entry.as_ref() == raft.log().entries(last, last + 1).first(),
                || {
                    format!(
                        "the last entry of the log is {last}@{}, and not so on the disk",
                        raft.log().last_term()
                    )
                },
            )?;
        }
        if old[4] != applied {
            let disk = peer.engines().kv.snapshot();
            let value = disk.get(Cf::Raft, &keys::apply_state(at.1)).map_err(|error| error.to_string())?;
            let saved = value.and_then(|value| RaftApplyState::decode(value).ok()).unwrap_or_default();
            check(saved.applied_index == applied && raft.log().applied() == applied, || {
                let (known, saved) = (raft.log().applied(), saved.applied_index);
                format!("applied {applied}; Raft was told {known}, and on the disk it is {saved}")
            })?;
        }
        Ok(())
    }

    fn on_start(&mut self, at: Place, _peer: &Peer) -> Verdict {
        self.last.remove(&at);
        Ok(())
    }
}
