//! A peer is destroyed: what goes, what stays, and in which order it reaches the disks. One store, and messages made by
//! hand.

use pretty_assertions::assert_eq;
use raftkv::engine::Fault as WriteFault;
use raftkv::proto::raft_serverpb::PeerState;
use raftkv::raftstore::{Event, SnapFileSet, SnapKey};
use raftkv_testkit::lab;
use rstest::rstest;

use crate::lone::Lone;
use crate::messages::{
    BEGIN, ID, NEXT, Vary, append, at, change, change_entry, entry, go, hello, next_region, peer, put_in,
    region, remove, snapshot,
};

const KEY: SnapKey = SnapKey { region: ID, term: 6, index: 40 };

const ALL: &str = "acegikmoqsuwy";

/// Region 7 and its neighbour, with a log.
fn two_regions() -> Lone {
    let mut lone = Lone::with_letters(&[region(), next_region()]);
    let puts = (6..=8).map(|index| entry(index, &put_in(&region(), "c"))).collect();
    lone.tell(append(&region(), BEGIN, puts));
    assert_eq!((lone.entries_on_disk(ID), lone.letters()), (vec![6, 7, 8], ALL.to_string()));
    lone
}

fn nothing_is_left(lone: &Lone) {
    assert_eq!(lone.peer_id(ID), None, "the peer is gone");
    assert_eq!(lone.letters(), "aqsuwy", "its data is gone, in every column family; that of others is there");
    assert_eq!(lone.entries_on_disk(ID), [0_u64; 0], "its log is gone");
    assert_eq!(lone.raft_state(ID), None, "its Raft state is gone: a later peer must not inherit it");
    assert_eq!(lone.apply_state(ID), None, "its apply state is gone");
    assert!(!lone.has_removed_peer(ID), "so is the record that says who it was");
    assert_eq!(lone.store().meta().region(ID), None, "nobody holds these keys here any more");
    assert_eq!(lone.store().meta().region(NEXT), Some(&next_region()), "the neighbour is where it was");
    assert_eq!(lone.peer_id(NEXT), Some(21));
    let state = lone.region_state(ID).expect("a tombstone is left");
    assert_eq!(state.state(), PeerState::Tombstone);
}

/// Data, log and states of the peer go; the neighbour keeps all that it has; a tombstone says as of which edition the
/// peer is gone.
#[rstest]
fn what_goes_and_what_stays(
    #[values(false, true)] restarted: bool,
    #[values(false, true)] has_applied: bool,
) {
    let _lab = lab!();
    let mut lone = two_regions();
    if has_applied {
        let command = change(&region(), remove(peer(1)));
        lone.tell(append(&region(), 8, vec![change_entry(9, &command)]));
        assert!(lone.has_removed_peer(ID), "its region does not name it any more: who it was is recorded");
    }
    lone.tell(go(peer(1), 6));
    if restarted {
        lone.power_cut();
    }
    nothing_is_left(&lone);
    let gone = lone.region_state(ID).and_then(|state| state.region).expect("the tombstone has an edition");
    assert_eq!(gone.region_epoch.map(|epoch| epoch.conf_ver), Some(6));
    let mut named: Vec<u64> = gone.peers.iter().map(|peer| peer.id).collect();
    named.sort_unstable();
    let known = if has_applied { vec![2, 3] } else { vec![1, 2, 3] };
    assert_eq!(named, known, "those who may know more, each once");
    lone.tick(30);
    assert_eq!(lone.peer_id(NEXT), Some(21), "and the store goes on");
}

/// The tombstone is safe before anything else goes, and by itself: whatever other regions have synced since, the store
/// can start.
#[test]
fn the_tombstone_is_safe() {
    let _lab = lab!();
    let mut lone = two_regions();
    lone.tell(go(peer(1), 6));
    assert_eq!(
        lone.safe_region_state(ID).map(|state| state.state()),
        Some(PeerState::Tombstone),
        "the tombstone is synced: the raft engine may lose nothing that the kv engine still speaks of"
    );
    // The neighbour stands for election, which is synced on the raft engine, and takes the deletion of the log with it.
    lone.tick(30);
    lone.power_cut();
    nothing_is_left(&lone);
}

