//! The election timer: how long it runs, and what starts it anew (section 5.2).

use std::collections::BTreeSet;

use raftkv::ids::PeerId;
use raftkv::proto::eraftpb::{Message, MessageType};
use raftkv::raft::Role;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::{Letter, append, heartbeat, vote_reply, vote_request};
use raftkv_testkit::raft_net::{Direct, Net, Setup};
use rstest::rstest;

/// Ticks node 1 until its next campaign and says how many ticks that took.
fn ticks_to_campaign(net: &mut Net<Direct>, limit: u64) -> u64 {
    let term = net.term(1);
    for n in 1..=limit {
        net.tick(1);
        if net.term(1) > term {
            return n;
        }
    }
    panic!(
        "node 1 has heard from no leader for {limit} ticks, and has not stood for election: it must, after \
         election_tick to 2 * election_tick - 1 ticks (section 5.2)"
    );
}

/// Section 5.2: election timeouts are drawn at random from a fixed interval, here election_tick to
/// 2 * election_tick - 1 ticks, and anew for each election.
#[rstest]
#[case::ten(10)]
#[case::twenty(20)]
fn timeouts_fill_their_interval(#[case] election_tick: u32) {
    let lab = lab!();
    // How often a leader would send heartbeats is no business of this timer.
    let tune = move |c: &mut raftkv::raft::Config| {
        c.election_tick = election_tick;
        c.heartbeat_tick = election_tick / 5;
    };
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).tune(tune).start();
    let low = u64::from(election_tick);
    let drawn: Vec<u64> = (0..400).map(|_| ticks_to_campaign(&mut net, 4 * low)).collect();
    if let Some(bad) = drawn.iter().find(|t| !(low..2 * low).contains(t)) {
        panic!("an election timeout of {bad} ticks; it must lie in {low}..{} (section 5.2)", 2 * low);
    }
    let distinct: BTreeSet<&u64> = drawn.iter().collect();
    assert!(
        distinct.len() as u64 > low * 3 / 5,
        "400 election timeouts of one node are only {distinct:?}: they must be drawn from all of {low}..{}, anew \
         for each election, or two nodes with the same timeout split the vote for ever (section 5.2)",
        2 * low
    );
}

/// Config::seed: random, but from the seed in the settings and nothing else, so that a run that fails can be had
/// again.
#[test]
fn timeouts_come_from_the_seed() {
    let lab = lab!();
    let timeouts = |seed| {
        let mut net = Setup::seeded(seed, 3).puppets(&[2, 3]).start();
        (0..50).map(|_| ticks_to_campaign(&mut net, 40)).collect::<Vec<u64>>()
    };
    let first = timeouts(lab.seed());
    assert_eq!(
        timeouts(lab.seed()),
        first,
        "the same seed and the same ticks: the same 50 election timeouts (Config::seed)"
    );
    assert_ne!(
        timeouts(lab.seed().wrapping_add(1)),
        first,
        "another seed, and the same 50 election timeouts: they are not drawn from it (Config::seed)"
    );
}

/// Section 5.2: timeouts are spread out, so that mostly a single server times out first. That holds when all
/// start together, and above all when all have just heard the same message: the request of a candidate, or the
/// last heartbeat of a leader.
#[rstest]
#[case::at_the_start(|_: &mut Net<Direct>| ())]
#[case::after_a_vote(after_a_vote)]
#[case::after_the_last_heartbeat(after_the_last_heartbeat)]
fn mostly_one_node_times_out_before_the_others(#[case] before: fn(&mut Net<Direct>)) {
    let lab = lab!();
    let (mut runs, mut alone) = (0, 0);
    for _ in lab.seeds(60) {
        let mut net = Setup::of(&lab, 3).start();
        before(&mut net);
        let up = net.up();
        let candidates = |net: &Net<Direct>| up.iter().filter(|id| net.role(**id) == Role::Candidate).count();
        for _ in 0..20 {
            if candidates(&net) == 0 {
                net.tick_all();
            }
        }
        runs += 1;
        alone += u32::from(candidates(&net) == 1);
    }
    // For three nodes and ten timeouts chance gives 85 %, for two 90 %. A few runs prove nothing.
    assert!(
        runs < 40 || alone * 10 >= runs * 6,
        "in only {alone} of {runs} groups one node timed out before the others: each must draw its own timeout \
         from the whole interval whenever its timer starts, or votes split again and again (section 5.2)"
    );
}

/// 2 and 3 have granted 1 their vote, and will hear no more of it.
fn after_a_vote(net: &mut Net<Direct>) {
    net.campaign(1);
    net.round();
    net.crash(1);
}

