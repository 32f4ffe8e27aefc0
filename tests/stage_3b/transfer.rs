//! Another peer is to lead (thesis, section 3.10): a command that is answered at once, and does not go through the log.

use pretty_assertions::assert_eq;
use raftkv::error::Error;
use raftkv::proto::eraftpb::MessageType::{MsgAppend, MsgTimeoutNow};
use raftkv::proto::metapb::Peer;
use raftkv::proto::raft_cmdpb::AdminCmdType;
use raftkv::raftstore::CommandResult;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, Setup, millis, transfer_leader};
use rstest::rstest;

use crate::lone::Lone;
use crate::messages::{ID, Vary, at, change, peer, put_in, region, remove};

fn not_leader(result: &CommandResult) -> Option<Option<u64>> {
    let Err(Error::Region(error)) = result else { return None };
    error.not_leader.as_ref().map(|error| error.leader.map(|leader| leader.id))
}

/// Whoever is wanted, leads, again and again, and clients lose nothing.
#[rstest]
fn whoever_is_wanted(#[values(2, 3, 5)] stores: u64) {
    let lab = lab!();
    let mut sim = Setup::of(&lab, stores).start();
    sim.put("a", "0");
    for round in 1..=6 {
        let to = 1 + round % stores;
        sim.transfer(1, to);
        sim.put("a", &round.to_string());
        assert_eq!(sim.get("a"), Some(round.to_string().into()));
    }
    sim.finish();
    sim.assert_struck(&[Fault::LeaderHandedOver]);
}

/// The answer says that it has begun, and comes at once: nothing is written for it, nobody is asked. Then the wanted
/// one is told to stand for election.
#[test]
fn answered_at_once() {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    lone.elect();
    let last = lone.last_index(ID);
    let (id, said) = lone.begin(change(&region(), transfer_leader(peer(2))));
    let (replied, result) = said.replies.first().expect("the answer comes at once");
    assert_eq!((*replied, said.replies.len()), (id, 1), "once");
    let response = &result.as_ref().expect("peer 2 is a member").response;
    let admin_response = response.admin_response.as_ref().expect("the response to a change of the region");
    assert_eq!(admin_response.cmd_type(), AdminCmdType::TransferLeader);
    assert!(admin_response.transfer_leader.is_some());
    assert_eq!(response.header.as_ref().map(|header| header.current_term), Some(lone.peer(ID).term()));
    assert_eq!(lone.last_index(ID), last, "it is no entry of the log");
    assert_eq!(lone.peer(ID).pending(), 0, "nobody waits for it");
    assert!(said.has(MsgTimeoutNow), "peer 2 has the whole log: it is told to stand for election");
}

/// While the leadership is being handed over, no commands are taken: the next leader would lack them. The refusal gives
/// no hint: whoever is to be the next leader is none yet. When it is given up, commands are taken again.
#[test]
fn meanwhile_no_commands() {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    lone.elect();
    lone.begin(change(&region(), transfer_leader(peer(3))));
    let before = lone.last_index(ID);
    for request in [put_in(&region(), "c"), change(&region(), remove(peer(2)))] {
        let (_, said) = lone.begin(request);
        let (_, result) = said.replies.first().expect("a refusal comes at once");
        assert_eq!(not_leader(result), Some(None), "NotLeader, without a hint: {result:?}");
    }
    assert_eq!(lone.last_index(ID), before, "nothing is in the log that peer 3 would lack");
    lone.tick(11);
    let (_, said) = lone.begin(put_in(&region(), "c"));
    assert_eq!(
        said.replies.len(),
        0,
        "after an election timeout the transfer is given up: the command is taken"
    );
    assert!(said.has(MsgAppend), "and sent to the others");
    assert_eq!(lone.last_index(ID), before + 1);
}

