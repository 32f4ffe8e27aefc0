//! Replication under random trouble: safety at every step, then progress once the trouble ends.

use pretty_assertions::assert_eq as assert_same;
use raftkv::proto::eraftpb::MessageType;
use raftkv_testkit::raft_net::{Chaos, Direct, Net, Setup};
use raftkv_testkit::{Rng, lab};
use rstest::rstest;

/// The trouble is over: the group must elect a leader, and a new command must get everywhere.
fn must_make_progress(net: &mut Net<Direct>, nodes: u64) {
    net.calm();
    net.run_until(
        600,
        "all nodes are up and hear each other: they must agree on a leader (section 5.2)",
        |net| net.agreed_leader().is_some(),
    );
    let leader = net.leader().expect("just elected");
    net.propose(leader, "the end");
    net.run_until(60, "a command to a stable leader must reach every state machine (section 5.3)", |net| {
        (1..=nodes).all(|id| net.applied(id).iter().any(|text| text == "the end"))
    });
    net.stabilise();
    let ids: Vec<u64> = (1..=nodes).collect();
    assert!(net.same_logs(&ids), "everything is replicated: all logs must be the same");
    for id in ids {
        assert_same!(net.applied(id), net.applied(leader), "node {id} must have applied the same commands");
    }
}

/// Messages are lost, doubled and overtaken, links are cut, disks are slow, nodes crash and restart, clients
/// propose anywhere. At every step the kit checks the properties of figure 3 and the rest of its list; when
/// the trouble ends, the group must go on.
#[rstest]
#[case::one(1)]
#[case::two(2)]
#[case::three(3)]
#[case::four(4)]
#[case::five(5)]
fn replication_is_safe_in_trouble_and_goes_on_after_it(#[case] nodes: u64) {
    let lab = lab!();
    for seed in lab.seeds(6) {
        let mut rng = Rng::new(seed);
        let mut net = Setup::of(&lab, nodes).start();
        net.chaos(&mut rng, 2000, Chaos::new(true));
        must_make_progress(&mut net, nodes);
    }
}

/// The same with tiny appends and a tiny window, so that every follower is always behind.
#[test]
fn small_appends_and_a_small_window_are_safe_too() {
    let lab = lab!();
    for seed in lab.seeds(6) {
        let mut rng = Rng::new(seed);
        let tune = |c: &mut raftkv::raft::Config| (c.max_bytes_per_msg, c.max_inflight_msgs) = (4, 2);
        let mut net = Setup::of(&lab, 3).tune(tune).start();
        net.chaos(&mut rng, 2000, Chaos { propose: 15, ..Chaos::new(true) });
        must_make_progress(&mut net, 3);
    }
}

/// Many changes of leadership: half of what leaders say is lost, and clients propose all the time. Logs fork
/// often, and must come together again.
#[test]
fn forked_logs_come_together_again() {
    let lab = lab!();
    for seed in lab.seeds(6) {
        let mut rng = Rng::new(seed);
        let mut net = Setup::of(&lab, 5).start();
        let mut dice = Rng::new(seed ^ 1);
        net.lose(move |m| {
            let leads = [MessageType::MsgAppend, MessageType::MsgHeartbeat].contains(&m.msg_type());
            leads && dice.percent(60)
        });
        net.chaos(&mut rng, 3000, Chaos { tick: 40, propose: 10, cut: 0, ..Chaos::new(true) });
        must_make_progress(&mut net, 5);
    }
}
