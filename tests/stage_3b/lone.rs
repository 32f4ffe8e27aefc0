//! One store alone, on a disk in memory: what it is told is made by hand, and all that it says and writes is looked at.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use raftkv::engine::{Cf, Fault, MemDisk, WriteBatch, keys};
use raftkv::proto::eraftpb::{
    ConfChange, ConfChangeType, ConfState, Entry, EntryType, Message, MessageType, Snapshot, SnapshotMetadata,
};
use raftkv::proto::metapb::{Peer, Region, RegionEpoch};
use raftkv::proto::raft_cmdpb::{
    AdminRequest, CmdType, PutRequest, RaftCmdRequest, RaftRequestHeader, Request,
};
use raftkv::proto::raft_serverpb::{RaftLocalState, RaftMessage, RaftSnapshotData, RegionLocalState};
use raftkv::raftstore::{
    CommandResult, Config, Effect, Engines, Event, SnapFileSet, SnapKey, Store, StoreName, Task, TaskDone,
    bootstrap_region, bootstrap_store,
};
use raftkv_testkit::sim::change_peer;

/// The region of most of these tests: keys b to p, peers 1, 2 and 3 on stores of the same numbers, `conf_ver` 5.
pub const ID: u64 = 7;

/// Behind it: keys p to z, the peers 21, 22 and 23.
pub const NEXT: u64 = 8;

/// Where the log of a region begins that was bootstrapped.
pub const BEGIN: u64 = 5;

pub fn peer(id: u64) -> Peer {
    at(id, id % 10)
}

/// Peer `id` on a store.
pub fn at(id: u64, store_id: u64) -> Peer {
    Peer { id, store_id, ..Default::default() }
}

pub fn epoch(version: u64, conf_ver: u64) -> Option<RegionEpoch> {
    Some(RegionEpoch { version, conf_ver })
}

pub fn region() -> Region {
    let peers = vec![peer(1), peer(2), peer(3)];
    Region { id: ID, start_key: "b".into(), end_key: "p".into(), region_epoch: epoch(3, 5), peers }
}

pub fn next_region() -> Region {
    let peers = vec![peer(21), peer(22), peer(23)];
    Region { id: NEXT, start_key: "p".into(), end_key: "z".into(), peers, ..region() }
}

/// What a store has said, and what it wants done.
#[derive(Default)]
pub struct Said {
    pub sent: Vec<RaftMessage>,
    pub tasks: Vec<Task>,
    pub replies: Vec<(u64, CommandResult)>,
}

impl Said {
    /// Whom it has told to go, and as of which edition.
    pub fn told_to_go(&self) -> Vec<(Peer, u64)> {
        let told = self.sent.iter().filter(|m| m.is_tombstone);
        told.map(|m| (m.to_peer.unwrap_or_default(), m.region_epoch.unwrap_or_default().conf_ver)).collect()
    }

    /// The messages of Raft of one type.
    pub fn of_type(&self, msg_type: MessageType) -> Vec<&Message> {
        self.sent.iter().filter_map(|m| m.message.as_ref()).filter(|m| m.msg_type() == msg_type).collect()
    }

    pub fn has(&self, msg_type: MessageType) -> bool {
        !self.of_type(msg_type).is_empty()
    }

    /// Whom it has asked whether it is still wanted: envelopes with nothing in them.
    pub fn asked(&self) -> Vec<u64> {
        let asked = self.sent.iter().filter(|m| m.message.is_none() && !m.is_tombstone);
        let mut ids: Vec<u64> = asked.map(|m| m.to_peer.unwrap_or_default().id).collect();
        ids.sort_unstable();
        ids
    }

    pub fn loads(&self) -> Vec<SnapKey> {
        let load = |task: &Task| if let Task::Load { key, .. } = task { Some(*key) } else { None };
        self.tasks.iter().filter_map(load).collect()
    }

    pub fn removes(&self) -> Vec<(SnapKey, SnapFileSet)> {
        let removed =
            |task: &Task| if let Task::Remove { key, set } = task { Some((*key, *set)) } else { None };
        self.tasks.iter().filter_map(removed).collect()
    }
}

/// Store 1.
pub struct Lone {
    disk: MemDisk,
    store: Option<Store>,
    next_id: u64,
}

