//! Splits that are not made: refused when they are proposed, and, where the region has changed meanwhile, when they are
//! applied.

use pretty_assertions::assert_eq;
use raftkv::error::Error;
use raftkv::proto::eraftpb::ConfChangeType;
use raftkv::proto::metapb::Peer;
use raftkv::proto::pdpb::SplitId;
use raftkv::proto::raft_cmdpb::AdminRequest;
use raftkv::raftstore::TaskDone;
use raftkv_testkit::lab;
use raftkv_testkit::sim::change_peer;
use rstest::rstest;

use crate::lone::{Lone, quiet};
use crate::messages::{
    BEGIN, Cut, Vary, append, change, change_entry, cut, entry, epoch, peer, refused, region, split,
};

const GOOD: Cut = ("h", 8, &[81]);

/// A change that is refused leaves no trace: the log, the region and its record are as they were. And a good split is
/// made afterwards.
fn refuse(lone: &mut Lone, admin: AdminRequest) -> Error {
    let all = |lone: &Lone| (lone.region(7).clone(), lone.region_state(7), lone.last_index(7));
    let before = all(lone);
    let request = change(lone.region(7), admin);
    let error = lone.ask(&request).expect_err("the split makes no sense");
    assert_eq!(all(lone), before, "nothing has changed");
    assert_eq!(lone.split(7, &[GOOD], false).len(), 2, "a good one is made");
    error
}

/// A region is cut at a key inside it. Its own start is not inside: nothing would be left of it. Its end belongs to the
/// next one.
#[rstest]
#[case::before_the_start("b", "p", "a")]
#[case::at_the_start("b", "p", "b")]
#[case::at_the_end("b", "p", "p")]
#[case::behind_the_end("b", "p", "q")]
#[case::before_the_start_of_the_last("b", "", "a")]
#[case::at_the_end_of_the_first("", "p", "p")]
fn keys_outside(#[case] start: &str, #[case] end: &str, #[case] key: &str) {
    let _lab = lab!();
    let mut lone = Lone::leader_of(quiet(), &region().keys(start, end).of([peer(1)]));
    match refuse(&mut lone, split(&[(key, 9, &[91])], false)) {
        Error::Region(error) => {
            let outside = error.key_not_in_region.expect("KeyNotInRegion: the asker knows an old edition");
            assert_eq!((&outside.key[..], outside.region_id), (key.as_bytes(), 7));
        }
        other => panic!("KeyNotInRegion was expected: {other}"),
    }
}

/// Every key is looked at, not only the first.
#[test]
fn one_of_several_keys_outside() {
    let _lab = lab!();
    let mut lone = Lone::leader();
    let error = refuse(&mut lone, split(&[("d", 9, &[91]), ("h", 10, &[101]), ("x", 11, &[111])], false));
    match error {
        Error::Region(error) => assert_eq!(error.key_not_in_region.expect("KeyNotInRegion").key, "x"),
        other => panic!("KeyNotInRegion was expected: {other}"),
    }
}

/// What makes no sense in any region is a bad command: no keys, an empty one, keys that do not ascend.
#[rstest]
#[case::none(&[])]
#[case::an_empty_key(&[cut("", 9, &[91])])]
#[case::descending(&[cut("h", 9, &[91]), cut("d", 10, &[101])])]
#[case::the_same_key_twice(&[cut("h", 9, &[91]), cut("h", 10, &[101])])]
fn bad_keys(#[case] cuts: &[Cut]) {
    let _lab = lab!();
    let error = refuse(&mut Lone::leader(), split(cuts, false));
    assert!(matches!(error, Error::Rejected(_)), "{error}");
}

/// Each new region has an id, and an id for each peer that the region has: no more, no less, none of them 0, none
/// twice, and none that is taken in this region.
#[rstest]
#[case::too_few(&[cut("d", 9, &[])])]
#[case::too_many(&[cut("d", 9, &[91, 92])])]
#[case::too_few_in_the_second(&[cut("d", 9, &[91]), cut("h", 10, &[])])]
#[case::peer_zero(&[cut("d", 9, &[0])])]
#[case::region_zero(&[cut("d", 0, &[91])])]
#[case::a_region_twice(&[cut("d", 9, &[91]), cut("h", 9, &[101])])]
#[case::a_peer_twice(&[cut("d", 9, &[91]), cut("h", 10, &[91])])]
#[case::the_region_itself(&[cut("d", 7, &[91])])]
#[case::one_of_its_peers(&[cut("d", 9, &[1])])]
fn bad_ids(#[case] cuts: &[Cut]) {
    let _lab = lab!();
    let error = refuse(&mut Lone::leader(), split(cuts, false));
    assert!(matches!(error, Error::Rejected(_)), "{error}");
}