/// 2 and 3 have just heard their leader, and will hear no more of it.
fn after_the_last_heartbeat(net: &mut Net<Direct>) {
    net.elect(1);
    net.crash(1);
}

/// Section 5.2: a follower stays a follower as long as it hears from the leader.
#[rstest]
#[case::heartbeats(heartbeat(2, 1))]
#[case::appends(append(2, 1))]
fn the_leaders_messages_keep_a_follower_quiet(#[case] letter: Letter) {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    for round in 0..30 {
        net.hand(letter.clone().term(1));
        for _ in 0..9 {
            net.tick(1);
        }
        assert_eq!(
            (net.role(1), net.term(1)),
            (Role::Follower, 1),
            "round {round}: the leader is heard every 9 ticks and no timeout is below 10, so each message must \
             start the timer anew (section 5.2)"
        );
    }
    let waited = 9 + ticks_to_campaign(&mut net, 20);
    assert!(
        (10..20).contains(&waited),
        "the leader fell silent, and node 1 stood for election after {waited} ticks; it must be 10 to 19"
    );
}

/// Figure 2, rules for followers: granting a vote starts the timer anew. The candidate gets its time to win.
#[test]
fn granting_a_vote_starts_the_timer_anew() {
    let lab = lab!();
    for _ in lab.seeds(20) {
        let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).term(1, 5, 0).start();
        net.ticks(1, 9);
        let answer = net.ask(vote_request(2, 1).term(5));
        assert!(!answer.reject, "the first candidate of a term, with a log as good as ours, gets the vote");
        net.ticks(1, 9);
        assert_eq!(
            net.role(1),
            Role::Follower,
            "node 1 granted a vote 9 ticks ago and no timeout is below 10: it must not stand itself yet \
             (figure 2, rules for followers)"
        );
        let waited = 9 + ticks_to_campaign(&mut net, 20);
        assert!(
            (10..20).contains(&waited),
            "{waited} ticks after the vote node 1 stood; it must be 10 to 19"
        );
    }
}

/// Figure 2, rules for followers: only the current leader and a granted vote start the timer anew. Whoever
/// cannot win must not keep those silent who can.
#[rstest]
#[case::request_refused_because_the_vote_is_given(2, |_| vote_request(3, 1).term(5).last(9, 5))]
#[case::request_refused_because_the_log_is_old(0, |_| vote_request(2, 1).term(5).last(1, 1))]
#[case::request_of_an_old_term(2, |_| vote_request(2, 1).term(4).last(9, 4))]
#[case::append_of_an_old_leader(2, |_| append(3, 1).term(4).after(2, 4))]
#[case::heartbeat_of_an_old_leader(2, |_| heartbeat(3, 1).term(4))]
#[case::answer_to_an_old_campaign(2, |_| vote_reply(3, 1).term(4))]
#[case::requests_of_ever_higher_terms_with_an_old_log(2, |n| vote_request(2, 1).term(6 + n).last(1, 1))]
#[case::refusals_of_ever_higher_terms(2, |n| vote_reply(3, 1).term(6 + n).refused())]
#[case::answer_without_a_campaign(2, |_| vote_reply(3, 1).term(5))]
fn nothing_else_starts_the_timer_anew(#[case] vote: PeerId, #[case] letter: fn(u64) -> Letter) {
    let lab = lab!();
    // Node 1 has entries of terms 4 and 5. In term 5 it has voted for 2, or for nobody.
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).log(1, &[4, 5]).term(1, 5, vote).start();
    for n in 0..20 {
        if n % 4 == 0 {
            net.hand(letter(n));
        }
        net.tick(1);
        if net.role(1) == Role::Candidate {
            assert!(n >= 9, "node 1 stood for election after {} ticks; no timeout is below 10", n + 1);
            return;
        }
    }
    let m: Message = letter(0).into();
    panic!(
        "for 20 ticks node 1 heard from no current leader and granted no vote, and still has not stood for \
         election: {:?} (refused or out of date) must not start the timer anew (figure 2, rules for followers)",
        m.msg_type()
    );
}

