//! Snapshots by themselves: files, chunks, loading; without a store.

use std::sync::Arc;

use bytes::Bytes;
use pretty_assertions::assert_eq;
use prost::Message as _;
use raftkv::engine::{Cf, Engine, Fault, KeyRange, MemDisk, MemEngine, WriteBatch};
use raftkv::proto::eraftpb::{Message, MessageType, Snapshot};
use raftkv::proto::metapb::{Peer, Region};
use raftkv::proto::raft_serverpb::{RaftMessage, RaftSnapshotData, SnapshotChunk};
use raftkv::raftstore::{Event, Generate, SnapFileSet, SnapKey};
use raftkv::worker::region::{generate, load};
use raftkv::worker::snap::{Permits, SnapError, SnapFiles, SnapReceiver, SnapSender};
use raftkv_testkit::lab;
use rstest::rstest;

const KEY: SnapKey = SnapKey { region: 7, term: 6, index: 120 };

fn region() -> Region {
    let peer = |id| Peer { id, store_id: id, ..Default::default() };
    Region {
        id: 7,
        start_key: "b".into(),
        end_key: "p".into(),
        peers: vec![peer(1), peer(2)],
        ..Default::default()
    }
}

/// Every data column family has keys inside the region and beside it.
fn giver() -> MemEngine {
    let engine = MemEngine::new();
    let mut batch = WriteBatch::new();
    for cf in Cf::DATA {
        for key in ["a", "b", "c", "o", "p", "z"] {
            batch.put(cf, key, format!("{key} in {cf}"));
        }
        batch.put(cf, "large", "x".repeat(1000));
    }
    batch.put(Cf::Lock, "empty", "");
    engine.write(batch, true).expect("an engine in memory");
    engine
}

fn files(disk: &MemDisk) -> SnapFiles {
    SnapFiles::open(Arc::new(disk.folder()), &[]).expect("an empty folder")
}

fn make(disk: &MemDisk, engine: &dyn Engine) -> (SnapFiles, Snapshot) {
    let files = files(disk);
    let task = Generate { key: KEY, region: region(), data: engine.snapshot() };
    let snapshot = generate(&files, &task).expect("the disk is well");
    (files, snapshot)
}

fn message(snapshot: Snapshot) -> RaftMessage {
    let message = Message {
        msg_type: MessageType::MsgSnapshot.into(),
        from: 1,
        to: 2,
        term: 6,
        snapshot: Some(snapshot),
        ..Default::default()
    };
    let to_peer = Some(Peer { id: 2, store_id: 2, ..Default::default() });
    RaftMessage { region_id: 7, to_peer, message: Some(message), ..Default::default() }
}

fn chunks(files: &SnapFiles, snapshot: Snapshot, size: usize) -> Vec<SnapshotChunk> {
    let permit = Permits::new(1).take().expect("there is one");
    let mut sender =
        SnapSender::new(files.clone(), message(snapshot), size, permit).expect("a sound message");
    let mut chunks = Vec::new();
    while let Some(chunk) = sender.next_chunk().expect("the disk is well") {
        chunks.push(chunk);
        assert!(chunks.len() < 100_000, "a snapshot has an end");
    }
    assert!(sender.next_chunk().expect("the disk is well").is_none(), "what is sent is sent");
    chunks
}

fn receive(files: &SnapFiles, chunks: impl IntoIterator<Item = SnapshotChunk>) -> Result<Event, SnapError> {
    let permit = Permits::new(1).take().expect("there is one");
    let mut chunks = chunks.into_iter();
    let mut receiver = SnapReceiver::new(files.clone(), chunks.next().expect("a first chunk"), permit)?;
    chunks.try_for_each(|chunk| receiver.take(chunk))?;
    receiver.finish()
}

/// All pairs of an engine, as text.
fn pairs(engine: &dyn Engine, cf: Cf) -> Vec<(String, usize)> {
    let snapshot = engine.snapshot();
    let mut cursor = snapshot.cursor(cf, KeyRange::all());
    let mut pairs = Vec::new();
    cursor.seek_to_first().expect("an engine in memory");
    while let Some((key, value)) = cursor.entry() {
        pairs.push((String::from_utf8_lossy(key).into_owned(), value.len()));
        cursor.next().expect("an engine in memory");
    }
    pairs
}

