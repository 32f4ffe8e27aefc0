//! One store, driven by hand: what it is told, and what it wants, with no cluster around it.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;
use raftkv::engine::{Cf, MemDisk, Snapshot, WriteBatch, keys};
use raftkv::proto::eraftpb::{ConfChange, Entry, EntryType, Message, MessageType};
use raftkv::proto::errorpb;
use raftkv::proto::metapb::{Peer as Member, Region, RegionEpoch};
use raftkv::proto::raft_cmdpb::{
    AdminCmdType, AdminRequest, BatchSplitRequest, RaftCmdRequest, RaftRequestHeader, Request, SplitRequest,
};
use raftkv::proto::raft_serverpb::{RaftLocalState, RaftMessage, RegionLocalState};
use raftkv::raftstore::{
    Answer, CommandResult, Config, Effect, Engines, Event, Peer, Store, StoreName, Task, bootstrap_region,
    bootstrap_store,
};
pub use raftkv_testkit::requests::{bytes, delete, delete_range, get, put, snap, swap};

/// The region that the store begins with.
pub const OLD: u64 = 7;

/// The store, and all that came out of it.
pub struct Alone {
    pub disk: MemDisk,
    store: Option<Store>,
    config: Config,
    last_id: u64,
    replies: BTreeMap<u64, CommandResult>,
    /// What it has sent to others.
    pub sent: Vec<RaftMessage>,
    /// What it wants done elsewhere.
    pub tasks: Vec<Task>,
    /// Why it stopped, if it did.
    pub failure: Option<String>,
}

pub fn member(id: u64, store_id: u64) -> Member {
    Member { id, store_id, ..Default::default() }
}

pub fn epoch(conf_ver: u64, version: u64) -> RegionEpoch {
    RegionEpoch { conf_ver, version }
}

/// Region 7 with these keys, on stores 1 to `peers`, where it has the peers 71, 72, ...
pub fn region(start: &'static str, end: &'static str, peers: u64) -> Region {
    let peers = (1..=peers).map(|store| member(70 + store, store)).collect();
    let region_epoch = Some(epoch(4, 6));
    Region { id: OLD, start_key: start.into(), end_key: end.into(), region_epoch, peers }
}

/// Settings under which nothing happens by itself.
pub fn quiet() -> Config {
    Config { heartbeat_to_scheduler_ticks: 0, split_check_ticks: 0, ..Config::default() }
}

impl Alone {
    /// Store 1, with a peer of this region.
    pub fn new(config: Config, region: &Region) -> Alone {
        let disk = MemDisk::new();
        let engines = open(&disk);
        bootstrap_store(&engines, StoreName { cluster: 1, store: 1 }).expect("a new disk");
        if region.id != 0 {
            bootstrap_region(&engines, region).expect("a new disk");
        }
        drop(engines);
        let mut alone = Alone {
            disk,
            store: None,
            config,
            last_id: 0,
            replies: BTreeMap::new(),
            sent: Vec::new(),
            tasks: Vec::new(),
            failure: None,
        };
        alone.restart();
        alone
    }

    /// Store 1, without any region.
    pub fn empty() -> Alone {
        let mut elsewhere = region("b", "p", 0);
        elsewhere.id = 0;
        Alone::new(quiet(), &elsewhere)
    }

    /// The only peer of a region `b..p`, and it leads.
    pub fn leader() -> Alone {
        Alone::leader_of(quiet(), &region("b", "p", 1))
    }

    /// The only peer of this region, and it leads.
    pub fn leader_of(config: Config, region: &Region) -> Alone {
        let mut alone = Alone::new(config, region);
        for _ in 0..100 {
            if alone.peer(region.id).is_leader() {
                return alone;
            }
            alone.tick(1);
        }
        panic!("one of one is a majority: it elects itself (section 5.2)");
    }

    pub fn store(&self) -> &Store {
        self.store.as_ref().expect("the store runs")
    }

    pub fn peer(&self, region: u64) -> &Peer {
        self.store().peer(region).unwrap_or_else(|| panic!("the store has no peer of region {region}"))
    }

    pub fn has_peer(&self, region: u64) -> bool {
        self.store().peer(region).is_some()
    }

    pub fn region(&self, id: u64) -> &Region {
        self.peer(id).region()
    }

    /// The process ends: what it wrote is there.
    pub fn restart(&mut self) {
        self.stop();
        self.disk.restart_process();
        self.start();
    }

    /// The power fails: what was not synced is lost.
    pub fn power_cut(&mut self) {
        self.stop();
        self.disk.restart();
        self.start();
    }

    fn stop(&mut self) {
        self.store = None;
        self.failure = None;
        self.tasks.clear();
        self.replies.clear();
    }

    fn start(&mut self) {
        let store = Store::open(self.config.clone(), open(&self.disk));
        self.store = Some(store.unwrap_or_else(|error| panic!("the store starts again: {error}")));
    }

