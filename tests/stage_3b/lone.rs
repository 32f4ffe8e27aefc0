//! One store alone, on a disk in memory: what it is told is made by hand (`messages`), and all that it says and writes
//! is looked at.

use std::collections::BTreeSet;
use std::sync::Arc;

use raftkv::engine::{Cf, Fault, MemDisk, Snapshot, WriteBatch, keys};
use raftkv::proto::eraftpb::{Message, MessageType};
use raftkv::proto::metapb::{Peer as Member, Region};
use raftkv::proto::raft_cmdpb::{AdminCmdType, RaftCmdRequest};
use raftkv::proto::raft_serverpb::{RaftApplyState, RaftLocalState, RaftMessage, RegionLocalState};
use raftkv::raftstore::{
    CommandResult, Config, Effect, Engines, Event, Peer, SnapFileSet, SnapKey, Store, StoreName, Task,
    TaskDone, bootstrap_region, bootstrap_store,
};
use raftkv_testkit::requests::{bytes, put};

use crate::messages::{ID, Vary, change, command, envelope, message, peer, region, split};

/// What a store has said, and what it wants done.
#[derive(Default)]
pub struct Said {
    pub sent: Vec<RaftMessage>,
    pub tasks: Vec<Task>,
    pub replies: Vec<(u64, CommandResult)>,
}

impl Said {
    /// What it has said next goes behind it.
    pub fn extend(&mut self, next: Said) {
        self.sent.extend(next.sent);
        self.tasks.extend(next.tasks);
        self.replies.extend(next.replies);
    }

    /// Whom it has told to go, and as of which edition.
    pub fn told_to_go(&self) -> Vec<(Member, u64)> {
        let told = self.sent.iter().filter(|m| m.is_tombstone);
        told.map(|m| (m.to_peer.unwrap_or_default(), m.region_epoch.unwrap_or_default().conf_ver)).collect()
    }

    /// The messages of Raft of one type, in any region.
    pub fn of_type(&self, msg_type: MessageType) -> Vec<&Message> {
        self.sent.iter().filter_map(|m| m.message.as_ref()).filter(|m| m.msg_type() == msg_type).collect()
    }

    /// The same, in one region.
    pub fn in_region(&self, region: u64, msg_type: MessageType) -> Vec<&Message> {
        let own = self.sent.iter().filter(|m| m.region_id == region).filter_map(|m| m.message.as_ref());
        own.filter(|m| m.msg_type() == msg_type).collect()
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

    /// The tasks for which `pick` has something.
    pub fn pick<T>(&self, pick: impl Fn(&Task) -> Option<T>) -> Vec<T> {
        self.tasks.iter().filter_map(pick).collect()
    }

    pub fn loads(&self) -> Vec<SnapKey> {
        self.pick(|task| if let Task::Load { key, .. } = task { Some(*key) } else { None })
    }

    pub fn removes(&self) -> Vec<(SnapKey, SnapFileSet)> {
        self.pick(|task| if let Task::Remove { key, set } = task { Some((*key, *set)) } else { None })
    }
}

/// Store 1.
pub struct Lone {
    pub disk: MemDisk,
    store: Option<Store>,
    config: Config,
    next_id: u64,
    /// The commands that have had their reply.
    answered: BTreeSet<u64>,
    /// Why it stopped, if it did.
    pub failure: Option<String>,
}

/// Settings under which nothing happens by itself.
pub fn quiet() -> Config {
    Config { heartbeat_to_scheduler_ticks: 0, split_check_ticks: 0, ..Config::default() }
}

const LETTERS: [&str; 13] = ["a", "c", "e", "g", "i", "k", "m", "o", "q", "s", "u", "w", "y"];

/// How it begins.
impl Lone {
    /// A store with a peer of each of these regions, and no data.
    pub fn new(regions: &[Region]) -> Lone {
        Lone::tuned(quiet(), regions)
    }

