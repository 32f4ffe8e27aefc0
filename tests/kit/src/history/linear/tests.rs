//! Histories that have an order, and some that have none.

use super::*;
use crate::Rng;

fn value(text: &str) -> Option<Bytes> {
    (!text.is_empty()).then(|| Bytes::from(text.to_string()))
}

fn at(invoked: u64, returned: u64, op: Op) -> Operation {
    let returned = (returned != 0).then_some(returned);
    Operation { client: 1, key: ("default".into(), "k".into()), op, invoked, returned }
}

fn put(invoked: u64, returned: u64, text: &str) -> Operation {
    at(invoked, returned, Op::Write(value(text)))
}

fn get(invoked: u64, returned: u64, text: &str) -> Operation {
    at(invoked, returned, Op::Read(value(text)))
}

fn swap(invoked: u64, returned: u64, from: &str, to: &str, told: Option<(bool, &str)>) -> Operation {
    let told = told.map(|(done, previous)| (done, value(previous)));
    at(invoked, returned, Op::Swap { expected: value(from), value: to.to_string().into(), told })
}

/// 0 as the end of an operation: nobody knows.
#[test]
fn histories_with_an_order() {
    for (what, history) in [
        ("nothing at all", vec![]),
        ("one after the other", vec![put(1, 2, "a"), get(3, 4, "a"), put(5, 6, ""), get(7, 8, "")]),
        ("a read beside a write may see either", vec![put(1, 9, "a"), get(2, 3, ""), get(4, 5, "a")]),
        ("two writes at once, in the other order", vec![put(1, 9, "a"), put(2, 8, "b"), get(10, 11, "a")]),
        ("an unknown put shows late", vec![put(1, 0, "a"), get(2, 3, ""), get(50, 60, "a")]),
        ("an unknown put never shows", vec![put(1, 0, "a"), get(2, 3, ""), get(50, 60, "")]),
        (
            "an unknown put between two others",
            vec![put(1, 0, "a"), put(2, 3, "b"), get(4, 5, "a"), put(6, 7, "c"), get(8, 9, "c")],
        ),
        (
            "swaps in a chain",
            vec![
                swap(1, 2, "", "a", Some((true, ""))),
                swap(3, 4, "a", "b", Some((true, "a"))),
                get(5, 6, "b"),
            ],
        ),
        ("a swap that fails", vec![put(1, 2, "x"), swap(3, 4, "a", "b", Some((false, "x"))), get(5, 6, "x")]),
        (
            "one of two swaps",
            vec![swap(1, 9, "", "a", Some((true, ""))), swap(1, 9, "", "b", Some((false, "a")))],
        ),
        ("an unknown swap shows", vec![swap(1, 0, "", "a", None), get(5, 6, "a")]),
        ("the same instant overlaps", vec![put(1, 5, "a"), get(5, 6, ""), get(7, 8, "a")]),
    ] {
        let verdict = check(&history);
        assert!(verdict.is_ok(), "{what}: {}", verdict.unwrap_err());
    }
}

/// Each with a word that the explanation must have.
#[test]
fn histories_without_an_order() {
    for (what, word, history) in [
        ("a stale read", "read a", vec![put(1, 2, "a"), put(3, 4, "b"), get(5, 6, "a")]),
        ("a lost write", "read nothing", vec![put(1, 2, "a"), get(3, 4, "")]),
        ("a value from nowhere", "read z", vec![put(1, 2, "a"), get(3, 4, "z")]),
        ("back in time", "read nothing", vec![put(1, 9, "a"), get(2, 3, "a"), get(4, 5, "")]),
        (
            "two swaps from one value",
            "swap",
            vec![swap(1, 9, "", "a", Some((true, ""))), swap(2, 8, "", "b", Some((true, "")))],
        ),
        (
            "a swap that was not done shows",
            "read b",
            vec![put(1, 2, "x"), swap(3, 4, "a", "b", Some((false, "x"))), get(5, 6, "b")],
        ),
        ("an unknown put shows before it began", "read a", vec![get(1, 2, "a"), put(3, 0, "a")]),
        (
            "an unknown put shows, goes, and shows again",
            "read a",
            vec![put(1, 0, "a"), get(2, 3, "a"), put(4, 5, "b"), get(6, 7, "b"), get(8, 9, "a")],
        ),
        (
            "a swap was done twice",
            "",
            vec![put(1, 2, "a"), swap(3, 4, "a", "b", Some((false, "b"))), get(5, 6, "b")],
        ),
        ("deleted keys come back", "read a", vec![put(1, 2, "a"), put(3, 4, ""), get(5, 6, "a")]),
    ] {
        let violation = check(&history).expect_err(what).to_string();
        assert!(violation.contains(word), "{what}: {violation}");
    }
}

/// Calls of several clients on a real register: each is carried out at some moment between its begin and its end.
fn from_a_register(seed: u64, clients: u64, count: usize, lost: u64) -> Vec<Operation> {
    let mut rng = Rng::new(seed);
    let mut history: Vec<Operation> = Vec::new();
    let mut free_at = vec![0; clients as usize];
    let mut moments: Vec<(u64, usize)> = Vec::new();
    for i in 0..count {
        let client = rng.below(clients);
        let begin = free_at[client as usize] + rng.below(20);
        let moment = begin + rng.below(20);
        let end = moment + rng.below(20);
        free_at[client as usize] = end + 1;
        let op = match rng.below(3) {
            0 => Op::Read(None),
            1 => Op::Write(value(&format!("v{i}"))),
            _ => Op::Swap { expected: None, value: format!("v{i}").into(), told: None },
        };
        let known = !rng.percent(lost);
        history.push(Operation {
            client,
            key: ("default".into(), "k".into()),
            op,
            invoked: begin,
            returned: known.then_some(end),
        });
        moments.push((moment, i));
    }
    moments.sort_unstable();
    let (mut now, mut last) = (None, None);
    for (_, i) in moments {
        let known = history[i].returned.is_some();
        match &mut history[i].op {
            Op::Read(saw) => *saw = now.clone(),
            Op::Write(new) => now = new.clone(),
            Op::Swap { expected, value: new, told } => {
                *expected = last.clone();
                let done = *expected == now;
                *told = known.then(|| (done, now.clone()));
                if done {
                    now = Some(new.clone());
                }
            }
        }
        last = now.clone();
    }
    history
}

#[test]
fn a_real_register_is_always_explained() {
    for seed in 0..200 {
        let history = from_a_register(seed, 1 + seed % 8, 60, (seed % 3) * 10);
        let verdict = check(&history);
        assert!(verdict.is_ok(), "seed {seed}: {}", verdict.unwrap_err());
    }
}

/// Long histories, with some ends unknown, must not take long: the search is exponential only in what is open at once.
#[test]
fn five_thousand_calls_are_explained() {
    let history = from_a_register(7, 10, 5000, 1);
    assert!(check(&history).is_ok());
}

/// One wrong answer, far in, is found.
#[test]
fn one_wrong_read_is_found() {
    for seed in 0..50 {
        let mut history = from_a_register(seed, 4, 300, 0);
        let last = history.iter().map(|o| o.invoked).max().unwrap_or(0) + 1000;
        history.push(get(last, last + 1, "v0"));
        let read_back = history.iter().filter(|o| matches!(&o.op, Op::Read(v) if *v == value("v0"))).count();
        assert!(read_back > 0 && check(&history).is_err(), "seed {seed}: v0 is long gone");
    }
}
