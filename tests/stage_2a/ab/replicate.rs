//! From the leader to everybody: commands arrive, complete, in order, and within the limits (section 5.3).

use pretty_assertions::assert_eq as assert_same;
use raftkv::proto::eraftpb::{Message, MessageType};
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::{Letter, append_reply, heartbeat_reply, vote_reply};
use raftkv_testkit::raft_net::{Driver, Fault, Setup};
use rstest::rstest;

use super::{ack, leader_among_puppets, puppets};

/// Section 5.3: a command that is proposed to the leader gets into every log and every state machine.
#[rstest]
#[case::one(1)]
#[case::two(2)]
#[case::three(3)]
#[case::four(4)]
#[case::five(5)]
#[case::seven(7)]
fn a_command_reaches_every_log_and_every_state_machine(#[case] nodes: u64) {
    let lab = lab!();
    let mut net = Setup::of(&lab, nodes).start();
    net.elect(1);
    net.propose(1, "x");
    net.propose(1, "y");
    net.deliver_all();
    for id in 1..=nodes {
        assert_same!(
            net.log(id),
            ["1@1", "2@1=x", "3@1=y"],
            "the log of node {id}: the leader's empty entry, x, y"
        );
        assert_eq!(
            net.commit(id),
            3,
            "all have all, nothing was lost: node {id} must know that 3 is committed"
        );
        assert_same!(
            net.applied(id),
            ["x", "y"],
            "so node {id}'s state machine must have been given x and y"
        );
    }
}

/// Commands are applied in the order in which the leader took them, however they were batched.
#[test]
fn commands_keep_their_order() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).start();
    net.elect(1);
    let mut expected = Vec::new();
    for batch in [1, 7, 1, 30, 2] {
        let texts: Vec<String> = (0..batch).map(|i| format!("c{}", expected.len() + i)).collect();
        net.propose_batch(1, &texts);
        expected.extend(texts);
        if batch != 7 {
            net.deliver_all();
        }
    }
    for id in 1..=3 {
        assert_same!(net.applied(id), expected, "node {id} must apply the commands in the leader's order");
    }
}

/// Log entries are bytes to Raft: a large one arrives as it was given.
#[test]
fn a_large_command_arrives_whole() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).start();
    net.elect(1);
    let large: String = (0..50_000).map(|i| char::from(b'a' + (i % 26) as u8)).collect();
    net.propose(1, &large);
    net.propose(1, "small");
    net.deliver_all();
    for id in 1..=3 {
        assert!(net.applied(id) == [large.as_str(), "small"], "node {id} must apply the same 50,000 bytes");
    }
}

/// Config::max_bytes_per_msg: an append carries about that many bytes at most; a single larger entry still
/// travels, alone.
#[test]
fn an_append_keeps_to_the_size_limit() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).tune(|c| c.max_bytes_per_msg = 250).start();
    net.elect(1);
    let mut texts: Vec<String> = (0..20).map(|i| format!("{i:0>100}")).collect();
    texts.insert(10, "x".repeat(1000));
    net.propose_batch(1, &texts);
    let mut carried = 0;
    for _ in 0..500 {
        for m in net.on_the_wire().filter(|m| m.msg_type() == MessageType::MsgAppend) {
            let bytes: usize = m.entries.iter().map(|e| e.data.len()).sum();
            assert!(
                bytes <= 250 || m.entries.len() == 1,
                "an append with {} entries of {bytes} bytes; the limit is 250, and only a single larger entry may \
                 exceed it (Config::max_bytes_per_msg)",
                m.entries.len()
            );
            carried += m.entries.len();
        }
        if net.round() == 0 {
            break;
        }
    }
    assert!(carried > 0, "the entries travel in appends");
    net.stabilise();
    assert_same!(net.applied(3), texts, "all commands arrive, also the one of 1000 bytes");
}

/// Config::max_inflight_msgs: a follower that does not answer is sent so many appends and no more; once it
/// answers, the rest follows.
#[rstest]
#[case::one_append(1)]
#[case::four_appends(4)]
fn a_silent_follower_is_not_flooded(#[case] window: usize) {
    let lab = lab!();
    // Of five nodes only 2 answers, so nothing is ever committed: it is its answers alone that bring the rest.
    let mut net = Setup::of(&lab, 5).puppets(&puppets(5)).tune(move |c| c.max_inflight_msgs = window).start();
    net.elect_by_puppets(1);
    ack(&mut net, 2, 1);
    net.all_mail();
    for i in 0..40 {
        net.propose(1, &format!("c{i}"));
    }
    let with_entries = |mail: &[Message]| mail.iter().filter(|m| !m.entries.is_empty()).count();
    let sent = net.mail(2);
    assert!(
        (1..=window).contains(&with_entries(&sent)),
        "2 has answered none of the {} appends with entries that it was sent; the window is {window} \
         (Config::max_inflight_msgs)",
        with_entries(&sent)
    );
    // 2 answers whatever it gets, in order, until it has everything.
    let mut last = 1;
    let mut mail = sent;
    for _ in 0..100 {
        for m in &mail {
            if m.msg_type() == MessageType::MsgAppend && m.index <= last {
                last = last.max(m.index + m.entries.len() as u64);
            }
        }
        ack(&mut net, 2, last);
        mail = net.mail(2);
        assert!(with_entries(&mail) <= window, "never more unanswered appends than the window holds");
    }
    assert_eq!(last, 41, "2 answers all it gets, so without any tick it must get everything");
}