/// Somebody changes his mind: whom he wants last is to lead (thesis, section 3.10: a transfer is a wish, not a
/// promise).
#[test]
fn the_last_wish_counts() {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    lone.elect();
    // Peer 3 has not acknowledged everything, so it has to catch up first.
    lone.begin(change(&region(), transfer_leader(peer(3))));
    let (_, said) = lone.begin(change(&region(), transfer_leader(peer(2))));
    assert!(said.replies.first().is_some_and(|(_, result)| result.is_ok()), "{:?}", said.replies);
    let told: Vec<u64> = said.of_type(MsgTimeoutNow).iter().map(|m| m.to).collect();
    assert_eq!(told, [2], "peer 2 has the whole log: it is told at once");
}

/// Who is no member cannot lead: `BadCommand`, and nothing happens.
#[rstest]
#[case::a_stranger(at(9, 9))]
#[case::a_removed_one(at(4, 4))]
#[case::a_member_on_another_store(at(2, 3))]
fn to_a_stranger(#[case] to: Peer) {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    lone.elect();
    let (_, said) = lone.begin(change(&region(), transfer_leader(to)));
    assert!(matches!(said.replies.first(), Some((_, Err(Error::Rejected(_))))), "{:?}", said.replies);
    let (_, said) = lone.begin(put_in(&region(), "c"));
    assert_eq!(said.replies.len(), 0, "commands are taken as before");
    let (_, said) = lone.begin(change(&region(), transfer_leader(peer(2))));
    assert!(
        said.replies.first().is_some_and(|(_, result)| result.is_ok()),
        "a member can lead: {:?}",
        said.replies
    );
}

/// It is a change of the region: made for another edition of it, it is refused, with the edition of now.
#[rstest]
#[case::older(4, 30)]
#[case::newer(6, 30)]
#[case::another_version(5, 29)]
fn of_another_edition(#[case] conf_ver: u64, #[case] version: u64) {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    lone.elect();
    let (_, said) = lone.begin(change(&region().edition(conf_ver, version), transfer_leader(peer(2))));
    let Some((_, Err(Error::Region(error)))) = said.replies.first() else {
        panic!("EpochNotMatch was expected, for another edition of the region: {:?}", said.replies)
    };
    let regions = error.epoch_not_match.as_ref().map(|error| &error.current_regions[..]);
    assert_eq!(regions, Some(&[region()][..]), "EpochNotMatch, with the region of now");
    assert!(!said.has(MsgTimeoutNow));
    let (_, said) = lone.begin(change(&region(), transfer_leader(peer(2))));
    assert!(said.has(MsgTimeoutNow), "made for the edition of now, it begins: {:?}", said.replies);
}

/// A follower refuses, and names the leader; it does not pass the wish on.
#[test]
fn asked_at_a_follower() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    sim.transfer(1, 1);
    sim.settle();
    let to = *sim.region(1).peer_on(3).expect("it is a member");
    let answer = sim.admin(2, 1, transfer_leader(to)).expect("it is answered");
    assert_eq!(not_leader(&answer), Some(Some(1)), "NotLeader, and who leads: {answer:?}");
    sim.run(millis(300));
    assert_eq!(sim.leader(), 1);
    sim.finish();
}

/// The wanted one is late: it gets what it lacks first, and clients lose nothing of what was acknowledged.
#[test]
fn to_one_that_is_late() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    sim.transfer(1, 1);
    sim.isolate(3);
    for n in 0..20 {
        sim.put(&format!("k{n}"), "1");
    }
    sim.heal();
    sim.transfer(1, 3);
    for n in 0..20 {
        assert_eq!(sim.get(&format!("k{n}")), Some("1".into()));
    }
    sim.finish();
}

/// The wanted one is down: nothing changes, and after an election timeout clients are served again.
#[test]
fn to_one_that_is_down() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    sim.transfer(1, 1);
    sim.crash(3);
    let to = *sim.region(1).peer_on(3).expect("it is a member");
    assert!(sim.admin(1, 1, transfer_leader(to)).expect("it is answered").is_ok(), "it has begun");
    let begun = sim.now();
    sim.put("a", "1");
    assert!(
        sim.now() - begun < millis(700),
        "given up after 10 ticks; the put came after {} us",
        sim.now() - begun
    );
    assert_eq!(sim.leader(), 1);
    sim.restart(3);
    sim.finish();
}
