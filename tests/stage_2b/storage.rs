//! `PeerStorage` by itself: what it puts into a batch, and what it makes of a disk.

use pretty_assertions::assert_eq;
use prost::Message;
use raftkv::engine::{Cf, KeyRange, MemEngine, WriteBatch, WriteOp, keys};
use raftkv::proto::eraftpb::{Entry, HardState};
use raftkv::proto::metapb::{Peer, Region};
use raftkv::proto::raft_serverpb::{RaftApplyState, RaftLocalState, RaftTruncatedState};
use raftkv::raft::{LogStorage, Ready, StorageError};
use raftkv::raftstore::{Engines, INIT_INDEX, INIT_TERM, PeerStorage, bootstrap_region};
use raftkv_testkit::lab;
use rstest::rstest;

const ID: u64 = 7;

fn region() -> Region {
    let peer = |id| Peer { id, store_id: id - 10, ..Default::default() };
    Region { id: ID, peers: vec![peer(11), peer(12), peer(13)], ..Default::default() }
}

fn entry(index: u64, term: u64) -> Entry {
    Entry { index, term, data: format!("{index}@{term}").into(), ..Default::default() }
}

fn entries(terms: &[(u64, u64)]) -> Vec<Entry> {
    terms.iter().map(|&(index, term)| entry(index, term)).collect()
}

/// The disks of a region that was just bootstrapped: the log begins behind entry 5 of term 5.
fn disks() -> Engines {
    let engines =
        Engines { kv: std::sync::Arc::new(MemEngine::new()), raft: std::sync::Arc::new(MemEngine::new()) };
    bootstrap_region(&engines, &region()).expect("an engine in memory");
    engines
}

fn open(engines: &Engines) -> PeerStorage {
    PeerStorage::open(engines.clone(), &region()).expect("a bootstrapped region")
}

fn ready(entries: Vec<Entry>, hard_state: Option<HardState>) -> Ready {
    Ready { entries, hard_state, must_sync: true, ..Default::default() }
}

fn hard_state(term: u64, vote: u64, commit: u64) -> HardState {
    HardState { term, vote, commit }
}

/// Saves a ready, and writes it.
fn save(storage: &mut PeerStorage, ready: &Ready) {
    let mut batch = WriteBatch::new();
    storage.save_ready_state(ready, &mut batch);
    storage.engines().raft.write(batch, true).expect("an engine in memory");
}

/// The log as it is on the disk, up to `last_index`.
fn log(storage: &PeerStorage) -> Vec<(u64, u64)> {
    let (first, last) = (storage.first_index().unwrap(), storage.last_index().unwrap());
    let entries = storage.entries(first, last + 1).expect("the log is whole");
    for entry in &entries {
        assert_eq!(entry.data, format!("{}@{}", entry.index, entry.term), "the entry as it was saved");
    }
    entries.iter().map(|entry| (entry.index, entry.term)).collect()
}

fn record_on_disk(engines: &Engines) -> RaftLocalState {
    let value = engines.raft.snapshot().get(Cf::Default, &keys::raft_state(ID)).unwrap();
    RaftLocalState::decode(value.expect("there is a RaftLocalState")).expect("and it can be read")
}

/// A fresh region: an empty log behind the first index, whose term is known.
#[test]
fn a_new_region() {
    let _lab = lab!();
    let storage = open(&disks());
    assert_eq!(storage.first_index(), Ok(INIT_INDEX + 1));
    assert_eq!(storage.last_index(), Ok(INIT_INDEX), "the log is empty");
    assert_eq!(
        storage.term(INIT_INDEX),
        Ok(INIT_TERM),
        "the entry before the first is gone, and its term is known"
    );
    assert_eq!(storage.entries(INIT_INDEX + 1, INIT_INDEX + 1), Ok(vec![]));
    let (hard_state, members) = storage.initial_state().expect("it was bootstrapped");
    assert_eq!((hard_state.term, hard_state.vote, hard_state.commit), (INIT_TERM, 0, INIT_INDEX));
    assert_eq!(members.voters, [11, 12, 13], "the members are those of the region");
}

/// What is saved is there when the storage is opened again: entries, the end of the log, term, vote and commit index.
#[test]
fn what_is_saved_is_found_again() {
    let _lab = lab!();
    let engines = disks();
    let mut storage = open(&engines);
    save(&mut storage, &ready(entries(&[(6, 6), (7, 6)]), Some(hard_state(6, 11, 6))));
    let expected = RaftLocalState { hard_state: Some(hard_state(6, 11, 6)), last_index: 7 };
    assert_eq!(*storage.raft_state(), expected, "the new state is known at once");
    drop(storage);
    let storage = open(&engines);
    assert_eq!(*storage.raft_state(), expected, "and on the disk");
    assert_eq!(storage.initial_state().map(|(state, _)| state), Ok(hard_state(6, 11, 6)));
    assert_eq!(log(&storage), [(6, 6), (7, 6)]);
    assert_eq!((storage.term(6), storage.term(7)), (Ok(6), Ok(6)));
}

