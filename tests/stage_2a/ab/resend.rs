//! Loss, duplicates and disorder: the leader tries until it has succeeded, and nothing is done twice (sections
//! 5.3 and 5.5).

use pretty_assertions::assert_eq as assert_same;
use raftkv::proto::eraftpb::{Message, MessageType};
use raftkv_testkit::raft_net::letter::{append_reply, heartbeat_reply};
use raftkv_testkit::raft_net::{Direct, Fault, Net, Setup};
use raftkv_testkit::{Rng, lab};
use rstest::rstest;

use super::{ack, leader_among_puppets};

fn is_append(m: &Message) -> bool {
    m.msg_type() == MessageType::MsgAppend
}

fn all_have(net: &mut Net<Direct>, texts: &[&str], why: &str) {
    for id in 1..=3 {
        assert_same!(net.applied(id), texts, "what node {id} has applied: {why}");
    }
}

/// Section 5.3: the leader retries until all followers have all entries. Here the append itself is lost, the
/// first of a leadership or a later one.
#[rstest]
#[case::the_first_append(true)]
#[case::a_later_append(false)]
fn a_lost_append_is_sent_again(#[case] first: bool) {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).start();
    if first {
        net.lose_one(|m| is_append(m) && m.to == 3);
        net.elect(1);
        net.propose(1, "x");
    } else {
        net.elect(1);
        net.lose_one(|m| is_append(m) && m.to == 2 && !m.entries.is_empty());
        net.lose_one(|m| is_append(m) && m.to == 3 && !m.entries.is_empty());
        net.propose(1, "x");
    }
    net.stabilise();
    all_have(
        &mut net,
        &["x"],
        "an append to 3 was lost; when 3 answers a heartbeat the leader must send again",
    );
    net.assert_struck(&[Fault::Loss]);
}

/// The same when the acknowledgement is lost: without it the leader cannot commit.
#[test]
fn a_lost_acknowledgement_is_asked_for_again() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).start();
    net.elect(1);
    net.propose(1, "x");
    net.round();
    let lost = net.drop_where(|m| m.msg_type() == MessageType::MsgAppendResponse);
    assert!(lost >= 2, "2 and 3 have x and have said so, and both answers are lost");
    assert_eq!(net.commit(1), 1, "the leader does not know yet that 2 and 3 have x");
    net.stabilise();
    all_have(&mut net, &["x"], "both acknowledgements of x were lost: the leader must find out again");
}

/// A whole window of appends is lost, and the window is full: nothing would ever move again if the leader only
/// waited for answers.
#[test]
fn a_lost_window_does_not_block_for_ever() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).tune(|c| c.max_inflight_msgs = 3).start();
    net.elect(1);
    net.lose(|m| is_append(m) && m.to != 1);
    for i in 0..10 {
        net.propose(1, &format!("c{i}"));
    }
    net.deliver_all();
    net.heal();
    net.run_until(40, "the followers answer heartbeats, so the leader must send to them again", |net| {
        (1..=3).all(|id| net.applied(id).len() == 10)
    });
    net.assert_struck(&[Fault::Loss]);
}

/// The answer to a heartbeat shows that the follower is alive: what it lacks goes out again.
#[test]
fn an_answered_heartbeat_brings_what_is_missing() {
    let lab = lab!();
    let mut net = leader_among_puppets(&lab, 3);
    ack(&mut net, 2, 1);
    net.propose(1, "x");
    net.all_mail();
    // The append with x was lost, and 2 knows nothing of it. How many round trips it takes is not said.
    let mut arrived = false;
    for _ in 0..6 {
        net.hand(heartbeat_reply(2, 1).term(1));
        for m in net.mail(2).into_iter().filter(is_append) {
            if m.index <= 1 && m.entries.iter().any(|e| e.index == 2) {
                arrived = true;
            } else if m.index > 1 {
                net.hand(append_reply(2, 1).term(1).rejected(m.index, 1, 1));
            }
        }
        net.tick(1);
    }
    assert!(
        arrived,
        "2 answers heartbeats and has only entry 1: the leader must send entry 2 again (section 5.3)"
    );
}

/// Section 5.5: messages are idempotent. All of them arrive twice.
#[test]
fn everything_may_arrive_twice() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).start();
    net.campaign(1);
    let twice = |net: &mut Net<Direct>| {
        for _ in 0..20 {
            net.duplicate_where(|_| true);
            net.round();
            if net.on_the_wire().count() > 200 {
                net.drop_all();
            }
        }
        net.stabilise();
    };
    twice(&mut net);
    net.propose(1, "x");
    twice(&mut net);
    net.propose(1, "y");
    twice(&mut net);
    all_have(
        &mut net,
        &["x", "y"],
        "every message arrived twice, every command must be applied once (section 5.5)",
    );
    assert_same!(net.log(3), ["1@1", "2@1=x", "3@1=y"], "and must be in the log once");
    net.assert_struck(&[Fault::Duplicate]);
}

/// Messages may overtake each other.
#[test]
fn everything_may_arrive_in_any_order() {
    let lab = lab!();
    for seed in lab.seeds(10) {
        let mut rng = Rng::new(seed);
        let mut net = Setup::of(&lab, 3).tune(|c| c.max_bytes_per_msg = 4).start();
        net.elect(1);
        let expected: Vec<String> = (0..20).map(|i| format!("c{i}")).collect();
        for text in &expected {
            net.propose(1, text);
            if rng.percent(30) {
                net.reorder(&mut rng);
                net.round();
            }
        }
        net.reorder(&mut rng);
        net.run_until(60, "all 20 commands are everywhere, in whatever order the appends arrived", |net| {
            (1..=3).all(|id| net.applied(id).len() == 20)
        });
        for id in 1..=3 {
            assert_same!(
                net.applied(id),
                expected,
                "node {id} must apply the commands in the leader's order"
            );
        }
        net.assert_struck(&[Fault::Disorder]);
    }
}

/// Messages of an earlier leadership, held up on the way, change nothing when they arrive at last.
#[test]
fn old_messages_change_nothing() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).start();
    net.elect(1);
    // Appends of term 1 to 3 wait on the way.
    net.hold(|m| is_append(m) && m.to == 3);
    net.propose(1, "old");
    net.deliver_all();
    assert!(!net.held().is_empty(), "the append with \"old\" for 3 is held up");
    net.elect(2);
    net.elect(1);
    let before = net.log(1);
    net.release();
    net.stabilise();
    assert_same!(net.log(1), before, "the log of the leader of term 3");
    net.propose(1, "new");
    net.stabilise();
    all_have(
        &mut net,
        &["old", "new"],
        "appends of term 1 arrived in term 3 (section 5.1: they are out of date)",
    );
    net.assert_struck(&[Fault::Delay]);
}
