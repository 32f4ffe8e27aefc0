//! The split_check worker: how large is a region, and where is its middle?

use std::sync::Arc;

use pretty_assertions::assert_eq;
use raftkv::engine::{Cf, Engine, MemEngine, WriteBatch};
use raftkv::proto::metapb::Region;
use raftkv::worker::split_check::check_split;
use raftkv_testkit::{Rng, lab};
use rstest::rstest;

use crate::messages::{Vary, region};

/// What the worker says of a region with these pairs, each in one column family: its key, and how many bytes key and
/// value have together.
fn look(region: &Region, pairs: &[(Cf, &str, usize)], max_size: u64) -> (u64, Option<String>) {
    let engine: Arc<dyn Engine> = Arc::new(MemEngine::new());
    let mut batch = WriteBatch::new();
    for (cf, key, size) in pairs {
        batch.put(*cf, key.to_string(), vec![0; size - key.len()]);
    }
    engine.write(batch, true).expect("an engine in memory");
    let (size, key) = check_split(region, &*engine.snapshot(), max_size).expect("an engine in memory");
    (size, key.map(|key| String::from_utf8(key.into()).expect("the keys are text")))
}

fn even(cf: Cf) -> Vec<(Cf, &'static str, usize)> {
    ["c", "d", "e", "f", "g", "h"].map(|key| (cf, key, 10)).into()
}

/// All keys and values count, in each column family.
#[test]
fn all_column_families_count() {
    let _lab = lab!();
    let mut pairs = Vec::new();
    for (cf, sum) in Cf::DATA.into_iter().zip([60, 120, 180]) {
        pairs.extend(even(cf));
        assert_eq!(look(&region(), &pairs, 1000), (sum, None), "with {cf}");
    }
}

/// A region with as many bytes as it may have stays whole; with one more it is cut.
#[test]
fn the_limit() {
    let _lab = lab!();
    let region = region();
    let pairs = even(Cf::Default);
    assert_eq!(look(&region, &pairs, 60), (60, None));
    assert_eq!(look(&region, &pairs, 59), (60, Some("f".into())));
}

/// Half of the bytes lie before the middle; in whichever column family they are.
#[rstest]
#[case::default(Cf::Default)]
#[case::lock(Cf::Lock)]
#[case::write(Cf::Write)]
fn the_middle(#[case] cf: Cf) {
    let _lab = lab!();
    assert_eq!(look(&region(), &even(cf), 20), (60, Some("f".into())));
}

/// The middle is that of all column families together: not of the first, not of the largest.
#[test]
fn the_middle_of_all_families() {
    let _lab = lab!();
    let mut pairs = even(Cf::Default);
    pairs.extend(["i", "j", "k", "l", "m", "n"].map(|key| (Cf::Lock, key, 10)));
    pairs.extend(["c1", "j1", "k1"].map(|key| (Cf::Write, key, 20)));
    let (size, middle) = look(&region(), &pairs, 100);
    assert_eq!(size, 180);
    assert_eq!(middle.as_deref(), Some("j"), "60 + 20 + 10 bytes lie before it");
}

/// Only the region's own keys count: its start is inside, its end is not; an empty end is the end of all keys. Of an
/// odd number of equal pairs, either cut beside the middle one is half.
#[rstest]
#[case::inside("b", "p", "b c o o1", "o")]
#[case::from_the_beginning("", "p", "a b c o o1", "c o")]
#[case::to_the_end("b", "", "b c o o1 p q", "o1")]
#[case::everything("", "", "a b c o o1 p q", "o o1")]
fn only_its_own_keys(#[case] start: &str, #[case] end: &str, #[case] inside: &str, #[case] middles: &str) {
    let _lab = lab!();
    let pairs = ["a", "b", "c", "o", "o1", "p", "q"].map(|key| (Cf::Default, key, 10));
    let size = 10 * inside.split(' ').count() as u64;
    let (seen, middle) = look(&region().keys(start, end), &pairs, 30);
    assert_eq!(seen, size, "ten bytes a pair, and {inside} are inside");
    let is_middle = middle.as_deref().is_some_and(|middle| middles.split(' ').any(|key| key == middle));
    assert!(is_middle, "the cut is at one of {middles}: {middle:?}");
}