/// One may change without the other: entries without a hard state keep the old one, and a hard state without entries
/// keeps the end of the log. Each is saved.
#[test]
fn entries_and_hard_state_are_independent() {
    let _lab = lab!();
    let engines = disks();
    let mut storage = open(&engines);
    save(&mut storage, &ready(vec![], Some(hard_state(6, 12, 5))));
    assert_eq!(
        record_on_disk(&engines),
        RaftLocalState { hard_state: Some(hard_state(6, 12, 5)), last_index: 5 },
        "term and vote change and no entry comes: saved all the same"
    );
    save(&mut storage, &ready(entries(&[(6, 6)]), None));
    assert_eq!(
        record_on_disk(&engines),
        RaftLocalState { hard_state: Some(hard_state(6, 12, 5)), last_index: 6 },
        "an entry comes and the hard state is as before: the new end of the log is saved, with the old hard state"
    );
    // Only the commit index: it need not be synced, but it is to be stored.
    let commit_only =
        Ready { hard_state: Some(hard_state(6, 12, 6)), must_sync: false, ..Default::default() };
    save(&mut storage, &commit_only);
    assert_eq!(
        record_on_disk(&engines),
        RaftLocalState { hard_state: Some(hard_state(6, 12, 6)), last_index: 6 },
        "only the commit index changes: it is saved, too"
    );
    save(&mut storage, &ready(vec![], Some(hard_state(7, 0, 6))));
    assert_eq!(
        record_on_disk(&engines),
        RaftLocalState { hard_state: Some(hard_state(7, 0, 6)), last_index: 6 },
        "a new term, without a vote: saved"
    );
    assert_eq!(log(&open(&engines)), [(6, 6)]);
}

/// New entries take the place of old ones from the first of them on, and the log ends with the last of them (section 5.3).
#[rstest]
#[case::behind_the_end(&[(9, 6)], &[(6, 6), (7, 6), (8, 6), (9, 6)])]
#[case::the_last_one(&[(8, 7)], &[(6, 6), (7, 6), (8, 7)])]
#[case::shorter(&[(7, 7)], &[(6, 6), (7, 7)])]
#[case::all(&[(6, 7)], &[(6, 7)])]
#[case::longer(&[(7, 7), (8, 7), (9, 7), (10, 7)], &[(6, 6), (7, 7), (8, 7), (9, 7), (10, 7)])]
fn new_entries_replace_old_ones(#[case] new: &[(u64, u64)], #[case] expected: &[(u64, u64)]) {
    let _lab = lab!();
    let engines = disks();
    let mut storage = open(&engines);
    save(&mut storage, &ready(entries(&[(6, 6), (7, 6), (8, 6)]), None));
    save(&mut storage, &ready(entries(new), None));
    assert_eq!(log(&storage), expected);
    let last = expected.last().expect("none of the cases is empty").0;
    assert_eq!(record_on_disk(&engines).last_index, last, "`last_index` says where the log ends");
    assert_eq!(log(&open(&engines)), expected, "the same after a restart");
    assert_eq!(
        open(&engines).entries(6, last + 2),
        Err(StorageError::Unavailable(last + 1)),
        "nothing behind the end"
    );
}

/// A ready that has nothing to store puts nothing into the batch: a write to the disk is the most expensive thing there
/// is.
#[test]
fn nothing_to_store_is_no_write() {
    let _lab = lab!();
    let mut storage = open(&disks());
    save(&mut storage, &ready(entries(&[(6, 6)]), Some(hard_state(6, 11, 5))));
    let mut batch = WriteBatch::new();
    storage.save_ready_state(&ready(vec![], None), &mut batch);
    assert!(batch.is_empty(), "{:?}", batch.ops());
}

/// It fills the batch, and writes nothing itself: the caller writes one batch for all regions.
#[test]
fn it_only_fills_the_batch() {
    let _lab = lab!();
    let engines = disks();
    let before = record_on_disk(&engines);
    let mut storage = open(&engines);
    let mut batch = WriteBatch::new();
    batch.put(Cf::Default, "another region's", "entry");
    storage.save_ready_state(&ready(entries(&[(6, 6)]), Some(hard_state(6, 11, 5))), &mut batch);
    storage.set_applied(6, &mut WriteBatch::new());
    assert_eq!(record_on_disk(&engines), before, "nothing is on the disk yet");
    assert!(batch.ops().len() >= 3, "what was in the batch stays there: {:?}", batch.ops());
    for op in batch.ops() {
        match op {
            WriteOp::Put { cf, .. } | WriteOp::Delete { cf, .. } | WriteOp::DeleteRange { cf, .. } => {
                assert_eq!(*cf, Cf::Default, "log and Raft state lie in `default`: {op:?}");
            }
        }
    }
}