/// The store stops at each write of it, and starts again: either the peer is there, whole, or it is gone, whole.
#[rstest]
fn it_stops_at_every_write(
    #[values(1, 2)] write: u64,
    #[values(WriteFault::StopBefore, WriteFault::StopAfter)] fault: WriteFault,
    #[values(false, true)] power_cut: bool,
) {
    let _lab = lab!();
    let mut lone = two_regions();
    lone.fault_at(write, fault);
    lone.tell(go(peer(1), 6));
    lone.restart(power_cut);
    if (write, fault) == (1, WriteFault::StopBefore) {
        assert_eq!(
            (lone.peer_id(ID), lone.letters()),
            (Some(1), ALL.to_string()),
            "nothing was written: it is there"
        );
        assert_eq!(lone.entries_on_disk(ID), [6, 7, 8]);
        lone.tell(go(peer(1), 6));
    }
    nothing_is_left(&lone);
    lone.tell(hello(peer(2), at(12, 1), 7));
    let new = lone.store().peer(ID).expect("a new peer may come");
    assert_eq!(
        (new.id(), new.term(), new.node().raft().log().last_index()),
        (12, 6, 0),
        "and it begins with nothing"
    );
}

/// Files of snapshots go with the peer: those that it has made, and one that it has accepted and not saved yet.
#[test]
fn its_files_go() {
    let _lab = lab!();
    let mut lone = two_regions();
    let events =
        [Event::Snapshot { message: snapshot(KEY, &region()), copy: 1 }, Event::RaftMessage(go(peer(1), 6))];
    let said = lone.give(events);
    nothing_is_left(&lone);
    assert_eq!(said.loads(), [], "a destroyed peer loads nothing");
    assert_eq!(
        said.removes(),
        [(KEY, SnapFileSet::Received)],
        "the files of the snapshot that it would have taken"
    );
    assert_eq!(lone.store().snapshots_in_use(), []);
}

/// While a worker loads a snapshot for it, the peer stays: the worker would write into what is another region's by
/// then. It goes as soon as that is done, and its data with it.
#[rstest]
#[case::told_to_go(false)]
#[case::a_later_peer_is_wanted(true)]
fn a_load_is_waited_for(#[case] later: bool) {
    let _lab = lab!();
    let mut lone = two_regions();
    assert_eq!(lone.receive(snapshot(KEY, &region()), 1).loads(), [KEY]);
    let end = || if later { hello(peer(2), at(12, 1), 9) } else { go(peer(1), 6) };
    let said = lone.tell(end());
    assert_eq!(
        lone.peer_id(ID),
        Some(1),
        "a worker is writing its data: nobody else may have these keys yet"
    );
    assert_eq!(said.removes(), [], "and it needs the files");
    assert_eq!(lone.store().snapshots_in_use(), [KEY]);
    assert_eq!(lone.region_state(ID).map(|state| state.state()), Some(PeerState::Applying));
    let said = lone.loaded(KEY);
    nothing_is_left(&lone);
    assert!(said.removes().contains(&(KEY, SnapFileSet::Received)));
    if later {
        lone.tell(end());
        assert_eq!(lone.peer_id(ID), Some(12), "now there is room for the later one");
    }
}

/// The store stops while a doomed peer loads: it starts with that peer, loads, and is told once more.
#[test]
fn a_load_is_done_again_first() {
    let _lab = lab!();
    let mut lone = two_regions();
    lone.receive(snapshot(KEY, &region()), 1);
    lone.tell(go(peer(1), 6));
    lone.power_cut();
    assert_eq!(lone.peer_id(ID), Some(1));
    assert_eq!(lone.tick(1).loads(), [KEY]);
    lone.tell(go(peer(1), 6));
    assert_eq!(lone.peer_id(ID), Some(1), "it is being loaded");
    lone.loaded(KEY);
    nothing_is_left(&lone);
}

/// What belonged to the old peer comes back from the workers late: it does not touch the new one.
#[test]
fn late_results_touch_nobody() {
    let _lab = lab!();
    let mut lone = two_regions();
    lone.tell(go(peer(1), 6));
    lone.tell(hello(peer(2), at(12, 1), 7));
    let new = region().of([peer(2), peer(3), at(12, 1)]).edition(7, 30);
    let key = SnapKey { index: 50, ..KEY };
    assert_eq!(lone.receive(snapshot(key, &new), 2).loads(), [key]);
    lone.loaded(KEY);
    let peer = lone.peer(ID);
    assert_eq!(
        peer.node().storage().loading(),
        Some(key),
        "an old snapshot's end is not the end of this one"
    );
    lone.loaded(key);
    let peer = lone.peer(ID);
    assert_eq!((peer.node().storage().loading(), peer.apply_state().applied_index), (None, 50));
}