/// From one engine to the other, whatever the size of the chunks: the range holds what the giver's held, in every
/// column family, and nothing of what was there; the neighbours keep theirs.
#[rstest]
#[case::one_byte(1)]
#[case::an_odd_size(7)]
#[case::larger_than_all(1 << 20)]
fn the_whole_way(#[case] size: usize) {
    let _lab = lab!();
    let (from, to) = (MemDisk::new(), MemDisk::new());
    let source = giver();
    let (sender_files, snapshot) = make(&from, &source);
    let chunks = chunks(&sender_files, snapshot.clone(), size);
    let receiver_files = files(&to);
    let event = receive(&receiver_files, chunks).expect("nothing was damaged");
    let Event::Snapshot { message: received, .. } = event else { panic!("a snapshot, not {event:?}") };
    assert_eq!(received, message(snapshot), "the store gets the message as it was sent");

    let target = to.open("kv").expect("a new engine");
    let mut batch = WriteBatch::new();
    for cf in Cf::DATA {
        for key in ["a", "b", "deleted", "p"] {
            batch.put(cf, key, "old");
        }
    }
    target.write(batch, true).expect("an engine in memory");
    load(&target, &receiver_files, KEY, &region().range()).expect("all is there");
    for cf in Cf::DATA {
        let inside = |pairs: Vec<(String, usize)>| {
            pairs.into_iter().filter(|(key, _)| region().range().contains(key.as_bytes())).collect::<Vec<_>>()
        };
        assert_eq!(inside(pairs(&target, cf)), inside(pairs(&source, cf)), "{cf}: what the giver had");
        let snapshot = target.snapshot();
        let old = |key: &str| snapshot.get(cf, key.as_bytes()).expect("an engine in memory");
        assert_eq!(
            (old("a"), old("p")),
            (Some("old".into()), Some("old".into())),
            "{cf}: the neighbours' keys"
        );
    }
}

/// What a receiver has to know stands in the snapshot: the last entry, the members, the range, and of each file size
/// and checksum.
#[test]
fn what_a_snapshot_says() {
    let _lab = lab!();
    let (_, snapshot) = make(&MemDisk::new(), &giver());
    let last = snapshot.metadata.clone().expect("where it ends");
    assert_eq!((last.index, last.term), (120, 6));
    assert_eq!(last.conf_state.expect("the members").voters, [1, 2]);
    let data = RaftSnapshotData::decode(snapshot.data).expect("a RaftSnapshotData");
    assert_eq!(data.region, Some(region()));
    let files = data.meta.expect("the files").cf_files;
    assert_eq!(files.iter().map(|file| &file.cf[..]).collect::<Vec<_>>(), ["default", "write", "lock"]);
    assert_eq!(data.file_size, files.iter().map(|file| file.size).sum::<u64>());
    assert!(files.iter().all(|file| file.size > 1000), "each has the large value");
}

/// The first chunk is the message, and only that; the others have data of at most the chunk size, and never none (the
/// rpc's contract).
#[rstest]
#[case(64)]
#[case(1000)]
fn what_chunks_look_like(#[case] size: usize) {
    let _lab = lab!();
    let (files, snapshot) = make(&MemDisk::new(), &giver());
    let total = RaftSnapshotData::decode(snapshot.data.clone()).expect("a RaftSnapshotData").file_size;
    let chunks = chunks(&files, snapshot, size);
    assert!(chunks[0].message.is_some() && chunks[0].data.is_empty());
    for chunk in &chunks[1..] {
        assert!(chunk.message.is_none());
        assert!((1..=size).contains(&chunk.data.len()), "a chunk with {} bytes", chunk.data.len());
    }
    assert_eq!(chunks[1..].iter().map(|chunk| chunk.data.len() as u64).sum::<u64>(), total);
}

/// A region without any keys.
#[test]
fn an_empty_region() {
    let _lab = lab!();
    let (from, to) = (MemDisk::new(), MemDisk::new());
    let (sender_files, snapshot) = make(&from, &MemEngine::new());
    let chunks = chunks(&sender_files, snapshot, 100);
    assert_eq!(chunks.len(), 1, "the message says that there is nothing else");
    let receiver_files = files(&to);
    receive(&receiver_files, chunks).expect("nothing is as good as something");
    let target = giver();
    load(&target, &receiver_files, KEY, &region().range()).expect("all is there");
    assert_eq!(pairs(&target, Cf::Write).len(), 3, "a, p and z are the neighbours'");
}

