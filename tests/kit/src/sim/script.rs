//! What a test's own client says: one call after the other, each until it is done.

use bytes::Bytes;
use raftkv::engine::KeyRange;
use raftkv::ids::StoreId;
use raftkv::proto::kvrpcpb::{
    KvPair, RawBatchDeleteRequest, RawBatchGetRequest, RawBatchPutRequest, RawCasRequest,
    RawDeleteRangeRequest, RawDeleteRequest, RawGetRequest, RawPutRequest, RawScanRequest,
};
use raftkv::proto::raft_cmdpb::{CmdType, RaftCmdRequest, Request as CommandRequest};
use raftkv::raftstore::{CommandResult, Event};

use super::calls::{CallId, Ending};
use super::cluster::Direct;
use super::raw::{Request, Response};
use super::trace::What;
use super::{Micros, Sim, millis, secs};

/// The number of the test's own client.
const SCRIPT: u64 = 1;

/// How long a call of the script may take: many elections. It is reached only if something has come to a halt.
const LIMIT: Micros = secs(20);

impl Sim {
    /// Writes a line into the trace.
    pub fn say(&mut self, text: impl Into<String>) {
        self.trace.note(self.now, What::Script(text.into()));
    }

    /// Puts a key; it has to succeed in the end.
    pub fn put(&mut self, key: &str, value: &str) {
        self.put_cf("", key, value);
    }

    /// Puts a key in a column family.
    pub fn put_cf(&mut self, cf: &str, key: &str, value: &str) {
        self.done(put_request(cf, key, value));
    }

    /// Gets a key; `None` where it does not exist.
    pub fn get(&mut self, key: &str) -> Option<Bytes> {
        self.get_cf("", key)
    }

    /// Gets a key in a column family.
    pub fn get_cf(&mut self, cf: &str, key: &str) -> Option<Bytes> {
        match self.done(get_request(cf, key)) {
            Response::Get(r) => (!r.not_found).then_some(r.value),
            other => panic!("a RawGet is answered by a RawGetResponse, not by {other:?}"),
        }
    }

    /// Deletes a key.
    pub fn delete(&mut self, key: &str) {
        self.done(Request::Delete(RawDeleteRequest { key: bytes(key), ..Default::default() }));
    }

    /// Swaps a key; `None`: it must not exist. Returns whether it was set, and what it held before.
    pub fn swap(&mut self, key: &str, expected: Option<&str>, value: &str) -> (bool, Option<Bytes>) {
        match self.done(swap_request(key, expected, value)) {
            Response::Cas(r) => (r.succeed, (!r.previous_not_exist).then_some(r.previous_value)),
            other => panic!("a RawCompareAndSwap is answered by a RawCasResponse, not by {other:?}"),
        }
    }

    /// The first pairs of a range, `end` excluded, as `key=value key=value`.
    pub fn scan(&mut self, start: &str, end: &str, limit: u32) -> String {
        let (start_key, end_key) = (bytes(start), bytes(end));
        let request = RawScanRequest { start_key, end_key, limit, ..Default::default() };
        match self.done(Request::Scan(request)) {
            Response::Scan(r) => pairs_text(&r.kvs),
            other => panic!("a RawScan is answered by a RawScanResponse, not by {other:?}"),
        }
    }

    /// Puts several keys, all or none.
    pub fn batch_put(&mut self, pairs: &[(&str, &str)]) {
        let pair = |&(key, value): &(&str, &str)| KvPair {
            key: bytes(key),
            value: bytes(value),
            ..Default::default()
        };
        let pairs = pairs.iter().map(pair).collect();
        self.done(Request::BatchPut(RawBatchPutRequest { pairs, ..Default::default() }));
    }

    /// The pairs of those keys that exist.
    pub fn batch_get(&mut self, keys: &[&str]) -> String {
        let keys = keys.iter().map(|key| bytes(key)).collect();
        match self.done(Request::BatchGet(RawBatchGetRequest { keys, ..Default::default() })) {
            Response::BatchGet(r) => pairs_text(&r.pairs),
            other => panic!("a RawBatchGet is answered by a RawBatchGetResponse, not by {other:?}"),
        }
    }

