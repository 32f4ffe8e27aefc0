//! The scheduler: what the whole cluster asks one place about. TiKV calls it PD, the placement driver.
//!
//! ```text
//!   clients               stores                                        operators (people, tests)
//!   region_by_key         bootstrap, put_store, store_heartbeat         add_operator
//!   timestamp             region_heartbeat, alloc_id, splits                 |
//!       |                      |                                             |
//!       v                      v                                             v
//!   +--------------------------------- Scheduler --------------------------------------+
//!   |  ids.rs         no id twice                                                      |
//!   |  timestamps.rs  no timestamp twice, and each larger than those before            |
//!   |  stores.rs      who is there                                                     |
//!   |  regions.rs     who has which keys: at most one region for a key, the newest     |
//!   |                                                                                  |
//!   |  heartbeat.rs   1 note what the leader of a region says                          |
//!   |                 2 what does its operator need next?            operators.rs      |
//!   |                 3 none running: is the region to be repaired?  repair.rs         |
//!   +----------------------------------------------------------------------------------+
//!       |                      |
//!       v                      v
//!     answer, with at most     take_changes(): to be saved
//!     one order for a region   before the answer leaves
//! ```
//!
//! **It decides nothing that is not safe without it.** Who has which keys is decided by the Raft group of each region;
//! the scheduler knows what it was told, and that may be old. Its orders are wishes: a leader carries out what Raft
//! allows. So a scheduler that is wrong, slow or gone makes the cluster slow, or keeps it from changing, and never
//! loses data. Two things are its own: ids and timestamps. Of both it gives none twice, also over a restart.
//!
//! Nothing in here has a thread, a clock or a socket. Every call takes plain values and returns plain values, so the
//! same code runs in a server and in the simulator.
//!
//! **Saved before sent.** Whoever owns a [`Scheduler`] makes one call at a time: the call; [`Scheduler::take_changes`]
//! and one atomic, synced write of them; only then the answer, and the next call. After a restart
//! [`Scheduler::restore`] knows what was saved. Leaders, operators and how stores are doing are not: the next
//! heartbeats tell.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | the scheduler: bootstrap, questions and their answers |
//! | `config.rs`, `error.rs` | settings; why a call is refused |
//! | `check.rs` | what makes a request acceptable |
//! | `ids.rs` | ids for stores, regions and peers |
//! | `stores.rs` | the stores, and which are silent |
//! | `regions.rs` | regions by key and by id; which report is stale |
//! | `split.rs` | ids for a split, and its report |
//! | `heartbeat.rs` | a region's heartbeat, and the order that answers it |
//! | `operators.rs`, `steps.rs` | changes of a region; which order is next |
//! | `repair.rs` | as many peers as wanted, and none that is down |
//! | `timestamps.rs` | the timestamp oracle |
//! | `record.rs` | what survives a restart |
//!
//! Left out: moving peers and leaders until all stores have the same load; emptying a store on purpose; more than one
//! scheduler (TiKV runs three, with etcd between them); merging regions.

mod check;
mod config;
mod error;
mod heartbeat;
mod ids;
mod operators;
mod record;
mod regions;
mod repair;
#[cfg(test)]
mod samples;
mod split;
mod steps;
mod stores;
mod timestamps;

use std::collections::BTreeMap;

use crate::engine::KeyRange;
use crate::ids::{RegionId, StoreId};
use crate::proto::metapb::{Cluster, Region, Store, StoreState};
use crate::proto::pdpb::{
    BootstrapRequest, PutStoreRequest, RequestHeader, ResponseHeader, StoreHeartbeatRequest, Timestamp,
};

pub use config::Config;
pub use error::SchedulerError;
pub use operators::{Operator, OperatorState, OperatorStatus};
pub use record::{Record, RecordKey};
pub use regions::RegionInfo;
pub use split::MAX_SPLIT_COUNT;
pub use steps::Dropped;
pub use stores::StoreInfo;
pub use timestamps::{LOGICAL_BITS, TimestampOracle};