    /// Time passes.
    pub fn tick(&mut self, ticks: u64) {
        (0..ticks).for_each(|_| self.give(Event::Tick));
    }

    /// The store is told something, and works until it rests.
    pub fn give(&mut self, event: Event) {
        self.store.as_mut().expect("the store runs").handle(event);
        self.work();
    }

    fn work(&mut self) {
        let store = self.store.as_mut().expect("the store runs");
        for round in 0.. {
            if !store.has_work() {
                break;
            }
            assert!(round < 50, "a store comes to rest");
            let disk = &self.disk;
            let drained = store.drain(&mut |effect| match effect {
                _ if disk.is_stopped() => {}
                Effect::Send(message) => self.sent.push(message),
                Effect::Schedule(task) => self.tasks.push(task),
                Effect::Reply { id, result } => {
                    let before = self.replies.insert(id, result);
                    assert!(before.is_none(), "a command gets one reply");
                }
            });
            if let Err(error) = drained {
                self.failure = Some(error.to_string());
                break;
            }
        }
    }

    /// Hands in commands, one after the other, before the store works on any of them. Their answers.
    pub fn together(&mut self, requests: &[RaftCmdRequest]) -> Vec<CommandResult> {
        let first = self.last_id + 1;
        for request in requests {
            self.last_id += 1;
            let (id, request) = (self.last_id, request.clone());
            self.store.as_mut().expect("the store runs").handle(Event::Command { id, request });
        }
        self.work();
        let answer = |id| self.replies.remove(&id).expect("every command is answered");
        (first..=self.last_id).map(answer).collect()
    }

    /// One command, and its answer.
    pub fn ask(&mut self, request: &RaftCmdRequest) -> CommandResult {
        self.together(std::slice::from_ref(request)).remove(0)
    }

    /// A command for the region as the peer here knows it.
    pub fn command(&self, region: u64, requests: Vec<Request>) -> RaftCmdRequest {
        let known = self.peer(region);
        let epoch = known.region().region_epoch.unwrap_or_default();
        RaftCmdRequest { header: Some(header(region, known.id(), epoch)), requests, admin_request: None }
    }

    /// A change of the region as the peer here knows it.
    pub fn change(&self, region: u64, admin: AdminRequest) -> RaftCmdRequest {
        RaftCmdRequest { admin_request: Some(admin), ..self.command(region, Vec::new()) }
    }

    /// Puts keys, each with its own name for a value.
    pub fn put_all(&mut self, region: u64, keys: &[&str]) {
        for key in keys {
            let request = self.command(region, vec![put(key, key)]);
            self.ask(&request).unwrap_or_else(|error| panic!("a put of {key}: {error}"));
        }
    }

    /// The region is split, which must work. Returns the regions of the answer.
    pub fn split(&mut self, region: u64, cuts: &[(&str, u64, &[u64])], right_derive: bool) -> Vec<Region> {
        let request = self.change(region, split(cuts, right_derive));
        let answer = self.ask(&request).expect("a split at keys inside the region is made");
        let admin = answer.response.admin_response.expect("an admin command has an admin response");
        assert_eq!(admin.cmd_type(), AdminCmdType::BatchSplit);
        admin.splits.expect("the regions that came of it").regions
    }

    /// Which of these keys are in the data, in column family `cf`.
    pub fn held(&self, cf: Cf, keys: &[&str]) -> String {
        let kv = self.store().engines().kv.snapshot();
        let is_there = |key: &&&str| kv.get(cf, key.as_bytes()).expect("an engine in memory").is_some();
        keys.iter().filter(is_there).copied().collect::<Vec<_>>().join(" ")
    }

    /// The next tasks for which `pick` has something.
    pub fn take<T>(&mut self, pick: impl Fn(&Task) -> Option<T>) -> Vec<T> {
        std::mem::take(&mut self.tasks).iter().filter_map(pick).collect()
    }

    /// The region's record on the disk, as written.
    pub fn record(&self, region: u64) -> Option<RegionLocalState> {
        record_in(&*self.store().engines().kv.snapshot(), region)
    }

    /// What Raft has saved of a region: as written.
    pub fn raft_state(&self, region: u64) -> Option<RaftLocalState> {
        let raft = self.store().engines().raft.snapshot();
        let value = raft.get(Cf::Default, &keys::raft_state(region)).expect("an engine in memory");
        value.map(|value| RaftLocalState::decode(value).expect("a RaftLocalState"))
    }

    /// Somebody has put this into the data before anything began.
    pub fn fill(&self, pairs: &[(Cf, &str, &str)]) {
        let mut batch = WriteBatch::new();
        for (cf, key, value) in pairs {
            batch.put(*cf, bytes(key), bytes(value));
        }
        self.store().engines().kv.write(batch, true).expect("the disk is well");
    }

