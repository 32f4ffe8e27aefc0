//! The scheduler of a simulated cluster, and changes of regions that a test wants.
//!
//! The scheduler is the product's own (`raftkv::scheduler`). It never fails here, but stores may be cut off from it,
//! and what they say to it takes time, and gets lost in bad weather.

use bytes::Bytes;
use raftkv::ids::{PeerId, RegionId, StoreId};
use raftkv::proto::eraftpb::ConfChangeType;
use raftkv::proto::metapb::{Peer as Member, Region, RegionEpoch, Store as StoreInfo};
use raftkv::proto::pdpb::{
    AskBatchSplitRequest, BootstrapRequest, PutStoreRequest, ReportBatchSplitRequest, SplitId,
};
use raftkv::proto::raft_cmdpb::{
    AdminCmdType, AdminRequest, BatchSplitRequest, ChangePeerRequest, RaftCmdRequest, RaftRequestHeader,
    SplitRequest, TransferLeaderRequest,
};
use raftkv::raftstore::{CommandResult, Peer, Task, TaskDone};
use raftkv::scheduler::Scheduler;

use super::events::Happening;
use super::faults::Fault;
use super::invariants::regions::region_text;
use super::{CLUSTER, Micros, Sim, millis, secs};

/// How long a change of a region may take that a test waits for.
const LIMIT: Micros = secs(20);

/// How long a store's owner waits for the scheduler's answer.
const GIVEN_UP: Micros = millis(400);

/// The scheduler of the cluster, if it has one that speaks to the stores. It gives ids in any case.
pub(super) struct Placement {
    pub scheduler: Scheduler,
    /// Stores report to it, and clients ask it.
    pub is_on: bool,
}

impl Placement {
    /// It knows the stores, and the first region.
    pub fn new(stores: &[StoreId], regions: &[Region], is_on: bool) -> Placement {
        let mut scheduler = Scheduler::new(CLUSTER);
        let info = |id: StoreId| StoreInfo { id, address: format!("store-{id}"), ..Default::default() };
        let first = Region { start_key: Bytes::new(), end_key: Bytes::new(), ..regions[0].clone() };
        let request =
            BootstrapRequest { store: Some(info(stores[0])), region: Some(first), ..Default::default() };
        scheduler.bootstrap(&request).expect("a new scheduler can be bootstrapped");
        for &id in stores {
            let request = PutStoreRequest { store: Some(info(id)), ..Default::default() };
            scheduler.put_store(&request).expect("a store can announce itself");
        }
        // No id is given twice: those of the first regions and their peers are taken.
        let taken = regions.iter().flat_map(|r| r.peers.iter().map(|p| p.id).chain([r.id])).max();
        while scheduler.alloc_id() < taken.unwrap_or(0).max(1000) {}
        Placement { scheduler, is_on }
    }
}

/// What stores and clients say to the scheduler.
impl Sim {
    /// A store has something for the scheduler. A question that cannot be brought there is given up after a while, and
    /// the store is told.
    pub(super) fn send_to_scheduler(&mut self, id: StoreId, task: Task, delay: Micros) {
        let boot = self.machines[&id].boot;
        if !self.placement.is_on || self.network.loses_client(id, &mut self.rng) {
            if let Task::AskSplit { region, key } = task {
                let done = TaskDone::SplitIds { region, key, ids: None };
                self.schedule(delay + GIVEN_UP, Happening::TaskDone(id, boot, Box::new(done)));
            }
            return;
        }
        let latency = self.client_latency();
        self.schedule(delay + latency, Happening::AtScheduler(id, boot, Box::new(task)));
    }