impl Lone {
    /// A store with a peer of each of these regions, and in each data column family every second letter from a to z.
    pub fn with(regions: &[Region]) -> Lone {
        let disk = MemDisk::new();
        let engines = engines(&disk);
        bootstrap_store(&engines, StoreName { cluster: 1, store: 1 }).expect("a new disk");
        regions.iter().for_each(|region| bootstrap_region(&engines, region).expect("a new disk"));
        let mut batch = WriteBatch::new();
        for cf in Cf::DATA {
            LETTERS.iter().for_each(|key| batch.put(cf, *key, "old"));
        }
        engines.kv.write(batch, true).expect("the disk is well");
        drop(engines);
        disk.restart_process();
        let mut lone = Lone { disk, store: None, next_id: 0 };
        lone.open();
        lone
    }

    /// A store without regions, and without data.
    pub fn empty() -> Lone {
        Lone::with(&[])
    }

    fn open(&mut self) {
        let config = Config { heartbeat_to_scheduler_ticks: 0, split_check_ticks: 0, ..Config::default() };
        let store = Store::open(config, engines(&self.disk));
        self.store = Some(
            store.unwrap_or_else(|error| panic!("the store must start with what it has saved: {error}")),
        );
    }

    pub fn store(&self) -> &Store {
        self.store.as_ref().expect("it runs")
    }

    /// The id of the peer of a region, if there is one.
    pub fn peer_id(&self, region: u64) -> Option<u64> {
        self.store().peer(region).map(|peer| peer.id())
    }

    /// The process dies, or the power fails, and the store starts again.
    pub fn restart(&mut self, power_cut: bool) {
        self.store = None;
        if power_cut {
            self.disk.restart()
        } else {
            self.disk.restart_process()
        }
        self.open();
    }

    /// Something happens at the `n`-th write from now.
    pub fn fault_at(&mut self, n: u64, fault: Fault) {
        self.disk.plan(self.disk.writes() + n, fault);
    }

    /// Gives the store several events at once, and lets it work until it rests.
    pub fn give(&mut self, events: impl IntoIterator<Item = Event>) -> Said {
        let store = self.store.as_mut().expect("it runs");
        events.into_iter().for_each(|event| store.handle(event));
        let mut said = Said::default();
        for round in 0.. {
            if !store.has_work() {
                break;
            }
            assert!(round < 30, "a store comes to rest");
            let drained = store.drain(&mut |effect| match effect {
                Effect::Send(m) => said.sent.push(m),
                Effect::Schedule(Task::Send(m)) => said.sent.push(*m),
                Effect::Schedule(task) => said.tasks.push(task),
                Effect::Reply { id, result } => said.replies.push((id, result)),
            });
            if drained.is_err() {
                break;
            }
        }
        said
    }

    pub fn tell(&mut self, message: RaftMessage) -> Said {
        self.give([Event::RaftMessage(message)])
    }

    pub fn tick(&mut self, n: u64) -> Said {
        let mut all = Said::default();
        for _ in 0..n {
            let said = self.give([Event::Tick]);
            all.sent.extend(said.sent);
            all.tasks.extend(said.tasks);
            all.replies.extend(said.replies);
        }
        all
    }

    /// A snapshot has arrived.
    pub fn receive(&mut self, snapshot: RaftMessage, copy: u64) -> Said {
        self.give([Event::Snapshot { message: snapshot, copy }])
    }

    /// A worker has loaded a snapshot.
    pub fn loaded(&mut self, key: SnapKey) -> Said {
        self.give([Event::TaskDone(TaskDone::Loaded { key, result: Ok(()) })])
    }

    /// Gives the store a command. Returns its number.
    pub fn command(&mut self, request: RaftCmdRequest) -> (u64, Said) {
        self.next_id += 1;
        let id = self.next_id;
        (id, self.give([Event::Command { id, request }]))
    }

    /// The keys that are there, in all data column families alike.
    pub fn letters(&self) -> String {
        let kv = self.store().engines().kv.snapshot();
        let keys = |cf: Cf| -> String {
            let there = |key: &&&str| kv.get(cf, key.as_bytes()).expect("an engine in memory").is_some();
            LETTERS.iter().filter(there).copied().collect()
        };
        let all = Cf::DATA.map(keys);
        assert!(all.iter().all(|keys| *keys == all[0]), "the same in all column families: {all:?}");
        all[0].clone()
    }

    pub fn region_state(&self, region: u64) -> Option<RegionLocalState> {
        read(&*self.store().engines().kv.snapshot(), Cf::Raft, &keys::region_state(region))
    }