    /// The leader of a region, peer `from`, sends entries that begin behind `after`, and says that all of them are
    /// committed.
    pub fn append(&mut self, region: &Region, from: Member, after: (u64, u64), entries: Vec<Entry>) {
        let commit = after.0 + entries.len() as u64;
        let message = Message {
            msg_type: MessageType::MsgAppend.into(),
            term: 6,
            index: after.0,
            log_term: after.1,
            entries,
            commit,
            ..Default::default()
        };
        self.hear(region, from, message);
    }

    /// A message of peer `from`, as for the region as the sender knows it.
    pub fn hear(&mut self, region: &Region, from: Member, message: Message) {
        self.give(Event::RaftMessage(envelope(region, from, message)));
    }

    /// A snapshot of peer `from`, whose files are here.
    pub fn hear_snapshot(&mut self, region: &Region, from: Member, message: Message) {
        self.give(Event::Snapshot { message: envelope(region, from, message), copy: 1 });
    }

    /// Somebody says that this peer was removed from its region.
    pub fn tell_to_go(&mut self, region_id: u64, peer: Member, epoch: RegionEpoch) {
        self.give(Event::RaftMessage(RaftMessage {
            region_id,
            from_peer: Some(member(1, 2)),
            to_peer: Some(peer),
            region_epoch: Some(epoch),
            is_tombstone: true,
            ..Default::default()
        }));
    }

    /// The messages of one type that were sent for a region since the last look at them.
    pub fn take_sent(&mut self, region: u64, kind: MessageType) -> Vec<Message> {
        let (these, others) = std::mem::take(&mut self.sent)
            .into_iter()
            .partition(|m| m.region_id == region && m.message.as_ref().is_some_and(|m| m.msg_type() == kind));
        self.sent = others;
        let these: Vec<RaftMessage> = these;
        these.into_iter().filter_map(|m| m.message).collect()
    }
}

fn envelope(region: &Region, from: Member, message: Message) -> RaftMessage {
    let to = *region.peer_on(1).expect("it is for a peer here");
    RaftMessage {
        region_id: region.id,
        from_peer: Some(from),
        to_peer: Some(to),
        message: Some(Message { from: from.id, to: to.id, ..message }),
        region_epoch: region.region_epoch,
        start_key: region.start_key.clone(),
        end_key: region.end_key.clone(),
        ..Default::default()
    }
}

pub fn record_in(kv: &dyn Snapshot, region: u64) -> Option<RegionLocalState> {
    let value = kv.get(Cf::Raft, &keys::region_state(region)).expect("an engine in memory");
    value.map(|value| RegionLocalState::decode(value).expect("a RegionLocalState"))
}

fn open(disk: &MemDisk) -> Engines {
    let engine = |name| Arc::new(disk.open(name).expect("the old handles are gone"));
    Engines { kv: engine("kv"), raft: engine("raft") }
}

pub fn header(region_id: u64, peer: u64, epoch: RegionEpoch) -> RaftRequestHeader {
    let peer = Some(member(peer, 1));
    RaftRequestHeader { region_id, peer, region_epoch: Some(epoch), ..Default::default() }
}

/// An entry of term 6 with a command.
pub fn entry(index: u64, request: &RaftCmdRequest) -> Entry {
    Entry { index, term: 6, data: request.encode_to_vec().into(), ..Default::default() }
}

/// An entry of term 6 with a change of members.
pub fn change_entry(index: u64, request: &RaftCmdRequest) -> Entry {
    let change = request.admin_request.as_ref().and_then(|admin| admin.change_peer.as_ref());
    let change = change.expect("it is a change of members");
    let change = ConfChange {
        change_type: change.change_type,
        node_id: change.peer.unwrap_or_default().id,
        context: request.encode_to_vec().into(),
        ..Default::default()
    };
    let entry_type = EntryType::EntryConfChange.into();
    Entry { index, term: 6, entry_type, data: change.encode_to_vec().into(), ..Default::default() }
}

/// At which key, which new region, with which peers.
pub type Cut = (&'static str, u64, &'static [u64]);

pub fn cut(key: &'static str, region: u64, peers: &'static [u64]) -> Cut {
    (key, region, peers)
}

/// Cuts: at this key, this region, with these peers.
pub fn split(cuts: &[(&str, u64, &[u64])], right_derive: bool) -> AdminRequest {
    let cut = |&(key, new_region_id, peers): &(&str, u64, &[u64])| SplitRequest {
        split_key: bytes(key),
        new_region_id,
        new_peer_ids: peers.to_vec(),
    };
    let splits = Some(BatchSplitRequest { requests: cuts.iter().map(cut).collect(), right_derive });
    AdminRequest { cmd_type: AdminCmdType::BatchSplit.into(), splits, ..Default::default() }
}

/// The error that tells a client that nothing was done.
pub fn refused(result: CommandResult) -> errorpb::Error {
    match result {
        Err(raftkv::error::Error::Region(error)) => *error,
        other => panic!("a region error was expected, and it is {:?}", other.map(|a: Answer| a.response)),
    }
}
