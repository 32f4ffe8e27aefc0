//! Elections: one that succeeds, a split vote, a leader that comes back too late.

use raftkv::raft::Role;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::Setup;

use super::net;

/// Section 5.2, from the first tick to a leader whom all follow.
#[test]
fn an_election() {
    let _lab = lab!();
    let mut net = net(Setup::seeded(1, 3));
    net.say("Three nodes start. Nobody leads, so somebody's timer runs out.");
    while net.leader().is_none() {
        net.run(1);
    }
    net.say("Heartbeats keep the leader in place.");
    net.run(2);
    insta::assert_snapshot!(net.transcript());
}

/// Section 5.2, third outcome: two candidates take half of the votes each.
#[test]
fn a_split_vote() {
    let _lab = lab!();
    let mut net = net(Setup::seeded(2, 4));
    net.say("1 and 2 stand for election at the same moment. 3 hears 1 first, 4 hears 2 first.");
    net.campaign(1);
    net.campaign(2);
    net.deliver_where(|m| (m.from, m.to) == (2, 4));
    net.deliver_all();
    net.say("Two of four votes are no majority. Timers run, and the first one to wake wins the next term.");
    while net.leader().is_none() {
        net.run(1);
    }
    insta::assert_snapshot!(net.transcript());
}

/// Section 5.1: terms tell a leader that it has been replaced.
#[test]
fn a_leader_comes_back_too_late() {
    let _lab = lab!();
    let mut net = net(Setup::seeded(3, 3));
    net.elect(1);
    net.say("1 is cut off, and 2 is elected in its place. 1 cannot know.");
    net.isolate(1);
    net.campaign(2);
    net.deliver_all();
    assert_eq!((net.role(1), net.role(2)), (Role::Leader, Role::Leader));
    net.say(
        "The link works again. The answer to its heartbeat tells 1 of term 2; the leader's heartbeat, of 2.",
    );
    net.heal();
    net.tick(1);
    net.deliver_all();
    net.heartbeat(2);
    net.heartbeat(2);
    insta::assert_snapshot!(net.transcript());
}
