//! All or none, wherever the machine stops.

use std::sync::Arc;

use pretty_assertions::assert_eq;
use raftkv::engine::{Cf, Fault, KeyRange, MemDisk};
use raftkv::proto::kvrpcpb::{KvPair, RawBatchPutRequest};
use raftkv::storage::{Modify, Storage, raw_batch_put};
use raftkv_testkit::lab;

use crate::server::Server;

/// The state of the three column families, as one line.
fn state(server: &Server) -> String {
    ["default", "write", "lock"].map(|cf| format!("{cf}: {}", server.all_keys(cf))).join(", ")
}

/// Does a write, with a fault at the `n`-th write to the disk after the server has data. Returns the state
/// after a restart, whether the write was acknowledged, and whether the fault was reached.
fn crash_at(n: u64, fault: Fault, write: impl Fn(&Server) -> bool) -> (String, bool, bool) {
    let disk = MemDisk::new();
    let server = Server::on(Arc::new(disk.open("kv").unwrap()));
    server.put_keys("a b");
    let at = disk.writes() + n;
    disk.plan(at, fault);
    let acknowledged = write(&server);
    let reached = disk.writes() >= at;
    drop(server);
    disk.restart();
    let server = Server::on(Arc::new(disk.open("kv").unwrap()));
    (state(&server), acknowledged, reached)
}

/// Visits every point at which the machine can stop during the write, and every kind of stop.
fn sweep(write: impl Fn(&Server) -> bool, before: &str, after: &str) {
    for fault in [Fault::Fail, Fault::StopBefore, Fault::StopAfter] {
        for n in 1.. {
            let (state, acknowledged, reached) = crash_at(n, fault, &write);
            if !reached {
                assert!(n > 1, "the write never came to the disk, so no fault was tried");
                assert!(acknowledged, "{fault:?}: without a fault the write succeeds");
                assert_eq!(state, after, "{fault:?}: without a fault the write is carried out");
                break;
            }
            assert!(
                state == before || state == after,
                "a write is carried out whole or not at all, but with {fault:?} at its disk write {n} there is\n  \
                 {state}\nwhich is neither what was before\n  {before}\nnor what should come after\n  {after}"
            );
            assert!(
                !acknowledged || state == after,
                "{fault:?} at disk write {n}: the write was acknowledged and is lost"
            );
        }
    }
}

/// The changes of one `Storage::write` are carried out together or not at all, over all column families.
#[test]
fn a_write_is_all_or_none() {
    let _lab = lab!();
    let write = |server: &Server| {
        let put = |cf, key: &'static str| Modify::Put { cf, key: key.into(), value: "1".into() };
        let changes = vec![
            put(Cf::Default, "c"),
            Modify::Delete { cf: Cf::Default, key: "a".into() },
            put(Cf::Write, "w"),
            Modify::DeleteRange { cf: Cf::Default, range: KeyRange::new("b", "c") },
            put(Cf::Lock, "l"),
        ];
        server.storage.write(None, changes).is_ok()
    };
    sweep(write, "default: a b, write: , lock: ", "default: c, write: w, lock: l");
}

/// The pairs of a RawBatchPut become visible together and survive together.
#[test]
fn a_batch_put_is_all_or_none() {
    let _lab = lab!();
    let write = |server: &Server| {
        let pair = |key: &'static str| KvPair { key: key.into(), value: "1".into(), error: None };
        let pairs = ["b", "c", "d"].map(pair).into();
        let response = raw_batch_put(&server.storage, &RawBatchPutRequest { pairs, ..Default::default() });
        response.error.is_empty() && response.region_error.is_none()
    };
    sweep(write, "default: a b, write: , lock: ", "default: a b c d, write: , lock: ");
}

/// Every single put is all or none too, and none that was acknowledged is lost.
#[test]
fn a_history_of_puts_loses_nothing() {
    let _lab = lab!();
    let mut stops = 0;
    for n in 1..=8 {
        let disk = MemDisk::new();
        disk.plan(n, Fault::StopBefore);
        let server = Server::on(Arc::new(disk.open("kv").unwrap()));
        let mut acknowledged = Vec::new();
        for key in ["a", "b", "c", "d", "e", "f"] {
            let put = Modify::Put { cf: Cf::Default, key: key.into(), value: "1".into() };
            if server.storage.write(None, vec![put]).is_ok() {
                acknowledged.push(key);
            }
        }
        stops += u64::from(disk.is_stopped());
        drop(server);
        disk.restart();
        let server = Server::on(Arc::new(disk.open("kv").unwrap()));
        assert_eq!(server.all_keys(""), acknowledged.join(" "), "the machine stopped at disk write {n}");
    }
    assert!(
        stops >= 6,
        "six puts need at least six writes to the disk, so the machine stops at each of them"
    );
}
