//! What a store writes when it takes over a snapshot, write by write: one store, without a cluster.

use std::sync::Arc;

use pretty_assertions::assert_eq;
use prost::Message as _;
use raftkv::engine::{Cf, Fault, MemDisk, WriteBatch, keys};
use raftkv::proto::eraftpb::{ConfState, Entry, Message, MessageType, Snapshot, SnapshotMetadata};
use raftkv::proto::metapb::{Peer, Region, RegionEpoch};
use raftkv::proto::raft_serverpb::{
    PeerState, RaftApplyState, RaftLocalState, RaftMessage, RaftSnapshotData, RegionLocalState,
};
use raftkv::raftstore::{
    Config, Effect, Engines, Event, SnapFileSet, SnapKey, Store, StoreError, StoreName, Task, TaskDone,
    bootstrap_region, bootstrap_store,
};
use raftkv_testkit::lab;
use rstest::rstest;

const NAME: StoreName = StoreName { cluster: 1, store: 1 };
const KEY: SnapKey = SnapKey { region: 7, term: 8, index: 50 };

fn peer(id: u64) -> Peer {
    Peer { id, store_id: id, ..Default::default() }
}

fn region(start: &'static str, end: &'static str) -> Region {
    let region_epoch = Some(RegionEpoch { conf_ver: 1, version: 1 });
    let (start_key, end_key) = (start.into(), end.into());
    Region { id: 7, start_key, end_key, region_epoch, peers: vec![peer(1), peer(2), peer(3)] }
}

fn open(disk: &MemDisk) -> (Engines, Result<Store, StoreError>) {
    let engine = |name| Arc::new(disk.open(name).expect("the old handles are gone"));
    let engines = Engines { kv: engine("kv"), raft: engine("raft") };
    (engines.clone(), Store::open(Config::default(), engines))
}

/// A store with a peer of region b..p, some data, and a log of four entries of term 6 behind entry 5.
fn machine() -> MemDisk {
    let disk = MemDisk::new();
    let engine = |name| Arc::new(disk.open(name).expect("a new engine"));
    let engines = Engines { kv: engine("kv"), raft: engine("raft") };
    bootstrap_store(&engines, NAME).expect("a new disk");
    bootstrap_region(&engines, &region("b", "p")).expect("a new disk");
    let mut batch = WriteBatch::new();
    for cf in Cf::DATA {
        ["a", "b", "c", "o", "p"].into_iter().for_each(|key| batch.put(cf, key, "old"));
    }
    engines.kv.write(batch, true).expect("the disk is well");
    drop(engines);
    disk.restart_process();
    let (engines, store) = open(&disk);
    let mut store = store.expect("it starts");
    let entries = (6..=9).map(|index| Entry { index, term: 6, ..Default::default() }).collect();
    let append = Message {
        msg_type: MessageType::MsgAppend.into(),
        term: 6,
        index: 5,
        log_term: 5,
        entries,
        commit: 5,
        ..Default::default()
    };
    store.handle(Event::RaftMessage(from_leader(append)));
    work(&mut store);
    drop((store, engines));
    disk.restart_process();
    disk
}

/// A message of peer 2, which leads.
fn from_leader(message: Message) -> RaftMessage {
    let region_epoch = region("", "").region_epoch;
    let message = Some(Message { from: 2, to: 1, ..message });
    RaftMessage {
        region_id: 7,
        from_peer: Some(peer(2)),
        to_peer: Some(peer(1)),
        message,
        region_epoch,
        ..Default::default()
    }
}

fn snapshot(key: SnapKey, region: Region) -> RaftMessage {
    let voters = region.peers.iter().map(|peer| peer.id).collect();
    let conf_state = Some(ConfState { voters, ..Default::default() });
    let metadata = Some(SnapshotMetadata { conf_state, index: key.index, term: key.term });
    let data = RaftSnapshotData { region: Some(region), ..Default::default() };
    let snapshot = Some(Snapshot { data: data.encode_to_vec().into(), metadata });
    from_leader(Message {
        msg_type: MessageType::MsgSnapshot.into(),
        term: 9,
        snapshot,
        ..Default::default()
    })
}