    /// The same, as a loss of power would leave it.
    pub fn safe_region_state(&self, region: u64) -> Option<RegionLocalState> {
        read(&*self.disk.synced("kv"), Cf::Raft, &keys::region_state(region))
    }

    pub fn raft_state(&self, region: u64) -> Option<RaftLocalState> {
        read(&*self.store().engines().raft.snapshot(), Cf::Default, &keys::raft_state(region))
    }

    pub fn has_apply_state(&self, region: u64) -> bool {
        let kv = self.store().engines().kv.snapshot();
        kv.get(Cf::Raft, &keys::apply_state(region)).expect("an engine in memory").is_some()
    }

    /// True if there is a record of who the peer of a region was that its region does not name any more.
    pub fn has_removed_peer(&self, region: u64) -> bool {
        let kv = self.store().engines().kv.snapshot();
        kv.get(Cf::Raft, &keys::unnamed_peer(region)).expect("an engine in memory").is_some()
    }

    /// The entries of a region on the raft engine.
    pub fn entries_on_disk(&self, region: u64) -> Vec<u64> {
        let raft = self.store().engines().raft.snapshot();
        let there = |index: &u64| {
            raft.get(Cf::Default, &keys::raft_log(region, *index)).expect("an engine in memory").is_some()
        };
        (0..100).filter(there).collect()
    }

    /// Peer 1 of region 7 stands for election, and peer 2 votes for it; its first entry is committed. Returns the term.
    pub fn elect(&mut self) -> u64 {
        let mut ticks = 0;
        let stands = |said: &Said| {
            let request = |m: &Message| m.msg_type() == MessageType::MsgRequestVote;
            said.sent.iter().any(|m| m.region_id == ID && m.message.as_ref().is_some_and(request))
        };
        while !stands(&self.tick(1)) {
            ticks += 1;
            assert!(ticks < 50, "who hears of no leader stands for election (section 5.2)");
        }
        let term = self.store().peer(ID).expect("it is there").term();
        self.tell(from(2, message(MessageType::MsgRequestVoteResponse, term)));
        assert!(
            self.store().peer(ID).expect("it is there").is_leader(),
            "two of three votes are enough (section 5.2)"
        );
        self.acknowledge(2);
        term
    }

    /// A follower of region 7 has all of the leader's log.
    pub fn acknowledge(&mut self, follower: u64) -> Said {
        let log = self.store().peer(ID).expect("it is there").node().raft().log();
        let index = log.last_index();
        self.acknowledge_up_to(follower, index)
    }

    pub fn acknowledge_up_to(&mut self, follower: u64, index: u64) -> Said {
        let term = self.store().peer(ID).expect("it is there").term();
        let answer = Message { index, ..message(MessageType::MsgAppendResponse, term) };
        self.tell(from(follower, answer))
    }
}

const LETTERS: [&str; 13] = ["a", "c", "e", "g", "i", "k", "m", "o", "q", "s", "u", "w", "y"];

fn engines(disk: &MemDisk) -> Engines {
    let engine = |name| Arc::new(disk.open(name).expect("the old handles are gone"));
    Engines { kv: engine("kv"), raft: engine("raft") }
}

fn read<M: prost::Message + Default>(disk: &dyn raftkv::engine::Snapshot, cf: Cf, key: &[u8]) -> Option<M> {
    let value = disk.get(cf, key).expect("an engine in memory")?;
    Some(M::decode(value).expect("what is under this key is such a record"))
}

pub fn message(msg_type: MessageType, term: u64) -> Message {
    Message { msg_type: msg_type.into(), term, ..Default::default() }
}

/// A message of region 7's peer `id`, to peer 1, as of the edition that both know.
pub fn from(id: u64, message: Message) -> RaftMessage {
    envelope(peer(id), peer(1), 5, message)
}

/// A message of region 7.
pub fn envelope(from: Peer, to: Peer, conf_ver: u64, message: Message) -> RaftMessage {
    RaftMessage {
        region_id: ID,
        from_peer: Some(from),
        to_peer: Some(to),
        region_epoch: epoch(3, conf_ver),
        message: Some(Message { from: from.id, to: to.id, ..message }),
        start_key: "b".into(),
        end_key: "p".into(),
        ..Default::default()
    }
}

/// What a leader says to a peer of which it knows nothing.
pub fn hello(from: Peer, to: Peer, conf_ver: u64) -> RaftMessage {
    envelope(from, to, conf_ver, message(MessageType::MsgHeartbeat, 6))
}

