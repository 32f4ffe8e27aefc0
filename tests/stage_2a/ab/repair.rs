//! Bringing a follower's log back in line with the leader's, in few round trips (section 5.3, figure 7).

use pretty_assertions::assert_eq as assert_same;
use raftkv::ids::Term;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::{append_reply, heartbeat_reply, vote_reply};
use raftkv_testkit::raft_net::{Direct, Net, Setup};
use rstest::rstest;

/// A log with so many entries of each of these terms: `(term, how many)`.
fn runs(parts: &[(Term, usize)]) -> Vec<Term> {
    parts.iter().flat_map(|&(term, n)| vec![term; n]).collect()
}

/// Section 5.3, figure 7: the follower may lack entries, have too many, or both. The leader makes its log the
/// same as the leader's own.
#[rstest]
#[case::a_one_entry_missing(&[1, 1, 1, 4, 4, 5, 5, 6, 6])]
#[case::b_many_entries_missing(&[1, 1, 1, 4])]
#[case::c_one_entry_too_many(&[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6])]
#[case::d_entries_of_a_later_term(&[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7])]
#[case::e_missing_and_too_many(&[1, 1, 1, 4, 4, 4, 4])]
#[case::f_two_terms_of_its_own(&[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3])]
fn the_six_logs_of_figure_7(#[case] follower: &[Term]) {
    let lab = lab!();
    let leader = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    let setup = Setup::of(&lab, 3).puppets(&[3]).log(1, &leader).term(1, 7, 0).log(2, follower);
    let mut net = setup.start();
    net.campaign(1);
    net.hand(vote_reply(3, 1).term(8));
    net.deliver_all();
    net.round_trips_until(8, "the follower's log is the leader's (section 5.3, figure 7)", |net| {
        net.same_logs(&[1, 2])
    });
    let mut expected = leader.to_vec();
    expected.push(8);
    assert_same!(
        net.terms(2),
        expected,
        "the terms in the follower's log: the leader's, with its empty entry"
    );
    net.stabilise();
    assert_eq!((net.commit(1), net.commit(2)), (11, 11), "1 and 2 agree: everything is committed");
}

/// Section 5.3: the leader must not feel its way back entry by entry. However far a follower is off, a few
/// round trips must do: one for each term in which the logs differ (end of section 5.3), or fewer.
#[rstest]
#[case::lags_far_behind(&[(1, 150)], &[(1, 5)])]
#[case::has_nothing(&[(1, 100)], &[])]
#[case::one_long_term_of_its_own(&[(1, 1), (3, 100)], &[(1, 1), (2, 100)])]
#[case::much_longer_than_the_leader(&[(1, 3), (3, 1)], &[(1, 3), (2, 150)])]
#[case::many_more_of_the_same_term(&[(1, 10), (4, 10)], &[(1, 150)])]
#[case::terms_take_turns(&[(1, 1), (3, 40), (5, 40), (7, 40)], &[(1, 1), (2, 40), (4, 40), (6, 40)])]
fn a_distant_log_is_repaired_in_few_round_trips(
    #[case] leader: &[(Term, usize)],
    #[case] follower: &[(Term, usize)],
) {
    let lab = lab!();
    let (leader, follower) = (runs(leader), runs(follower));
    let setup = Setup::of(&lab, 3).puppets(&[3]).log(1, &leader).term(1, 8, 0).log(2, &follower);
    let mut net = setup.start();
    net.campaign(1);
    net.hand(vote_reply(3, 1).term(9));
    net.round_trips_until(
        10,
        "the follower's log is the leader's. Going back one entry with each refusal takes far too long: skip what \
         cannot agree (end of section 5.3)",
        |net| net.same_logs(&[1, 2]),
    );
    assert_eq!(net.last(2), leader.len() as u64 + 1, "the leader's log and its empty entry");
}