fn received(message: RaftMessage, copy: u64) -> Event {
    Event::Snapshot { message, copy }
}

/// Lets the store work until it rests. What it sent, and what it wants done.
fn work(store: &mut Store) -> (Vec<Message>, Vec<Task>) {
    let (mut sent, mut tasks) = (Vec::new(), Vec::new());
    for round in 0.. {
        if !store.has_work() {
            break;
        }
        assert!(round < 20, "a store comes to rest");
        let drained = store.drain(&mut |effect| match effect {
            Effect::Send(m) => sent.extend(m.message),
            Effect::Schedule(task) => tasks.push(task),
            Effect::Reply { .. } => {}
        });
        if drained.is_err() {
            break;
        }
    }
    (sent, tasks)
}

struct Records {
    region: RegionLocalState,
    apply: RaftApplyState,
    raft: RaftLocalState,
}

fn records(kv: &dyn raftkv::engine::Snapshot, raft: &dyn raftkv::engine::Snapshot) -> Records {
    let read = |snapshot: &dyn raftkv::engine::Snapshot, cf, key: &[u8]| {
        snapshot.get(cf, key).expect("an engine in memory").expect("the record is there")
    };
    Records {
        region: RegionLocalState::decode(read(kv, Cf::Raft, &keys::region_state(7)))
            .expect("a RegionLocalState"),
        apply: RaftApplyState::decode(read(kv, Cf::Raft, &keys::apply_state(7))).expect("a RaftApplyState"),
        raft: RaftLocalState::decode(read(raft, Cf::Default, &keys::raft_state(7)))
            .expect("a RaftLocalState"),
    }
}

fn safe(disk: &MemDisk) -> Records {
    records(&*disk.synced("kv"), &*disk.synced("raft"))
}

fn loads(tasks: &[Task]) -> Vec<SnapKey> {
    tasks
        .iter()
        .filter_map(|task| if let Task::Load { key, .. } = task { Some(*key) } else { None })
        .collect()
}

fn removes(tasks: &[Task]) -> Vec<(SnapKey, SnapFileSet)> {
    let removed = |task: &Task| if let Task::Remove { key, set } = task { Some((*key, *set)) } else { None };
    tasks.iter().filter_map(removed).collect()
}

/// Section 7, in records: the region is `Applying`, the log begins and ends with the snapshot, nothing of the old log
/// is left, term and commit index are saved; all of it synced when the acknowledgement leaves; and the data is to be
/// loaded.
#[test]
fn a_snapshot_is_accepted() {
    let _lab = lab!();
    let disk = machine();
    let (engines, store) = open(&disk);
    let mut store = store.expect("it starts");
    store.handle(received(snapshot(KEY, region("b", "p")), 1));
    let mut at_the_answer = None;
    let mut tasks = Vec::new();
    while store.has_work() {
        store
            .drain(&mut |effect| match effect {
                Effect::Send(m)
                    if m.message.as_ref().is_some_and(|m| m.msg_type() == MessageType::MsgAppendResponse) =>
                {
                    at_the_answer = Some((m.message.expect("so it is"), safe(&disk)));
                }
                Effect::Schedule(task) => tasks.push(task),
                _ => {}
            })
            .expect("the disk is well");
    }
    let (answer, records) = at_the_answer.expect("the snapshot is acknowledged");
    assert_eq!((answer.index, answer.reject), (50, false));
    assert_eq!(records.region.state(), PeerState::Applying);
    let truncated = records.apply.truncated_state.expect("where the log begins");
    assert_eq!((truncated.index, truncated.term), (50, 8));
    assert!(records.apply.applied_index < 50, "the data is still to come");
    let hard_state = records.raft.hard_state.expect("the hard state");
    assert_eq!((records.raft.last_index, hard_state.term, hard_state.commit), (50, 9, 50));
    let left = (0..60)
        .filter(|i| engines.raft.snapshot().get(Cf::Default, &keys::raft_log(7, *i)).unwrap().is_some());
    assert_eq!(left.collect::<Vec<_>>(), [0_u64; 0], "no entry of the old log is left");
    assert_eq!(loads(&tasks), [KEY]);
    assert_eq!(store.snapshots_in_use(), [KEY], "its files must stay");
}

