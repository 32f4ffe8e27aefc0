//! Stage 2ab: log replication and commitment (sections 5.3 and 5.4.2).

mod append_check;
mod chaos;
mod commit;
mod disk;
mod figure_8;
mod leaders;
mod paper;
mod propose;
mod repair;
mod replicate;
mod resend;

use raftkv::ids::PeerId;
use raftkv_testkit::Lab;
use raftkv_testkit::raft_net::letter::append_reply;
use raftkv_testkit::raft_net::{Direct, Net, Setup};

/// Node 1 leads term 1 with an otherwise empty log; all others are puppets, and none has acknowledged
/// anything.
fn leader_among_puppets(lab: &Lab, nodes: u64) -> Net<Direct> {
    let mut net = Setup::of(lab, nodes).puppets(&puppets(nodes)).start();
    net.elect_by_puppets(1);
    net
}

fn puppets(nodes: u64) -> Vec<PeerId> {
    (2..=nodes).collect()
}

/// A puppet acknowledges all up to this index, in node 1's term.
fn ack(net: &mut Net<Direct>, puppet: PeerId, index: u64) {
    let term = net.term(1);
    net.hand(append_reply(puppet, 1).term(term).accepted(index));
}