    /// Deletes several keys, all or none.
    pub fn batch_delete(&mut self, keys: &[&str]) {
        let keys = keys.iter().map(|key| bytes(key)).collect();
        self.done(Request::BatchDelete(RawBatchDeleteRequest { keys, ..Default::default() }));
    }

    /// Deletes every key of a range, `end` excluded.
    pub fn delete_range(&mut self, start: &str, end: &str) {
        let (start_key, end_key) = (bytes(start), bytes(end));
        self.done(Request::DeleteRange(RawDeleteRangeRequest { start_key, end_key, ..Default::default() }));
    }

    /// Asks until there is a definite answer, which has to be no error. Of a change whose end nobody knows a put, say,
    /// is asked for again: here only the test's own client is at work, so twice is as good as once. A swap is not.
    pub fn done(&mut self, request: Request) -> Response {
        self.say(request.text());
        let start = self.now;
        let mut tries = 0;
        loop {
            let call = self.call(SCRIPT, request.clone(), None);
            self.await_call(call, start + LIMIT, tries);
            let ended = self.calls.remove(&call);
            tries += ended.as_ref().map_or(0, |call| call.tries);
            match ended.and_then(|call| call.outcome) {
                Some(Ending::Answered(response)) if response.is_ok() => return response,
                Some(Ending::Answered(response)) => self.break_off(
                    "the request makes sense, so it succeeds in the end",
                    &format!("{}: {}", request.text(), response.text()),
                ),
                Some(Ending::Unknown) if !matches!(request, Request::Cas(_)) => {}
                _ => self.break_off(
                    "without faults a swap is answered",
                    &format!("{}: nobody knows whether it was carried out", request.text()),
                ),
            }
        }
    }

    fn await_call(&mut self, call: CallId, end: Micros, tries: u64) {
        let limit = end.saturating_sub(self.now);
        let ended = |sim: &Sim| sim.calls.get(&call).is_none_or(|call| call.outcome.is_some());
        if !self.run_while(limit, |sim| !ended(sim)) {
            let call = &self.calls[&call];
            let text = format!(
                "{}: no end after {} s and {} tries; the last one: {}",
                call.request.text(),
                LIMIT / secs(1),
                tries + call.tries,
                call.last_word
            );
            self.break_off(
                "a request is answered as long as a majority of the stores can hear each other (section 5.6)",
                &text,
            );
        }
    }

    /// One question to one store, and its answer as it is; `None` if none comes in time.
    pub fn ask_store(&mut self, store: StoreId, request: Request) -> Option<Response> {
        self.say(format!("{} (store {store})", request.text()));
        let call = self.call(SCRIPT, request, Some(store));
        self.await_call(call, self.now + LIMIT, 0);
        match self.calls.remove(&call)?.outcome? {
            Ending::Answered(response) => Some(response),
            Ending::Unknown => None,
        }
    }

    /// Begins a call; whoever leads is looked for. [`Sim::ending`] tells how it went.
    pub fn begin(&mut self, request: Request) -> CallId {
        self.say(format!("begin: {}", request.text()));
        self.call(SCRIPT + 1, request, None)
    }

    /// Begins a call at one store.
    pub fn begin_at(&mut self, store: StoreId, request: Request) -> CallId {
        self.say(format!("begin: {} (store {store})", request.text()));
        self.call(SCRIPT + 1, request, Some(store))
    }

    /// How a call ended, if it has.
    pub fn ending(&self, call: CallId) -> Option<&Ending> {
        self.calls.get(&call)?.outcome.as_ref()
    }

    /// The client of the call goes away. Its request stays where it is.
    pub fn cancel(&mut self, call: CallId) {
        self.say("the client goes away");
        self.forget(call);
    }

