//! Appends as a follower sees them: what it accepts, what it keeps, what it answers (section 5.3; figure 2,
//! AppendEntries).

use pretty_assertions::assert_eq as assert_same;
use raftkv::ids::{Index, Term};
use raftkv::proto::eraftpb::Message;
use raftkv::raft::Role;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::{append, heartbeat};
use raftkv_testkit::raft_net::{Direct, Net, Setup};
use rstest::rstest;

/// A follower in term 5 with entries 1@1 2@2 3@2 4@4.
fn follower(lab: &raftkv_testkit::Lab) -> Net<Direct> {
    Setup::of(lab, 3).puppets(&[2, 3]).log(1, &[1, 2, 2, 4]).term(1, 5, 0).start()
}

/// Section 5.3: the consistency check. The entry before the new ones must be there, with the same term; also
/// when no new ones come.
#[rstest]
#[case::before_the_first((0, 0), true)]
#[case::first((1, 1), true)]
#[case::middle((3, 2), true)]
#[case::last((4, 4), true)]
#[case::wrong_term_at_the_first((1, 2), false)]
#[case::wrong_term_in_the_middle((3, 3), false)]
#[case::wrong_term_at_the_last((4, 5), false)]
#[case::older_term_at_the_last((4, 2), false)]
#[case::just_beyond_the_end((5, 4), false)]
#[case::just_beyond_the_end_with_a_new_term((5, 5), false)]
#[case::far_beyond_the_end((1000, 5), false)]
fn the_entry_before_must_agree(#[case] previous: (Index, Term), #[case] accepted: bool) {
    let lab = lab!();
    for entries in [&[][..], &[5][..], &[5, 5][..]] {
        let mut net = follower(&lab);
        let letter = append(2, 1).term(5).after(previous.0, previous.1).entries(entries).commit(1000);
        let answer = net.ask(letter);
        assert_eq!(
            !answer.reject,
            accepted,
            "log 1@1 2@2 3@2 4@4, append of {} entries after {}@{} (section 5.3, consistency check): accepted?",
            entries.len(),
            previous.0,
            previous.1
        );
        if accepted {
            assert_eq!(
                answer.index,
                previous.0 + entries.len() as u64,
                "the logs agree up to the last entry of the append; nothing is known of what follows in the \
                 follower's log"
            );
        } else {
            assert_same!(net.terms(1), [1, 2, 2, 4], "a refused append changes nothing in the log");
            assert_eq!(net.commit(1), 0, "and commits nothing");
        }
    }
}

/// Figure 2, AppendEntries 3 and 4: what conflicts is deleted with all that follows it; what agrees stays,
/// with all that follows it; what is new is appended.
#[rstest]
#[case::append_at_the_end((4, 4), &[5, 5], &[1, 2, 2, 4, 5, 5])]
#[case::all_known((0, 0), &[1, 2, 2, 4], &[1, 2, 2, 4])]
#[case::known_and_new((2, 2), &[2, 4, 5], &[1, 2, 2, 4, 5])]
#[case::a_part_of_what_is_known((1, 1), &[2], &[1, 2, 2, 4])]
#[case::nothing_in_the_middle((2, 2), &[], &[1, 2, 2, 4])]
#[case::conflict_at_the_end((3, 2), &[5], &[1, 2, 2, 5])]
#[case::conflict_in_the_middle((1, 1), &[3], &[1, 3])]
#[case::conflict_at_the_start((0, 0), &[5], &[5])]
#[case::agrees_then_conflicts((0, 0), &[1, 2, 3, 3, 5], &[1, 2, 3, 3, 5])]
#[case::conflict_and_shorter((2, 2), &[5], &[1, 2, 5])]
#[case::conflict_and_longer((2, 2), &[3, 3, 3], &[1, 2, 3, 3, 3])]
fn conflicts_give_way_and_the_rest_stays(
    #[case] previous: (Index, Term),
    #[case] entries: &[Term],
    #[case] expected: &[Term],
) {
    let lab = lab!();
    let mut net = follower(&lab);
    let letter = append(2, 1).term(5).after(previous.0, previous.1).entries(entries);
    for round in 1..=2 {
        let answer = net.ask(letter.clone());
        assert!(!answer.reject, "entry {}@{} agrees: accepted", previous.0, previous.1);
        assert_same!(
            net.terms(1),
            expected,
            "the terms in the log after 1@1 2@2 3@2 4@4 got an append of terms {entries:?} after {}@{} ({round}. \
             time; figure 2, AppendEntries 3 and 4)",
            previous.0,
            previous.1
        );
    }
    net.crash(1);
    net.restart(1);
    assert_same!(net.terms(1), expected, "and the disk has the same");
}

