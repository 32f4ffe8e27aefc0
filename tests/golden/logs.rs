//! Replication: a lost message, the logs of figure 7, figure 8, entries that give way, a restart.

use raftkv::proto::eraftpb::{Message, MessageType};
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::Setup;

use super::net;

fn is_append(m: &Message) -> bool {
    m.msg_type() == MessageType::MsgAppend
}

/// Section 5.3: an append gets lost; the others commit without it, and the next heartbeat brings it out.
#[test]
fn a_lost_append() {
    let _lab = lab!();
    let mut net = net(Setup::seeded(1, 3));
    net.elect(1);
    net.say("x is proposed. The append to 3 gets lost.");
    net.lose_one(|m| is_append(m) && m.to == 3);
    net.propose(1, "x");
    net.deliver_all();
    net.say("1 and 2 have committed x. 3's answer to the next heartbeat makes the leader look again.");
    net.heartbeat(1);
    net.say("One more heartbeat: nothing is left to do.");
    net.heartbeat(1);
    insta::assert_snapshot!(net.transcript());
}

/// Section 5.3, figure 7: case (f), a follower with entries of two terms that nobody else has. Each refusal
/// skips a whole term.
#[test]
fn figure_7_f() {
    let _lab = lab!();
    let leader = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    let follower = [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3];
    let setup = Setup::seeded(1, 3).log(1, &leader).log(2, &follower).log(3, &leader[..9]).term(1, 7, 0);
    let mut net = net(setup);
    net.say("1 has the log of figure 7's leader, 2 that of case (f), 3 that of case (a).");
    net.campaign(1);
    net.deliver_all();
    insta::assert_snapshot!(net.transcript());
}

/// Section 5.4.2, figure 8: an entry on a majority, and why it is not committed.
#[test]
fn figure_8() {
    let _lab = lab!();
    let setup = Setup::seeded(1, 5).log(1, &[1, 2]).log(2, &[1]).log(3, &[1]).log(4, &[1]).log(5, &[1, 3]);
    let setup = setup.term(1, 3, 0).term(2, 3, 0).term(3, 3, 0).term(4, 3, 0);
    let mut net = net(setup.tune(|c| c.max_bytes_per_msg = 1));
    net.say(
        "S1 is elected in term 4 with the votes of S2 and S3. They lack 2@2, and refuse what follows it.",
    );
    net.partition(&[4, 5]);
    net.campaign(1);
    while net.terms(2) != [1, 2] || net.terms(3) != [1, 2] {
        net.deliver_one();
    }
    net.say(
        "(c) S2 and S3 have 2@2, a majority with S1. S1's own 3@4 reaches nobody. S1 must not commit 2@2.",
    );
    net.lose(|m| is_append(m) && m.entries.iter().any(|e| e.term == 4));
    net.deliver_all();
    net.say("(d) S1 crashes. S5 first learns of term 4, then wins: its 2@3 is later than 2@2.");
    net.crash(1);
    net.heal();
    net.campaign(5);
    net.deliver_all();
    net.campaign(5);
    net.deliver_all();
    net.say(
        "2@2 is gone from the majority that had it. Had it been committed, a committed entry would be lost.",
    );
    insta::assert_snapshot!(net.transcript());
}

/// Section 5.3: what a leader could not get to a majority gives way to its successor's entries.
#[test]
fn a_leader_change_with_conflicting_entries() {
    let _lab = lab!();
    let mut net = net(Setup::seeded(1, 3));
    net.elect(1);
    net.say("1 is cut off, and takes two commands that it cannot replicate.");
    net.isolate(1);
    net.propose(1, "lost 1");
    net.propose(1, "lost 2");
    net.deliver_all();
    net.say("2 is elected and commits a command of its own.");
    net.campaign(2);
    net.deliver_all();
    net.propose(2, "kept");
    net.deliver_all();
    net.say("1 comes back: its entries 2 and 3 give way.");
    net.heal();
    net.heartbeat(2);
    net.heartbeat(2);
    insta::assert_snapshot!(net.transcript());
}

/// Figure 2, persistent state: what a node still knows after a crash, and what it does not.
#[test]
fn a_restart() {
    let _lab = lab!();
    let mut net = net(Setup::seeded(1, 3));
    net.elect(1);
    net.propose(1, "x");
    net.deliver_all();
    net.say(
        "The leader's disk is slow. It sends y, but does not count itself; 2 has it, which is no majority.",
    );
    net.hold_disk(1);
    net.cut(1, 3);
    net.propose(1, "y");
    net.deliver_all();
    net.say("It crashes: y was never on its disk. But 2 has it.");
    net.crash(1);
    net.heal();
    net.restart(1);
    net.say("2 is elected by 1 and 3: its log is the best. y is committed after all.");
    net.campaign(2);
    net.deliver_all();
    net.heartbeat(2);
    insta::assert_snapshot!(net.transcript());
}