/// The data is loaded: the region is `Normal`, everything up to the snapshot is applied, and both are synced before the
/// files go.
#[test]
fn a_snapshot_is_loaded() {
    let _lab = lab!();
    let disk = machine();
    let (_engines, store) = open(&disk);
    let mut store = store.expect("it starts");
    store.handle(received(snapshot(KEY, region("b", "p")), 1));
    work(&mut store);
    store.handle(Event::TaskDone(TaskDone::Loaded { key: KEY, result: Ok(()) }));
    let (_, tasks) = work(&mut store);
    let records = safe(&disk);
    assert_eq!((records.region.state(), records.apply.applied_index), (PeerState::Normal, 50));
    assert_eq!(removes(&tasks), [(KEY, SnapFileSet::Received)]);
    assert_eq!(store.snapshots_in_use(), []);
    assert_eq!(store.peer(7).expect("it is there").node().raft().log().applied(), 50);
}

/// Keys that belonged to the region and do not any more are deleted with the same write that says so; those of
/// neighbours are not touched.
#[rstest]
#[case::smaller("c", "o", &["a", "c", "p"])]
#[case::moved("c", "z", &["a", "c", "o", "p"])]
#[case::larger("", "", &["a", "b", "c", "o", "p"])]
fn the_old_range_is_cleared(#[case] start: &'static str, #[case] end: &'static str, #[case] left: &[&str]) {
    let _lab = lab!();
    let disk = machine();
    let (_engines, store) = open(&disk);
    let mut store = store.expect("it starts");
    store.handle(received(snapshot(KEY, region(start, end)), 1));
    let (_, tasks) = work(&mut store);
    let kv = disk.synced("kv");
    for cf in Cf::DATA {
        let there = |key: &&str| kv.get(cf, key.as_bytes()).expect("an engine in memory").is_some();
        let keys: Vec<&str> = ["a", "b", "c", "o", "p"].into_iter().filter(|key| there(key)).collect();
        assert_eq!(keys, left, "{cf}: what is in the new range is the region worker's business");
    }
    assert_eq!(safe(&disk).region.region, Some(region(start, end)));
    assert_eq!(store.peer(7).expect("it is there").region(), &region(start, end));
    assert_eq!(store.meta().region(7), Some(&region(start, end)));
    let range =
        tasks.iter().find_map(|task| if let Task::Load { range, .. } = task { Some(range) } else { None });
    assert_eq!(range, Some(&region(start, end).range()));
}

/// Stopped after any write, with the power gone: the store starts, either as it was or with the snapshot; then its log
/// ends where it begins, its term is not below the log's, and the data is loaded.
#[rstest]
#[case::a_short_log(9)]
#[case::a_log_with_other_entries(70)]
fn stopped_at_any_write(#[case] last: u64) {
    let _lab = lab!();
    let mut seen = Vec::new();
    for write in 1..20 {
        for fault in [Fault::StopBefore, Fault::StopAfter] {
            let disk = machine();
            grow(&disk, last);
            let (engines, store) = open(&disk);
            let mut store = store.expect("it starts");
            store.handle(received(snapshot(KEY, region("b", "p")), 1));
            disk.plan(disk.writes() + write, fault);
            let (sent, _) = work(&mut store);
            let told = sent.iter().any(|m| m.msg_type() == MessageType::MsgAppendResponse && m.index == 50);
            let struck = disk.struck() > 0;
            drop((store, engines));
            disk.restart();
            let (_engines, store) = open(&disk);
            let mut store = store
                .unwrap_or_else(|e| panic!("stopped at write {write} ({fault:?}): it does not start: {e}"));
            let (_, tasks) = work(&mut store);
            let has_it = loads(&tasks) == [KEY];
            assert!(
                has_it || !told && tasks.is_empty(),
                "write {write}: it has acknowledged the snapshot, and lost it"
            );
            let peer = store.peer(7).expect("it is there");
            let log = peer.node().raft().log();
            let expected = if has_it { (51, 50, 50) } else { (6, last, 5) };
            assert_eq!(
                (log.first_index(), log.last_index(), log.committed()),
                expected,
                "write {write} ({fault:?})"
            );
            assert!(peer.term() >= log.last_term());
            seen.push(has_it);
            if !struck {
                assert!(seen.contains(&true) && seen.contains(&false), "both ends were visited");
                return;
            }
        }
    }
    panic!("taking over a snapshot has an end");
}