/// What a candidate says, whose log ends far away.
pub fn vote_request(from: Peer, to: Peer, conf_ver: u64, term: u64) -> RaftMessage {
    let request = Message { index: 100, log_term: term - 1, ..message(MessageType::MsgRequestVote, term) };
    envelope(from, to, conf_ver, request)
}

/// Somebody has applied the removal of peer `to`.
pub fn go(to: Peer, conf_ver: u64) -> RaftMessage {
    RaftMessage {
        region_id: ID,
        from_peer: Some(peer(2)),
        to_peer: Some(to),
        region_epoch: epoch(3, conf_ver),
        is_tombstone: true,
        ..Default::default()
    }
}

/// Peer 2, which leads in term 6, sends entries behind `index`, all of term 6, and all committed.
pub fn append(index: u64, conf_ver: u64, entries: Vec<Entry>) -> RaftMessage {
    let log_term = if index == BEGIN { 5 } else { 6 };
    let commit = index + entries.len() as u64;
    let append = Message { index, log_term, entries, commit, ..message(MessageType::MsgAppend, 6) };
    envelope(peer(2), peer(1), conf_ver, append)
}

/// A snapshot of a region, for its peer on store 1.
pub fn snapshot(key: SnapKey, of: &Region) -> RaftMessage {
    let to = *of.peer_on(1).expect("the region has a peer on store 1");
    let from = *of.peers.iter().find(|peer| peer.store_id != 1).expect("and on another one");
    let voters = of.peers.iter().map(|peer| peer.id).collect();
    let conf_state = Some(ConfState { voters, ..Default::default() });
    let metadata = Some(SnapshotMetadata { conf_state, index: key.index, term: key.term });
    let data = RaftSnapshotData { region: Some(of.clone()), ..Default::default() };
    let snapshot = Some(Snapshot { data: data.encode_to_vec().into(), metadata });
    let m = Message { snapshot, from: from.id, to: to.id, ..message(MessageType::MsgSnapshot, key.term) };
    RaftMessage {
        region_id: of.id,
        from_peer: Some(from),
        to_peer: Some(to),
        region_epoch: of.region_epoch,
        message: Some(m),
        ..Default::default()
    }
}

/// The command that adds or removes a peer of region 7, made for the edition `(version, conf_ver)`.
pub fn change(kind: ConfChangeType, peer: Peer, edition: (u64, u64)) -> RaftCmdRequest {
    admin(change_peer(kind, peer), edition)
}

/// A change of region 7, for its peer 1.
pub fn admin(admin: AdminRequest, (version, conf_ver): (u64, u64)) -> RaftCmdRequest {
    let header = RaftRequestHeader {
        region_id: ID,
        peer: Some(peer(1)),
        region_epoch: epoch(version, conf_ver),
        ..Default::default()
    };
    RaftCmdRequest { header: Some(header), requests: Vec::new(), admin_request: Some(admin) }
}

/// A put into region 7.
pub fn put(key: &'static str, (version, conf_ver): (u64, u64)) -> RaftCmdRequest {
    let put = PutRequest { cf: "default".into(), key: key.into(), value: "new".into() };
    let request = Request { cmd_type: CmdType::Put.into(), put: Some(put), ..Default::default() };
    let header = RaftRequestHeader {
        region_id: ID,
        peer: Some(peer(1)),
        region_epoch: epoch(version, conf_ver),
        ..Default::default()
    };
    RaftCmdRequest { header: Some(header), requests: vec![request], admin_request: None }
}

/// The log entry of a command that changes the members.
pub fn change_entry(index: u64, command: &RaftCmdRequest) -> Entry {
    let change =
        command.admin_request.as_ref().and_then(|admin| admin.change_peer.as_ref()).expect("it is a change");
    let data = ConfChange {
        change_type: change.change_type,
        node_id: change.peer.expect("it names a peer").id,
        context: command.encode_to_vec().into(),
        ..Default::default()
    };
    entry(index, EntryType::EntryConfChange, data.encode_to_vec().into())
}

/// A log entry of term 6 with a command.
pub fn command_entry(index: u64, command: &RaftCmdRequest) -> Entry {
    entry(index, EntryType::EntryNormal, command.encode_to_vec().into())
}

fn entry(index: u64, entry_type: EntryType, data: Bytes) -> Entry {
    Entry { entry_type: entry_type.into(), term: 6, index, data, ..Default::default() }
}
