//! Proposals: who takes them, who passes them on, who refuses (sections 5.1 and 5.3).

use pretty_assertions::assert_eq as assert_same;
use raftkv::proto::eraftpb::{Entry, EntryType, Message, MessageType};
use raftkv::raft::{RaftError, Role};
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::Setup;
use raftkv_testkit::raft_net::letter::{heartbeat, proposal};
use rstest::rstest;

use super::leader_among_puppets;

/// Section 5.1: a follower passes a client's command on to its leader.
#[rstest]
#[case::the_leader_itself(1)]
#[case::a_follower(2)]
#[case::another_follower(3)]
fn a_command_may_be_proposed_anywhere(#[case] at: u64) {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).start();
    net.elect(1);
    net.propose(at, "x");
    net.stabilise();
    for id in 1..=3 {
        assert_same!(
            net.applied(id),
            ["x"],
            "x was proposed to node {at}, which knows that 1 leads: node {id} must have applied it, once"
        );
    }
}

/// The follower passes it on to its leader and to nobody else, and does not touch its own log.
#[test]
fn a_follower_passes_a_command_on_to_its_leader_only() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 4).puppets(&[2, 3, 4]).start();
    net.hand(heartbeat(3, 1).term(1));
    net.all_mail();
    net.propose(1, "x");
    let passed_on = net.mail(3).into_iter().find(|m| m.msg_type() == MessageType::MsgPropose);
    let passed_on =
        passed_on.expect("3 leads: the command must be passed on to it, not swallowed (section 5.1)");
    let data: Vec<&[u8]> = passed_on.entries.iter().map(|e| &e.data[..]).collect();
    assert_eq!(data, [b"x"], "what is passed on is the command");
    for other in [2, 4] {
        assert!(net.mail(other).is_empty(), "{other} does not lead: it has no use for a proposal");
    }
    assert!(net.log(1).is_empty(), "only the leader decides where in the log a command stands");
}

/// Who knows no leader says so: a command that is silently dropped leaves its client waiting for ever.
#[test]
fn without_a_leader_a_command_is_refused() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    let refused = |result: Result<(), RaftError>| matches!(result, Err(RaftError::ProposalDropped { .. }));
    assert!(refused(net.try_propose(1, "x")), "a new follower knows no leader: ProposalDropped, not silence");
    net.campaign(1);
    assert!(refused(net.try_propose(1, "x")), "a candidate knows no leader: ProposalDropped, not silence");
    net.hand(heartbeat(2, 1).term(1));
    assert!(net.try_propose(1, "x").is_ok(), "2 leads: the command can be passed on");
    net.campaign(1);
    assert!(refused(net.try_propose(1, "x")), "candidate of term 2: whoever led term 1 counts no more");
    assert!(net.log(1).is_empty(), "nothing of that is in the log");
}

/// A message may carry several commands; each gets an entry of its own, in order, in the leader's term.
#[test]
fn a_message_may_carry_several_commands() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[3]).log(1, &[1]).term(1, 4, 0).start();
    net.elect_by_puppets(1);
    net.hand(proposal(3, 1, &["x", "y", "z"]));
    assert_same!(
        net.log(1),
        ["1@1", "2@5", "3@5=x", "4@5=y", "5@5=z"],
        "behind the leader's empty entry: x, y, z, with consecutive indexes and the leader's term (section 5.3)"
    );
    net.stabilise();
    assert_same!(
        net.applied(1),
        ["e1t1", "x", "y", "z"],
        "all are committed, with the old entry before them"
    );
}

/// To Raft an entry is more than its bytes: type and context belong to whoever proposed it, and get into the log
/// with it, whether the leader was asked or a follower.
#[test]
fn a_command_keeps_its_type_and_context() {
    let lab = lab!();
    let mut message: Message = proposal(3, 1, &["x"]).into();
    message.entries[0].set_entry_type(EntryType::EntryConfChangeV2);
    message.entries[0].context = "for the proposer".into();
    let kept = |e: &Entry| {
        let what = (e.entry_type(), &e.data[..], &e.context[..]);
        assert_eq!(
            what,
            (EntryType::EntryConfChangeV2, &b"x"[..], &b"for the proposer"[..]),
            "type, data and context are the proposer's: Raft adds index and term, and changes nothing else"
        );
    };
    let mut net = leader_among_puppets(&lab, 3);
    net.hand(message.clone());
    kept(net.node(1).seen.log.last().expect("it has two entries"));

    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.hand(heartbeat(2, 1).term(1));
    net.hand(message);
    let passed_on = net.mail(2).into_iter().find(|m| m.msg_type() == MessageType::MsgPropose);
    kept(&passed_on.expect("2 leads: the command is passed on to it").entries[0]);
}

/// A passed-on command that finds no leader any more is not put into a log.
#[test]
fn a_deposed_leader_takes_no_commands() {
    let lab = lab!();
    let mut net = leader_among_puppets(&lab, 3);
    net.hand(raftkv_testkit::raft_net::letter::vote_request(2, 1).term(5));
    assert_eq!(net.role(1), Role::Follower, "a higher term: node 1 leads no more");
    let before = net.log(1);
    let result = net.inject(proposal(3, 1, &["x"]));
    assert!(result.is_err(), "node 1 knows no leader of term 5: it must say that x is dropped");
    assert_same!(net.log(1), before, "and must not append it to its own log: it is not the leader");
}

/// Taking a command is not committing it: that needs a majority.
#[test]
fn a_command_is_not_committed_by_proposing_it() {
    let lab = lab!();
    let mut net = leader_among_puppets(&lab, 3);
    net.propose(1, "x");
    net.ticks(1, 30);
    assert_same!(net.log(1), ["1@1", "2@1=x"], "x is in the leader's log");
    assert_eq!((net.commit(1), net.applied(1).len()), (0, 0), "but nobody else has said to have it");
}
