//! Two become one: the delicate case. Until the one that stays knows that the other is removed, it needs the other's
//! vote.

use std::cell::Cell;
use std::rc::Rc;

use pretty_assertions::assert_eq;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::{Direct, Driver, Fault, Net, Readied, Setup};
use rstest::rstest;

/// What else happens while 1 leads and one of the two is removed.
#[derive(Clone, Copy, Debug)]
enum Traffic {
    /// Nothing.
    None,
    /// A command right behind the change, in the same append.
    Same,
    /// A command a moment later, in an append of its own.
    Later,
}

/// Two nodes, of which 1 leads. `leaving` is removed, while the n-th message gets lost. True if there was an n-th.
#[track_caller]
fn story<D: Driver>(seed: u64, leaving: u64, traffic: Traffic, n: u64) -> bool {
    let staying = 3 - leaving;
    let mut net: Net<D> = Setup::seeded(seed, 2).start_as();
    net.elect(1);
    net.propose(1, "before");
    net.stabilise();
    let sent = Rc::new(Cell::new(0));
    let count = sent.clone();
    net.lose(move |_| {
        count.set(count.get() + 1);
        count.get() == n
    });
    let change = raftkv_testkit::raft_net::letter::remove_node(leaving);
    match traffic {
        Traffic::None => net.remove(1, leaving),
        Traffic::Same => net.at_once(1, |peer| {
            peer.propose_conf_change(&change)?;
            peer.propose(bytes::Bytes::from_static(b"meanwhile"))
        }),
        Traffic::Later => {
            net.remove(1, leaving);
            net.propose(1, "meanwhile");
        }
    }
    net.run_until(
        200,
        "the one that stays must lead alone, for the other one still answers (thesis, section 4.2.2)",
        |net| net.leader() == Some(staying) && net.group(staying) == [staying],
    );
    net.propose(staying, "after");
    net.run_until(50, "one of one is a majority", |net| {
        net.applied(staying).last().is_some_and(|c| c == "after")
    });
    net.run(50);
    assert_eq!(net.applied(staying)[0], "before");
    let lost = sent.get() >= n;
    assert!(!lost || net.struck(Fault::Loss) == 1);
    lost
}

/// Whichever message gets lost, the leader that is removed leaves a group behind that goes on; and so does the
/// follower.
#[rstest]
fn any_message_may_get_lost(
    #[values(1, 2)] leaving: u64,
    #[values(Traffic::None, Traffic::Same, Traffic::Later)] traffic: Traffic,
) {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let direct = (1..).take_while(|n| story::<Direct>(seed, leaving, traffic, *n)).count();
        let readied = (1..).take_while(|n| story::<Readied>(seed, leaving, traffic, *n)).count();
        assert!(direct > 3 && readied > 3, "only {direct} and {readied} messages were there to be lost");
    }
}

/// The one that stays crashes and starts again, after any message, with what it had not written lost: the other one
/// still has it.
#[rstest]
fn the_one_that_stays_may_crash(#[values(1, 2)] leaving: u64, #[values(true, false)] slow_disk: bool) {
    let lab = lab!();
    let staying = 3 - leaving;
    for at in 0..12 {
        let mut net: Net<Direct> = Setup::of(&lab, 2).start();
        net.elect(1);
        net.propose(1, "before");
        net.stabilise();
        net.remove(1, leaving);
        for _ in 0..at {
            net.deliver_one();
        }
        if slow_disk {
            net.hold_disk(staying);
        }
        if net.role(1) == raftkv::raft::Role::Leader {
            net.propose(1, "meanwhile");
        }
        net.round();
        net.crash(staying);
        net.restart(staying);
        net.run_until(200, "the other one still answers (thesis, section 4.2.2)", |net| {
            net.leader() == Some(staying) && net.group(staying) == [staying]
        });
        net.propose(staying, "after");
        net.run(20);
        assert_eq!(net.applied(staying).last().map(String::as_str), Some("after"), "after {at} messages");
        net.assert_struck(&[Fault::Crash]);
    }
}

/// And once the one that stays knows that it is alone, the other one may be destroyed.
#[rstest]
fn then_the_other_one_may_go(#[values(1, 2)] leaving: u64) {
    let lab = lab!();
    let staying = 3 - leaving;
    let mut net: Net<Readied> = Setup::of(&lab, 2).start_raw_nodes();
    net.elect(1);
    net.remove(1, leaving);
    net.run_until(100, "it learns that it is alone", |net| net.group(staying) == [staying]);
    net.crash(leaving);
    net.run_until(40, "one of one is a majority", |net| net.leader() == Some(staying));
    net.propose(staying, "after");
    assert_eq!(net.applied(staying), ["after"]);
}