/// Lets the log grow, with entries that nobody has committed.
fn grow(disk: &MemDisk, last: u64) {
    let (engines, store) = open(disk);
    let mut store = store.expect("it starts");
    let entries = (10..=last).map(|index| Entry { index, term: 6, ..Default::default() }).collect();
    let append = Message {
        msg_type: MessageType::MsgAppend.into(),
        term: 6,
        index: 9,
        log_term: 6,
        entries,
        commit: 5,
        ..Default::default()
    };
    store.handle(Event::RaftMessage(from_leader(append)));
    work(&mut store);
    drop((store, engines));
    disk.restart_process();
}

/// Stopped while it loaded: loaded again, from the start, and not applied before.
#[test]
fn stopped_while_loading() {
    let _lab = lab!();
    let disk = machine();
    let (engines, store) = open(&disk);
    let mut store = store.expect("it starts");
    store.handle(received(snapshot(KEY, region("b", "p")), 1));
    work(&mut store);
    let entries = vec![Entry { index: 51, term: 9, ..Default::default() }];
    let append = Message {
        msg_type: MessageType::MsgAppend.into(),
        term: 9,
        index: 50,
        log_term: 8,
        entries,
        commit: 51,
        ..Default::default()
    };
    store.handle(Event::RaftMessage(from_leader(append)));
    work(&mut store);
    drop((store, engines));
    disk.restart();
    let (_engines, store) = open(&disk);
    let mut store = store.expect("it starts");
    assert_eq!(store.snapshots_in_use(), [KEY], "its files must stay");
    let (_, tasks) = work(&mut store);
    assert_eq!(loads(&tasks), [KEY]);
    let log = store.peer(7).expect("it is there").node().raft().log();
    assert_eq!((log.first_index(), log.last_index()), (51, 51), "the entry behind the snapshot is there");
    assert!(log.applied() < 50);
    store.handle(Event::TaskDone(TaskDone::Loaded { key: KEY, result: Ok(()) }));
    work(&mut store);
    assert!(store.peer(7).expect("it is there").apply_state().applied_index >= 50);
}

fn takes_a_good_one(store: &mut Store) {
    store.handle(received(snapshot(KEY, region("b", "p")), 9));
    let (_, tasks) = work(store);
    assert_eq!(loads(&tasks), [KEY], "and one that is of use is taken");
}

/// What is of no use is removed: an old snapshot, one for a peer that is not here, one of another region, one while
/// another is loaded.
#[rstest]
#[case::an_old_one(SnapKey { index: 5, ..KEY }, 7, 1)]
#[case::for_another_peer(KEY, 7, 9)]
#[case::of_another_region(KEY, 8, 1)]
fn what_is_of_no_use_is_removed(#[case] key: SnapKey, #[case] of_region: u64, #[case] to: u64) {
    let _lab = lab!();
    let disk = machine();
    let (_engines, store) = open(&disk);
    let mut store = store.expect("it starts");
    let described = Region { id: of_region, ..region("b", "p") };
    let mut m = snapshot(key, described);
    m.to_peer = Some(Peer { id: to, ..peer(1) });
    m.message.as_mut().expect("it has one").to = to;
    store.handle(received(m, 4));
    let (_, tasks) = work(&mut store);
    assert_eq!((loads(&tasks), removes(&tasks)), (vec![], vec![(key, SnapFileSet::Copy(4))]));
    assert_eq!(safe(&disk).region.state(), PeerState::Normal);
    takes_a_good_one(&mut store);
}

