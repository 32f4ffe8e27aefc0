//! What lies on the disks: where other programs, and later stages, look for it.

use pretty_assertions::assert_eq;
use prost::Message;
use raftkv::engine::{Cf, Engine, WriteBatch, keys};
use raftkv::proto::eraftpb::{ConfChange, Entry, EntryType, HardState};
use raftkv::proto::raft_cmdpb::{CmdType, RaftCmdRequest, Request};
use raftkv::proto::raft_serverpb::{PeerState, RaftApplyState, RaftLocalState, RegionLocalState};
use raftkv::raftstore::{Config, Engines, Store};
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, Setup, Sim, millis, put_request, secs};
use rstest::rstest;

use crate::commands::{command, delete, put, swap};

fn record<M: Message + Default>(engine: &dyn Engine, cf: Cf, key: &[u8]) -> M {
    let value =
        engine.snapshot().get(cf, key).expect("the disk can be read").expect("there is such a record");
    M::decode(value).expect("the record can be read")
}

/// The table of the handout: after an election and one put, on every store.
#[test]
fn records_lie_where_the_table_says() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    sim.put("a", "1");
    let leader = sim.leader();
    sim.settle();
    let term = sim.peer(leader).term();
    for id in 1..=3 {
        let Engines { kv, raft } = sim.store(id).engines();
        let (last, applied) =
            (sim.peer(id).node().raft().log().last_index(), sim.peer(id).apply_state().applied_index);
        let state: RaftLocalState = record(&**raft, Cf::Default, &keys::raft_state(1));
        let hard_state = state.hard_state.expect("a RaftLocalState has a hard state");
        assert_eq!((hard_state.term, state.last_index), (term, last), "store {id}: RaftLocalState");
        let entry: Entry = record(&**raft, Cf::Default, &keys::raft_log(1, last));
        assert_eq!((entry.index, entry.term), (last, term), "store {id}: the last entry");
        let state: RaftApplyState = record(&**kv, Cf::Raft, &keys::apply_state(1));
        assert_eq!(state.applied_index, applied, "store {id}: RaftApplyState");
        let state: RegionLocalState = record(&**kv, Cf::Raft, &keys::region_state(1));
        assert_eq!(
            (state.state(), state.region.as_ref()),
            (PeerState::Normal, Some(sim.region(1))),
            "store {id}"
        );
        assert_eq!(sim.data(id, "a"), Some("1".into()), "store {id}: the data, under the client's own key");
    }
    sim.finish();
}

/// Whatever was acknowledged is in the logs on the disks of a majority, at the moment in which the answer leaves.
#[test]
fn an_acknowledged_put_is_in_the_logs_of_a_majority() {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let mut sim = Setup::seeded(seed, 5).start();
        let leader = sim.leader();
        for n in 0..10 {
            let value = n.to_string();
            let request = command(&sim, leader, vec![put("a", &value)]);
            let id = sim.begin_command(leader, request);
            sim.until("the put is answered", secs(5), |sim| sim.peer(leader).pending() == 0);
            assert!(sim.take_reply(id).is_some_and(|reply| reply.is_ok()), "it is carried out");
            let holders = sim.holders_of_put("a", &value);
            assert!(
                holders.len() >= 3,
                "a={value} is acknowledged, and in the logs on the disks of {holders:?} only: the log is where it has to be, and \
                 three of five are a majority"
            );
        }
        sim.finish();
    }
}

/// The command of an entry is the request as the client sent it, with its header: that is what the check at apply time
/// looks at.
#[test]
fn an_entry_holds_the_request() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    let leader = sim.leader();
    let request = command(&sim, leader, vec![put("a", "1"), delete("b")]);
    sim.command(leader, request.clone()).expect("it is answered").expect("it is carried out");
    sim.settle();
    for id in 1..=3 {
        let last = sim.log_on_disk(id).pop().expect("the log is not empty");
        let entry = RaftCmdRequest::decode(last.data).expect("an entry holds a RaftCmdRequest");
        assert_eq!(entry, request, "store {id}");
    }
    sim.finish();
}