    /// It has arrived. The answer, if there is one, goes back.
    pub(super) fn at_scheduler(&mut self, id: StoreId, boot: u64, task: Task) {
        let scheduler = &mut self.placement.scheduler;
        let done = match task {
            Task::ReportRegion(request) => match scheduler.region_heartbeat(&request) {
                Ok(order) => TaskDone::Ordered(Box::new(order)),
                Err(_) => return,
            },
            Task::AskSplit { region, key } => {
                let request = AskBatchSplitRequest {
                    region: Some((*region).clone()),
                    split_count: 1,
                    ..Default::default()
                };
                let answer = scheduler.ask_batch_split(&request);
                let ids = answer.ok().and_then(|answer| answer.ids.into_iter().next());
                TaskDone::SplitIds { region, key, ids }
            }
            Task::ReportSplit(regions) => {
                let request = ReportBatchSplitRequest { regions, ..Default::default() };
                let _ = scheduler.report_batch_split(&request);
                return;
            }
            Task::ReportStore(request) => {
                let _ = scheduler.store_heartbeat(&request);
                return;
            }
            _ => return,
        };
        let latency = self.client_latency();
        self.schedule(latency, Happening::TaskDone(id, boot, Box::new(done)));
    }

    /// The scheduler, to look at it, or to give it orders.
    pub fn scheduler(&mut self) -> &mut Scheduler {
        &mut self.placement.scheduler
    }

    /// Clients learn of an edition of a region, if it is not older than what they know of its keys.
    pub(super) fn learn(&mut self, region: &Region) {
        let number = |region: &Region| {
            let epoch = region.region_epoch.unwrap_or_default();
            (epoch.version, epoch.conf_ver)
        };
        let overlaps = |known: &&Region| known.range().overlaps(&region.range());
        if self.regions.iter().filter(overlaps).any(|known| number(known) > number(region)) {
            return;
        }
        self.regions.retain(|known| known.id != region.id && !known.range().overlaps(&region.range()));
        self.regions.push(region.clone());
    }

    /// Clients ask the scheduler where a key is.
    pub(super) fn look_up(&mut self, key: &[u8]) {
        if !self.placement.is_on {
            return;
        }
        let Some(info) = self.placement.scheduler.region_by_key(key) else { return };
        let (region, leader) = (info.region.clone(), info.leader);
        self.learn(&region);
        if let Some(leader) = leader {
            self.leaders.entry(region.id).or_insert(leader.store_id);
        }
    }
}

/// Changes of regions, each waited for until it is seen.
impl Sim {
    /// The newest edition of each region that any store has gone by, from left to right.
    pub fn region_map(&self) -> Vec<Region> {
        let mut regions: Vec<Region> = self.watch.regions.newest().cloned().collect();
        regions.sort_by(|a, b| a.start_key.cmp(&b.start_key));
        regions
    }

    /// The region map, for people.
    pub fn region_map_text(&self) -> String {
        self.region_map().iter().map(region_text).collect::<Vec<_>>().join("\n")
    }

    /// The region that has a key, in its newest edition.
    pub fn region_at(&self, key: &str) -> Region {
        let map = self.region_map();
        let region = map.into_iter().find(|region| region.range().contains(key.as_bytes()));
        region.expect("every key has its region")
    }

    /// The newest edition of a region.
    pub fn newest(&self, region: RegionId) -> Region {
        self.watch.regions.newest().find(|known| known.id == region).cloned().unwrap_or_default()
    }

    /// The peer of a region on a store that runs, if there is one.
    pub fn peer_of(&self, store: StoreId, region: RegionId) -> Option<&Peer> {
        self.stores.get(&store)?.peer(region)
    }

    /// The store whose peer of a region leads, if a majority of its members follows it in its term.
    pub fn leader_of(&self, region: RegionId) -> Option<StoreId> {
        let peers = || self.stores.iter().filter_map(|(id, store)| Some((*id, store.peer(region)?)));
        let (id, leader) = peers().filter(|(_, p)| p.is_leader()).max_by_key(|(_, p)| p.term())?;
        let members = &leader.region().peers;
        let follows = |p: &Peer| {
            let is_member = members.iter().any(|member| member.id == p.id());
            is_member && p.term() == leader.term() && p.node().raft().leader_id() == leader.id()
        };
        (peers().filter(|(_, p)| follows(p)).count() > members.len() / 2).then_some(id)
    }

