//! From requests and responses to operations on keys.

use std::collections::BTreeSet;

use bytes::Bytes;
use raftkv::engine::KeyRange;

use super::{Key, Op, Operation};
use crate::sim::{Request, Response};

/// One call.
#[derive(Debug)]
struct Call {
    client: u64,
    request: Request,
    /// The keys of the region that was asked.
    region: KeyRange,
    invoked: u64,
    returned: Option<u64>,
    response: Option<Response>,
}

/// All calls of a run.
#[derive(Debug, Default)]
pub struct Recorder {
    calls: Vec<Call>,
    /// When something was noted last.
    last: u64,
    /// Keys that something else than a client's call may change.
    left_out: Vec<(String, KeyRange)>,
}

impl Recorder {
    /// A call begins, to the region with these keys. Returns its number.
    pub fn invoke(&mut self, client: u64, request: &Request, region: KeyRange, now: u64) -> usize {
        let (request, invoked) = (request.clone(), self.moment(now));
        self.calls.push(Call { client, request, region, invoked, returned: None, response: None });
        self.calls.len() - 1
    }

    /// A call ends: with a response, or without anybody knowing what became of it.
    pub fn complete(&mut self, call: usize, response: Option<&Response>, now: u64) {
        let now = self.moment(now);
        let call = &mut self.calls[call];
        call.response = response.cloned();
        call.returned = response.is_some().then_some(now);
    }

    /// What happens in the same microsecond has an order, too: a client that is answered and at once asks for the next
    /// thing has had the answer. So each moment is later than the one before.
    fn moment(&mut self, now: u64) -> u64 {
        self.last = now.max(self.last + 1);
        self.last
    }

    /// From now on the history says nothing about these keys: somebody changes them past the clients.
    pub fn leave_out(&mut self, cf: &str, range: KeyRange) {
        self.left_out.push((cf_name(cf), range));
    }

    /// How many calls there were.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// True if there was none.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// What the calls did to each key. A refused call did nothing; a call on a range did something to each key of the
    /// range that any call names.
    pub fn operations(&self) -> Vec<Operation> {
        let keys: BTreeSet<Key> = self.calls.iter().flat_map(|call| named_keys(&call.request)).collect();
        let mut operations = Vec::new();
        for call in &self.calls {
            if call.response.as_ref().is_some_and(|response| !response.is_ok()) {
                continue;
            }
            for (key, op) in effects(call, &keys).into_iter().filter(|(key, _)| !self.is_left_out(key)) {
                let (client, invoked, returned) = (call.client, call.invoked, call.returned);
                operations.push(Operation { client, key, op, invoked, returned });
            }
        }
        operations
    }

    fn is_left_out(&self, (cf, key): &Key) -> bool {
        self.left_out.iter().any(|(family, range)| family == cf && range.contains(key))
    }
}

fn cf_name(cf: &str) -> String {
    if cf.is_empty() { "default".to_string() } else { cf.to_string() }
}

fn named_keys(request: &Request) -> Vec<Key> {
    let all = |cf: &str, keys: Vec<Bytes>| keys.into_iter().map(|key| (cf_name(cf), key)).collect();
    match request {
        Request::Get(r) => all(&r.cf, vec![r.key.clone()]),
        Request::Put(r) => all(&r.cf, vec![r.key.clone()]),
        Request::Delete(r) => all(&r.cf, vec![r.key.clone()]),
        Request::Cas(r) => all(&r.cf, vec![r.key.clone()]),
        Request::BatchGet(r) => all(&r.cf, r.keys.clone()),
        Request::BatchPut(r) => all(&r.cf, r.pairs.iter().map(|pair| pair.key.clone()).collect()),
        Request::BatchDelete(r) => all(&r.cf, r.keys.clone()),
        Request::Scan(_) | Request::DeleteRange(_) => Vec::new(),
    }
}

fn effects(call: &Call, keys: &BTreeSet<Key>) -> Vec<(Key, Op)> {
    let one = |cf: &str, key: &Bytes, op: Op| vec![((cf_name(cf), key.clone()), op)];
    match (&call.request, &call.response) {
        (Request::Get(r), Some(Response::Get(got))) => {
            one(&r.cf, &r.key, Op::Read((!got.not_found).then(|| got.value.clone())))
        }
        (Request::Put(r), _) => one(&r.cf, &r.key, Op::Write(Some(r.value.clone()))),
        (Request::Delete(r), _) => one(&r.cf, &r.key, Op::Write(None)),
        (Request::Cas(r), response) => {
            let told = match response {
                Some(Response::Cas(c)) => {
                    Some((c.succeed, (!c.previous_not_exist).then(|| c.previous_value.clone())))
                }
                _ => None,
            };
            let expected = (!r.previous_not_exist).then(|| r.previous_value.clone());
            one(&r.cf, &r.key, Op::Swap { expected, value: r.value.clone(), told })
        }
        (Request::BatchPut(r), _) => {
            let write =
                |key: &Bytes, value: &Bytes| ((cf_name(&r.cf), key.clone()), Op::Write(Some(value.clone())));
            r.pairs.iter().map(|pair| write(&pair.key, &pair.value)).collect()
        }
        (Request::BatchDelete(r), _) => {
            r.keys.iter().map(|key| ((cf_name(&r.cf), key.clone()), Op::Write(None))).collect()
        }
        (Request::DeleteRange(r), _) => {
            let range = KeyRange::new(r.start_key.clone(), r.end_key.clone());
            in_range(keys, &r.cf, &range).map(|key| (key.clone(), Op::Write(None))).collect()
        }
        (Request::BatchGet(r), Some(Response::BatchGet(got))) => {
            let value = |key: &Bytes| got.pairs.iter().find(|p| p.key == *key).map(|p| p.value.clone());
            r.keys.iter().map(|key| ((cf_name(&r.cf), key.clone()), Op::Read(value(key)))).collect()
        }
        (Request::Scan(r), Some(Response::Scan(got))) if !r.reverse && !r.key_only => {
            // A full page says nothing about the keys behind its end.
            let is_full = got.kvs.len() >= r.limit as usize;
            let end = if is_full { got.kvs.last().map(|p| p.key.clone()) } else { None };
            let value = |key: &Bytes| got.kvs.iter().find(|p| p.key == *key).map(|p| p.value.clone());
            let range = call.region.intersect(KeyRange::new(r.start_key.clone(), r.end_key.clone()));
            in_range(keys, &r.cf, &range)
                .filter(|(_, key)| end.as_ref().is_none_or(|end| key <= end))
                .map(|key| (key.clone(), Op::Read(value(&key.1))))
                .collect()
        }
        // A read that nobody saw the result of says nothing.
        _ => Vec::new(),
    }
}

fn in_range<'a>(keys: &'a BTreeSet<Key>, cf: &str, range: &'a KeyRange) -> impl Iterator<Item = &'a Key> {
    let cf = cf_name(cf);
    keys.iter().filter(move |(family, key)| *family == cf && range.contains(key))
}