/// Section 5.2: a candidate restarts its timer when it starts an election, and starts the next one, in a new
/// term, when the time is up without a winner.
#[test]
fn a_candidate_without_result_starts_the_next_election() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 5).puppets(&[2, 3, 4, 5]).start();
    net.campaign(1);
    for term in 2..30 {
        net.hand(vote_reply(2, 1).term(term - 1));
        net.mail(3);
        let waited = ticks_to_campaign(&mut net, 20);
        assert!((10..20).contains(&waited), "candidate 1 waited {waited} ticks; it must be 10 to 19");
        assert_eq!(
            (net.role(1), net.term(1), net.vote(1)),
            (Role::Candidate, term, 1),
            "after a split vote a candidate raises its term and votes for itself again (section 5.2)"
        );
        let requests = net.mail(3);
        assert!(
            requests.iter().any(|m| m.msg_type() == MessageType::MsgRequestVote && m.term == term),
            "the new election needs new requests: the votes of term {} do not count in term {term}",
            term - 1
        );
    }
}

/// Section 5.2, case (b): hearing the leader starts the timer anew, for a candidate that gives way to it too.
#[rstest]
#[case::heartbeat(heartbeat(2, 1))]
#[case::append(append(2, 1))]
fn a_candidate_that_gives_way_waits_a_full_timeout(#[case] letter: Letter) {
    let lab = lab!();
    for _ in lab.seeds(20) {
        let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
        net.campaign(1);
        net.ticks(1, 9);
        net.hand(letter.clone().term(1));
        let waited = ticks_to_campaign(&mut net, 20);
        assert!(
            (10..20).contains(&waited),
            "candidate 1 heard the leader of its term, and stood again after {waited} ticks; it must be 10 to 19, \
             or it disturbs a leader that is alive (section 5.2)"
        );
    }
}

/// Becoming a follower is no reason to wait longer: a candidate that falls back without hearing a leader, and
/// without granting a vote, keeps its timer (the contract of `become_follower`).
#[rstest]
#[case::lost(&[vote_reply(2, 1).term(4).refused(), vote_reply(3, 1).term(4).refused()])]
#[case::answer_of_a_higher_term(&[vote_reply(2, 1).term(6).refused()])]
#[case::request_of_a_higher_term_with_an_old_log(&[vote_request(2, 1).term(6)])]
fn a_candidate_that_falls_back_keeps_its_timer(#[case] letters: &[Letter]) {
    let lab = lab!();
    for _ in lab.seeds(20) {
        let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).log(1, &[3]).start();
        net.campaign(1);
        net.ticks(1, 9);
        for letter in letters {
            net.hand(letter.clone());
        }
        let waited = 9 + ticks_to_campaign(&mut net, 20);
        assert!(
            (10..20).contains(&waited),
            "node 1 started its timer when it stood for election, and has heard no leader and granted no vote \
             since; it stood again after {waited} ticks, it must be 10 to 19 (become_follower: the timer of a \
             candidate runs on)"
        );
    }
}

/// A leader has no election timeout: it leads until it hears of a higher term (section 5.1).
#[test]
fn a_leader_does_not_stand_against_itself() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.elect_by_puppets(1);
    net.ticks(1, 100);
    assert_eq!(
        (net.role(1), net.term(1)),
        (Role::Leader, 1),
        "a leader leads until it hears of a higher term"
    );
}

/// A leader that steps down is a follower like any other: it waits a full timeout for the new leader.
#[test]
fn a_leader_that_steps_down_waits_a_full_timeout() {
    let lab = lab!();
    for _ in lab.seeds(20) {
        let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
        net.campaign(1);
        // Elected late, and a leader for long: neither time may count now.
        net.ticks(1, 9);
        net.hand(vote_reply(3, 1).term(1));
        net.ticks(1, 35);
        net.hand(vote_reply(2, 1).term(7).refused());
        assert_eq!((net.role(1), net.term(1)), (Role::Follower, 7), "a higher term ends a leadership");
        let waited = ticks_to_campaign(&mut net, 20);
        assert!(
            (10..20).contains(&waited),
            "node 1 stepped down and stood again after {waited} ticks; it must be 10 to 19, whatever its timer \
             did while it led"
        );
    }
}

/// A peer that is not among the voters of its own group never stands for election (section 6).
#[test]
fn who_is_no_voter_does_not_stand() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[1, 2]).group(3, &[1, 2]).start();
    net.ticks(3, 100);
    net.campaign(3);
    assert_eq!(
        (net.role(3), net.term(3)),
        (Role::Follower, 0),
        "node 3's disk says that the voters are 1 and 2: node 3 must not stand for election"
    );
    assert!(net.all_mail().is_empty(), "who does not stand asks for no votes");
    net.hand(heartbeat(1, 3).term(4));
    assert_eq!((net.term(3), net.leader_of(3)), (4, 1), "but it follows the leader of the group");
}