/// A snapshot in which this store has no peer, or whose members are not those of its region, would leave a store that
/// cannot start.
#[rstest]
#[case::without_this_store(vec![peer(2), peer(3)], vec![1, 2, 3])]
#[case::with_other_members(vec![peer(1), peer(2), peer(3)], vec![1, 2, 4])]
fn contradictions_are_dropped(#[case] peers: Vec<Peer>, #[case] voters: Vec<u64>) {
    let _lab = lab!();
    let disk = machine();
    let (_engines, store) = open(&disk);
    let mut store = store.expect("it starts");
    let mut m = snapshot(KEY, Region { peers, ..region("b", "p") });
    let metadata = m.message.as_mut().and_then(|m| m.snapshot.as_mut()).and_then(|s| s.metadata.as_mut());
    metadata.expect("it has it").conf_state = Some(ConfState { voters, ..Default::default() });
    store.handle(received(m, 4));
    let (_, tasks) = work(&mut store);
    assert_eq!((loads(&tasks), removes(&tasks)), (vec![], vec![(KEY, SnapFileSet::Copy(4))]));
    takes_a_good_one(&mut store);
}

/// One at a time: what comes while a snapshot is taken over counts as lost, be it the same again; and the files that
/// are needed stay.
#[rstest]
#[case::the_same(KEY)]
#[case::a_newer_one(SnapKey { index: 60, ..KEY })]
fn one_at_a_time(#[case] second: SnapKey) {
    let _lab = lab!();
    let disk = machine();
    let (_engines, store) = open(&disk);
    let mut store = store.expect("it starts");
    store.handle(received(snapshot(KEY, region("b", "p")), 1));
    store.handle(received(snapshot(second, region("b", "p")), 2));
    let (_, tasks) = work(&mut store);
    assert_eq!((loads(&tasks), removes(&tasks)), (vec![KEY], vec![(second, SnapFileSet::Copy(2))]));
    store.handle(received(snapshot(second, region("b", "p")), 3));
    let (_, tasks) = work(&mut store);
    assert_eq!((loads(&tasks), removes(&tasks)), (vec![], vec![(second, SnapFileSet::Copy(3))]));
}

/// A snapshot that comes among ordinary messages has no files: it must not be taken over.
#[test]
fn a_snapshot_without_files_is_dropped() {
    let _lab = lab!();
    let disk = machine();
    let (_engines, store) = open(&disk);
    let mut store = store.expect("it starts");
    store.handle(Event::RaftMessage(snapshot(KEY, region("b", "p"))));
    let (_, tasks) = work(&mut store);
    assert_eq!((loads(&tasks), store.snapshots_in_use()), (vec![], vec![]));
    assert_eq!(safe(&disk).region.state(), PeerState::Normal);
    takes_a_good_one(&mut store);
}

/// What it has promised to have cannot be loaded: the store stops, and says why.
#[test]
fn a_snapshot_that_cannot_be_loaded_stops_the_store() {
    let _lab = lab!();
    let disk = machine();
    let (_engines, store) = open(&disk);
    let mut store = store.expect("it starts");
    store.handle(received(snapshot(KEY, region("b", "p")), 1));
    work(&mut store);
    store.handle(Event::TaskDone(TaskDone::Loaded { key: KEY, result: Err("the file is gone".to_string()) }));
    assert!(store.has_work(), "there is a failure to tell");
    let error = store.drain(&mut |_| ()).expect_err("it stops");
    assert!(error.to_string().contains("the file is gone"), "{error}");
    assert_eq!(safe(&disk).region.state(), PeerState::Applying, "and will try again when it is started");
}
