//! Committed means: on the disks of a majority.

use std::collections::BTreeMap;

use prost::Message;
use raftkv::engine::{Cf, Snapshot, keys};
use raftkv::ids::{Index, RegionId, Term};
use raftkv::proto::eraftpb::Entry;
use raftkv::raftstore::Peer;

use super::{Invariant, Place, Verdict, check, raft_state_on_disk};

/// What is on each disk, as of the store's last step, and how far commits have been checked.
#[derive(Default)]
pub struct CommitByMajority {
    disks: BTreeMap<Place, BTreeMap<Index, Term>>,
    checked: BTreeMap<RegionId, Index>,
}

impl Invariant for CommitByMajority {
    fn rule(&self) -> &'static str {
        "an entry is committed once a majority of the stores has it on disk, and not before (section 5.3): a write that only a \
         minority holds is not acknowledged"
    }

    fn after_step(&mut self, at: Place, peer: &Peer) -> Verdict {
        let raft = peer.node().raft();
        let checked = self.checked.get(&at.1).copied().unwrap_or(raft.log().first_index() - 1);
        self.look_at_disk(at, peer)?;
        let members = peer.region().peers.len();
        for index in checked + 1..=raft.commit() {
            let term = raft.log().term(index);
            let holders = self
                .disks
                .iter()
                .filter(|((_, region), log)| *region == at.1 && log.get(&index).copied() == term);
            let holders: Vec<u64> = holders.map(|((store, _), _)| *store).collect();
            check(holders.len() > members / 2, || {
                let term = term.unwrap_or_default();
                format!(
                    "it calls {index}@{term} committed, which is on the disks of {holders:?} only, of {members} stores"
                )
            })?;
        }
        self.checked.insert(at.1, checked.max(raft.commit()));
        Ok(())
    }

    fn on_start(&mut self, at: Place, peer: &Peer) -> Verdict {
        self.disks.remove(&at);
        self.look_at_disk(at, peer)
    }
}

impl CommitByMajority {
    /// Takes over what has changed at the end of the log on disk.
    fn look_at_disk(&mut self, at: Place, peer: &Peer) -> Verdict {
        let known = self.disks.entry(at).or_default();
        let log = peer.node().raft().log();
        let last = log.last_index();
        if known.last_key_value() == log.term(last).map(|term| (last, term)).as_ref().map(|(i, t)| (i, t)) {
            return Ok(());
        }
        let raft = peer_engine(peer);
        let on_disk = raft_state_on_disk(&*raft, at.1)?.last_index;
        while known.last_key_value().is_some_and(|(index, _)| *index > on_disk) {
            known.pop_last();
        }
        let mut index = on_disk;
        while index >= log.first_index() {
            let Some(term) = term_on_disk(&*raft, at.1, index) else { break };
            if known.insert(index, term) == Some(term) {
                break;
            }
            index -= 1;
        }
        Ok(())
    }
}

fn peer_engine(peer: &Peer) -> Box<dyn Snapshot> {
    peer.engines().raft.snapshot()
}

fn term_on_disk(raft: &dyn Snapshot, region: RegionId, index: Index) -> Option<Term> {
    let value = raft.get(Cf::Default, &keys::raft_log(region, index)).ok()??;
    Some(Entry::decode(value).ok()?.term)
}