/// Entries are asked for by index, both ends in the log: what is compacted, or not there yet, is an error and no
/// shorter answer.
#[test]
fn entries_outside_the_log() {
    let _lab = lab!();
    let engines = disks();
    let mut storage = open(&engines);
    save(&mut storage, &ready(entries(&[(6, 6), (7, 6), (8, 7)]), None));
    let part = storage.entries(7, 9).expect("7 and 8 are there");
    assert_eq!(part, entries(&[(7, 6), (8, 7)]), "`high` is excluded");
    assert_eq!(storage.entries(6, 7), Ok(entries(&[(6, 6)])));
    assert_eq!(storage.entries(9, 9), Ok(vec![]));
    assert_eq!(storage.entries(5, 7), Err(StorageError::Compacted(5)));
    assert_eq!(storage.entries(7, 10), Err(StorageError::Unavailable(9)));
    assert_eq!((storage.term(5), storage.term(8)), (Ok(5), Ok(7)));
    assert!(storage.term(4).is_err() && storage.term(9).is_err(), "neither is known");
}

/// A log with a hole is a damaged disk, and no shorter log.
#[rstest]
#[case::first(6)]
#[case::middle(7)]
#[case::last(8)]
fn a_hole_is_noticed(#[case] missing: u64) {
    let _lab = lab!();
    let engines = disks();
    let mut storage = open(&engines);
    save(&mut storage, &ready(entries(&[(6, 6), (7, 6), (8, 6)]), None));
    let mut batch = WriteBatch::new();
    batch.delete(Cf::Default, keys::raft_log(ID, missing));
    engines.raft.write(batch, true).unwrap();
    assert_eq!(
        open(&engines).entries(6, 9),
        Err(StorageError::Unavailable(missing)),
        "entry {missing} is gone"
    );
}

/// A log that was compacted begins behind `truncated_state`, whatever lies on the disk before.
#[test]
fn a_log_that_begins_later() {
    let _lab = lab!();
    let engines = disks();
    let mut storage = open(&engines);
    save(&mut storage, &ready(entries(&[(6, 6), (7, 8), (8, 8)]), None));
    let truncated_state = Some(RaftTruncatedState { index: 6, term: 6 });
    let state = RaftApplyState { applied_index: 7, truncated_state };
    let mut batch = WriteBatch::new();
    batch.put(Cf::Raft, keys::apply_state(ID), state.encode_to_vec());
    engines.kv.write(batch, true).unwrap();
    let mut storage = open(&engines);
    assert_eq!((storage.first_index(), storage.term(6), storage.term(7)), (Ok(7), Ok(6), Ok(8)));
    assert_eq!(storage.entries(6, 8), Err(StorageError::Compacted(6)));
    assert_eq!(log(&storage), [(7, 8), (8, 8)]);
    let mut batch = WriteBatch::new();
    storage.set_applied(8, &mut batch);
    assert_eq!(
        *storage.apply_state(),
        RaftApplyState { applied_index: 8, truncated_state },
        "the rest stays as it is"
    );
}

/// The applied index goes into the batch with the data, as a record of the kv engine in the column family that clients
/// cannot name.
#[test]
fn the_applied_index_is_a_record() {
    let _lab = lab!();
    let mut storage = open(&disks());
    let mut batch = WriteBatch::new();
    storage.set_applied(6, &mut batch);
    assert_eq!(storage.apply_state().applied_index, 6);
    let [WriteOp::Put { cf, key, value }] = batch.ops() else { panic!("one record: {:?}", batch.ops()) };
    assert_eq!((*cf, key), (Cf::Raft, &keys::apply_state(ID)));
    assert_eq!(RaftApplyState::decode(value.clone()).as_ref(), Ok(storage.apply_state()));
}

/// Regions lie side by side in one engine: nobody reads or removes what belongs to a neighbour.
#[test]
fn neighbours_are_left_alone() {
    let _lab = lab!();
    let engines = disks();
    let mut batch = WriteBatch::new();
    for neighbour in [ID - 1, ID + 1] {
        for index in 1..20 {
            batch.put(Cf::Default, keys::raft_log(neighbour, index), entry(index, 99).encode_to_vec());
        }
    }
    engines.raft.write(batch, true).unwrap();
    let mut storage = open(&engines);
    save(&mut storage, &ready(entries(&[(6, 6), (7, 6), (8, 6)]), None));
    save(&mut storage, &ready(entries(&[(7, 7)]), None));
    assert_eq!(log(&storage), [(6, 6), (7, 7)]);
    let snapshot = engines.raft.snapshot();
    let mut cursor = snapshot.cursor(Cf::Default, KeyRange::all());
    cursor.seek_to_first().unwrap();
    let mut of_neighbours = 0;
    while let Some((key, _)) = cursor.entry() {
        of_neighbours +=
            usize::from([ID - 1, ID + 1].iter().any(|id| keys::raft_log_index(*id, key).is_some()));
        cursor.next().unwrap();
    }
    assert_eq!(of_neighbours, 38, "both neighbours have their 19 entries");
}