    /// Waits until a region has a leader.
    pub fn await_leader(&mut self, region: RegionId) -> StoreId {
        self.until(
            "a region has a leader as long as a majority of its members hear each other (section 5.2)",
            LIMIT,
            |sim| sim.leader_of(region).is_some(),
        );
        self.leader_of(region).expect("it has just been there")
    }

    /// A new peer of the region on a store.
    pub fn add_peer(&mut self, region: RegionId, store: StoreId) -> PeerId {
        self.say(format!("add a peer of region {region} on store {store}"));
        let id = self.placement.scheduler.alloc_id();
        let peer = Member { id, store_id: store, ..Default::default() };
        let has = move |sim: &Sim| sim.newest(region).peer_on(store).is_some();
        self.insist(region, change_peer(ConfChangeType::AddNode, peer), has, "add a peer");
        // An earlier try, of which nobody knew the end, may have come about meanwhile.
        self.newest(region).peer_on(store).map_or(id, |peer| peer.id)
    }

    /// The region's peer on a store is removed.
    pub fn remove_peer(&mut self, region: RegionId, store: StoreId) {
        self.say(format!("remove the peer of region {region} on store {store}"));
        let Some(peer) = self.newest(region).peer_on(store).copied() else { return };
        let has_not = move |sim: &Sim| !sim.newest(region).peers.contains(&peer);
        self.insist(region, change_peer(ConfChangeType::RemoveNode, peer), has_not, "remove a peer");
    }

    /// The region's peer on a store is to lead, and does.
    pub fn transfer(&mut self, region: RegionId, store: StoreId) {
        self.say(format!("region {region} is to be led on store {store}"));
        let leads = move |sim: &Sim| sim.leader_of(region) == Some(store);
        self.until("a peer that is in a region can lead it", LIMIT, |sim| {
            sim.newest(region).peer_on(store).is_some()
        });
        let peer = self.newest(region).peer_on(store).copied();
        self.insist(region, transfer_leader(peer.unwrap_or_default()), leads, "hand over the leadership");
    }

    /// The region that has a key is split there. Returns the new region, on the right.
    pub fn split(&mut self, key: &str) -> RegionId {
        self.say(format!("split at {key}"));
        let region = self.region_at(key).id;
        let ids = self.split_ids(region);
        let (new, start) = (ids.new_region_id, Bytes::copy_from_slice(key.as_bytes()));
        let has = move |sim: &Sim| sim.newest(new).start_key == start && sim.newest(new).id == new;
        self.insist(region, batch_split(key, ids), has, "split");
        self.await_leader(new);
        new
    }

    /// Ids for a split of a region as it is now.
    pub fn split_ids(&mut self, region: RegionId) -> SplitId {
        let count = self.newest(region).peers.len();
        let scheduler = &mut self.placement.scheduler;
        let new_peer_ids = (0..count).map(|_| scheduler.alloc_id()).collect();
        SplitId { new_region_id: scheduler.alloc_id(), new_peer_ids }
    }

    /// Asks whoever leads for a change of a region until it has come about.
    fn insist(&mut self, region: RegionId, admin: AdminRequest, done: impl Fn(&Sim) -> bool, what: &str) {
        let end = self.now + LIMIT;
        let mut last_word = "no leader was found".to_string();
        while !done(self) {
            if self.now > end {
                let rule = "a change of a region that makes sense is made, as long as a majority of its members hear each other \
                            (thesis, sections 3.10 and 4.1)";
                self.break_off(
                    rule,
                    &format!("{what}, region {region}: not in {} s; {last_word}", LIMIT / secs(1)),
                );
            }
            if let Some(leader) = self.leader_of(region) {
                last_word = self.ask_leader(leader, region, admin.clone());
                let soon = self.now + millis(300);
                self.run_while(soon - self.now, |sim| !done(sim));
            } else {
                self.run_while(millis(20), |_| true);
            }
        }
    }