use check::{check_id, check_region};
use ids::Ids;
use operators::Operators;
use regions::{Regions, Taken};
use stores::Stores;

/// What the cluster is made of, as far as it has been told. See the [module](self).
#[derive(Clone, Debug)]
pub struct Scheduler {
    cluster_id: u64,
    config: Config,
    bootstrapped: bool,
    ids: Ids,
    stores: Stores,
    regions: Regions,
    operators: Operators,
    timestamps: TimestampOracle,
    changes: BTreeMap<RecordKey, Record>,
}

impl Scheduler {
    /// Of a new cluster, with the usual settings.
    pub fn new(cluster_id: u64) -> Scheduler {
        Scheduler::with_config(cluster_id, Config::default())
    }

    /// Of a new cluster.
    pub fn with_config(cluster_id: u64, config: Config) -> Scheduler {
        Scheduler {
            cluster_id,
            config,
            bootstrapped: false,
            ids: Ids::default(),
            stores: Stores::default(),
            regions: Regions::default(),
            operators: Operators::default(),
            timestamps: TimestampOracle::new(0),
            changes: BTreeMap::new(),
        }
    }

    /// Which cluster this is.
    pub fn cluster_id(&self) -> u64 {
        self.cluster_id
    }

    /// The header of every answer that is not an error.
    pub fn header(&self) -> ResponseHeader {
        ResponseHeader { cluster_id: self.cluster_id, error: None }
    }

    /// The header of an answer that refuses.
    pub fn error_header(&self, error: &SchedulerError) -> ResponseHeader {
        ResponseHeader { cluster_id: self.cluster_id, error: Some(error.into()) }
    }

    /// An id that nothing in the cluster has ever had: neither given here nor seen in what was reported.
    pub fn alloc_id(&mut self) -> u64 {
        let id = self.ids.alloc();
        self.save_ids();
        id
    }

    /// Begins the cluster: its first store, and its first region, which spans all keys.
    ///
    /// # Errors
    /// [`SchedulerError::AlreadyBootstrapped`] from the second time on; two stores may try at the same time, and the
    /// one that comes late joins. [`SchedulerError::BadRequest`] where the region cannot be the first.
    pub fn bootstrap(&mut self, request: &BootstrapRequest) -> Result<(), SchedulerError> {
        self.check_header(request.header)?;
        if self.bootstrapped {
            return Err(SchedulerError::AlreadyBootstrapped);
        }
        let store = request.store.as_ref().ok_or(SchedulerError::BadRequest("no store"))?;
        check_id(store.id)?;
        let region = check_region(request.region.as_ref())?;
        if region.range() != KeyRange::all() {
            return Err(SchedulerError::BadRequest("the first region spans all keys"));
        }
        self.bootstrapped = true;
        self.change(Record::Cluster(self.cluster()));
        self.add_store(store)?;
        self.note_ids(region);
        self.register(region)
    }

    /// Has the cluster begun?
    pub fn is_bootstrapped(&self) -> bool {
        self.bootstrapped
    }

    /// A store announces itself, or its new address. Its state stays as it is known here.
    ///
    /// # Errors
    /// [`SchedulerError::StoreTombstone`]: it is gone for good. [`SchedulerError::AddressInUse`]: another one listens
    /// there.
    pub fn put_store(&mut self, request: &PutStoreRequest) -> Result<(), SchedulerError> {
        self.check_call(request.header)?;
        let store = request.store.as_ref().ok_or(SchedulerError::BadRequest("no store"))?;
        check_id(store.id)?;
        self.add_store(store)
    }

    /// Declares a store to be emptied or gone for good, or takes the former back.
    ///
    /// # Errors
    /// [`SchedulerError::StoreTombstone`]: nothing comes back from there.
    pub fn set_store_state(&mut self, id: StoreId, state: StoreState) -> Result<(), SchedulerError> {
        let store = self.stores.set_state(id, state)?.clone();
        self.change(Record::Store(store));
        Ok(())
    }