/// Stores whose logs of region 1 have these entries behind index 5, all committed, and none applied. They start; store
/// 1 is cut off. Region 1 ends at m.
fn start_with(lab: &raftkv_testkit::Lab, entries: &[Entry], last_index: u64) -> Sim {
    let mut sim = Setup::of(lab, 3).regions(&["", "m"]).start();
    (1..=3).for_each(|id| sim.shut_down(id));
    sim.isolate(1);
    for id in 1..=3 {
        sim.edit_disk(id, |engines| {
            let mut batch = WriteBatch::new();
            for entry in entries {
                batch.put(Cf::Default, keys::raft_log(1, entry.index), entry.encode_to_vec());
            }
            let hard_state = Some(HardState { term: 6, vote: 2, commit: last_index });
            let state = RaftLocalState { hard_state, last_index };
            batch.put(Cf::Default, keys::raft_state(1), state.encode_to_vec());
            engines.raft.write(batch, true).expect("the disk is good");
        });
    }
    (1..=3).for_each(|id| sim.restart(id));
    sim
}

fn entry_of(sim: &Sim, index: u64, requests: Vec<Request>) -> Entry {
    Entry { index, term: 6, data: command(sim, 2, requests).encode_to_vec().into(), ..Default::default() }
}

fn a_log(lab: &raftkv_testkit::Lab) -> Vec<Entry> {
    let sim = Setup::of(lab, 3).regions(&["", "m"]).start();
    vec![
        Entry { index: 6, term: 6, ..Default::default() },
        entry_of(&sim, 7, vec![put("a", "1"), put("b", "1")]),
        entry_of(&sim, 8, vec![swap("a", Some("1"), "2"), delete("b")]),
    ]
}

/// A store that starts with committed entries on its disk carries them out, in their order, before it hears from
/// anybody.
#[test]
fn a_store_finds_its_log_again() {
    let lab = lab!();
    let mut sim = start_with(&lab, &a_log(&lab), 8);
    let raft = sim.peer(1).node().raft();
    assert_eq!(
        (raft.term(), raft.vote(), raft.commit()),
        (6, 2, 8),
        "term, vote and commit index are on the disk"
    );
    sim.until("what is committed is applied", millis(200), |sim| {
        sim.peer(1).apply_state().applied_index == 8
    });
    assert_eq!((sim.data(1, "a"), sim.data(1, "b")), (Some("2".into()), None), "7@6 and 8@6 are carried out");
    sim.finish();
}

/// The disk may hold more entries than the log: an old leader's, whose places the new one has not needed yet. The log
/// ends at `last_index`.
#[test]
fn what_lies_behind_the_end_is_no_part_of_the_log() {
    let lab = lab!();
    let mut log = a_log(&lab);
    log.push(Entry { term: 5, ..entry_of(&start_with(&lab, &log, 8), 9, vec![put("a", "old")]) });
    let mut sim = start_with(&lab, &log, 8);
    assert_eq!(sim.peer(1).node().raft().log().last_index(), 8, "`last_index` of the RaftLocalState is 8");
    sim.finish();
    assert_eq!(sim.data(1, "a"), Some("2".into()), "the old entry is not carried out");
}

/// A command that was proposed for another edition of the region, or for keys that it no longer holds, is in the log
/// all the same if the region has changed in between. When it is applied, it changes nothing, on any peer; the entries
/// behind it are carried out.
#[rstest]
#[case::another_epoch(4, "a")]
#[case::a_key_of_another_region(1, "z")]
#[case::no_key(1, "")]
fn a_command_is_checked_again_when_it_is_applied(#[case] version: u64, #[case] key: &str) {
    let lab = lab!();
    let mut log = a_log(&lab);
    let mut late = RaftCmdRequest::decode(log[1].data.clone()).expect("it has just been made");
    let header = late.header.as_mut().expect("it has one");
    header.region_epoch.as_mut().expect("it has one").version = version;
    late.requests = vec![put("c", "late"), put(key, "late")];
    log.insert(2, Entry { index: 8, term: 6, data: late.encode_to_vec().into(), ..Default::default() });
    log[3].index = 9;
    let mut sim = start_with(&lab, &log, 9);
    sim.until("what is committed is applied", millis(200), |sim| {
        sim.peer(1).apply_state().applied_index == 9
    });
    assert_eq!(sim.data(1, "c"), None, "nothing of the late command is carried out");
    assert_eq!(sim.data(1, "a"), Some("2".into()), "the command behind it is");
    assert!(sim.is_up(1), "a client's command cannot stop a store");
    sim.finish();
}

