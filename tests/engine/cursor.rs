//! Where a cursor goes.

use raftkv::engine::{Cf, Cursor, EngineError, KeyRange, Snapshot, WriteBatch};
use raftkv_testkit::lab;

use crate::machine::on_each_machine;
use crate::put_all;

type Move = fn(&mut dyn Cursor, &[u8]) -> Result<(), EngineError>;

const SEEK: Move = |cursor, key| cursor.seek(key);
const SEEK_FOR_PREV: Move = |cursor, key| cursor.seek_for_prev(key);
const FIRST: Move = |cursor, _| cursor.seek_to_first();
const LAST: Move = |cursor, _| cursor.seek_to_last();

/// The key on which a cursor over the range lands, or "-" for none.
fn land(snapshot: &dyn Snapshot, (start, end): (&str, &str), go: Move, key: &str) -> String {
    let range = KeyRange::new(start.to_string(), end.to_string());
    let mut cursor = snapshot.cursor(Cf::Default, range);
    go(cursor.as_mut(), key.as_bytes()).expect("a healthy disk can be read");
    cursor.entry().map_or("-".to_string(), |(key, _)| String::from_utf8_lossy(key).into())
}

/// Every seek, in a range with and without bounds, with keys on, between and outside of what there is.
#[test]
fn seeks_land_inside_the_range() {
    let _lab = lab!();
    let all = ("", "");
    let some = ("c", "g");
    let cases: &[((&str, &str), Move, &str, &str)] = &[
        (all, SEEK, "", "b"),
        (all, SEEK, "b", "b"),
        (all, SEEK, "c", "d"),
        (all, SEEK, "i", "-"),
        (all, SEEK_FOR_PREV, "", "-"),
        (all, SEEK_FOR_PREV, "a", "-"),
        (all, SEEK_FOR_PREV, "b", "b"),
        (all, SEEK_FOR_PREV, "c", "b"),
        (all, SEEK_FOR_PREV, "z", "h"),
        (all, FIRST, "", "b"),
        (all, LAST, "", "h"),
        (some, SEEK, "a", "d"),
        (some, SEEK, "f", "f"),
        (some, SEEK, "g", "-"),
        (some, SEEK_FOR_PREV, "z", "f"),
        (some, SEEK_FOR_PREV, "g", "f"),
        (some, SEEK_FOR_PREV, "e", "d"),
        (some, SEEK_FOR_PREV, "c", "-"),
        (some, SEEK_FOR_PREV, "a", "-"),
        (some, FIRST, "", "d"),
        (some, LAST, "", "f"),
        // The start is inside, the end is not.
        (("b", "h"), FIRST, "", "b"),
        (("b", "h"), LAST, "", "f"),
        (("b", "h"), SEEK, "h", "-"),
        // No keys inside.
        (("e", "f"), FIRST, "", "-"),
        (("e", "f"), LAST, "", "-"),
        (("x", ""), FIRST, "", "-"),
        (("x", ""), LAST, "", "-"),
        // No keys can be inside.
        (("f", "f"), FIRST, "", "-"),
        (("f", "f"), LAST, "", "-"),
        (("h", "b"), FIRST, "", "-"),
        (("h", "b"), LAST, "", "-"),
        (("h", "b"), SEEK, "d", "-"),
        (("h", "b"), SEEK_FOR_PREV, "d", "-"),
    ];
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        put_all(&*engine, &[("b", "1"), ("d", "1"), ("f", "1"), ("h", "1")]);
        let snapshot = engine.snapshot();
        for (number, &(range, go, key, expected)) in cases.iter().enumerate() {
            let landed = land(snapshot.as_ref(), range, go, key);
            assert_eq!(landed, expected, "case {number}: range {range:?}, key {key:?}");
        }
    });
}

/// A cursor walks in both directions, turns round, and shows the pair it is on.
#[test]
fn cursors_walk_both_ways() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        put_all(&*engine, &[("a", "1"), ("b", ""), ("c", "3"), ("d", "4")]);
        let snapshot = engine.snapshot();
        let mut cursor = snapshot.cursor(Cf::Default, KeyRange::new("a", "d"));
        cursor.seek_to_first().unwrap();
        let mut seen = Vec::new();
        for forward in [true, true, false, false] {
            seen.push(cursor.entry().map(|(key, value)| (key.to_vec(), value.to_vec())));
            if forward { cursor.next().unwrap() } else { cursor.prev().unwrap() }
        }
        let pair = |key: &str, value: &str| Some((key.as_bytes().to_vec(), value.as_bytes().to_vec()));
        assert_eq!(seen, [pair("a", "1"), pair("b", ""), pair("c", "3"), pair("b", "")]);
        assert_eq!(cursor.entry(), Some((&b"a"[..], &b"1"[..])));
    });
}

/// A cursor that is on no key stays there until it seeks: before the first move and after either end.
#[test]
fn a_cursor_off_the_keys_stays_off() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        put_all(&*engine, &[("a", "1"), ("b", "1")]);
        let snapshot = engine.snapshot();
        let mut cursor = snapshot.cursor(Cf::Default, KeyRange::all());
        assert_eq!(cursor.entry(), None, "a new cursor is on no key");
        cursor.next().unwrap();
        assert_eq!(cursor.entry(), None, "and a step does not bring it onto one");
        cursor.seek_to_last().unwrap();
        cursor.next().unwrap();
        assert_eq!(cursor.entry(), None, "past the end");
        cursor.prev().unwrap();
        assert_eq!(cursor.entry(), None, "a step back from nowhere leads nowhere");
        cursor.seek(b"a").unwrap();
        assert!(cursor.entry().is_some(), "a seek works from everywhere");
        cursor.prev().unwrap();
        cursor.next().unwrap();
        assert_eq!(cursor.entry(), None, "before the start");
    });
}

/// Order is the order of bytes, not of text or numbers.
#[test]
fn keys_are_in_byte_order() {
    let _lab = lab!();
    let ordered: [&[u8]; 7] = [b"\x00", b"\x00\x00", b"\x01", b"10", b"9", b"\x7f", b"\xff"];
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        let mut batch = WriteBatch::new();
        for key in ordered.iter().rev() {
            batch.put(Cf::Lock, key.to_vec(), "1");
        }
        engine.write(batch, true).unwrap();
        let snapshot = engine.snapshot();
        let mut cursor = snapshot.cursor(Cf::Lock, KeyRange::all());
        cursor.seek_to_first().unwrap();
        for key in ordered {
            assert_eq!(cursor.entry().map(|(key, _)| key), Some(key));
            cursor.next().unwrap();
        }
        assert_eq!(cursor.entry(), None);
    });
}