/// Appends may arrive late and out of order. An old, short one must not cut off what came after it: the
/// leader may have counted it already (section 5.3, figure 2 "if an existing entry conflicts").
#[test]
fn an_old_append_cuts_nothing_off() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    let old: Vec<Message> = vec![
        append(2, 1).term(3).entries(&[1]).into(),
        append(2, 1).term(3).after(1, 1).entries(&[1]).into(),
        append(2, 1).term(3).after(1, 1).into(),
        append(2, 1).term(3).into(),
    ];
    assert!(!net.ask(append(2, 1).term(3).entries(&[1, 1, 3, 3])).reject, "four entries, accepted");
    for m in old {
        let what = format!("{} entries after {}@{}", m.entries.len(), m.index, m.log_term);
        assert!(!net.ask(m).reject, "an old append ({what}) still agrees");
        assert_same!(
            net.terms(1),
            [1, 1, 3, 3],
            "an old append ({what}) must not cut off the entries behind it: node 1 has acknowledged them"
        );
    }
    let answer = net.ask(append(2, 1).term(3).after(4, 3).commit(4));
    assert_eq!((answer.reject, net.commit(1)), (false, 4), "all four are still there and can be committed");
}

/// An append that overtakes its predecessor is refused, and fits after it.
#[test]
fn an_append_that_came_too_early_fits_later() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    let second = append(2, 1).term(1).after(2, 1).entries(&[1]);
    let answer = net.ask(second.clone());
    assert!(answer.reject, "entry 2@1 is not there yet: refused (section 5.3)");
    assert!(
        answer.reject_hint < 2,
        "the answer names an entry before the refused one to try next, not {}",
        answer.reject_hint
    );
    assert!(!net.ask(append(2, 1).term(1).entries(&[1, 1])).reject, "entries 1 and 2, accepted");
    assert!(!net.ask(second).reject, "now entry 2@1 is there: accepted");
    assert_same!(net.terms(1), [1, 1, 1], "nothing is missing, nothing is twice");
}

/// What is committed is never replaced (section 5.4.3): an append that would do so is wrong.
#[test]
fn committed_entries_are_never_replaced() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).log(1, &[1, 1, 2]).start();
    net.ask(append(2, 1).term(2).after(3, 2).commit(2));
    assert_eq!(net.commit(1), 2, "entries 1 and 2 are committed, 3 is not");
    assert!(!net.ask(append(3, 1).term(3).after(2, 1).entries(&[3])).reject, "entry 3 may still be replaced");
    assert_same!(net.terms(1), [1, 1, 3], "and has been");
    // A correct leader never sends these. The node may refuse them in any way but by losing what is committed.
    for wrong in [append(3, 1).entries(&[4, 4]), append(3, 1).after(1, 1).entries(&[4])] {
        let _ = net.inject(wrong.term(4));
        assert_same!(
            net.terms(1)[..2],
            [1, 1],
            "1@1 and 2@1 are committed: no append may replace them (section 5.4.3), for they may be applied already"
        );
    }
}

/// Messages that no correct peer sends are ignored, and do no harm: Raft's rules are for servers that fail by
/// stopping, not for garbled messages, so those must not get in.
#[test]
fn garbled_messages_change_nothing() {
    let lab = lab!();
    let mut net = follower(&lab);
    assert!(!net.ask(append(2, 1).term(5).after(4, 4).entries(&[5])).reject, "a sound append, accepted");
    let sound = append(2, 1).term(5).after(5, 5).entries(&[5, 5]);
    type Garble = fn(&mut Message);
    let garbled: [(&str, Garble); 5] = [
        ("an entry is left out", |m| m.entries[1].index += 1),
        ("an entry is of a later term than the message", |m| m.entries[1].term = 9),
        ("the terms of its entries go back", |m| m.entries[1].term = 4),
        ("it is of term 0", |m| m.term = 0),
        ("it says that it comes from node 1 itself", |m| m.from = 1),
    ];
    for (what, garble) in garbled {
        let mut m: Message = sound.clone().into();
        garble(&mut m);
        assert!(
            net.inject(m).is_err(),
            "an append is garbled ({what}): the owner must be told that it was ignored"
        );
        assert_same!(net.terms(1), [1, 2, 2, 4, 5], "and it must change nothing ({what})");
    }
    assert!(!net.ask(sound).reject, "sound again, accepted");
}