    /// The same, with other settings.
    pub fn tuned(config: Config, regions: &[Region]) -> Lone {
        let disk = MemDisk::new();
        let engines = open(&disk);
        bootstrap_store(&engines, StoreName { cluster: 1, store: 1 }).expect("a new disk");
        regions.iter().for_each(|region| bootstrap_region(&engines, region).expect("a new disk"));
        let answered = BTreeSet::new();
        let mut lone = Lone { disk, store: None, config, next_id: 0, answered, failure: None };
        drop(engines);
        lone.restart(false);
        lone
    }

    /// A store that has in each data column family every second letter from a to z, be it in these regions or not.
    pub fn with_letters(regions: &[Region]) -> Lone {
        let lone = Lone::new(regions);
        let of = |cf| LETTERS.map(|key| (cf, key, "old"));
        lone.fill(&Cf::DATA.map(of).concat());
        lone
    }

    /// A store without regions, and without data.
    pub fn empty() -> Lone {
        Lone::new(&[])
    }

    /// The only peer of region 7, and it leads.
    pub fn leader() -> Lone {
        Lone::leader_of(quiet(), &region().of([peer(1)]))
    }

    /// The only peer of this region, and it leads.
    pub fn leader_of(config: Config, region: &Region) -> Lone {
        let mut lone = Lone::tuned(config, std::slice::from_ref(region));
        for _ in 0..100 {
            if lone.peer(region.id).is_leader() {
                return lone;
            }
            lone.tick(1);
        }
        panic!("one of one is a majority: it elects itself (section 5.2)");
    }

    /// Puts this into the data, past the store.
    pub fn fill(&self, pairs: &[(Cf, &str, &str)]) {
        let mut batch = WriteBatch::new();
        for (cf, key, value) in pairs {
            batch.put(*cf, bytes(key), bytes(value));
        }
        self.store().engines().kv.write(batch, true).expect("the disk is well");
    }
}

/// How it stops.
impl Lone {
    /// The process dies, or, with a power cut, what was not synced is lost as well; and the store starts again.
    pub fn restart(&mut self, power_cut: bool) {
        (self.store, self.failure) = (None, None);
        self.disk.call_off();
        if power_cut {
            self.disk.restart()
        } else {
            self.disk.restart_process()
        }
        let store = Store::open(self.config.clone(), open(&self.disk));
        self.store = Some(
            store.unwrap_or_else(|error| panic!("the store must start with what it has saved: {error}")),
        );
    }

    pub fn power_cut(&mut self) {
        self.restart(true);
    }

    pub fn kill(&mut self) {
        self.restart(false);
    }

    /// Something happens at the `n`-th write from now.
    pub fn fault_at(&mut self, n: u64, fault: Fault) {
        self.disk.plan(self.disk.writes() + n, fault);
    }
}

/// What it is told.
impl Lone {
    /// Gives the store several events at once, and lets it work until it rests.
    pub fn give(&mut self, events: impl IntoIterator<Item = Event>) -> Said {
        let store = self.store.as_mut().expect("the store runs");
        events.into_iter().for_each(|event| store.handle(event));
        let mut said = Said::default();
        for round in 0.. {
            if !store.has_work() {
                break;
            }
            assert!(round < 50, "a store comes to rest");
            let disk = &self.disk;
            let drained = store.drain(&mut |effect| match effect {
                _ if disk.is_stopped() => {}
                Effect::Send(m) => said.sent.push(m),
                Effect::Schedule(Task::Send(m)) => said.sent.push(*m),
                Effect::Schedule(task) => said.tasks.push(task),
                Effect::Reply { id, result } => said.replies.push((id, result)),
            });
            if let Err(error) = drained {
                self.failure = Some(error.to_string());
                break;
            }
        }
        for (id, _) in &said.replies {
            assert!(self.answered.insert(*id), "a command gets one reply");
        }
        said
    }

    pub fn tell(&mut self, message: RaftMessage) -> Said {
        self.give([Event::RaftMessage(message)])
    }

    /// What peer `from` says to the region's peer on this store.
    pub fn hear(&mut self, region: &Region, from: Member, message: Message) -> Said {
        let to = *region.peer_on(1).expect("it is for a peer here");
        self.tell(envelope(region, from, to, message))
    }

