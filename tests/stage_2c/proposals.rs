//! Commands whose place in the log a snapshot has taken.

use raftkv::error::Error;
use raftkv::proto::raft_cmdpb::{CmdType, PutRequest, RaftCmdRequest, RaftRequestHeader, Request};
use raftkv_testkit::lab;
use raftkv_testkit::sim::{REGION, Sim, millis, secs};

use crate::story::{catches_up, others_compact, setup};

fn put(sim: &Sim, store: u64, key: &str) -> RaftCmdRequest {
    let context = sim.context(REGION, store);
    let (region_id, peer, region_epoch) = (context.region_id, context.peer, context.region_epoch);
    let header = Some(RaftRequestHeader { region_id, peer, region_epoch, ..Default::default() });
    let key = key.to_string().into();
    let put = PutRequest { cf: "default".into(), key, value: "x".into() };
    let put = Request { cmd_type: CmdType::Put.into(), put: Some(put), ..Default::default() };
    RaftCmdRequest { header, requests: vec![put], admin_request: None }
}

/// An old leader has taken commands that nobody else has. A snapshot replaces its log: whoever waits is answered, and
/// not with success.
#[test]
fn who_waits_is_answered() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).start();
    sim.put("a", "1");
    let old = sim.leader();
    sim.settle();
    let last = sim.peer(old).node().raft().log().last_index();
    sim.isolate(old);
    let lost: Vec<u64> = (0..3)
        .map(|n| {
            let request = put(&sim, old, &format!("lost{n}"));
            sim.begin_command(old, request)
        })
        .collect();
    others_compact(&mut sim, old, last + 10);
    sim.heal();
    catches_up(&mut sim, old);
    for id in lost {
        let reply = sim.take_reply(id).expect("its entry is gone for good: it must be answered");
        assert!(reply.is_err(), "it was never carried out");
    }
    assert_eq!(sim.data(old, "lost0"), None);
    sim.finish();
}

/// The command was committed by the others, and the old leader does not know: its log says nothing about it any more.
/// It must not say that it was not carried out (a client would ask again), nor that it was.
#[test]
fn who_may_be_in_the_snapshot_is_told_that_nobody_knows() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).start();
    sim.put("a", "1");
    let old = sim.leader();
    sim.settle();
    let others = sim.others(old);
    for id in &others {
        sim.cut(*id, old);
    }
    let request = put(&sim, old, "kept");
    let kept = sim.begin_command(old, request);
    let index = sim.peer(old).node().raft().log().last_index();
    sim.until("the entry reaches the others", secs(5), |sim| {
        sim.peer(others[0]).node().raft().log().last_index() >= index
    });
    sim.run(millis(20));
    sim.isolate(old);
    sim.until("the others elect a leader", secs(10), |sim| sim.elected().is_some_and(|id| id != old));
    assert_eq!(sim.get("kept"), Some("x".into()), "a new leader commits what it finds (section 5.4.2)");
    others_compact(&mut sim, old, index);
    sim.heal();
    catches_up(&mut sim, old);
    match sim.take_reply(kept).expect("it is answered") {
        Err(Error::Undetermined(_)) => {}
        other => panic!(
            "the command is in the snapshot, and its peer cannot know that: the only true answer is Error::Undetermined, not {other:?}"
        ),
    }
    sim.finish();
}
