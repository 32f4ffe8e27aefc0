//! The story that broke the algorithm as it was first published (Ongaro on the raft-dev list, July 2015), told here.

use pretty_assertions::assert_eq;
use raftkv::raft::{RaftError, Role};
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::{add_node, remove_node};
use raftkv_testkit::raft_net::{Direct, Net};

use crate::group;

/// Four nodes. 1 adds 5, which only 5 and 1 hear of; 2 becomes leader and removes 1; 1 comes back. Where a change
/// counts as soon as it is in the log, and a new leader may propose one at once, 1, 4 and 5 are a majority of one
/// group, and 2 and 3 of the other: they decide differently. Here each step of that has something in its way.
#[test]
fn two_leaders_with_one_change_each() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 4);
    net.join(5);
    net.say("1 leads term 1, is cut off from 2, 3 and 4, and adds 5. Nobody else has the entry.");
    [2, 3, 4].into_iter().for_each(|id| net.cut(1, id));
    net.add(1, 5);
    net.deliver_all();
    net.ticks(1, 3);
    net.deliver_all();
    assert_eq!(
        (net.commit(1), net.last(5)),
        (2, 0),
        "a change is committed by the group before it: 1 alone is no majority of four"
    );

    net.say("2 leads term 2. It must not propose a change yet.");
    net.hold(|m| m.from == 2 && !m.entries.is_empty());
    net.elect(2);
    let error = net.try_change(2, &remove_node(1)).expect_err("2 has committed nothing in its term (rule 2)");
    assert!(matches!(error, RaftError::ConfChangeRefused(_)), "{error}");

    net.say(
        "Its first entry is committed by 2, 3 and 4: now 1 can win no election any more, and 2 removes it.",
    );
    net.release();
    net.stabilise();
    net.remove(2, 1);
    net.stabilise();
    assert_eq!((net.group(2), net.group(3)), (&[2, 3, 4][..], &[2, 3, 4][..]));

    net.say("1 asks for votes, in the group of four, for that is what it has applied.");
    net.heal();
    net.heartbeat(1);
    net.campaign(1);
    net.deliver_all();
    assert_eq!(net.role(1), Role::Follower, "3 and 4 have an entry of term 2: they refuse (section 5.4.1)");
    net.run_until(200, "2, 3 and 4 elect one of them", |net| net.leader_among(&[2, 3, 4]).is_some());
    let leader = net.leader_among(&[2, 3, 4]).expect("so it is");
    net.propose(leader, "y");
    net.stabilise();
    assert_eq!(net.applied(3), ["x", "y"]);
    assert_eq!(net.group(5), [1, 2, 3, 4], "that 5 is added was never committed, so it never was");
}

/// The other half of the story: the new leader has the earlier change in its log. Then that one is in its way (rule 1).
#[test]
fn the_second_leader_has_heard_of_the_first_change() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 4);
    net.join(5);
    net.say("The addition gets to 2, and to nobody else, before 1 is cut off.");
    net.cut(1, 3);
    net.cut(1, 4);
    net.add(1, 5);
    net.deliver_where(|m| m.to == 2);
    net.drop_all();
    net.isolate(1);
    net.hold(|m| m.from == 2 && !m.entries.is_empty());
    net.elect(2);
    net.propose(2, "y");
    for change in [remove_node(1), add_node(5)] {
        net.try_change(2, &change)
            .expect_err("the addition of 5 may be committed yet, with the next entry of 2");
    }
    net.release();
    net.stabilise();
    assert_eq!(net.group(3), [1, 2, 3, 4, 5], "and so it is");
    net.remove(2, 1);
    net.stabilise();
    assert_eq!(net.group(5), [2, 3, 4, 5]);
    assert_eq!(net.applied(5), ["x", "y"]);
}