    /// A snapshot has arrived.
    pub fn receive(&mut self, snapshot: RaftMessage, copy: u64) -> Said {
        self.give([Event::Snapshot { message: snapshot, copy }])
    }

    /// A worker, or the scheduler, has done what it was asked for.
    pub fn done(&mut self, done: TaskDone) -> Said {
        self.give([Event::TaskDone(done)])
    }

    /// A worker has loaded a snapshot.
    pub fn loaded(&mut self, key: SnapKey) -> Said {
        self.done(TaskDone::Loaded { key, result: Ok(()) })
    }

    /// Time passes.
    pub fn tick(&mut self, ticks: u64) -> Said {
        let mut all = Said::default();
        (0..ticks).for_each(|_| all.extend(self.give([Event::Tick])));
        all
    }

    /// Gives the store a command. Returns its number.
    pub fn begin(&mut self, request: RaftCmdRequest) -> (u64, Said) {
        self.next_id += 1;
        let id = self.next_id;
        (id, self.give([Event::Command { id, request }]))
    }

    /// Gives the store commands, one after the other, before it works on any of them. Their answers, which come at
    /// once.
    pub fn together(&mut self, requests: &[RaftCmdRequest]) -> Vec<CommandResult> {
        let first = self.next_id + 1;
        self.next_id += requests.len() as u64;
        let commands = requests.iter().zip(first..);
        let said = self.give(commands.map(|(request, id)| Event::Command { id, request: request.clone() }));
        let mut replies = said.replies;
        replies.sort_unstable_by_key(|(id, _)| *id);
        let answered: Vec<u64> = replies.iter().map(|(id, _)| *id).collect();
        assert_eq!(answered, (first..=self.next_id).collect::<Vec<_>>(), "every command is answered");
        replies.into_iter().map(|(_, result)| result).collect()
    }

    /// One command, and its answer, which comes at once.
    pub fn ask(&mut self, request: &RaftCmdRequest) -> CommandResult {
        self.together(std::slice::from_ref(request)).remove(0)
    }

    /// Puts keys, each with its own name for a value.
    pub fn put_all(&mut self, region: u64, keys: &[&str]) {
        for key in keys {
            let request = command(self.region(region), vec![put(key, key)]);
            self.ask(&request).unwrap_or_else(|error| panic!("a put of {key}: {error}"));
        }
    }

    /// The region is split, which must work. Returns the regions of the answer.
    pub fn split(&mut self, region: u64, cuts: &[(&str, u64, &[u64])], right_derive: bool) -> Vec<Region> {
        let request = change(self.region(region), split(cuts, right_derive));
        let answer = self.ask(&request).expect("a split at keys inside the region is made");
        let admin = answer.response.admin_response.expect("an admin command has an admin response");
        assert_eq!(admin.cmd_type(), AdminCmdType::BatchSplit);
        admin.splits.expect("the regions that came of it").regions
    }

    /// So much time passes, and region 7's peer on store 2 gives its vote whenever it is asked.
    pub fn win_votes(&mut self, ticks: u64) -> Said {
        let mut all = Said::default();
        for _ in 0..ticks {
            let said = self.tick(1);
            let region = self.region(ID).clone();
            let voter = *region.peer_on(2).expect("it has a peer on store 2");
            let asked = said.in_region(ID, MessageType::MsgRequestVote).into_iter();
            let terms: Vec<u64> = asked.filter(|m| m.to == voter.id).map(|m| m.term).collect();
            all.extend(said);
            for term in terms {
                all.extend(self.hear(&region, voter, message(MessageType::MsgRequestVoteResponse, term)));
            }
        }
        all
    }

