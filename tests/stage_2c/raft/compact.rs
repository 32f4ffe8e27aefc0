//! The beginning of a log is dropped (section 7).

use pretty_assertions::assert_eq;
use raftkv::raft::Role;
use raftkv_testkit::raft_net::letter::{append, vote_request};
use raftkv_testkit::raft_net::{Net, Readied, Setup};
use raftkv_testkit::{Lab, lab};

/// Three nodes, of which 1 leads, with 20 commands everywhere.
fn group(lab: &Lab) -> Net<Readied> {
    let mut net = Setup::of(lab, 3).start_raw_nodes();
    net.elect(1);
    for n in 0..20 {
        net.propose(1, &format!("c{n}"));
    }
    net.stabilise();
    assert_eq!(net.applied(3).len(), 20);
    net
}

/// When the owner has dropped entries from the disk, Raft drops them from memory: kept, they would fill it.
#[test]
fn the_memory_goes_with_the_disk() {
    let lab = lab!();
    let mut net = group(&lab);
    net.compact(1, 15);
    net.propose(1, "x");
    net.stabilise();
    let log = net.raft(1).log();
    assert_eq!(
        log.first_index(),
        16,
        "entries 1 to 15 are dropped, once the owner has reported its next write"
    );
    assert_eq!(log.entries(1, 100).len() as u64, log.last_index() - 15, "and nothing of them is kept");
    assert_eq!(
        (log.term(15), log.term(14)),
        (Some(1), None),
        "of the last one the term is known; of the others, nothing"
    );
    assert_eq!(net.raft(2).log().first_index(), 1, "each drops its own");
}

/// An entry that is gone has no term: not 0, which would agree with what was never there.
#[test]
fn a_dropped_entry_is_not_the_empty_log() {
    let lab = lab!();
    let mut net = group(&lab);
    net.compact(1, 15);
    net.heartbeat(1);
    net.propose(1, "x");
    net.stabilise();
    for index in 0..15 {
        assert_eq!(net.raft(1).log().term(index), None, "entry {index} is compacted");
    }
}

/// Dropping again goes on from there; dropping nothing changes nothing.
#[test]
fn a_log_is_compacted_again_and_again() {
    let lab = lab!();
    let mut net = group(&lab);
    for index in [5, 6, 18, 21] {
        net.compact(2, index);
        net.propose(1, "x");
        net.stabilise();
        net.stabilise();
        assert_eq!(net.raft(2).log().first_index(), index + 1);
    }
    assert!(net.same_logs(&[1, 3]));
    assert_eq!(net.applied(2).len(), 24, "all that was proposed is applied, compacted or not");
}

/// A compacted log checks and replicates as before.
#[test]
fn replication_goes_on_over_a_compacted_log() {
    let lab = lab!();
    let mut net = group(&lab);
    (1..=3).for_each(|id| net.compact(id, 20));
    net.propose(1, "x");
    net.stabilise();
    net.propose(1, "y");
    net.stabilise();
    for id in 1..=3 {
        assert_eq!(net.applied(id)[20..], ["x", "y"], "node {id}");
        assert_eq!(net.raft(id).log().first_index(), 21, "node {id} has dropped what its disk has");
    }
    net.crash(1);
    net.elect(2);
    net.propose(2, "z");
    net.stabilise();
    assert_eq!(net.applied(3).last().map(String::as_str), Some("z"));
    assert_eq!(net.role(2), Role::Leader);
}

/// Of a log that is compacted to its end, index and term of the last entry still count: for votes and for appends.
#[test]
fn a_log_that_is_compacted_to_its_end() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).log(1, &[1; 6]).commit(1, 6).start_raw_nodes();
    net.compact(1, 6);
    let answer = net.ask(append(2, 1).term(2).after(6, 1).entries(&[2]).commit(6));
    assert_eq!((answer.reject, answer.index), (false, 7));
    assert_eq!(net.raft(1).log().first_index(), 7);
    let answer = net.ask(vote_request(3, 1).term(3).last(7, 1));
    assert!(answer.reject, "the own log ends with 7@2");
}
