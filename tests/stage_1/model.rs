//! Random histories against a model: a plain map from the standard library.

use std::collections::BTreeMap;

use bytes::Bytes;
use pretty_assertions::assert_eq;
use raftkv::proto::kvrpcpb::{KvPair, RawScanRequest};
use raftkv_testkit::{Rng, lab};

use crate::machine::on_each_machine;
use crate::server::Server;

const FAMILIES: [&str; 3] = ["default", "write", "lock"];

type Model = BTreeMap<(&'static str, Bytes), Bytes>;

/// Whatever clients do, in whatever order, with restarts and crashes in between, they see what a map would
/// show them.
#[test]
fn clients_see_what_a_map_would_show() {
    let lab = lab!();
    for seed in lab.seeds(5) {
        on_each_machine(|machine| {
            let rng = &mut Rng::new(seed);
            let mut model = Model::new();
            for _ in 0..3 {
                let server = Server::start(machine);
                for _ in 0..60 {
                    step(rng, &server, &mut model);
                }
                if rng.percent(50) {
                    machine.crash();
                }
            }
        });
    }
}

fn random_key(rng: &mut Rng) -> Bytes {
    let len = 1 + rng.below(2);
    (0..len).map(|_| rng.pick(&[0, b'a', b'b', b'c', 0xff])).collect()
}

fn random_bound(rng: &mut Rng) -> Bytes {
    if rng.percent(30) { Bytes::new() } else { random_key(rng) }
}

/// One request, to the server and to the model.
fn step(rng: &mut Rng, server: &Server, model: &mut Model) {
    let (cf, key) = (rng.pick(&FAMILIES), random_key(rng));
    match rng.below(10) {
        0..4 => {
            let value = Bytes::from("v".repeat(rng.below(4) as usize));
            server.put_cf(cf, key.clone(), value.clone());
            model.insert((cf, key), value);
        }
        4..6 => {
            server.delete_cf(cf, key.clone());
            model.remove(&(cf, key));
        }
        6 => assert_eq!(server.get_cf(cf, key.clone()), model.get(&(cf, key)).cloned(), "RawGet"),
        _ => {
            let request = RawScanRequest {
                start_key: random_bound(rng),
                end_key: random_bound(rng),
                limit: rng.below(6) as u32,
                reverse: rng.percent(50),
                key_only: rng.percent(20),
                cf: cf.into(),
                ..Default::default()
            };
            assert_eq!(server.scan(request.clone()), scan_model(model, &request), "RawScan {request:?}");
        }
    }
}

/// The definition of RawScan, word for word and without a thought for speed.
fn scan_model(model: &Model, request: &RawScanRequest) -> Vec<KvPair> {
    let (low, high) = if request.reverse {
        (&request.end_key, &request.start_key)
    } else {
        (&request.start_key, &request.end_key)
    };
    let inside = |key: &Bytes| low <= key && (high.is_empty() || key < high);
    let mut pairs: Vec<KvPair> = model
        .iter()
        .filter(|((cf, key), _)| *cf == request.cf && inside(key))
        .map(|((_, key), value)| KvPair { key: key.clone(), value: value.clone(), error: None })
        .collect();
    if request.reverse {
        pairs.reverse();
    }
    pairs.truncate(request.limit as usize);
    if request.key_only {
        pairs.iter_mut().for_each(|pair| pair.value.clear());
    }
    pairs
}