/// Chunks may be cut anywhere: another sender need not begin one at the beginning of a file.
#[test]
fn chunks_across_files() {
    let _lab = lab!();
    let (files_from, snapshot) = make(&MemDisk::new(), &giver());
    let chunks = chunks(&files_from, snapshot, 100);
    let all: Vec<u8> = chunks[1..].iter().flat_map(|chunk| chunk.data.to_vec()).collect();
    let recut =
        all.chunks(777).map(|data| SnapshotChunk { data: Bytes::copy_from_slice(data), message: None });
    let files = files(&MemDisk::new());
    receive(&files, chunks[..1].iter().cloned().chain(recut)).expect("the same bytes in other pieces");
    load(&MemEngine::new(), &files, KEY, &region().range()).expect("all is there");
}

/// Whatever happens to the stream, what is not exactly what was sent is refused, and nothing of it is left.
#[rstest]
#[case::a_chunk_is_missing(|chunks: &mut Vec<SnapshotChunk>| drop(chunks.remove(3)))]
#[case::the_last_chunk_is_missing(|chunks: &mut Vec<SnapshotChunk>| drop(chunks.pop()))]
#[case::only_the_message(|chunks: &mut Vec<SnapshotChunk>| chunks.truncate(1))]
#[case::a_chunk_comes_twice(|chunks: &mut Vec<SnapshotChunk>| { let copy = chunks[3].clone(); chunks.insert(3, copy) })]
#[case::two_change_places(|chunks: &mut Vec<SnapshotChunk>| chunks.swap(1, 2))]
#[case::something_follows(|chunks: &mut Vec<SnapshotChunk>| chunks.push(SnapshotChunk { data: "x".into(), message: None }))]
#[case::a_bit_is_wrong(|chunks: &mut Vec<SnapshotChunk>| {
    let mut data = chunks[4].data.to_vec();
    data[20] ^= 4;
    chunks[4].data = data.into();
})]
#[case::the_last_bit_is_wrong(|chunks: &mut Vec<SnapshotChunk>| {
    let last = chunks.last_mut().unwrap();
    let mut data = last.data.to_vec();
    *data.last_mut().unwrap() ^= 1;
    last.data = data.into();
})]
fn damage_is_noticed(#[case] damage: fn(&mut Vec<SnapshotChunk>)) {
    let _lab = lab!();
    let (sender_files, snapshot) = make(&MemDisk::new(), &giver());
    let mut chunks = chunks(&sender_files, snapshot, 300);
    assert!(chunks.len() > 8);
    damage(&mut chunks);
    let disk = MemDisk::new();
    let files = files(&disk);
    let error = receive(&files, chunks).expect_err("it is not what was sent");
    assert!(matches!(error, SnapError::Size { .. } | SnapError::Checksum { .. }), "{error}");
    assert_eq!(files.list().expect("the disk is well"), [""; 0], "what has come is thrown away");
    assert!(load(&MemEngine::new(), &files, KEY, &region().range()).is_err(), "there is nothing to load");
}

/// A first chunk that does not say what comes, or says nonsense, begins nothing.
#[rstest]
#[case::no_message(|chunk: &mut SnapshotChunk| chunk.message = None)]
#[case::with_data(|chunk: &mut SnapshotChunk| chunk.data = "x".into())]
#[case::for_nobody(|chunk: &mut SnapshotChunk| chunk.message.as_mut().unwrap().to_peer = None)]
#[case::no_snapshot(|chunk: &mut SnapshotChunk| edit(chunk, |m| m.snapshot = None))]
#[case::no_end(|chunk: &mut SnapshotChunk| edit(chunk, |m| m.snapshot.as_mut().unwrap().metadata = None))]
#[case::garbage(|chunk: &mut SnapshotChunk| edit(chunk, |m| m.snapshot.as_mut().unwrap().data = "garbage".into()))]
#[case::of_another_kind(|chunk: &mut SnapshotChunk| edit(chunk, |m| m.set_msg_type(MessageType::MsgAppend)))]
#[case::another_format(|chunk: &mut SnapshotChunk| edit_data(chunk, |data| data.version += 1))]
#[case::a_file_too_many(|chunk: &mut SnapshotChunk| edit_data(chunk, |data| {
    let files = &mut data.meta.as_mut().unwrap().cf_files;
    files.push(files[0].clone());
}))]
#[case::a_file_of_a_strange_name(|chunk: &mut SnapshotChunk| edit_data(chunk, |data| {
    data.meta.as_mut().unwrap().cf_files[0].cf = "../default".to_string();
}))]
#[case::sizes_that_do_not_add_up(|chunk: &mut SnapshotChunk| edit_data(chunk, |data| data.file_size += 1))]
fn a_first_chunk_that_makes_no_sense(#[case] damage: fn(&mut SnapshotChunk)) {
    let _lab = lab!();
    let (sender_files, snapshot) = make(&MemDisk::new(), &giver());
    let mut chunks = chunks(&sender_files, snapshot, 300);
    damage(&mut chunks[0]);
    let files = files(&MemDisk::new());
    assert!(matches!(receive(&files, chunks), Err(SnapError::BadMessage(_))));
    assert_eq!(files.list().expect("the disk is well"), [""; 0]);
}

