//! Random histories against a model: a plain map from the standard library.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use raftkv::engine::{Cf, Cursor, Engine, KeyRange, WriteBatch};
use raftkv_testkit::{Rng, lab};

use crate::machine::on_each_machine;

type Model = BTreeMap<(Cf, Bytes), Bytes>;

/// Whatever is written, and wherever a cursor goes, engine and model agree.
#[test]
fn engines_behave_like_a_map() {
    let lab = lab!();
    for seed in lab.seeds(5) {
        on_each_machine(|machine| {
            let rng = &mut Rng::new(seed);
            let engine = machine.open().unwrap();
            let mut model = Model::new();
            for _ in 0..40 {
                let batch = random_batch(rng, &mut model);
                engine.write(batch, rng.percent(20)).unwrap();
                walk(rng, &*engine, &model);
            }
            drop(engine);
            walk(rng, &*machine.open().unwrap(), &model);
        });
    }
}

/// Few and short keys, so that histories meet, with the extreme bytes among them.
fn random_key(rng: &mut Rng) -> Bytes {
    let len = 1 + rng.below(2);
    (0..len).map(|_| rng.pick(&[0, b'a', b'b', b'c', b'd', 0xff])).collect()
}

fn random_range(rng: &mut Rng) -> KeyRange {
    let mut bound = || if rng.percent(25) { Bytes::new() } else { random_key(rng) };
    KeyRange::new(bound(), bound())
}

/// A batch, which is carried out on the model at once.
fn random_batch(rng: &mut Rng, model: &mut Model) -> WriteBatch {
    let mut batch = WriteBatch::new();
    for _ in 0..rng.below(8) {
        let (cf, key) = (rng.pick(&Cf::ALL), random_key(rng));
        match rng.below(10) {
            0 => {
                let range = random_range(rng);
                model.retain(|(c, key), _| *c != cf || !range.contains(key));
                batch.delete_range(cf, range);
            }
            1..=3 => {
                model.remove(&(cf, key.clone()));
                batch.delete(cf, key);
            }
            _ => {
                let value = Bytes::from(rng.below(5).to_string());
                model.insert((cf, key.clone()), value.clone());
                batch.put(cf, key, value);
            }
        }
    }
    batch
}

/// Takes a cursor for a random walk and compares every stop with the model.
fn walk(rng: &mut Rng, engine: &dyn Engine, model: &Model) {
    let (cf, range) = (rng.pick(&Cf::ALL), random_range(rng));
    let inside: BTreeMap<&Bytes, &Bytes> = model
        .iter()
        .filter(|((c, key), _)| *c == cf && range.contains(key))
        .map(|((_, k), v)| (k, v))
        .collect();
    let snapshot = engine.snapshot();
    let mut cursor = snapshot.cursor(cf, range.clone());
    let mut on: Option<&Bytes> = None;
    for step in 0..10 {
        let key = random_key(rng);
        let (name, next) = match rng.below(if on.is_some() { 8 } else { 4 }) {
            0 => ("seek", inside.range::<Bytes, _>(&key..).next()),
            1 => ("seek_for_prev", inside.range::<Bytes, _>(..=&key).next_back()),
            2 => ("seek_to_first", inside.iter().next()),
            3 => ("seek_to_last", inside.iter().next_back()),
            4 | 5 => (
                "next",
                on.and_then(|on| inside.range::<Bytes, _>((Bound::Excluded(on), Bound::Unbounded)).next()),
            ),
            _ => (
                "prev",
                on.and_then(|on| {
                    inside.range::<Bytes, _>((Bound::Unbounded, Bound::Excluded(on))).next_back()
                }),
            ),
        };
        go(cursor.as_mut(), name, &key);
        let expected = next.map(|(key, value)| (&key[..], &value[..]));
        assert_eq!(cursor.entry(), expected, "step {step}: {name} {key:?} in {range:?} of {cf}");
        on = next.map(|(key, _)| *key);
    }
    let key = random_key(rng);
    assert_eq!(snapshot.get(cf, &key).unwrap().as_ref(), model.get(&(cf, key)));
}

fn go(cursor: &mut dyn Cursor, name: &str, key: &[u8]) {
    let moved = match name {
        "seek" => cursor.seek(key),
        "seek_for_prev" => cursor.seek_for_prev(key),
        "seek_to_first" => cursor.seek_to_first(),
        "seek_to_last" => cursor.seek_to_last(),
        "next" => cursor.next(),
        _ => cursor.prev(),
    };
    moved.expect("a healthy disk can be read");
}