    /// How a store is doing.
    ///
    /// # Errors
    /// [`SchedulerError::StoreNotFound`]: it has to announce itself first.
    pub fn store_heartbeat(&mut self, request: &StoreHeartbeatRequest) -> Result<(), SchedulerError> {
        self.check_call(request.header)?;
        let stats = request.stats.as_ref().ok_or(SchedulerError::BadRequest("no stats"))?;
        self.stores.heartbeat(stats)
    }

    /// One store.
    pub fn store(&self, id: StoreId) -> Option<&StoreInfo> {
        self.stores.get(id)
    }

    /// All stores that ever were, by id.
    pub fn stores(&self) -> impl Iterator<Item = &StoreInfo> {
        self.stores.iter()
    }

    /// The region that has the key. None for a moment after a split, until the part with the key has been reported.
    pub fn region_by_key(&self, key: &[u8]) -> Option<&RegionInfo> {
        self.regions.by_key(key)
    }

    /// One region. None for a moment after a split, if another part was reported before it.
    pub fn region_by_id(&self, id: RegionId) -> Option<&RegionInfo> {
        self.regions.by_id(id)
    }

    /// All regions, by id.
    pub fn regions(&self) -> impl Iterator<Item = &RegionInfo> {
        self.regions.iter()
    }

    /// Wants a region changed. The orders go out with the answers to its next heartbeats.
    ///
    /// # Errors
    /// [`SchedulerError::OperatorRefused`]: another one is running, or this one makes no sense as the region is known
    /// here.
    pub fn add_operator(&mut self, region: RegionId, operator: Operator) -> Result<(), SchedulerError> {
        let info = self.regions.by_id(region).ok_or(SchedulerError::RegionNotFound(region))?;
        let added = self.operators.add(info, operator, &self.stores, || self.ids.alloc());
        self.save_ids();
        added
    }

    /// The last operator of each region that had one, by region: running, done or dropped.
    pub fn operators(&self) -> impl Iterator<Item = OperatorStatus> {
        self.operators.iter()
    }

    /// `count` new timestamps, given the time of day. The largest is returned, as in a `TsoResponse`: the others have
    /// the `count - 1` logical numbers below.
    ///
    /// # Errors
    /// [`SchedulerError::TimestampCount`] and [`SchedulerError::ClockOutOfRange`]: it cannot give that many, or that
    /// late.
    pub fn timestamp(&mut self, now_ms: u64, count: u32) -> Result<Timestamp, SchedulerError> {
        let before = self.timestamps.saved_until();
        let timestamp = self.timestamps.allocate(now_ms, count);
        if self.timestamps.saved_until() != before {
            self.change(Record::TimestampsBelow(self.timestamps.saved_until()));
        }
        timestamp
    }

    fn cluster(&self) -> Cluster {
        Cluster { id: self.cluster_id, max_peer_count: self.config.replicas as u32 }
    }

    /// Is the asker's cluster this one? One that does not know its cluster yet says 0. The calls that take a request
    /// look for themselves; for the others it is up to their caller.
    ///
    /// # Errors
    /// [`SchedulerError::WrongCluster`].
    pub fn check_header(&self, header: Option<RequestHeader>) -> Result<(), SchedulerError> {
        match header.unwrap_or_default().cluster_id {
            0 => Ok(()),
            theirs if theirs == self.cluster_id => Ok(()),
            theirs => Err(SchedulerError::WrongCluster { ours: self.cluster_id, theirs }),
        }
    }

    /// What all calls need, except those before there is a cluster.
    ///
    /// # Errors
    /// As for [`Scheduler::check_header`]; [`SchedulerError::NotBootstrapped`].
    pub fn check_call(&self, header: Option<RequestHeader>) -> Result<(), SchedulerError> {
        self.check_header(header)?;
        if self.bootstrapped { Ok(()) } else { Err(SchedulerError::NotBootstrapped) }
    }

    fn add_store(&mut self, store: &Store) -> Result<(), SchedulerError> {
        self.ids.note(store.id);
        self.save_ids();
        let store = self.stores.put(store)?.clone();
        self.change(Record::Store(store));
        Ok(())
    }

