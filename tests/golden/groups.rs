//! Leadership transfer and changes of the group.

use raftkv_testkit::lab;
use raftkv_testkit::raft_net::Setup;

use super::net;

/// Thesis, section 3.10: a leader brings its successor up to date, and hands over.
#[test]
fn a_transfer() {
    let _lab = lab!();
    let mut net = net(Setup::seeded(1, 3));
    net.elect(1);
    net.say("3 misses a command.");
    net.isolate(3);
    net.propose(1, "x");
    net.deliver_all();
    net.heal();
    net.say("1 is asked to make it leader. It sends what 3 lacks, takes no commands meanwhile, and tells it to begin.");
    net.transfer(1, 3);
    let _ = net.try_propose(1, "y");
    net.deliver_all();
    insta::assert_snapshot!(net.transcript());
}

/// Thesis, section 4.1: a member comes, gets the log, and counts.
#[test]
fn a_member_is_added() {
    let _lab = lab!();
    let mut net = net(Setup::seeded(1, 2));
    net.elect(1);
    net.propose(1, "x");
    net.stabilise();
    net.join(3);
    net.say("The change is an entry of the log. 1 and 2 commit it; it counts for each when it is applied.");
    net.add(1, 3);
    net.deliver_all();
    net.say("2 is down: 1 and 3 are two of three.");
    net.crash(2);
    net.propose(1, "y");
    net.deliver_all();
    insta::assert_snapshot!(net.transcript());
}

/// Two become one, and the one that goes holds an entry more than the one that stays.
#[test]
fn a_removed_leader_that_holds_more() {
    let _lab = lab!();
    let mut net = net(Setup::seeded(1, 2));
    net.elect(1);
    net.say("1 removes itself. Of what it sends after that, nothing arrives.");
    net.remove(1, 1);
    net.hold(|m| m.from == 1 && m.index > 1);
    net.propose(1, "x");
    net.deliver_all();
    net.say("2 does not know that the change is committed: it needs the vote of 1, which holds more and must refuse.");
    net.campaign(2);
    net.deliver_all();
    net.say("But 1 has said with its refusal what is committed.");
    net.campaign(2);
    net.deliver_all();
    insta::assert_snapshot!(net.transcript());
}
