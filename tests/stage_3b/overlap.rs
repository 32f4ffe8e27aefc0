//! Whose keys a snapshot may bring: one that would overwrite what another region has here is dropped. One store, and
//! messages made by hand.

use pretty_assertions::assert_eq;
use raftkv::proto::eraftpb::MessageType;
use raftkv::proto::metapb::Region;
use raftkv::raftstore::{Event, SnapFileSet, SnapKey};
use raftkv_testkit::lab;
use rstest::rstest;

use crate::lone::Lone;
use crate::messages::{ID, Vary, at, go, hello, message, next_region, peer, region, snapshot};

const KEY: SnapKey = SnapKey { region: 9, term: 6, index: 40 };

/// Region 9, with peer 94 on store 1.
fn nine(start: &str, end: &str) -> Region {
    Region { id: 9, ..region().keys(start, end).of([peer(92), peer(93), at(94, 1)]).edition(2, 31) }
}

/// Its peer, created by a message that says of the keys what does not overlap.
fn with_nine(lone: &mut Lone) {
    lone.hear(&nine("x", "y").edition(2, 30), peer(92), message(MessageType::MsgHeartbeat, 6));
    assert_eq!(lone.peer_id(9), Some(94));
}

fn arrives(of: &Region, index: u64, copy: u64) -> Event {
    let key = SnapKey { region: of.id, index, ..KEY };
    Event::Snapshot { message: snapshot(key, of), copy }
}

/// A snapshot whose region holds keys of another region here is dropped, and its files are removed; where the two only
/// touch, it is taken. A dropped one does no harm: the next is taken, once the other region is out of the way.
#[rstest]
#[case::inside("c", "e", false)]
#[case::around("a", "z", false)]
#[case::over_the_left_end("", "c", false)]
#[case::over_the_right_end("o", "", false)]
#[case::everything("", "", false)]
#[case::on_the_left("", "b", true)]
#[case::on_the_right("p", "", true)]
fn another_regions_keys(#[case] start: &str, #[case] end: &str, #[case] taken: bool) {
    let _lab = lab!();
    let mut lone = Lone::with_letters(&[region()]);
    with_nine(&mut lone);
    let said = lone.give([arrives(&nine(start, end), 40, 1)]);
    let expected: &[SnapKey] = if taken { &[KEY] } else { &[] };
    assert_eq!(said.loads(), expected, "[{start} .. {end}) beside a region b to p");
    if taken {
        assert_eq!(lone.store().meta().region(9), Some(&nine(start, end)));
        return;
    }
    assert_eq!(said.removes(), [(KEY, SnapFileSet::Copy(1))], "its files are of no use");
    assert_eq!(lone.letters(), "acegikmoqsuwy", "nobody's data is touched");
    assert!(lone.store().peer(9).is_some_and(|peer| !peer.is_initialized()));
    lone.tell(go(peer(1), 6));
    assert_eq!(lone.give([arrives(&nine(start, end), 40, 2)]).loads(), [KEY], "now the keys are free");
}

/// The own region is no obstacle, however it has changed; another one is.
#[test]
fn the_own_keys() {
    let _lab = lab!();
    let mut lone = Lone::new(&[region(), next_region()]);
    let key = SnapKey { region: ID, ..KEY };
    let larger = region().keys("b", "s").edition(5, 31);
    assert_eq!(lone.receive(snapshot(key, &larger), 1).loads(), [], "the keys from p on are region 8's");
    let smaller = region().keys("", "p").edition(5, 31);
    assert_eq!(lone.receive(snapshot(key, &smaller), 2).loads(), [key]);
}

/// Two snapshots come at once, and overlap: the first is accepted, and not saved yet when the second is looked at. The
/// second is dropped.
#[rstest]
fn what_another_has_accepted(#[values(false, true)] overlap: bool) {
    let _lab = lab!();
    let mut lone = Lone::empty();
    with_nine(&mut lone);
    lone.tell(hello(peer(2), at(4, 1), 6));
    let seven = region().of([peer(2), peer(3), at(4, 1)]);
    let other = nine(if overlap { "m" } else { "p" }, "z");
    let said = lone.give([arrives(&seven, 40, 1), arrives(&other, 40, 2)]);
    let seventh = SnapKey { region: ID, ..KEY };
    if overlap {
        assert_eq!(
            said.loads(),
            [seventh],
            "a snapshot that is accepted is as good as a region that is here"
        );
        assert_eq!(said.removes(), [(KEY, SnapFileSet::Copy(2))]);
        assert_eq!(lone.store().meta().regions().map(|region| region.id).collect::<Vec<_>>(), [ID]);
    } else {
        assert_eq!(said.loads(), [seventh, KEY], "these two do not meet");
    }
}

/// A region that is late shrinks by a snapshot of its own: then the keys that it has given up are free, also for a
/// snapshot of the same round of work later on.
#[test]
fn once_the_other_has_shrunk() {
    let _lab = lab!();
    let mut lone = Lone::with_letters(&[region()]);
    with_nine(&mut lone);
    let right = nine("k", "p");
    assert_eq!(lone.give([arrives(&right, 40, 1)]).loads(), [], "region 7 has not been split here yet");
    let left = region().keys("b", "k").edition(5, 31);
    let seventh = SnapKey { region: ID, ..KEY };
    assert_eq!(lone.give([arrives(&left, 40, 2)]).loads(), [seventh]);
    assert_eq!(lone.letters(), "acegiqsuwy", "what it has given up is deleted");
    assert_eq!(lone.give([arrives(&right, 40, 3)]).loads(), [KEY], "region 7 ends at k now");
}