    /// Ids that were not given here are never given here.
    fn note_ids(&mut self, region: &Region) {
        self.ids.note(region.id);
        for peer in &region.peers {
            self.ids.note(peer.id);
            self.ids.note(peer.store_id);
        }
        self.save_ids();
    }

    /// A region without a word about its leader.
    fn register(&mut self, region: &Region) -> Result<(), SchedulerError> {
        let taken = self.regions.register(region)?;
        self.save_region(region, &taken);
        Ok(())
    }

    fn save_region(&mut self, region: &Region, taken: &Taken) {
        for id in &taken.gone {
            self.change(Record::RegionGone(*id));
        }
        if taken.newer {
            self.change(Record::Region(region.clone()));
        }
    }

    fn save_ids(&mut self) {
        if let Some(bound) = self.ids.take_new_bound() {
            self.change(Record::IdsUpTo(bound));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{bootstrapped, region};
    use super::*;

    fn request(region: Region) -> BootstrapRequest {
        let store = Some(Store { id: 1, ..Default::default() });
        BootstrapRequest { store, region: Some(region), ..Default::default() }
    }

    #[test]
    fn a_cluster_begins_once() {
        let mut scheduler = Scheduler::new(7);
        assert!(!scheduler.is_bootstrapped());
        assert_eq!(scheduler.bootstrap(&request(region(2, ["", ""], [1, 1], &[1]))), Ok(()));
        let again = scheduler.bootstrap(&request(region(9, ["", ""], [1, 1], &[1])));
        assert_eq!(again, Err(SchedulerError::AlreadyBootstrapped));
        assert!(scheduler.is_bootstrapped());
        assert_eq!(scheduler.region_by_key(b"x").map(|info| info.region.id), Some(2), "the first one stays");
        assert_eq!(scheduler.store(1).map(|info| info.store.id), Some(1));
    }

    #[test]
    fn a_first_region_that_cannot_be_is_refused_and_nothing_begins() {
        let mut scheduler = Scheduler::new(7);
        for bad in [region(2, ["", "m"], [1, 1], &[1]), region(2, ["", ""], [1, 1], &[])] {
            let refused = scheduler.bootstrap(&request(bad));
            assert!(matches!(refused, Err(SchedulerError::BadRequest(_))), "{refused:?}");
        }
        assert!(!scheduler.is_bootstrapped());
        assert_eq!(scheduler.stores().count() + scheduler.take_changes().len(), 0);
    }

    #[test]
    fn an_id_that_was_seen_is_not_given() {
        let mut scheduler = Scheduler::new(7);
        let store = scheduler.alloc_id();
        assert_ne!(store, 0, "0 is no id");
        scheduler.bootstrap(&request(region(40, ["", ""], [1, 1], &[1]))).unwrap();
        let given: Vec<u64> = (0..3).map(|_| scheduler.alloc_id()).collect();
        assert_eq!(given, [4002, 4003, 4004], "peer 4001 of region 40 was seen");
    }

    #[test]
    fn before_the_bootstrap_there_are_no_stores() {
        let mut scheduler = Scheduler::new(7);
        let put =
            PutStoreRequest { store: Some(Store { id: 1, ..Default::default() }), ..Default::default() };
        assert_eq!(scheduler.put_store(&put), Err(SchedulerError::NotBootstrapped));
    }

    #[test]
    fn a_store_of_another_cluster_is_refused() {
        let mut scheduler = bootstrapped(Config::default(), &[1]);
        let theirs = scheduler.cluster_id() + 1;
        let header = Some(RequestHeader { cluster_id: theirs, sender_id: 0 });
        let put = PutStoreRequest { header, store: Some(Store { id: 2, ..Default::default() }) };
        let wrong = SchedulerError::WrongCluster { ours: scheduler.cluster_id(), theirs };
        assert_eq!(scheduler.put_store(&put), Err(wrong));
        assert!(scheduler.store(2).is_none());
    }
}