/// In an entry that changes the group, the command is the context of that change (`Peer::read_entry`). Nobody makes
/// such entries before stage 3b; but what reads a log must know where the commands in it are.
#[test]
fn a_command_may_be_in_the_context_of_a_change() {
    let lab = lab!();
    let mut log = a_log(&lab);
    let change = ConfChange { context: log[1].data.clone(), ..Default::default() };
    log[1].set_entry_type(EntryType::EntryConfChange);
    log[1].data = change.encode_to_vec().into();
    let mut sim = start_with(&lab, &log, 8);
    sim.until("what is committed is applied", millis(200), |sim| {
        sim.peer(1).apply_state().applied_index == 8
    });
    assert_eq!(sim.data(1, "a").as_deref(), Some(&b"2"[..]), "put in 7, swapped in 8");
}

/// An entry that cannot be read stops the store: it would never again hold what the others hold. It says so, and
/// applies nothing from there on.
#[test]
fn an_entry_that_cannot_be_read_stops_the_store() {
    let lab = lab!();
    let mut log = a_log(&lab);
    log[2].data = vec![0xff; 10].into();
    let mut sim = start_with(&lab, &log, 8);
    sim.until("the store comes to that entry, and stops", secs(1), |sim| sim.stopped(1).is_some());
    let why = sim.stopped(1).unwrap_or_default().to_string();
    assert!(why.contains("entry 8"), "it says which entry: {why}");
}

/// A log with a hole is a damaged disk: the store must not start and go on as if the log were shorter.
#[test]
fn a_log_with_a_hole_does_not_start() {
    let lab = lab!();
    let mut sim = start_with(&lab, &a_log(&lab), 8);
    sim.run(millis(50));
    sim.shut_down(1);
    sim.edit_disk(1, |engines| {
        let mut batch = WriteBatch::new();
        batch.delete(Cf::Default, keys::raft_log(1, 7));
        engines.raft.write(batch, true).expect("the disk is good");
        assert!(Store::open(Config::default(), engines.clone()).is_err(), "entry 7 of 6..8 is gone");
    });
}

/// A response leaves after the data is written: who has heard "done" and looks at the store finds it.
#[test]
fn the_leader_has_applied_what_it_acknowledges() {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let mut sim = Setup::seeded(seed, 3).start();
        let leader = sim.leader();
        for n in 0..10 {
            let value = n.to_string();
            let call = sim.begin_at(leader, put_request("", "a", &value));
            sim.until("the put is answered", secs(5), |sim| sim.ending(call).is_some());
            assert_eq!(sim.data(leader, "a"), Some(value.into()), "it was acknowledged");
        }
        sim.finish();
    }
}

/// Clients cannot reach the records: a key that looks like one is a key like any other.
#[test]
fn records_are_out_of_reach() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    let leader = sim.leader();
    for key in [keys::apply_state(1), keys::region_state(1), keys::store_ident(), keys::raft_state(1)] {
        let put = raftkv::proto::raft_cmdpb::PutRequest { cf: String::new(), key, value: "x".into() };
        let request = Request { cmd_type: CmdType::Put.into(), put: Some(put), ..Default::default() };
        let request = command(&sim, leader, vec![request]);
        sim.command(leader, request).expect("it is answered").expect("it is carried out");
    }
    (1..=3).for_each(|id| sim.crash(id));
    (1..=3).for_each(|id| sim.restart(id));
    sim.put("a", "1");
    sim.finish();
    sim.assert_struck(&[Fault::Crash]);
}