/// A region without keys has no size and no middle, whatever the limit.
#[test]
fn an_empty_region() {
    let _lab = lab!();
    assert_eq!(look(&region(), &[(Cf::Default, "a", 10), (Cf::Write, "p", 10)], 1), (0, None));
}

/// A region is never cut at its start: nothing would be left of it. Nor at its first key, since nothing would lie
/// before it: what is all under one key, stays together, however much it is, and in how many column families it may be.
#[rstest]
#[case::at_the_start(&[(Cf::Default, "b", 100)])]
#[case::inside(&[(Cf::Default, "h", 100)])]
#[case::in_two_families(&[(Cf::Default, "h", 100), (Cf::Write, "h", 10)])]
#[case::at_the_start_in_three(&[(Cf::Default, "b", 100), (Cf::Lock, "b", 100), (Cf::Write, "b", 100)])]
#[case::in_three_families(&[(Cf::Default, "h", 10), (Cf::Lock, "h", 100), (Cf::Write, "h", 10)])]
fn one_key(#[case] pairs: &[(Cf, &str, usize)]) {
    let _lab = lab!();
    let (size, middle) = look(&region(), pairs, 50);
    assert_eq!(size, pairs.iter().map(|(_, _, size)| *size as u64).sum::<u64>());
    assert_eq!(middle, None, "all is under one key");
}

/// One pair is much larger than all others together: it is cut off where it can be, be it the first, the last, or
/// between.
#[rstest]
#[case::first(&[("c", 1000), ("d", 10), ("e", 10)], &["d"])]
#[case::last(&[("c", 10), ("d", 10), ("e", 1000)], &["e"])]
#[case::between(&[("c", 10), ("d", 1000), ("e", 10)], &["d", "e"])]
#[case::at_the_start(&[("b", 1000), ("d", 10)], &["d"])]
#[case::behind_the_start(&[("b", 10), ("d", 1000)], &["d"])]
fn one_large_pair(#[case] pairs: &[(&str, usize)], #[case] good: &[&str]) {
    let _lab = lab!();
    let pairs: Vec<(Cf, &str, usize)> = pairs.iter().map(|(key, size)| (Cf::Default, *key, *size)).collect();
    let (_, middle) = look(&region(), &pairs, 100);
    let middle = middle.expect("there are several keys, and too much under them");
    assert!(good.contains(&&*middle), "cut at {middle}, and not at one of {good:?}");
}

/// Whatever the pairs: no part is empty, and the larger one is larger than half by no more than one key's pairs.
#[test]
fn both_parts_have_something() {
    let lab = lab!();
    for seed in lab.seeds(50) {
        let mut rng = Rng::new(seed);
        let names: Vec<String> = (0..20).map(|n| format!("c{n:02}")).collect();
        let mut pairs = Vec::new();
        for name in &names {
            for cf in Cf::DATA {
                let most = if rng.percent(10) { 400 } else { 30 };
                let size = 3 + rng.below(most) as usize;
                if rng.percent(60) {
                    pairs.push((cf, &**name, size));
                }
            }
        }
        let (size, middle) = look(&region(), &pairs, 10);
        let middle = middle.expect("many keys are too much for 10 bytes");
        let before = |key: &str| pairs.iter().filter(|p| p.1 < key).map(|p| p.2 as u64).sum::<u64>();
        let of = |key: &str| pairs.iter().filter(|p| p.1 == key).map(|p| p.2 as u64).sum::<u64>();
        let largest = names.iter().map(|name| of(name)).max().unwrap_or_default();
        let left = before(&middle);
        let larger = left.max(size - left);
        assert!(left > 0 && left < size, "seed {seed}: {left} of {size} bytes lie before {middle}");
        assert!(larger <= size / 2 + largest + 1, "seed {seed}: {left} of {size} bytes lie before {middle}");
    }
}
