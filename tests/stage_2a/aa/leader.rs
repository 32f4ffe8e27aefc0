//! Being leader: heartbeats, the empty entry, and a clean slate (sections 5.2 and 5.4.2; section 8).

use pretty_assertions::assert_eq as assert_same;
use raftkv::ids::Term;
use raftkv::proto::eraftpb::{EntryType, MessageType};
use raftkv::raft::Role;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::Setup;
use raftkv_testkit::raft_net::letter::{append, heartbeat, heartbeat_reply, vote_reply};
use rstest::rstest;

/// Section 5.2: a leader sends heartbeats to all others, every heartbeat_tick ticks.
#[rstest]
#[case::every_tick(1)]
#[case::every_second(2)]
#[case::every_fifth(5)]
fn heartbeats_go_to_everybody_at_their_interval(#[case] heartbeat_tick: u32) {
    let lab = lab!();
    let tune = move |c: &mut raftkv::raft::Config| c.heartbeat_tick = heartbeat_tick;
    let mut net = Setup::of(&lab, 4).puppets(&[2, 3, 4]).tune(tune).start();
    net.elect_by_puppets(1);
    for interval in 0..4 {
        net.all_mail();
        for tick in 1..=heartbeat_tick {
            net.tick(1);
            for to in [2, 3, 4] {
                let mail = net.mail(to);
                let beats = mail.iter().filter(|m| m.msg_type() == MessageType::MsgHeartbeat).count();
                let expected = usize::from(tick == heartbeat_tick);
                assert_eq!(
                    beats, expected,
                    "heartbeats to {to} in tick {tick} of interval {interval}; one is due every {heartbeat_tick} \
                     ticks (section 5.2)"
                );
            }
        }
    }
}

/// Section 5.2: a new leader lets everybody hear from it at once, before another timer runs out.
#[test]
fn a_new_leader_announces_itself_at_once() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 5).puppets(&[2, 3, 4, 5]).start();
    net.campaign(1);
    net.all_mail();
    for voter in [4, 5] {
        net.hand(vote_reply(voter, 1).term(1));
    }
    for to in [2, 3, 4, 5] {
        let mail = net.mail(to);
        assert!(
            mail.iter().any(|m| m.msg_type() == MessageType::MsgHeartbeat && m.term == 1),
            "the new leader must send {to} a heartbeat before any tick, to keep it from standing for election \
             (section 5.2); it sent {mail:?}"
        );
    }
}

/// Only leaders send heartbeats.
#[test]
fn followers_and_candidates_send_no_heartbeats() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    for _ in 0..60 {
        net.tick(1);
    }
    assert_eq!(net.role(1), Role::Candidate, "nobody answers, so node 1 stands again and again");
    let mail = net.all_mail();
    assert!(
        mail.iter().all(|m| m.msg_type() == MessageType::MsgRequestVote),
        "who does not lead sends no heartbeats; it sent {mail:?}"
    );
}

/// Sections 5.4.2 and 8: a new leader puts one empty entry of its own term behind its log: until an entry of
/// its term is committed it cannot know what else is.
#[rstest]
#[case::first_ever(&[], 1)]
#[case::behind_others(&[1, 1, 3], 4)]
fn a_new_leader_appends_one_empty_entry(#[case] log: &[Term], #[case] term: Term) {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).log(1, log).start();
    net.campaign(1);
    assert_same!(net.terms(1), log, "a candidate's log does not change");
    net.hand(vote_reply(3, 1).term(term));
    let mut expected = log.to_vec();
    expected.push(term);
    assert_same!(net.terms(1), expected, "the terms in the log: one new entry, of the leader's term");
    let last = net.node(1).seen.log.last().expect("it has one entry at least");
    assert!(last.data.is_empty(), "the new leader's entry is empty: it is no client's command (section 8)");
    assert_eq!(last.entry_type(), EntryType::EntryNormal, "nor is it a change of the group");
    net.ticks(1, 5);
    assert_same!(net.terms(1), expected, "one such entry for each leadership, not more");
}

