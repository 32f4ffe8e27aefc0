//! What a client expects of any store, from a cluster without trouble.

use pretty_assertions::assert_eq;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Mix, Setup, secs};
use rstest::rstest;

/// Put, get, overwrite, delete: through the raw handlers, on clusters of one, three and five stores.
#[rstest]
#[case::one_store(1)]
#[case::three_stores(3)]
#[case::five_stores(5)]
fn puts_gets_and_deletes(#[case] stores: u64) {
    let lab = lab!();
    let mut sim = Setup::of(&lab, stores).start();
    assert_eq!(sim.get("a"), None, "nothing was put yet");
    sim.put("a", "1");
    assert_eq!(sim.get("a"), Some("1".into()), "a put is seen by the next get");
    sim.put("a", "");
    assert_eq!(sim.get("a"), Some("".into()), "an empty value is a value");
    sim.delete("a");
    assert_eq!(sim.get("a"), None, "it was deleted");
    sim.delete("a");
    sim.put("a", "2");
    assert_eq!(sim.get("a"), Some("2".into()), "a deleted key can come back");
    sim.finish();
}

/// Batches, scans and range deletions, through the raw handlers.
#[test]
fn scans_and_batches() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    sim.batch_put(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
    assert_eq!(sim.scan("", "", 10), "a=1 b=2 c=3 d=4");
    assert_eq!(sim.scan("b", "d", 10), "b=2 c=3", "the start is in the range, the end is not");
    assert_eq!(sim.scan("b", "", 2), "b=2 c=3", "the limit");
    assert_eq!(sim.batch_get(&["d", "x", "a"]), "d=4 a=1", "in the order asked, without what is missing");
    sim.delete_range("b", "d");
    assert_eq!(sim.scan("", "", 10), "a=1 d=4");
    sim.batch_delete(&["a", "x"]);
    assert_eq!(sim.scan("", "", 10), "d=4");
    sim.batch_put(&[("e", "5"), ("f", "6")]);
    sim.delete_range("e", "");
    assert_eq!(sim.scan("", "", 10), "d=4", "no end: everything from the start on");
    sim.finish();
}

/// The three column families are key spaces of their own on every store.
#[test]
fn column_families_stay_apart() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    for cf in ["default", "write", "lock"] {
        sim.put_cf(cf, "key", cf);
    }
    for cf in ["default", "write", "lock"] {
        assert_eq!(sim.get_cf(cf, "key"), Some(cf.to_string().into()), "column family {cf}");
    }
    sim.delete("key");
    sim.delete_range("", "z");
    assert_eq!(sim.get_cf("lock", "key"), Some("lock".into()), "only in `default` something was deleted");
    assert_eq!(sim.get_cf("write", "key"), Some("write".into()), "only in `default` something was deleted");
    sim.finish();
}

/// A swap sees the value that is there, and only one of two with the same guess can succeed.
#[test]
fn swaps_depend_on_the_value() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    assert_eq!(sim.swap("n", Some("0"), "1"), (false, None), "the key does not exist");
    assert_eq!(sim.swap("n", None, "0"), (true, None));
    assert_eq!(sim.swap("n", None, "0"), (false, Some("0".into())), "now it does");
    for n in 0..10 {
        let (now, next) = (n.to_string(), (n + 1).to_string());
        assert_eq!(sim.swap("n", Some(&now), &next), (true, Some(now.clone().into())), "from {n}");
        assert_eq!(sim.swap("n", Some(&now), "x"), (false, Some(next.into())), "from {n} again");
    }
    assert_eq!(sim.get("n"), Some("10".into()));
    sim.put("empty", "");
    assert_eq!(sim.swap("empty", None, "x"), (false, Some("".into())), "an empty value is a value");
    assert_eq!(sim.swap("empty", Some(""), "x"), (true, Some("".into())));
    assert_eq!(sim.swap("missing", Some(""), "x"), (false, None), "and no value is not an empty one");
    sim.finish();
}

/// Values of all sizes up to a hundred kilobytes go through the log as they are.
#[test]
fn large_values_are_whole() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    for size in [0, 1, 100, 4096, 100_000] {
        let value: String = (0..size).map(|i| char::from(b'a' + (i % 26) as u8)).collect();
        sim.put("large", &value);
        assert!(sim.get("large") == Some(value.into()), "a value of {size} bytes comes back as it went in");
    }
    sim.finish();
}

/// Many clients on the same few keys, without any trouble: everything is answered, and in one order that explains it
/// all.
#[rstest]
#[case::three_stores(3, 5)]
#[case::five_stores(5, 20)]
fn clients_share_keys(#[case] stores: u64, #[case] clients: u64) {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let mut sim = Setup::seeded(seed, stores).start();
        sim.clients(Mix { clients, ..Mix::default() });
        assert!(sim.until_answered(600, secs(60)), "600 calls are answered within a minute of virtual time");
        sim.finish();
        assert_eq!(sim.operations(), sim.answered(), "without trouble no answer is missing");
    }
}

/// Without trouble and without clients the leader stays, and the stores come to rest but for heartbeats (section 5.2).
#[test]
fn a_quiet_cluster_keeps_its_leader() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    let leader = sim.leader();
    let term = sim.peer(leader).term();
    sim.put("a", "1");
    sim.settle();
    let writes: u64 = (1..=3).map(|id| sim.writes(id)).sum();
    sim.run(secs(10));
    assert_eq!(
        (sim.leader(), sim.peer(leader).term()),
        (leader, term),
        "nothing happened that could depose it"
    );
    let more = (1..=3).map(|id| sim.writes(id)).sum::<u64>() - writes;
    assert!(more < 30, "ten quiet seconds cost {more} writes: a tick without news needs none");
    sim.finish();
}
