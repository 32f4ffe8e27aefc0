//! Commands that were made for the region as it was before the split.

use pretty_assertions::assert_eq;
use raftkv::engine::Cf;
use raftkv::proto::raft_cmdpb::Request;
use raftkv_testkit::lab;
use raftkv_testkit::requests::{delete, delete_range, get, put, snap, swap};
use rstest::rstest;

use crate::lone::{Lone, quiet};
use crate::messages::{BEGIN, Vary, append, change, command, entry, peer, refused, region, split};

const KEYS: [&str; 4] = ["b", "d", "h", "o"];

fn changes() -> Vec<Vec<Request>> {
    vec![vec![put("new", "1")], vec![delete("o")], vec![delete_range("b", "p")], vec![swap("new", None, "1")]]
}

/// A command stands in the log behind a split, and was made for the edition before: it is refused when it is applied
/// (`EpochNotMatch`), and changes nothing, be its keys on the one side or on the other. A client that asks again, and
/// does so for the edition at hand, is served.
#[rstest]
#[case::put(vec![put("d", "new")])]
#[case::put_on_the_other_side(vec![put("o", "new")])]
#[case::delete(vec![delete("d")])]
#[case::delete_on_the_other_side(vec![delete("o")])]
#[case::delete_everything(vec![delete_range("b", "p")])]
#[case::get(vec![get("d")])]
#[case::view(vec![snap()])]
fn overtaken_by_a_split(#[case] requests: Vec<Request>, #[values(false, true)] right_derive: bool) {
    let _lab = lab!();
    let mut lone = Lone::leader();
    lone.put_all(7, &KEYS);
    let both =
        [change(lone.region(7), split(&[("h", 8, &[81])], right_derive)), command(lone.region(7), requests)];
    let mut answers = lone.together(&both);
    let error = refused(answers.remove(1));
    let current =
        error.epoch_not_match.expect("EpochNotMatch: the keys may be another region's").current_regions;
    assert_eq!(current.first(), Some(lone.region(7)), "the client learns what is left of the region");
    assert!(answers.remove(0).is_ok(), "the split in front of it is made");
    let kv = lone.store().engines().kv.snapshot();
    for key in KEYS {
        let value = kv.get(Cf::Default, key.as_bytes()).expect("an engine in memory");
        assert_eq!(value.as_deref(), Some(key.as_bytes()), "key {key} is as it was");
    }
}

/// On every peer the same: a follower applies the same entries, and comes to the same data (section 5.4.3). A command
/// in front of the split is carried out, one behind it for the old edition is not, one for the new edition is.
#[test]
fn the_same_on_a_follower() {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    let mut log = vec![command(lone.region(7), vec![put("d", "before")])];
    log.push(change(lone.region(7), split(&[("h", 8, &[81, 82, 83])], false)));
    log.extend(changes().into_iter().map(|requests| command(lone.region(7), requests)));
    log.push(command(&region().edition(5, 31), vec![put("e", "after")]));
    let entries = log.iter().zip(6..).map(|(request, index)| entry(index, request)).collect();
    lone.tell(append(&region(), BEGIN, entries));
    assert_eq!(lone.peer(7).apply_state().applied_index, 5 + log.len() as u64);
    assert!(lone.has_peer(8));
    assert_eq!(lone.held(Cf::Default, &["b", "d", "e", "new", "o"]), "d e");
}

/// Whoever comes with the old edition afterwards is told of it at once, and of both parts: what was one region, is then
/// complete.
#[rstest]
#[case::left(false)]
#[case::right(true)]
fn all_parts_are_named(#[case] right_derive: bool) {
    let _lab = lab!();
    let mut lone = Lone::leader();
    let old = command(lone.region(7), vec![put("d", "1")]);
    lone.split(7, &[("h", 8, &[81])], right_derive);
    let error = refused(lone.ask(&old)).epoch_not_match.expect("EpochNotMatch");
    let mut named: Vec<u64> = error.current_regions.iter().map(|region| region.id).collect();
    assert_eq!(named[0], 7, "first the region that was asked for");
    named.sort_unstable();
    assert_eq!(named, [7, 8]);
    for part in &error.current_regions {
        assert_eq!(part, lone.region(part.id), "as it is");
    }
}

/// A region in the middle has two neighbours, and both are named; a region that lies elsewhere is not.
#[test]
fn only_neighbours_are_named() {
    let _lab = lab!();
    let mut lone = Lone::leader();
    lone.split(7, &[("d", 8, &[81]), ("h", 9, &[91]), ("k", 10, &[101])], false);
    let request = command(&lone.region(9).clone().edition(5, 32), vec![put("h", "1")]);
    let error = refused(lone.ask(&request)).epoch_not_match.expect("EpochNotMatch");
    let mut named: Vec<u64> = error.current_regions.iter().map(|region| region.id).collect();
    named.sort_unstable();
    assert_eq!(named, [8, 9, 10]);
}

/// The edges of the key space are nobody's neighbours: the last region does not lie next to the first.
#[test]
fn the_ends_do_not_meet() {
    let _lab = lab!();
    let mut lone = Lone::leader_of(quiet(), &region().keys("", "").of([peer(1)]));
    lone.split(7, &[("d", 8, &[81]), ("h", 9, &[91])], false);
    for (region, next) in [(7, 8), (9, 8)] {
        let request = command(&lone.region(region).clone().edition(5, 31), vec![put("z", "1")]);
        let error = refused(lone.ask(&request)).epoch_not_match.expect("EpochNotMatch");
        let named: Vec<u64> = error.current_regions.iter().map(|region| region.id).collect();
        assert_eq!(named, [region, next]);
    }
}

/// Right edition, wrong keys: of one command all keys are looked at.
#[rstest]
#[case::put(vec![put("d", "1"), put("o", "1")])]
#[case::get(vec![get("d"), get("h")])]
#[case::swap(vec![swap("h", None, "1")])]
#[case::delete_across(vec![delete_range("d", "k")])]
fn keys_of_the_other_side(#[case] requests: Vec<Request>) {
    let _lab = lab!();
    let mut lone = Lone::leader();
    lone.put_all(7, &KEYS);
    lone.split(7, &[("h", 8, &[81])], false);
    assert!(refused(lone.ask(&command(lone.region(7), requests))).key_not_in_region.is_some());
    assert_eq!(lone.held(Cf::Default, &KEYS), KEYS.join(" "));
}
