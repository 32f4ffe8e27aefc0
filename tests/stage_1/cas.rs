//! RawCompareAndSwap: a change with a condition.

use std::sync::{Arc, mpsc};

use bytes::Bytes;
use pretty_assertions::assert_eq;
use raftkv::engine::{Cf, Engine, Fault, MemDisk};
use raftkv::proto::kvrpcpb::{Context, RawCasRequest, RawCasResponse};
use raftkv::storage::{CompareAndSwap, raw_compare_and_swap};
use raftkv_testkit::lab;

use crate::machine::{Machine, on_each_machine};
use crate::rival::Rivalled;
use crate::server::{Server, on_each_engine};
use crate::stubs::{Asked, Refusing, disk_failed, not_leader};

/// A request to set `key` to `value`, if it holds `expected`; `None`: if it does not exist.
fn request(expected: Option<&str>, value: &str) -> RawCasRequest {
    RawCasRequest {
        key: "key".into(),
        value: value.to_string().into(),
        previous_not_exist: expected.is_none(),
        previous_value: expected.unwrap_or_default().to_string().into(),
        ..Default::default()
    }
}

/// Swaps, which has to succeed as a call. Returns whether the key was set, and what it held before.
fn swap(server: &Server, expected: Option<&str>, value: &str) -> (bool, Option<Bytes>) {
    outcome(raw_compare_and_swap(&server.storage, &request(expected, value)))
}

fn outcome(response: RawCasResponse) -> (bool, Option<Bytes>) {
    assert_eq!(
        (response.region_error, response.error),
        (None, String::new()),
        "the call itself must succeed"
    );
    (response.succeed, (!response.previous_not_exist).then_some(response.previous_value))
}

/// The key holds what the client expects: it is set, and the response has the old value.
#[test]
fn a_right_guess_sets_the_key() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put("key", "old");
        assert_eq!(
            swap(server, Some("old"), "new"),
            (true, Some("old".into())),
            "the key holds what is expected: it is set, and `previous` is what it held before, not the new value"
        );
        assert_eq!(server.get("key"), Some("new".into()), "the swap succeeded, so the new value is there");
    });
}

/// The key holds something else: nothing changes, and the response says what it holds.
#[test]
fn a_wrong_guess_changes_nothing() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put("key", "other");
        assert_eq!(
            swap(server, Some("old"), "new"),
            (false, Some("other".into())),
            "the key holds something else than expected: not set, and `previous` says what it holds"
        );
        assert_eq!(
            swap(server, None, "new"),
            (false, Some("other".into())),
            "expected not to exist, but it does: `None` is an expectation, not the lack of one"
        );
        assert_eq!(server.get("key"), Some("other".into()), "both swaps failed");
    });
}

/// "Does not exist" can be expected, too. An empty value is a value and not the same.
#[test]
fn missing_is_not_empty() {
    let _lab = lab!();
    on_each_engine(|server| {
        assert_eq!(
            swap(server, Some(""), "new"),
            (false, None),
            "the key does not exist: it holds no empty value"
        );
        assert_eq!(server.get("key"), None, "the swap failed");
        assert_eq!(swap(server, None, ""), (true, None), "the key does not exist, as expected");
        assert_eq!(server.get("key"), Some("".into()), "it has been set to the empty value");
        assert_eq!(swap(server, None, "new"), (false, Some("".into())), "now it exists, though it is empty");
        assert_eq!(
            swap(server, Some(""), "new"),
            (true, Some("".into())),
            "the key holds the empty value, as expected"
        );
    });
}

/// Only the named column family is looked at, and changed.
#[test]
fn a_swap_stays_in_its_family() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put_cf("lock", "key", "old");
        let request = RawCasRequest { cf: "lock".into(), ..request(Some("old"), "new") };
        assert_eq!(
            outcome(raw_compare_and_swap(&server.storage, &request)),
            (true, Some("old".into())),
            "in `lock` the key holds what is expected"
        );
        assert_eq!(server.get_cf("lock", "key"), Some("new".into()), "set in `lock`, where the swap was");
        assert_eq!(server.get("key"), None, "`default` has nothing to do with it");
    });
}

/// A chain of swaps, each of which expects the value that the one before has set.
#[test]
fn swaps_count() {
    let _lab = lab!();
    on_each_engine(|server| {
        assert_eq!(swap(server, None, "0"), (true, None), "the key does not exist yet");
        for n in 0..20 {
            let (now, next) = (n.to_string(), (n + 1).to_string());
            assert_eq!(swap(server, Some(&now), &next), (true, Some(now.clone().into())), "step {n}");
            assert_eq!(swap(server, Some(&now), &next).0, false, "step {n} again: the value has moved on");
        }
        assert_eq!(server.get("key"), Some("20".into()), "twenty swaps succeeded, each by one");
    });
}

/// A swap that was acknowledged survives a crash, as every write. The disk in memory loses whatever was not synced.
#[test]
fn an_acknowledged_swap_survives_a_crash() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let server = Server::start(machine);
        assert_eq!(swap(&server, None, "first"), (true, None), "the key does not exist yet");
        assert!(swap(&server, Some("first"), "second").0, "the key holds what is expected");
        machine.crash();
        drop(server);
        assert_eq!(
            Server::start(machine).get("key"),
            Some("second".into()),
            "after a crash: both swaps were acknowledged, so both are safe on disk"
        );
    });
}

