//! What the tests of the scheduler are made of.

use bytes::Bytes;

use super::{Config, Scheduler, SchedulerError};
use crate::ids::{PeerId, RegionId, StoreId, Term};
use crate::proto::metapb::{Peer, Region, RegionEpoch, Store};
use crate::proto::pdpb::{
    BootstrapRequest, PeerStats, PutStoreRequest, RegionHeartbeatRequest, RegionHeartbeatResponse,
    StoreHeartbeatRequest, StoreStats,
};

/// The cluster of these tests.
pub const CLUSTER: u64 = 7;

/// A region's first peer on a store.
pub fn peer(region: RegionId, store_id: StoreId) -> Peer {
    Peer { id: region.wrapping_mul(100) + store_id, store_id, ..Default::default() }
}

/// A region with a peer on each of the stores. Epochs are `[version, conf_ver]`.
pub fn region(id: RegionId, range: [&'static str; 2], epoch: [u64; 2], stores: &[StoreId]) -> Region {
    Region {
        id,
        start_key: Bytes::from(range[0]),
        end_key: Bytes::from(range[1]),
        region_epoch: Some(RegionEpoch { version: epoch[0], conf_ver: epoch[1] }),
        peers: stores.iter().map(|store| peer(id, *store)).collect(),
    }
}

/// A peer that has not been heard from.
pub fn down(peer: Peer, down_seconds: u64) -> PeerStats {
    PeerStats { peer: Some(peer), down_seconds }
}

/// A cluster of these stores, with region 10 on all keys, first of all on store 1.
pub fn bootstrapped(config: Config, stores: &[StoreId]) -> Scheduler {
    let mut scheduler = Scheduler::with_config(CLUSTER, config);
    let store = |id: StoreId| Some(Store { id, address: format!("store-{id}:20160"), ..Default::default() });
    let region = Some(region(10, ["", ""], [1, 1], &stores[..1]));
    scheduler
        .bootstrap(&BootstrapRequest { store: store(stores[0]), region, ..Default::default() })
        .expect("the cluster is new");
    for id in &stores[1..] {
        let put = PutStoreRequest { store: store(*id), ..Default::default() };
        scheduler.put_store(&put).expect("the store is new");
    }
    scheduler
}

/// A store is well.
pub fn beat(scheduler: &mut Scheduler, store_id: StoreId) {
    let stats = Some(StoreStats { store_id, ..Default::default() });
    scheduler.store_heartbeat(&StoreHeartbeatRequest { stats, ..Default::default() }).expect("a known store");
}

/// What the first peer of a region says if it leads.
pub fn heartbeat(
    scheduler: &mut Scheduler,
    region: Region,
) -> Result<RegionHeartbeatResponse, SchedulerError> {
    let leader = region.peers.first().copied();
    scheduler.region_heartbeat(&RegionHeartbeatRequest {
        region: Some(region),
        leader,
        term: 6,
        ..Default::default()
    })
}

/// The Raft group of region 10, as its leader sees it.
pub struct Group {
    pub region: Region,
    pub leader: Peer,
    pub term: Term,
    pub down: Vec<PeerStats>,
    pub pending: Vec<Peer>,
}

impl Group {
    /// Led by the first.
    pub fn new(stores: &[StoreId]) -> Group {
        // One change of members for each store after the first.
        let conf_ver = stores.len() as u64;
        let region = region(10, ["", ""], [1, conf_ver], stores);
        Group { leader: region.peers[0], region, term: 6, down: Vec::new(), pending: Vec::new() }
    }

    pub fn request(&self) -> RegionHeartbeatRequest {
        RegionHeartbeatRequest {
            region: Some(self.region.clone()),
            leader: Some(self.leader),
            term: self.term,
            down_peers: self.down.clone(),
            pending_peers: self.pending.clone(),
            ..Default::default()
        }
    }

    /// The leader's heartbeat, and what it is answered.
    pub fn report(&self, scheduler: &mut Scheduler) -> RegionHeartbeatResponse {
        scheduler.region_heartbeat(&self.request()).expect("nothing newer is known")
    }

    pub fn stores(&self) -> Vec<StoreId> {
        self.region.peers.iter().map(|peer| peer.store_id).collect()
    }

    pub fn lead(&mut self, leader: Peer) {
        self.leader = leader;
        self.term += 1;
    }

    pub fn add(&mut self, peer: Peer) {
        self.region.peers.push(peer);
        self.epoch().conf_ver += 1;
    }

    pub fn remove(&mut self, store: StoreId) {
        let left: PeerId = self.region.peer_on(store).expect("it is a member").id;
        self.region.peers.retain(|peer| peer.id != left);
        self.epoch().conf_ver += 1;
    }

    /// The part from this key on is another region.
    pub fn split(&mut self, key: &'static str) {
        self.region.end_key = Bytes::from(key);
        self.epoch().version += 1;
    }

    fn epoch(&mut self) -> &mut RegionEpoch {
        self.region.region_epoch.as_mut().expect("every region here has one")
    }
}
