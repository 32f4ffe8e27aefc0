//! RawScan: which keys are in the range.

use pretty_assertions::assert_eq;
use raftkv::engine::MAX_KEY_LEN;
use raftkv::proto::kvrpcpb::RawScanRequest;
use raftkv_testkit::lab;
use rstest::rstest;

use crate::server::{on_each_engine, scan};

/// Forward: `start_key <= key < end_key`, the smallest key first, an empty bound is no bound.
#[rstest]
#[case::start_is_inclusive("b", "", "b c d")]
#[case::start_between_keys("bb", "", "c d")]
#[case::start_before_all("A", "", "a b c d")]
#[case::start_after_all("e", "", "")]
#[case::end_is_exclusive("", "c", "a b")]
#[case::end_between_keys("", "cc", "a b c")]
#[case::end_after_all("", "z", "a b c d")]
#[case::end_before_all("", "A", "")]
#[case::both_bounds("b", "d", "b c")]
#[case::no_bounds("", "", "a b c d")]
#[case::one_key("c", "c\0", "c")]
#[case::no_key_between("bb", "bc", "")]
#[case::start_is_end("b", "b", "")]
#[case::start_after_end("c", "b", "")]
fn forward(#[case] start: &str, #[case] end: &str, #[case] expected: &str) {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put_keys("a b c d");
        assert_eq!(
            server.scan_keys(scan(start, end)),
            expected,
            "the keys of a b c d with {start:?} <= key < {end:?}, where an empty bound is no bound"
        );
    });
}

/// In reverse the bounds change places: `end_key <= key < start_key`, the greatest key first.
#[rstest]
#[case::start_is_exclusive("c", "", "b a")]
#[case::start_between_keys("cc", "", "c b a")]
#[case::start_after_all("z", "", "d c b a")]
#[case::start_before_all("A", "", "")]
#[case::end_is_inclusive("", "b", "d c b")]
#[case::end_between_keys("", "bb", "d c")]
#[case::end_before_all("", "A", "d c b a")]
#[case::end_after_all("", "e", "")]
#[case::both_bounds("d", "b", "c b")]
#[case::no_bounds("", "", "d c b a")]
#[case::one_key("c\0", "c", "c")]
#[case::no_key_between("bc", "bb", "")]
#[case::start_is_end("b", "b", "")]
#[case::start_before_end("b", "c", "")]
fn reverse(#[case] start: &str, #[case] end: &str, #[case] expected: &str) {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put_keys("a b c d");
        assert_eq!(
            server.scan_keys(RawScanRequest { reverse: true, ..scan(start, end) }),
            expected,
            "the keys of d c b a with {end:?} <= key < {start:?}, where an empty bound is no bound"
        );
    });
}

/// Limit and bounds together: the limit counts from the end at which the scan starts.
#[test]
fn the_limit_counts_from_where_the_scan_starts() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put_keys("a b c d e");
        let request = RawScanRequest { limit: 2, ..scan("b", "e") };
        assert_eq!(server.scan_keys(request), "b c", "forward from b");
        let request = RawScanRequest { limit: 2, reverse: true, ..scan("e", "b") };
        assert_eq!(server.scan_keys(request), "d c", "in reverse from below e");
    });
}

/// A bound is not a key: it may be longer than any key can be.
#[test]
fn a_bound_may_be_longer_than_a_key() {
    let _lab = lab!();
    let long = "b".repeat(MAX_KEY_LEN + 1);
    on_each_engine(|server| {
        server.put_keys("a b c");
        assert_eq!(server.scan_keys(scan(&long, "")), "c");
        assert_eq!(server.scan_keys(scan("", &long)), "a b");
    });
}

/// A client that reads page by page goes on after the last key it got, and meets every key once.
#[test]
fn pages_meet_every_key_once() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put_keys("a aa ab b ba c d");
        let mut keys: Vec<String> = Vec::new();
        let mut start = String::new();
        loop {
            let page = server.scan_keys(RawScanRequest { limit: 2, ..scan(&start, "") });
            if page.is_empty() {
                break;
            }
            keys.extend(page.split(' ').map(str::to_string));
            assert!(keys.len() <= 7, "there are 7 keys, and a page starts after the last key: {keys:?}");
            // The smallest key that is greater than the last one.
            start = format!("{}\0", keys[keys.len() - 1]);
        }
        assert_eq!(keys.join(" "), "a aa ab b ba c d");
    });
}
