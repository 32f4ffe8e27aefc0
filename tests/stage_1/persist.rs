//! What is still there after a stop.

use pretty_assertions::assert_eq;
use raftkv_testkit::lab;

use crate::machine::on_each_machine;
use crate::server::Server;

/// A server that was stopped and started again has all of its data, in every column family.
#[test]
fn data_survives_a_restart() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let server = Server::start(machine);
        for cf in ["default", "write", "lock"] {
            server.put_cf(cf, "key", cf);
            server.put_cf(cf, "empty", "");
        }
        drop(server);
        let server = Server::start(machine);
        for cf in ["default", "write", "lock"] {
            assert_eq!(server.get_cf(cf, "key"), Some(cf.into()), "`key` in {cf}");
            assert_eq!(server.get_cf(cf, "empty"), Some("".into()), "`empty` in {cf}");
            assert_eq!(server.all_keys(cf), "empty key");
        }
    });
}

/// What was deleted or overwritten before a restart does not come back with it.
#[test]
fn deletes_and_overwrites_survive_a_restart() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let server = Server::start(machine);
        server.put_keys("a b c");
        drop(server);
        let server = Server::start(machine);
        server.put("a", "new");
        server.delete("b");
        drop(server);
        let server = Server::start(machine);
        assert_eq!(server.all_keys(""), "a c", "b was deleted");
        assert_eq!(server.get("a"), Some("new".into()), "a was overwritten");
    });
}

/// An acknowledged write survives a crash right after it. The disk in memory loses whatever was not synced.
#[test]
fn acknowledged_writes_survive_a_crash() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let server = Server::start(machine);
        server.put_keys("a b");
        server.delete("a");
        machine.crash();
        drop(server);
        let server = Server::start(machine);
        assert_eq!(
            server.all_keys(""),
            "b",
            "a was put and deleted, b was put, and every one of these was acknowledged before the crash"
        );
        server.put("c", "1");
        machine.crash();
        drop(server);
        assert_eq!(Server::start(machine).all_keys(""), "b c", "after a second crash");
    });
}