fn edit(chunk: &mut SnapshotChunk, change: impl FnOnce(&mut Message)) {
    change(chunk.message.as_mut().and_then(|message| message.message.as_mut()).expect("it has one"));
}

fn edit_data(chunk: &mut SnapshotChunk, change: impl FnOnce(&mut RaftSnapshotData)) {
    edit(chunk, |message| {
        let snapshot = message.snapshot.as_mut().expect("it has one");
        let mut data = RaftSnapshotData::decode(snapshot.data.clone()).expect("a RaftSnapshotData");
        change(&mut data);
        snapshot.data = data.encode_to_vec().into();
    });
}

/// The disk is full, at every write of the receiver: an error, and nothing that looks like a snapshot. With room again,
/// the next one is received.
#[test]
fn the_disk_is_full_while_receiving() {
    let _lab = lab!();
    let (sender_files, snapshot) = make(&MemDisk::new(), &giver());
    let chunks = chunks(&sender_files, snapshot, 1000);
    let mut failures = 0;
    for write in 1..100 {
        let disk = MemDisk::new();
        let files = files(&disk);
        disk.plan(write, Fault::Fail);
        let outcome = receive(&files, chunks.clone());
        if disk.struck() == 0 {
            break;
        }
        if outcome.is_err() {
            failures += 1;
            assert!(
                load(&MemEngine::new(), &files, KEY, &region().range()).is_err(),
                "write {write}: it is not complete"
            );
        }
        receive(&files, chunks.clone()).expect("there is room again");
        load(&MemEngine::new(), &files, KEY, &region().range()).expect("and this one is");
    }
    assert!(failures >= 10, "{failures} writes can fail");
}

/// A snapshot that has been received survives a loss of power; one that has not is not there at all.
#[test]
fn received_is_safe() {
    let _lab = lab!();
    let (sender_files, snapshot) = make(&MemDisk::new(), &giver());
    let chunks = chunks(&sender_files, snapshot, 1000);
    for write in 1..100 {
        for fault in [Fault::StopBefore, Fault::StopAfter] {
            let disk = MemDisk::new();
            let files = files(&disk);
            disk.plan(write, fault);
            let outcome = receive(&files, chunks.clone());
            let struck = disk.struck() > 0;
            disk.restart();
            let files = SnapFiles::open(Arc::new(disk.folder()), &[KEY]).expect("the disk is well");
            let loaded = load(&MemEngine::new(), &files, KEY, &region().range());
            assert!(
                outcome.is_err() || loaded.is_ok(),
                "write {write}: it was reported as received, and is not there"
            );
            if let Err(error) = &loaded {
                let text = error.to_string();
                assert!(
                    text.contains("not here"),
                    "write {write}: half a snapshot looks like a whole one: {text}"
                );
            }
            if !struck {
                return;
            }
        }
    }
    panic!("receiving has an end");
}

/// A stream that ends early leaves nothing, and gives its permit back.
#[test]
fn a_stream_that_breaks() {
    let _lab = lab!();
    let (sender_files, snapshot) = make(&MemDisk::new(), &giver());
    let chunks = chunks(&sender_files, snapshot, 300);
    let (files, permits) = (files(&MemDisk::new()), Permits::new(1));
    let mut receiver =
        SnapReceiver::new(files.clone(), chunks[0].clone(), permits.take().expect("one is left"))
            .expect("a first chunk");
    receiver.take(chunks[1].clone()).expect("the disk is well");
    assert!(permits.take().is_none(), "one at a time");
    assert!(!files.list().expect("the disk is well").is_empty());
    drop(receiver);
    assert_eq!(files.list().expect("the disk is well"), [""; 0]);
    assert!(permits.take().is_some());
}

