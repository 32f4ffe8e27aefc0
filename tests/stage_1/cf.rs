//! Column families.

use pretty_assertions::assert_eq;
use raftkv::proto::kvrpcpb::RawScanRequest;
use raftkv_testkit::lab;

use crate::server::on_each_engine;

const FAMILIES: [&str; 3] = ["default", "write", "lock"];

/// The same key has a value of its own in each column family.
#[test]
fn each_family_has_its_own_keys() {
    let _lab = lab!();
    on_each_engine(|server| {
        for cf in FAMILIES {
            for other in FAMILIES {
                let key = format!("only in {cf}");
                assert_eq!(server.get_cf(other, key), None, "nothing was put yet");
            }
            server.put_cf(cf, "key", cf);
            server.put_cf(cf, format!("only in {cf}"), "1");
        }
        for cf in FAMILIES {
            assert_eq!(server.get_cf(cf, "key"), Some(cf.into()), "the value that was put into {cf}");
            for other in FAMILIES {
                let found = server.get_cf(other, format!("only in {cf}")).is_some();
                assert_eq!(found, other == cf, "a key that was put into {cf}, looked for in {other}");
            }
        }
    });
}

/// A request that names no column family means `default`.
#[test]
fn no_name_means_default() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put_cf("", "a", "put without a name");
        server.put_cf("default", "b", "put into default");
        assert_eq!(server.get_cf("default", "a"), Some("put without a name".into()));
        assert_eq!(server.get_cf("", "b"), Some("put into default".into()));
        assert_eq!(server.all_keys(""), "a b");
        assert_eq!(server.all_keys("default"), "a b");
        server.delete_cf("", "b");
        assert_eq!(server.get_cf("default", "b"), None, "deleted without a name");
    });
}

/// A delete takes the key out of one column family only.
#[test]
fn a_delete_stays_in_its_family() {
    let _lab = lab!();
    on_each_engine(|server| {
        for cf in FAMILIES {
            server.put_cf(cf, "key", cf);
        }
        server.delete_cf("write", "key");
        assert_eq!(server.get_cf("write", "key"), None, "the key was deleted in write");
        for cf in ["default", "lock"] {
            assert_eq!(server.get_cf(cf, "key"), Some(cf.into()), "nobody deleted it in {cf}");
        }
    });
}

/// A scan returns the keys of one column family only, in both directions.
#[test]
fn a_scan_stays_in_its_family() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put_cf("default", "b", "1");
        server.put_cf("write", "a", "1");
        server.put_cf("write", "c", "1");
        server.put_cf("lock", "d", "1");
        for (cf, forward, backward) in [("default", "b", "b"), ("write", "a c", "c a"), ("lock", "d", "d")] {
            let request = RawScanRequest { cf: cf.into(), limit: 10, ..Default::default() };
            assert_eq!(server.scan_keys(request.clone()), forward, "forward in {cf}");
            let reverse = RawScanRequest { reverse: true, ..request };
            assert_eq!(server.scan_keys(reverse), backward, "in reverse in {cf}");
        }
    });
}