/// The id of another region that is here is taken, too: it would be overwritten.
#[test]
fn the_id_of_another_region() {
    let _lab = lab!();
    let mut lone = Lone::leader();
    lone.split(7, &[("h", 8, &[81])], false);
    lone.put_all(8, &["k"]);
    let before = lone.region(8).clone();
    let request = change(lone.region(7), split(&[("d", 8, &[91])], false));
    assert!(matches!(lone.ask(&request), Err(Error::Rejected(_))), "BadCommand");
    lone.done(TaskDone::SplitIds {
        region: Box::new(lone.region(7).clone()),
        key: "d".into(),
        ids: Some(SplitId { new_region_id: 8, new_peer_ids: vec![91] }),
    });
    assert_eq!((lone.region(8), &lone.region(7).end_key[..]), (&before, &b"h"[..]));
}

/// A split is for one edition of the region. Whoever knows another one is told which it is now: another `version` means
/// other keys, another `conf_ver` other peers, so the ids would not fit.
#[rstest]
#[case::old_version(5, 29)]
#[case::new_version(5, 31)]
#[case::old_conf_ver(4, 30)]
#[case::new_conf_ver(6, 30)]
fn another_edition(#[case] conf_ver: u64, #[case] version: u64) {
    let _lab = lab!();
    let mut lone = Lone::leader();
    let request = change(&region().edition(conf_ver, version), split(&[("d", 9, &[91])], false));
    let error = refused(lone.ask(&request)).epoch_not_match.expect("EpochNotMatch");
    assert_eq!(error.current_regions.first(), Some(lone.region(7)), "the region as it is");
    assert_eq!(lone.split(7, &[GOOD], false).len(), 2, "for the edition at hand it is made");
}

/// Only the leader takes a split.
#[test]
fn not_on_a_follower() {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    let request = change(lone.region(7), split(&[("h", 8, &[81, 82, 83])], false));
    assert!(refused(lone.ask(&request)).not_leader.is_some());
    lone.tell(append(&region(), BEGIN, vec![entry(6, &request)]));
    assert!(lone.has_peer(8), "from the leader's log it is carried out");
}

/// Two splits are in the log, made for the same edition. The first one changes the keys: the second is refused when it
/// is applied, and changes nothing.
#[rstest]
#[case::at_the_same_key("h")]
#[case::on_the_left("d")]
#[case::on_the_right("k")]
fn raced_by_a_split(#[case] key: &str) {
    let _lab = lab!();
    let mut lone = Lone::leader();
    let both = [GOOD, (key, 9, &[91])].map(|cut| change(lone.region(7), split(&[cut], false)));
    let mut answers = lone.together(&both);
    let second = refused(answers.remove(1)).epoch_not_match.expect("EpochNotMatch");
    assert_eq!(second.current_regions.first(), Some(lone.region(7)), "what is left of the region");
    assert!(answers.remove(0).is_ok());
    assert!(!lone.has_peer(9) && lone.region_state(9).is_none(), "nothing of a refused split is there");
    assert_eq!(lone.region(7).region_epoch, epoch(5, 31));
}

/// A change of members is in front of the split in the log: there are fewer peers by then, or more, so the split is
/// refused when it is applied, on every peer alike.
#[rstest]
#[case::one_goes(ConfChangeType::RemoveNode, peer(3))]
#[case::one_comes(ConfChangeType::AddNode, peer(4))]
fn raced_by_a_change_of_members(#[case] kind: ConfChangeType, #[case] changed: Peer) {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    let first = change(lone.region(7), change_peer(kind, changed));
    let late = change(lone.region(7), split(&[("h", 8, &[81, 82, 83])], false));
    lone.tell(append(&region(), BEGIN, vec![change_entry(6, &first), entry(7, &late)]));
    assert_eq!(lone.peer(7).apply_state().applied_index, 7, "a refused entry is applied all the same");
    assert_eq!(lone.region(7).region_epoch, epoch(6, 30), "members have changed, keys have not");
    assert!(!lone.has_peer(8) && lone.region_state(8).is_none(), "the split was for three other peers");
}

/// What cannot have been proposed by a correct leader, but stands in the log, is refused by every peer alike; nobody
/// stops.
#[rstest]
#[case::key_outside(&[cut("x", 8, &[81, 82, 83])])]
#[case::key_at_the_start(&[cut("b", 8, &[81, 82, 83])])]
#[case::too_few_ids(&[cut("h", 8, &[81])])]
#[case::its_own_id(&[cut("h", 7, &[81, 82, 83])])]
#[case::no_order(&[cut("h", 8, &[81, 82, 83]), cut("d", 9, &[91, 92, 93])])]
fn looked_at_again(#[case] cuts: &[Cut]) {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    let bad = change(lone.region(7), split(cuts, false));
    let good = change(lone.region(7), split(&[("k", 10, &[101, 102, 103])], false));
    lone.tell(append(&region(), BEGIN, vec![entry(6, &bad), entry(7, &good)]));
    assert_eq!(lone.failure, None);
    assert!(!lone.has_peer(8) && lone.region_state(8).is_none(), "the bad one changes nothing");
    assert!(lone.has_peer(10), "the good one behind it is carried out");
}