/// A follower that was down while much was committed gets it all, in few round trips.
#[test]
fn a_follower_that_was_away_catches_up_quickly() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).start();
    net.elect(1);
    net.crash(3);
    for i in 0..120 {
        net.propose(1, &format!("c{i}"));
        net.deliver_all();
    }
    net.restart(3);
    net.round_trips_until(10, "node 3 has everything that it has missed (section 5.3)", |net| {
        net.same_logs(&[1, 3])
    });
    net.stabilise();
    assert_same!(net.applied(3), net.applied(1), "and has applied it");
}

/// A refusal that comes late says nothing about now: the leader must not go back behind what the follower has
/// acknowledged.
#[test]
fn a_late_refusal_does_not_lead_back_behind_the_match() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).log(1, &[1, 1, 1, 1, 1]).start();
    net.elect_by_puppets(1);
    net.hand(append_reply(2, 1).term(2).rejected(5, 2, 1));
    net.all_mail();
    net.hand(append_reply(2, 1).term(2).accepted(6));
    net.propose(1, "x");
    for late in [append_reply(2, 1).rejected(5, 2, 1), append_reply(2, 1).rejected(3, 0, 0)] {
        net.hand(late.term(2));
        next_is_behind_6(&net);
    }
    // Entry 7 got lost, so 2 refuses what follows it; that it names a place far back changes nothing.
    net.propose(1, "y");
    net.hand(append_reply(2, 1).term(2).rejected(7, 2, 1));
    next_is_behind_6(&net);
    net.tick(1);
    net.hand(heartbeat_reply(2, 1).term(2));
    let mail = net.mail(2);
    let sent: Vec<u64> = mail.iter().flat_map(|m| &m.entries).map(|e| e.index).collect();
    assert!(
        sent.iter().all(|i| *i > 6),
        "entries up to 6 are acknowledged and need not be sent again: {sent:?}"
    );
    assert!(sent.contains(&7) && sent.contains(&8), "the new entries must be sent: {sent:?}");
}

#[track_caller]
fn next_is_behind_6(net: &Net<Direct>) {
    let progress = net.raft(1).progress(2).expect("2 is a voter").clone();
    assert_eq!(progress.matched, 6, "2 has acknowledged entry 6: no refusal takes that back");
    assert!(
        progress.next > 6,
        "2 has acknowledged entry 6, then a refusal arrived: the next entry for 2 must stay behind 6, not go back to \
         {} (Progress: matched < next)",
        progress.next
    );
}

/// A late acknowledgement does not hide a later one, and a late refusal of the first probe does not stop the
/// replication that has begun since.
#[test]
fn late_answers_do_not_stop_replication() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).start();
    net.elect(1);
    net.crash(3);
    for i in 0..5 {
        net.propose(1, &format!("c{i}"));
    }
    net.deliver_all();
    net.restart(3);
    net.heartbeat(1);
    // Every answer of 3 arrives once more, late.
    net.propose(1, "x");
    net.round();
    net.duplicate_where(|m| m.from == 3);
    net.stabilise();
    net.propose(1, "y");
    net.stabilise();
    assert_same!(net.applied(3), net.applied(1), "3 has everything, whatever was answered twice");
    assert_eq!(net.applied(3).len(), 7, "five commands, x and y");
}

/// A leader with a compacted log serves a follower whose log goes on where the compacted part ends.
#[test]
fn a_compacted_leader_serves_a_follower_at_the_edge() {
    let lab = lab!();
    let setup = Setup::of(&lab, 3).puppets(&[3]).log(1, &[1, 1, 2, 2]).compacted(1, 3);
    let mut net = setup.log(2, &[1, 1, 2]).start();
    net.campaign(1);
    net.hand(vote_reply(3, 1).term(3));
    net.stabilise();
    assert_same!(
        net.terms(2),
        [1, 1, 2, 2, 3],
        "2 has the compacted entries, and is sent the rest (section 5.3)"
    );
}