    fn ask_leader(&mut self, leader: StoreId, region: RegionId, admin: AdminRequest) -> String {
        match self.admin(leader, region, admin) {
            Some(Ok(_)) => "the last try was answered with success".to_string(),
            Some(Err(error)) => format!("the last try: {error}"),
            None => "the last try was not answered".to_string(),
        }
    }

    /// Hands a change of a region to a store, for the edition that its peer goes by, and waits for the answer.
    pub fn admin(&mut self, store: StoreId, region: RegionId, admin: AdminRequest) -> Option<CommandResult> {
        let request = self.admin_request(store, region, admin);
        self.command(store, request)
    }

    /// The command for a change of a region, as for the edition that a store's peer goes by.
    pub fn admin_request(&self, store: StoreId, region: RegionId, admin: AdminRequest) -> RaftCmdRequest {
        let epoch = self.peer_of(store, region).and_then(|peer| peer.region().region_epoch);
        self.admin_request_for(store, region, epoch, admin)
    }

    /// The same, for some edition.
    pub fn admin_request_for(
        &self,
        store: StoreId,
        region: RegionId,
        region_epoch: Option<RegionEpoch>,
        admin: AdminRequest,
    ) -> RaftCmdRequest {
        let peer = self.peer_of(store, region).map(|peer| Member {
            id: peer.id(),
            store_id: store,
            ..Default::default()
        });
        let header = RaftRequestHeader { region_id: region, peer, region_epoch, ..Default::default() };
        RaftCmdRequest { header: Some(header), requests: Vec::new(), admin_request: Some(admin) }
    }

    /// The change that a command was, if it was one and has been answered with success.
    pub(super) fn change_in(result: &CommandResult) -> Option<Fault> {
        let admin = result.as_ref().ok()?.response.admin_response.as_ref()?;
        match admin.cmd_type() {
            AdminCmdType::ChangePeer => Some(Fault::MembersChanged),
            AdminCmdType::TransferLeader => Some(Fault::LeaderHandedOver),
            AdminCmdType::BatchSplit => Some(Fault::RegionSplit),
            AdminCmdType::CompactLog | AdminCmdType::InvalidAdmin => None,
        }
    }
}

/// A change of members.
pub fn change_peer(kind: ConfChangeType, peer: Member) -> AdminRequest {
    let change_peer = Some(ChangePeerRequest { change_type: kind.into(), peer: Some(peer) });
    AdminRequest { cmd_type: AdminCmdType::ChangePeer.into(), change_peer, ..Default::default() }
}

/// Another leader.
pub fn transfer_leader(peer: Member) -> AdminRequest {
    let transfer_leader = Some(TransferLeaderRequest { peer: Some(peer) });
    AdminRequest { cmd_type: AdminCmdType::TransferLeader.into(), transfer_leader, ..Default::default() }
}

/// A cut at one key.
pub fn batch_split(key: &str, ids: SplitId) -> AdminRequest {
    cuts(vec![(key.to_string(), ids)], false)
}

/// Cuts at several keys, which ascend.
pub(super) fn cuts(cuts: Vec<(String, SplitId)>, right_derive: bool) -> AdminRequest {
    let request = |(key, ids): (String, SplitId)| SplitRequest {
        split_key: key.into(),
        new_region_id: ids.new_region_id,
        new_peer_ids: ids.new_peer_ids,
    };
    let requests = cuts.into_iter().map(request).collect();
    let splits = Some(BatchSplitRequest { requests, right_derive });
    AdminRequest { cmd_type: AdminCmdType::BatchSplit.into(), splits, ..Default::default() }
}