    /// Store 1's peer of region 7 stands for election, and that on store 2 votes for it; its first entry is committed.
    pub fn elect(&mut self) -> Said {
        let mut all = Said::default();
        for ticks in 0.. {
            if !all.in_region(ID, MessageType::MsgRequestVote).is_empty() {
                break;
            }
            assert!(ticks < 50, "who hears of no leader stands for election (section 5.2)");
            all.extend(self.win_votes(1));
        }
        assert!(self.peer(ID).is_leader(), "two of three votes are enough (section 5.2)");
        all.extend(self.acknowledge(2));
        all
    }

    /// The peer on another store has all of the leader's log of region 7.
    pub fn acknowledge(&mut self, store: u64) -> Said {
        self.acknowledge_up_to(store, self.last_index(ID))
    }

    pub fn acknowledge_up_to(&mut self, store: u64, index: u64) -> Said {
        let region = self.region(ID).clone();
        let from = *region.peer_on(store).expect("it is a member");
        let answer = message(MessageType::MsgAppendResponse, self.peer(ID).term());
        self.hear(&region, from, Message { index, ..answer })
    }
}

/// What it has.
impl Lone {
    pub fn store(&self) -> &Store {
        self.store.as_ref().expect("the store runs")
    }

    pub fn peer(&self, region: u64) -> &Peer {
        self.store().peer(region).unwrap_or_else(|| panic!("the store has no peer of region {region}"))
    }

    /// The id of the peer of a region, if there is one.
    pub fn peer_id(&self, region: u64) -> Option<u64> {
        self.store().peer(region).map(|peer| peer.id())
    }

    pub fn has_peer(&self, region: u64) -> bool {
        self.peer_id(region).is_some()
    }

    /// A region as the peer here knows it.
    pub fn region(&self, id: u64) -> &Region {
        self.peer(id).region()
    }

    pub fn last_index(&self, region: u64) -> u64 {
        self.peer(region).node().raft().log().last_index()
    }

    /// Which of these keys are in the data, in one column family.
    pub fn held(&self, cf: Cf, keys: &[&str]) -> String {
        let kv = self.store().engines().kv.snapshot();
        let is_there = |key: &&&str| kv.get(cf, key.as_bytes()).expect("an engine in memory").is_some();
        keys.iter().filter(is_there).copied().collect::<Vec<_>>().join(" ")
    }

    /// The letters that are there, in all data column families alike.
    pub fn letters(&self) -> String {
        let all = Cf::DATA.map(|cf| self.held(cf, &LETTERS).replace(' ', ""));
        assert!(all.iter().all(|keys| *keys == all[0]), "the same in all column families: {all:?}");
        all[0].clone()
    }

    pub fn region_state(&self, region: u64) -> Option<RegionLocalState> {
        self.saved(&keys::region_state(region))
    }

    /// The same, as a loss of power would leave it.
    pub fn safe_region_state(&self, region: u64) -> Option<RegionLocalState> {
        read(&*self.disk.synced("kv"), Cf::Raft, &keys::region_state(region))
    }

    pub fn raft_state(&self, region: u64) -> Option<RaftLocalState> {
        read(&*self.store().engines().raft.snapshot(), Cf::Default, &keys::raft_state(region))
    }

    pub fn apply_state(&self, region: u64) -> Option<RaftApplyState> {
        self.saved(&keys::apply_state(region))
    }

    /// The same, as a loss of power would leave it.
    pub fn safe_apply_state(&self, region: u64) -> Option<RaftApplyState> {
        read(&*self.disk.synced("kv"), Cf::Raft, &keys::apply_state(region))
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

    fn saved<M: prost::Message + Default>(&self, key: &[u8]) -> Option<M> {
        read(&*self.store().engines().kv.snapshot(), Cf::Raft, key)
    }
}

fn read<M: prost::Message + Default>(disk: &dyn Snapshot, cf: Cf, key: &[u8]) -> Option<M> {
    let value = disk.get(cf, key).expect("an engine in memory")?;
    Some(M::decode(value).expect("what is under this key is such a record"))
}

fn open(disk: &MemDisk) -> Engines {
    let engine = |name| Arc::new(disk.open(name).expect("the old handles are gone"));
    Engines { kv: engine("kv"), raft: engine("raft") }
}
