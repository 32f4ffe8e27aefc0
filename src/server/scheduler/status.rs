//! What people want to know of a cluster, as plain values: the page and the JSON show the same.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;

use super::operators::Progress;
use super::shared::Core;
use crate::ids::{PeerId, RegionId, StoreId, Term};
use crate::proto::metapb::{Peer, StoreState};
use crate::scheduler::{RegionInfo, StoreInfo};

/// A cluster at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Which cluster.
    pub cluster_id: u64,
    /// Where clients and stores find the scheduler.
    pub address: String,
    /// Has the cluster begun?
    pub bootstrapped: bool,
    /// All stores that ever were.
    pub stores: Vec<StoreStatus>,
    /// By id.
    pub regions: Vec<RegionStatus>,
    /// The last one of each region that had one.
    pub operators: Vec<Progress>,
}

/// One store.
#[derive(Clone, Debug, Serialize)]
pub struct StoreStatus {
    /// Its id.
    pub id: StoreId,
    /// As it says itself.
    pub address: String,
    /// `up`, `offline` or `tombstone`.
    pub state: &'static str,
    /// How long ago it was heard. None: not since this process has begun.
    pub heartbeat_age_ms: Option<u64>,
    /// As it says itself.
    pub region_count: Option<u32>,
    /// So many regions does it lead.
    pub leaders: usize,
}

/// One region.
#[derive(Clone, Debug, Serialize)]
pub struct RegionStatus {
    /// Its id.
    pub id: RegionId,
    /// Printable ASCII as it is, all else escaped as in a Rust string: `\xff`.
    pub start_key: String,
    /// Empty: no end.
    pub end_key: String,
    /// Of its epoch.
    pub version: u64,
    /// Of its epoch.
    pub conf_ver: u64,
    /// None until a leader has reported itself.
    pub leader: Option<PeerId>,
    /// The leader's.
    pub term: Term,
    /// As the leader guesses, in bytes.
    pub approximate_size: u64,
    /// All.
    pub peers: Vec<PeerStatus>,
}

/// One peer, as its leader sees it.
#[derive(Clone, Debug, Serialize)]
pub struct PeerStatus {
    /// Its id.
    pub id: PeerId,
    /// Where it is.
    pub store: StoreId,
    /// It waits for its first snapshot.
    pub pending: bool,
    /// For so long it has not been heard.
    pub down_seconds: Option<u64>,
}

impl Status {
    /// As of now.
    pub fn of(core: &Core, address: &str) -> Status {
        let scheduler = &core.scheduler;
        let now = Instant::now();
        let age = |id| core.heard.get(&id).map(|heard| now.duration_since(*heard).as_millis() as u64);
        let mut leaders: BTreeMap<StoreId, usize> = BTreeMap::new();
        for leader in scheduler.regions().filter_map(|info| info.leader) {
            *leaders.entry(leader.store_id).or_default() += 1;
        }
        let store = |info: &StoreInfo| {
            let id = info.store.id;
            store(info, age(id), leaders.get(&id).copied().unwrap_or(0))
        };
        Status {
            cluster_id: scheduler.cluster_id(),
            address: address.to_string(),
            bootstrapped: scheduler.is_bootstrapped(),
            stores: scheduler.stores().map(store).collect(),
            regions: scheduler.regions().map(region).collect(),
            operators: scheduler.operators().map(Progress::of).collect(),
        }
    }
}

/// A store's state by name.
pub fn state_name(state: StoreState) -> &'static str {
    match state {
        StoreState::Up => "up",
        StoreState::Offline => "offline",
        StoreState::Tombstone => "tombstone",
    }
}

fn store(info: &StoreInfo, heartbeat_age_ms: Option<u64>, leaders: usize) -> StoreStatus {
    StoreStatus {
        id: info.store.id,
        address: info.store.address.clone(),
        state: state_name(info.store.state()),
        heartbeat_age_ms,
        region_count: info.stats.map(|stats| stats.region_count),
        leaders,
    }
}

fn region(info: &RegionInfo) -> RegionStatus {
    let epoch = info.epoch();
    RegionStatus {
        id: info.region.id,
        start_key: info.region.start_key.escape_ascii().to_string(),
        end_key: info.region.end_key.escape_ascii().to_string(),
        version: epoch.version,
        conf_ver: epoch.conf_ver,
        leader: info.leader.map(|leader| leader.id),
        term: info.term,
        approximate_size: info.approximate_size,
        peers: info.region.peers.iter().map(|peer| peer_of(peer, info)).collect(),
    }
}

fn peer_of(peer: &Peer, info: &RegionInfo) -> PeerStatus {
    PeerStatus {
        id: peer.id,
        store: peer.store_id,
        pending: info.is_pending(peer.id),
        down_seconds: info.down_seconds(peer.id),
    }
}
