//! RawCompareAndSwap: a change with a condition.

use std::sync::Arc;

use bytes::Bytes;
use pretty_assertions::assert_eq;
use raftkv::engine::{Cf, Fault, MemDisk};
use raftkv::proto::kvrpcpb::{Context, RawCasRequest, RawCasResponse};
use raftkv::storage::{CompareAndSwap, raw_compare_and_swap};
use raftkv_testkit::lab;

use crate::machine::on_each_machine;
use crate::server::{Server, on_each_engine};
use crate::stubs::{Asked, Refusing, not_leader};

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
        assert_eq!(swap(server, Some("old"), "new"), (true, Some("old".into())));
        assert_eq!(server.get("key"), Some("new".into()), "the swap succeeded, so the new value is there");
    });
}

/// The key holds something else: nothing changes, and the response says what it holds.
#[test]
fn a_wrong_guess_changes_nothing() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put("key", "other");
        assert_eq!(swap(server, Some("old"), "new"), (false, Some("other".into())));
        assert_eq!(
            swap(server, None, "new"),
            (false, Some("other".into())),
            "expected not to exist, but it does"
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
        assert_eq!(swap(server, Some(""), "new"), (true, Some("".into())));
    });
}

/// Only the named column family is looked at, and changed.
#[test]
fn a_swap_stays_in_its_family() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put_cf("lock", "key", "old");
        let request = RawCasRequest { cf: "lock".into(), ..request(Some("old"), "new") };
        assert_eq!(outcome(raw_compare_and_swap(&server.storage, &request)), (true, Some("old".into())));
        assert_eq!(server.get_cf("lock", "key"), Some("new".into()));
        assert_eq!(server.get("key"), None, "`default` has nothing to do with it");
    });
}

/// A chain of swaps, each of which expects the value that the one before has set.
#[test]
fn swaps_count() {
    let _lab = lab!();
    on_each_engine(|server| {
        assert_eq!(swap(server, None, "0"), (true, None));
        for n in 0..20 {
            let (now, next) = (n.to_string(), (n + 1).to_string());
            assert_eq!(swap(server, Some(&now), &next), (true, Some(now.clone().into())), "step {n}");
            assert_eq!(swap(server, Some(&now), &next).0, false, "step {n} again: the value has moved on");
        }
        assert_eq!(server.get("key"), Some("20".into()));
    });
}

/// A swap that was acknowledged survives a crash, as every write.
#[test]
fn an_acknowledged_swap_survives_a_crash() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let server = Server::start(machine);
        assert_eq!(swap(&server, None, "new"), (true, None));
        drop(server);
        assert_eq!(Server::start(machine).get("key"), Some("new".into()), "after a restart");
    });
    let disk = MemDisk::new();
    let server = Server::on(Arc::new(disk.open("kv").unwrap()));
    assert_eq!(swap(&server, None, "new"), (true, None));
    disk.restart();
    let server = Server::on(Arc::new(disk.open("kv").unwrap()));
    assert_eq!(server.get("key"), Some("new".into()), "after a crash: an acknowledged swap is synced");
}

/// A swap that fails to reach the disk is not acknowledged.
#[test]
fn a_failed_disk_is_told() {
    let _lab = lab!();
    let disk = MemDisk::new();
    let server = Server::on(Arc::new(disk.open("kv").unwrap()));
    disk.plan(1, Fault::Fail);
    let response = raw_compare_and_swap(&server.storage, &request(None, "new"));
    assert!(!response.succeed && !response.error.is_empty(), "the disk has failed: {response:?}");
    assert_eq!(server.get("key"), None, "and nothing was written");
}

/// The storage is asked once, for exactly what the client wants; its region error is handed on.
#[test]
fn the_handler_asks_once() {
    let _lab = lab!();
    let storage = Refusing::as_follower();
    let context = Some(Context { region_id: 2, ..Default::default() });
    let request = RawCasRequest { cf: "write".into(), context, ..request(Some("old"), "new") };
    let response = raw_compare_and_swap(&storage, &request);
    assert_eq!((response.region_error, response.error), (Some(not_leader()), String::new()));
    assert!(!response.succeed);
    let (key, expected, value) = ("key".into(), Some("old".into()), "new".into());
    let swap = CompareAndSwap { cf: Cf::Write, key, expected, value };
    assert_eq!(*storage.asked.borrow(), [Asked::Swap(context, swap)]);
    for bad in [
        RawCasRequest { key: Bytes::new(), ..request.clone() },
        RawCasRequest { cf: "nope".into(), ..request.clone() },
        RawCasRequest { ttl: 1, ..request },
    ] {
        let response = raw_compare_and_swap(&storage, &bad);
        assert!(!response.error.is_empty() && response.region_error.is_none(), "{bad:?} makes no sense");
    }
    assert_eq!(storage.asked.borrow().len(), 1, "bad requests do not reach the storage");
}