    /// Hands a command to a store, as its owner does, lets time pass until it is answered, and returns the answer;
    /// `None` if there is none for a while.
    pub fn command(&mut self, store: StoreId, request: RaftCmdRequest) -> Option<CommandResult> {
        let id = self.begin_command(store, request);
        self.run_while(secs(3), |sim| sim.direct.get(&id).is_some_and(|direct| direct.result.is_none()));
        self.take_reply(id)
    }

    /// Hands a command to a store. [`Sim::take_reply`] has the answer, when it comes. What it may change is no client's
    /// doing: the history leaves these keys out.
    pub fn begin_command(&mut self, store: StoreId, request: RaftCmdRequest) -> u64 {
        self.say(format!("a command for store {store}"));
        for (cf, range) in request.requests.iter().filter_map(changed_keys) {
            self.recorder.leave_out(&cf, range);
        }
        self.last_id += 1;
        let id = self.last_id;
        if self.stores.contains_key(&store) {
            self.direct.insert(id, Direct { store, result: None });
        }
        self.give(store, Event::Command { id, request });
        id
    }

    /// The answer to a command, if it has come.
    pub fn take_reply(&mut self, id: u64) -> Option<CommandResult> {
        self.direct.get(&id)?.result.as_ref()?;
        self.direct.remove(&id)?.result
    }

    /// Time passes.
    pub fn run(&mut self, time: Micros) {
        self.say(format!("{} ms pass", time / millis(1)));
        self.run_while(time, |_| true);
    }

    /// Time passes until the log of a store is as long as its leader's.
    pub fn settle_logs(&mut self, id: StoreId) {
        self.until("entries reach a store that can be reached (section 5.3)", secs(10), |sim| {
            let last = |id: StoreId| sim.peer(id).node().raft().log().last_index();
            sim.elected().is_some_and(|leader| last(leader) == last(id))
        });
    }

    /// Time passes until the condition holds. If it does not within the limit, the test fails: `why` says why it must.
    pub fn until(&mut self, why: &str, limit: Micros, condition: impl Fn(&Sim) -> bool) {
        if !self.run_while(limit, |sim| !condition(sim)) {
            self.break_off(why, &format!("not within {} ms", limit / millis(1)));
        }
    }
}

/// The keys that a command's request may change, in which column family.
fn changed_keys(request: &CommandRequest) -> Option<(String, KeyRange)> {
    let one = |key: &Bytes| KeyRange::new(key.clone(), [key, &b"\0"[..]].concat());
    match request.cmd_type() {
        CmdType::Put => request.put.as_ref().map(|r| (r.cf.clone(), one(&r.key))),
        CmdType::Delete => request.delete.as_ref().map(|r| (r.cf.clone(), one(&r.key))),
        CmdType::CompareAndSwap => request.compare_and_swap.as_ref().map(|r| (r.cf.clone(), one(&r.key))),
        CmdType::DeleteRange => request
            .delete_range
            .as_ref()
            .map(|r| (r.cf.clone(), KeyRange::new(r.start_key.clone(), r.end_key.clone()))),
        CmdType::Get | CmdType::Snap | CmdType::Invalid => None,
    }
}

/// A RawPut.
pub fn put_request(cf: &str, key: &str, value: &str) -> Request {
    let (key, value, cf) = (bytes(key), bytes(value), cf.to_string());
    Request::Put(RawPutRequest { key, value, cf, ..Default::default() })
}

/// A RawGet.
pub fn get_request(cf: &str, key: &str) -> Request {
    Request::Get(RawGetRequest { key: bytes(key), cf: cf.to_string(), ..Default::default() })
}

/// A RawCompareAndSwap; `None`: the key must not exist.
pub fn swap_request(key: &str, expected: Option<&str>, value: &str) -> Request {
    Request::Cas(RawCasRequest {
        key: bytes(key),
        value: bytes(value),
        previous_not_exist: expected.is_none(),
        previous_value: bytes(expected.unwrap_or_default()),
        ..Default::default()
    })
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn pairs_text(pairs: &[KvPair]) -> String {
    let text = |pair: &KvPair| format!("{}={}", pair.key.escape_ascii(), pair.value.escape_ascii());
    pairs.iter().map(text).collect::<Vec<_>>().join(" ")
}