/// A command that has been taken is sent, whatever else arrives before the leader gets to send it.
#[rstest]
#[case::a_late_refusal(append_reply(3, 1).rejected(0, 0, 0))]
#[case::an_old_acknowledgement(append_reply(3, 1).accepted(1))]
#[case::an_answered_heartbeat(heartbeat_reply(3, 1))]
#[case::a_late_vote(vote_reply(3, 1))]
fn a_command_is_sent_whatever_comes_between(#[case] letter: Letter) {
    let lab = lab!();
    let mut net = leader_among_puppets(&lab, 5);
    for puppet in puppets(5) {
        ack(&mut net, puppet, 1);
    }
    net.all_mail();
    net.at_once(1, |node| {
        node.propose(bytes::Bytes::from("x"))?;
        node.step(letter.term(1).into())
    });
    for to in puppets(5) {
        let sent = net.mail(to).iter().any(|m| m.entries.iter().any(|e| e.index == 2));
        assert!(sent, "x was proposed, then an answer of 3 arrived: x must still be sent to {to} at once");
    }
}

/// Replication is a pipeline (thesis, section 10.2.1): many commands do not need many round trips.
#[test]
fn many_commands_need_few_round_trips() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).start();
    net.elect(1);
    for i in 0..60 {
        net.propose(1, &format!("c{i}"));
    }
    net.round_trips_until(6, "60 commands that were proposed at once are everywhere", |net| {
        (1..=3).all(|id| net.applied(id).len() == 60)
    });
}

/// What has been sent is not sent again with every new command: the traffic must not grow with the square of
/// the commands.
#[test]
fn entries_are_not_sent_over_and_over() {
    let lab = lab!();
    let mut net = leader_among_puppets(&lab, 3);
    ack(&mut net, 2, 1);
    net.all_mail();
    for i in 0..100 {
        net.propose(1, &format!("c{i}"));
        if i % 10 == 9 {
            ack(&mut net, 2, i - 7);
        }
    }
    let sent: usize = net.mail(2).iter().map(|m| m.entries.len()).sum();
    assert!(sent >= 90, "2 keeps answering: it must have been sent most of 100 entries, not {sent}");
    assert!(
        sent <= 500,
        "100 entries were sent as {sent}: is everything unacknowledged sent with each proposal?"
    );
}

/// Section 5.3: a minority of slow servers does not hold up the others.
#[test]
fn a_majority_is_enough() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 5).start();
    net.elect(1);
    net.isolate(4);
    net.crash(5);
    for i in 0..10 {
        net.propose(1, &format!("c{i}"));
    }
    net.stabilise();
    for id in [1, 2, 3] {
        assert_eq!(
            net.applied(id).len(),
            10,
            "1, 2 and 3 are a majority: node {id} must have all 10 commands"
        );
    }
    assert_eq!(net.commit(4), 1, "4 was cut off after the election");
    net.heal();
    net.restart(5);
    net.stabilise();
    for id in [4, 5] {
        assert_same!(
            net.applied(id),
            net.applied(1),
            "node {id} is back, and must be given what it has missed"
        );
    }
    net.assert_struck(&[Fault::Cut, Fault::Crash]);
}

/// Without a majority nothing is committed, however long it takes; with one, everything is.
#[test]
fn a_minority_commits_nothing() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 5).start();
    net.elect(1);
    net.partition(&[1, 2]);
    net.propose(1, "x");
    for _ in 0..30 {
        net.heartbeat(1);
    }
    assert_same!(net.log(2), net.log(1), "2 still hears the leader and has x in its log");
    assert_eq!(
        (net.commit(1), net.commit(2)),
        (1, 1),
        "but 1 and 2 are no majority of five: x is not committed"
    );
    net.heal();
    net.stabilise();
    for id in 1..=5 {
        assert_same!(net.applied(id), ["x"], "together again: node {id} must apply x");
    }
    net.assert_struck(&[Fault::Cut]);
}

/// What a leader knows of its followers, once all is replicated (figure 2, nextIndex and matchIndex).
#[test]
fn the_leader_knows_how_far_its_followers_are() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).start();
    net.elect(1);
    net.isolate(3);
    net.propose(1, "x");
    net.stabilise();
    let progress = |net: &raftkv_testkit::raft_net::Net<raftkv_testkit::raft_net::Direct>, id| {
        let p = net.raft(1).progress(id).expect("a voter").clone();
        assert!(p.matched < p.next, "what {id} is known to hold need not be sent (Progress): {p:?}");
        (p.matched, p.next)
    };
    assert_eq!(progress(&net, 2), (2, 3), "2 has acknowledged entry 2: matched and next");
    assert_eq!(progress(&net, 3).0, 1, "3 has acknowledged only the empty entry 1");
    net.heal();
    net.stabilise();
    assert_eq!(progress(&net, 3), (2, 3), "3 has acknowledged entry 2 now: matched and next");
}
