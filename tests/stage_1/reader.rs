//! Readers of a `StandaloneStorage`.

use bytes::Bytes;
use pretty_assertions::assert_eq;
use raftkv::engine::{Cf, KeyRange};
use raftkv::storage::{Modify, Storage, StorageReader};
use raftkv_testkit::lab;

use crate::machine::on_each_machine;
use crate::server::{Server, on_each_engine};

/// The keys that a reader's cursor meets, joined with blanks.
fn keys(reader: &dyn StorageReader, cf: Cf, range: KeyRange) -> String {
    let mut cursor = reader.iter_cf(cf, range).expect("a healthy disk can be read");
    let mut keys = Vec::new();
    cursor.seek_to_first().expect("a healthy disk can be read");
    while let Some((key, _)) = cursor.entry() {
        keys.push(String::from_utf8_lossy(key).into_owned());
        cursor.next().expect("a healthy disk can be read");
    }
    keys.join(" ")
}

/// A reader shows one moment: nothing that is written after it was opened, by get or by cursor.
#[test]
fn a_reader_sees_no_later_write() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put_keys("a b");
        let reader = server.storage.reader(None).unwrap();
        server.put("a", "new");
        server.put("c", "new");
        server.delete("b");
        let get = |key: &str| reader.get_cf(Cf::Default, key.as_bytes()).unwrap();
        assert_eq!(get("a"), Some(Bytes::from("a")), "the value of a when the reader was opened");
        assert_eq!(get("b"), Some(Bytes::from("b")), "b was deleted after the reader was opened");
        assert_eq!(get("c"), None, "c was put after the reader was opened");
        assert_eq!(keys(&*reader, Cf::Default, KeyRange::all()), "a b", "cursors see the same moment");
    });
}

/// A cursor that is half way through is not moved by a write either.
#[test]
fn a_cursor_sees_no_later_write() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put_keys("a c");
        let reader = server.storage.reader(None).unwrap();
        let mut cursor = reader.iter_cf(Cf::Default, KeyRange::all()).unwrap();
        cursor.seek_to_first().unwrap();
        server.put("b", "new");
        server.delete("c");
        cursor.next().unwrap();
        assert_eq!(cursor.entry(), Some((&b"c"[..], &b"c"[..])), "a and c were there when it was opened");
    });
}

/// Readers of different moments live side by side, and hold up no write, however long they live.
#[test]
fn open_readers_hold_up_nobody() {
    let _lab = lab!();
    on_each_engine(|server| {
        let mut readers = Vec::new();
        for value in 0..10 {
            server.put("key", value.to_string());
            readers.push(server.storage.reader(None).unwrap());
        }
        for (value, reader) in readers.iter().enumerate() {
            let seen = reader.get_cf(Cf::Default, b"key").unwrap();
            assert_eq!(seen, Some(value.to_string().into()), "reader {value}");
        }
    });
}

/// A cursor meets no key that was deleted before its reader was opened, from either end.
#[test]
fn a_cursor_meets_no_deleted_key() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put_keys("a b c d e");
        for key in ["a", "c", "e"] {
            server.delete(key);
        }
        let reader = server.storage.reader(None).unwrap();
        assert_eq!(keys(&*reader, Cf::Default, KeyRange::all()), "b d");
        let mut cursor = reader.iter_cf(Cf::Default, KeyRange::all()).unwrap();
        cursor.seek(b"c").unwrap();
        assert_eq!(cursor.entry().map(|(key, _)| key), Some(&b"d"[..]), "from c on, which was deleted");
        cursor.seek_to_last().unwrap();
        assert_eq!(cursor.entry().map(|(key, _)| key), Some(&b"d"[..]), "the greatest that is left");
    });
}

/// A cursor keeps to its column family and to its range.
#[test]
fn a_cursor_keeps_to_its_range() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put_keys("a b c d");
        server.put_cf("write", "bb", "1");
        let reader = server.storage.reader(None).unwrap();
        assert_eq!(keys(&*reader, Cf::Default, KeyRange::new("b", "d")), "b c");
        assert_eq!(keys(&*reader, Cf::Write, KeyRange::new("b", "d")), "bb");
        assert_eq!(keys(&*reader, Cf::Lock, KeyRange::new("b", "d")), "");
    });
}

/// A write of no changes succeeds and changes nothing.
#[test]
fn a_write_may_be_empty() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put("key", "value");
        assert!(server.storage.write(None, vec![]).is_ok(), "there is nothing that could fail");
        assert_eq!(server.get("key"), Some("value".into()));
    });
}

/// A write of several changes carries them out in their order.
#[test]
fn the_changes_of_a_write_have_an_order() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put_keys("a b");
        let (cf, key) = (Cf::Default, Bytes::from("key"));
        let put = |value: &'static str| Modify::Put { cf, key: key.clone(), value: value.into() };
        let delete = Modify::Delete { cf, key: key.clone() };
        let range = Modify::DeleteRange { cf, range: KeyRange::new("a", "b\0") };
        let write = |changes: Vec<Modify>| server.storage.write(None, changes).unwrap();
        write(vec![put("1"), put("2")]);
        assert_eq!(server.get("key"), Some("2".into()), "put 1, put 2: the later one wins");
        write(vec![put("3"), delete.clone()]);
        assert_eq!(server.get("key"), None, "put, delete: the key is gone");
        write(vec![delete, put("4"), range]);
        assert_eq!(server.all_keys(""), "key", "delete, put, delete the range from a to b");
    });
}

/// A reader outlives its storage. The engine closes with the last of them, so that it can be opened again.
#[test]
fn the_engine_closes_with_the_last_reader() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let server = Server::start(machine);
        server.put("key", "value");
        let reader = server.storage.reader(None).unwrap();
        drop(server);
        assert_eq!(
            reader.get_cf(Cf::Default, b"key").unwrap(),
            Some("value".into()),
            "after the storage is gone"
        );
        drop(reader);
        let reopened = machine.open();
        assert!(
            reopened.is_ok(),
            "the storage and all its readers were dropped, so the engine is closed and can be opened again; {}",
            reopened.err().map(|error| error.to_string()).unwrap_or_default()
        );
    });
}
