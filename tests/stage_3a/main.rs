//! Stage 3a: leadership transfer and one-at-a-time membership changes, in Raft alone.
//!
//! Scripts for the net of stage 2a, which from here on changes groups: it hands each committed change to the node at
//! its place, saves the group, and knows itself who is in it. `4@2=+3` is the entry at index 4 of term 2 that adds node
//! 3, `-3` removes it. "Thesis" is Ongaro's.

mod chaos;
mod commit;
mod handover;
mod learn;
mod membership;
mod new_node;
mod old_groups;
mod pending;
mod raw_node;
mod remove_leader;
mod restart;
mod story;
mod timeout_now;
mod transfer;
mod two_nodes;

use raftkv::raft::Role;
use raftkv_testkit::Lab;
use raftkv_testkit::raft_net::letter::append_reply;
use raftkv_testkit::raft_net::{Direct, Driver, Net, Setup};

/// So many nodes, of which 1 leads term 1. All have the no-op and one command, `x`, and know that they are committed.
fn group<D: Driver>(lab: &Lab, nodes: u64) -> Net<D> {
    let mut net = Setup::of(lab, nodes).start_as();
    net.elect(1);
    net.propose(1, "x");
    net.stabilise();
    assert_eq!(net.commit(nodes), 2);
    net
}

/// Node 1 leads term 1 of a group of so many; the test speaks for the others, and for one more who is no member yet.
/// The no-op is committed.
fn leader(lab: &Lab, nodes: u64) -> Net<Direct> {
    let puppets: Vec<u64> = (2..=nodes + 1).collect();
    let mut net = Setup::of(lab, nodes).puppets(&puppets).start();
    net.elect_by_puppets(1);
    for puppet in 2..=nodes {
        ack(&mut net, puppet, 1);
    }
    assert_eq!((net.role(1), net.term(1), net.commit(1)), (Role::Leader, 1, 1));
    net.all_mail();
    net
}

/// A puppet acknowledges everything up to here.
#[track_caller]
fn ack<D: Driver>(net: &mut Net<D>, puppet: u64, index: u64) {
    let term = net.term(1);
    net.hand(append_reply(puppet, 1).term(term).accepted(index));
}