/// A store that starts keeps the received snapshots that it needs, and removes everything else.
#[test]
fn a_start_removes_what_is_stale() {
    let _lab = lab!();
    let (sender_files, snapshot) = make(&MemDisk::new(), &giver());
    let chunks = chunks(&sender_files, snapshot, 300);
    let disk = MemDisk::new();
    let (files, _) = make(&disk, &giver());
    receive(&files, chunks.clone()).expect("all comes");
    let permit = Permits::new(1).take().expect("there is one");
    let mut half = SnapReceiver::new(files.clone(), chunks[0].clone(), permit).expect("a first chunk");
    half.take(chunks[1].clone()).expect("the disk is well");
    disk.restart_process();
    drop(half);
    let files = SnapFiles::open(Arc::new(disk.folder()), &[KEY]).expect("the disk is well");
    let names = files.list().expect("the disk is well");
    assert!(
        names.iter().all(|name| name.starts_with("received_7_6_120_")),
        "made and half-received files are gone: {names:?}"
    );
    load(&MemEngine::new(), &files, KEY, &region().range()).expect("what is needed is there");
    let files = SnapFiles::open(Arc::new(disk.folder()), &[]).expect("the disk is well");
    assert_eq!(files.list().expect("the disk is well"), [""; 0]);
}

/// Two copies of one snapshot do not disturb each other.
#[test]
fn copies_are_apart() {
    let _lab = lab!();
    let (sender_files, snapshot) = make(&MemDisk::new(), &giver());
    let chunks = chunks(&sender_files, snapshot, 300);
    let files = files(&MemDisk::new());
    let copy = |event| match event {
        Event::Snapshot { copy, .. } => copy,
        other => panic!("a snapshot, not {other:?}"),
    };
    let first = copy(receive(&files, chunks.clone()).expect("all comes"));
    let second = copy(receive(&files, chunks).expect("all comes again"));
    files.remove(KEY, SnapFileSet::Copy(first)).expect("the disk is well");
    load(&MemEngine::new(), &files, KEY, &region().range()).expect("the second copy is whole");
    files.remove(KEY, SnapFileSet::Copy(second)).expect("the disk is well");
    assert_eq!(files.list().expect("the disk is well"), [""; 0]);
}

/// A key that is not of the region is never loaded: it would overwrite another region's.
#[test]
fn strange_keys_are_not_loaded() {
    let _lab = lab!();
    let (sender_files, snapshot) = make(&MemDisk::new(), &giver());
    let files = files(&MemDisk::new());
    receive(&files, chunks(&sender_files, snapshot, 300)).expect("all comes");
    let target = MemEngine::new();
    assert!(load(&target, &files, KEY, &KeyRange::new("b", "c")).is_err(), "c, large and o are not in b..c");
    assert_eq!(pairs(&target, Cf::Default), []);
}

/// Loading is stopped at every write, and done again: the same comes of it.
#[test]
fn loading_is_done_again() {
    let _lab = lab!();
    let (sender_files, snapshot) = make(&MemDisk::new(), &giver());
    let files = files(&MemDisk::new());
    receive(&files, chunks(&sender_files, snapshot, 300)).expect("all comes");
    for write in 1..20 {
        for fault in [Fault::StopBefore, Fault::StopAfter] {
            let disk = MemDisk::new();
            let target = disk.open("kv").expect("a new engine");
            let mut batch = WriteBatch::new();
            batch.put(Cf::Default, "deleted", "old");
            batch.put(Cf::Lock, "deleted", "old");
            target.write(batch, true).expect("the disk is well");
            disk.plan(1 + write, fault);
            let outcome = load(&target, &files, KEY, &region().range());
            let struck = disk.struck() > 0;
            disk.call_off();
            drop(target);
            disk.restart();
            let target = disk.open("kv").expect("the machine is up again");
            if outcome.is_err() {
                load(&target, &files, KEY, &region().range()).expect("the second time");
            }
            target.sync().expect("the disk is well");
            assert_eq!(
                pairs(&target, Cf::Default).iter().map(|(key, _)| &key[..]).collect::<Vec<_>>(),
                ["b", "c", "large", "o"]
            );
            assert_eq!(pairs(&target, Cf::Lock).len(), 5);
            if !struck {
                return;
            }
        }
    }
    panic!("loading has an end");
}
