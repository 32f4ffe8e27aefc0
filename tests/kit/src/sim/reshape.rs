//! Random changes of regions, among the trouble.

use raftkv::ids::StoreId;
use raftkv::proto::eraftpb::ConfChangeType;
use raftkv::proto::metapb::{Peer as Member, Region};
use raftkv::proto::raft_cmdpb::AdminRequest;
use raftkv::raftstore::Event;

use super::Sim;
use super::cluster::Direct;
use super::placement::{change_peer, cuts, transfer_leader};

/// So many regions are enough.
const MOST_REGIONS: usize = 6;

/// A random change keeps at least so many members in a region, and at most one more than twice that.
const FEWEST: usize = 2;

/// One kind of change.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reshape {
    Add,
    Remove,
    Transfer,
    Split,
}

impl Sim {
    /// A random change is asked for, of a random region, at whatever store believes to lead it. Nobody waits for what
    /// comes of it.
    pub(super) fn reshape(&mut self, what: Reshape) {
        let map = self.region_map();
        if map.is_empty() {
            return;
        }
        let region = self.rng.pick(&map);
        let admin = match what {
            Reshape::Add => self.random_add(&region),
            Reshape::Remove => self.random_remove(&region),
            Reshape::Transfer => {
                let to = self.rng.pick(&region.peers);
                Some(transfer_leader(to))
            }
            Reshape::Split if map.len() < MOST_REGIONS => self.random_split(&region),
            Reshape::Split => None,
        };
        let leaders: Vec<StoreId> = self
            .stores
            .iter()
            .filter(|(_, store)| store.peer(region.id).is_some_and(|peer| peer.is_leader()))
            .map(|(id, _)| *id)
            .collect();
        let (Some(admin), false) = (admin, leaders.is_empty()) else { return };
        let leader = self.rng.pick(&leaders);
        self.say(format!("region {}, store {leader}: {what:?}", region.id));
        let request = self.admin_request_for(leader, region.id, region.region_epoch, admin);
        self.last_id += 1;
        let id = self.last_id;
        self.direct.insert(id, Direct { store: leader, result: None });
        self.give(leader, Event::Command { id, request });
    }

    fn random_add(&mut self, region: &Region) -> Option<AdminRequest> {
        let free: Vec<StoreId> =
            self.machines.keys().copied().filter(|id| region.peer_on(*id).is_none()).collect();
        if free.is_empty() || region.peers.len() > 2 * FEWEST {
            return None;
        }
        let store_id = self.rng.pick(&free);
        let id = self.placement.scheduler.alloc_id();
        Some(change_peer(ConfChangeType::AddNode, Member { id, store_id, ..Default::default() }))
    }

    fn random_remove(&mut self, region: &Region) -> Option<AdminRequest> {
        if region.peers.len() <= FEWEST {
            return None;
        }
        Some(change_peer(ConfChangeType::RemoveNode, self.rng.pick(&region.peers)))
    }

    /// At one or two of the keys of the workload, or between two of them; the old region is the first part, or the
    /// last.
    fn random_split(&mut self, region: &Region) -> Option<AdminRequest> {
        let mut keys: Vec<String> =
            (0..=self.rng.below(2)).map(|_| format!("k{}", self.rng.below(12))).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.retain(|key| region.range().contains(key.as_bytes()) && region.start_key != key.as_bytes());
        let right_derive = self.rng.below(2) == 0;
        let at: Vec<_> = keys.into_iter().map(|key| (key, self.split_ids(region.id))).collect();
        (!at.is_empty()).then(|| cuts(at, right_derive))
    }
}