/// Figure 2, AppendEntries 1: an append of an old term is refused before anything else is looked at.
#[test]
fn an_append_of_an_old_leader_changes_nothing() {
    let lab = lab!();
    let mut net = follower(&lab);
    assert!(!net.ask(append(2, 1).term(5).after(4, 4).entries(&[5])).reject, "2 leads term 5: accepted");
    net.hand(append(3, 1).term(4).after(1, 1).entries(&[4, 4]).commit(3));
    assert_same!(net.terms(1), [1, 2, 2, 4, 5], "a leader of term 4 has no say in term 5 (section 5.1)");
    assert_eq!((net.commit(1), net.leader_of(1)), (0, 2), "commit index and leader stay as they were");
}

/// In every role, an append of a newer leader makes a follower that takes its entries (sections 5.1, 5.2).
#[rstest]
#[case::follower(Role::Follower)]
#[case::candidate(Role::Candidate)]
#[case::leader(Role::Leader)]
fn whoever_hears_a_newer_leader_takes_its_entries(#[case] role: Role) {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).log(1, &[1]).start();
    match role {
        Role::Follower => net.hand(heartbeat(3, 1).term(2)),
        Role::Candidate => net.campaign(1),
        Role::Leader => net.elect_by_puppets(1),
    }
    assert_eq!((net.role(1), net.term(1)), (role, 2), "the test begins with a {role:?} of term 2");
    let answer = net.ask(append(2, 1).term(3).after(1, 1).entries(&[3, 3]).commit(2));
    assert_eq!((answer.reject, answer.term, answer.index), (false, 3, 3), "the append is accepted, up to 3");
    assert_eq!(
        (net.role(1), net.term(1), net.leader_of(1), net.terms(1), net.commit(1)),
        (Role::Follower, 3, 2, vec![1, 3, 3], 2),
        "a {role:?} of term 2 that hears leader 2 of term 3: role, term, leader, terms in the log, commit"
    );
}

/// A candidate that hears the leader of its own term gives way and takes the entries at once (section 5.2).
#[test]
fn a_candidate_that_gives_way_takes_the_entries() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.campaign(1);
    let answer = net.ask(append(3, 1).term(1).entries(&[1, 1]).commit(1));
    assert_eq!((answer.reject, answer.index), (false, 2), "candidate 1 hears leader 3 of its term: accepted");
    assert_eq!((net.role(1), net.terms(1)), (Role::Follower, vec![1, 1]), "it follows, and has the entries");
}

/// A compacted entry was committed, so it agrees; the log goes on behind it.
#[rstest]
#[case::right_at_the_compacted_end((3, 2), &[5], 4)]
#[case::behind_it((4, 4), &[5], 5)]
#[case::old_append_below_it((1, 1), &[2, 2, 4], 4)]
fn an_append_at_a_compacted_place(
    #[case] previous: (Index, Term),
    #[case] entries: &[Term],
    #[case] agrees: Index,
) {
    let lab = lab!();
    let setup = Setup::of(&lab, 3).puppets(&[2, 3]).log(1, &[1, 2, 2, 4]).term(1, 5, 0);
    let mut net = setup.compacted(1, 3).start();
    let answer = net.ask(append(2, 1).term(5).after(previous.0, previous.1).entries(entries));
    assert_eq!((answer.reject, answer.index), (false, agrees), "entries 1 to 3 are compacted: they agree");
    let (last, term) = (previous.0 + entries.len() as u64, *entries.last().expect("none is empty"));
    assert_eq!(net.raft(1).log().term(last), Some(term), "the last entry of the append is in the log");
}