/// A swap that does not reach the disk is not acknowledged.
#[test]
fn a_failed_disk_is_told() {
    let _lab = lab!();
    let disk = MemDisk::new();
    let server = Server::on(Arc::new(disk.open("kv").unwrap()));
    disk.plan(1, Fault::Fail);
    let response = raw_compare_and_swap(&server.storage, &request(None, "new"));
    assert_eq!(disk.writes(), 1, "one swap is one write to the disk, and that write was made to fail");
    assert_eq!(response.region_error, None, "a failed disk is no region error: no other store can help");
    assert!(!response.error.is_empty(), "the disk has failed, and the client must hear of it: {response:?}");
    assert!(!response.succeed, "the disk has failed, so nothing was set: {response:?}");
}

/// Nobody writes between the look and the change. A put that comes in there is before the swap or after it; in both
/// cases it is the put's value that stays, for a swap that comes later finds the key taken.
#[test]
fn no_put_comes_between() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let (engine, server) = start_with_a_rival(machine);
        let rival = Arc::clone(&server);
        engine.at_the_next_look(move || rival.put("key", "put"));
        let outcome = swap(&server, None, "swapped");
        engine.join();
        assert_eq!(
            server.get("key"),
            Some("put".into()),
            "the put was overwritten by a swap that expected no such key and answered {outcome:?}: the put came \
             between the swap's look and its change. Hold `writing` in both"
        );
    });
}

/// Two swaps that expect the same: one of them finds it, and the other one finds what the first has set.
#[test]
fn one_of_two_swaps_succeeds() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let (engine, server) = start_with_a_rival(machine);
        let (tell, told) = mpsc::channel();
        let rival = Arc::clone(&server);
        engine.at_the_next_look(move || tell.send(swap(&rival, None, "theirs")).expect("the test listens"));
        let mine = swap(&server, None, "mine");
        engine.join();
        let theirs = told.recv().expect("the rival has told");
        let mine_first = ((true, None), (false, Some(Bytes::from("mine"))), Some(Bytes::from("mine")));
        let theirs_first = ((false, Some(Bytes::from("theirs"))), (true, None), Some(Bytes::from("theirs")));
        let seen = (mine, theirs, server.get("key"));
        assert!(
            seen == mine_first || seen == theirs_first,
            "of two swaps that expect no such key, one succeeds and the other finds what that one has set. Here: \
             (mine, theirs, the key afterwards) = {seen:?}. Hold `writing` from the look to the change"
        );
    });
}

fn start_with_a_rival(machine: &dyn Machine) -> (Arc<Rivalled>, Arc<Server>) {
    let engine = Arc::new(Rivalled::new(machine.open().expect("the engine is closed, so it can be opened")));
    let server = Server::on(Arc::clone(&engine) as Arc<dyn Engine>);
    (engine, Arc::new(server))
}

/// The storage is asked once, for exactly what the client wants. What it answers is handed on: a region error as one,
/// a failed disk as text.
#[test]
fn the_handler_asks_once() {
    let _lab = lab!();
    on_each_engine(|server| assert_eq!(swap(server, None, "1"), (true, None), "a good one is carried out"));
    let storage = Refusing::as_follower();
    let context = Some(Context { region_id: 2, ..Default::default() });
    let request = RawCasRequest { cf: "write".into(), context, ..request(Some("old"), "new") };
    let response = raw_compare_and_swap(&storage, &request);
    assert_eq!(
        response,
        RawCasResponse { region_error: Some(not_leader()), ..Default::default() },
        "a region error is for the client's library, and with it every other field keeps its default"
    );
    let (key, expected, value) = ("key".into(), Some("old".into()), "new".into());
    let swap = CompareAndSwap { cf: Cf::Write, key, expected, value };
    assert_eq!(
        *storage.asked.borrow(),
        [Asked::Swap(context, swap)],
        "one call, with all that the client said"
    );

    let response = raw_compare_and_swap(&Refusing::without_disk(), &request);
    assert_eq!(
        response,
        RawCasResponse { error: disk_failed().to_string(), ..Default::default() },
        "a failed disk is told in `error`"
    );
}

/// A request that makes no sense is refused before the storage is asked.
#[test]
fn a_bad_swap_does_not_reach_the_storage() {
    let _lab = lab!();
    on_each_engine(|server| assert_eq!(swap(server, None, "1"), (true, None), "a good one is carried out"));
    let storage = Refusing::as_follower();
    let request = request(None, "new");
    for bad in [
        RawCasRequest { key: Bytes::new(), ..request.clone() },
        RawCasRequest { cf: "nope".into(), ..request.clone() },
        RawCasRequest { ttl: 1, ..request },
    ] {
        let response = raw_compare_and_swap(&storage, &bad);
        assert!(
            !response.error.is_empty() && response.region_error.is_none() && !response.succeed,
            "this request is wrong in itself, so `error` says why, and nothing else is set: {bad:?}: {response:?}"
        );
    }
    assert_eq!(*storage.asked.borrow(), [], "bad requests do not reach the storage");
}