/// Figure 2, nextIndex and matchIndex: "reinitialized after election". What an earlier leadership knew of the
/// followers may not be true any more.
#[test]
fn a_new_leadership_knows_nothing_of_the_followers() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    for leadership in 1..5 {
        let before = net.last(1);
        let term = net.term(1) + 1;
        net.campaign(1);
        net.hand(vote_reply(2, 1).term(term));
        assert_eq!(net.role(1), Role::Leader, "2's vote of term {term} is the second of three");
        for follower in [2, 3] {
            let progress = net.raft(1).progress(follower).expect("2 and 3 are voters").clone();
            assert_eq!(
                progress.matched, 0,
                "leadership {leadership}: {follower} has acknowledged nothing in term {term} (figure 2, matchIndex)"
            );
            assert!(
                (before + 1..=before + 2).contains(&progress.next),
                "leadership {leadership}: the log ended at {before}, so the next entry for {follower} is {} (or one \
                 more, if the new leader's empty entry is already sent), not {} (figure 2, nextIndex)",
                before + 1,
                progress.next
            );
        }
        net.hand(heartbeat(3, 1).term(term + 1));
        assert_eq!(net.role(1), Role::Follower, "3 leads term {}", term + 1);
    }
}

/// Figure 2, matchIndex: a new leader knows of no entry that a follower holds. A heartbeat has no consistency
/// check, so it may tell a follower only what is committed *and* known to be on it: nothing yet.
#[test]
fn the_first_heartbeats_claim_no_commit() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).log(1, &[1, 1, 1]).compacted(1, 2).start();
    assert_eq!(net.commit(1), 2, "the test begins with two committed entries");
    net.campaign(1);
    net.hand(vote_reply(2, 1).term(2));
    net.ticks(1, 3);
    for to in [2, 3] {
        let mail = net.mail(to);
        let beats: Vec<u64> =
            mail.iter().filter(|m| m.msg_type() == MessageType::MsgHeartbeat).map(|m| m.commit).collect();
        assert!(!beats.is_empty(), "a leader sends {to} heartbeats");
        assert!(
            beats.iter().all(|commit| *commit == 0),
            "{to} has acknowledged no entry yet, so its log may differ from the leader's, and no heartbeat may \
             call entries of it committed; the heartbeats said {beats:?} (broadcast_heartbeat: commit is the \
             smaller of its matched and the own commit index)"
        );
    }
}

/// Section 5.2: a term has one leader at most. Who else claims to lead it is in error: a follower stays with the
/// leader it knows, and ignores the message, with or without an error.
#[test]
fn a_follower_keeps_the_leader_of_its_term() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.hand(heartbeat(2, 1).term(1));
    for letter in [heartbeat(3, 1), append(3, 1)] {
        let _ = net.inject(letter.term(1));
        assert_eq!(
            (net.role(1), net.term(1), net.leader_of(1)),
            (Role::Follower, 1, 2),
            "2 leads term 1, and a term has one leader at most: 3 cannot lead it too (section 5.2)"
        );
    }
    net.hand(heartbeat(3, 1).term(2));
    assert_eq!(net.leader_of(1), 3, "3 may lead the next term");
}

/// Section 5.2: nor does a leader give way to anybody who claims to lead the term in which it was elected.
#[test]
fn a_leader_ignores_who_claims_to_lead_its_term() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.elect_by_puppets(1);
    let log = net.log(1);
    for letter in [heartbeat(2, 1), append(2, 1)] {
        let _ = net.inject(letter.term(1));
        assert_eq!(
            (net.role(1), net.term(1), net.leader_of(1)),
            (Role::Leader, 1, 1),
            "node 1 was elected in term 1, so nobody else can lead it: it must not give way (section 5.2)"
        );
        assert_eq!(net.log(1), log, "nor take over anything");
    }
}

/// An answer to a heartbeat keeps the leader where it is.
#[test]
fn answers_to_heartbeats_leave_the_leader_in_place() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.elect_by_puppets(1);
    for _ in 0..30 {
        net.tick(1);
        net.hand(heartbeat_reply(2, 1).term(1));
    }
    assert_eq!((net.role(1), net.term(1)), (Role::Leader, 1), "the followers are there: all is well");
}

/// A follower answers the heartbeats of its leader, in the leader's term: so the leader knows that it is
/// alive.
#[test]
fn a_follower_answers_heartbeats() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    for term in [1, 1, 4] {
        let answer = net.ask(heartbeat(3, 1).term(term));
        assert_eq!(
            (answer.term, answer.reject),
            (term, false),
            "a heartbeat of term {term}, from its leader"
        );
        assert_eq!((net.leader_of(1), net.vote(1)), (3, 0), "hearing a leader is not voting for it");
    }
}
