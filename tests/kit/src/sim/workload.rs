//! Many clients at once, on the same few keys.

use std::collections::BTreeMap;

use bytes::Bytes;
use raftkv::proto::kvrpcpb::{RawCasRequest, RawDeleteRequest, RawGetRequest, RawPutRequest};
use raftkv::raftstore::CommandId;

use super::calls::{CallId, Ending};
use super::events::Happening;
use super::raw::{Request, Response};
use super::{Micros, Sim};

/// The first number that a client of the workload has; the script's own clients have lower ones.
const FIRST_CLIENT: u64 = 100;

/// What the clients do. Each asks for the next thing when it has the answer to the last.
#[derive(Clone, Debug)]
pub struct Mix {
    /// How many clients.
    pub clients: u64,
    /// On how many keys: few, so that they meet.
    pub keys: u64,
    /// Of a hundred operations, so many read.
    pub gets: u64,
    /// So many swap: from what the client saw last to something new.
    pub swaps: u64,
    /// So many delete. The rest put.
    pub deletes: u64,
    /// Of a hundred operations, so many are not waited for.
    pub cancels: u64,
    /// The mean time between an answer and the next operation. With some of it, a run of as many operations takes
    /// longer, and more can go wrong in it.
    pub pause: Micros,
}

impl Default for Mix {
    fn default() -> Mix {
        Mix { clients: 5, keys: 3, gets: 40, swaps: 20, deletes: 5, cancels: 0, pause: 0 }
    }
}

/// The clients at work.
#[derive(Debug)]
pub struct Workload {
    mix: Mix,
    running: bool,
    /// Which client waits for which call.
    waiting: BTreeMap<CallId, u64>,
    /// What each client saw last at a key.
    saw: BTreeMap<(u64, Bytes), Option<Bytes>>,
    next_value: u64,
    /// Calls that ended with a definite answer.
    pub answered: u64,
    /// Calls of which nobody knows the end.
    pub unknown: u64,
    /// The calls that wait for an attempt.
    pub(super) awaited: BTreeMap<CommandId, CallId>,
}

impl Workload {
    pub(super) fn none() -> Workload {
        Workload {
            mix: Mix::default(),
            running: false,
            waiting: BTreeMap::new(),
            saw: BTreeMap::new(),
            next_value: 0,
            answered: 0,
            unknown: 0,
            awaited: BTreeMap::new(),
        }
    }
}

impl Sim {
    /// Clients begin to work, and go on until [`Sim::stop_clients`].
    pub fn clients(&mut self, mix: Mix) {
        self.say(format!("{} clients work on {} keys", mix.clients, mix.keys));
        self.workload.running = true;
        let clients = mix.clients;
        self.workload.mix = mix;
        (0..clients).for_each(|i| self.next_operation(FIRST_CLIENT + i));
    }

    /// Lets the clients work until they have had so many answers, or for a while.
    pub fn until_answered(&mut self, answers: u64, limit: Micros) -> bool {
        let goal = self.workload.answered + answers;
        self.run_while(limit, |sim| sim.workload.answered < goal)
    }

    /// No client begins anything new; what is under way ends, within a while.
    pub fn stop_clients(&mut self) {
        self.say("the clients stop");
        self.workload.running = false;
        self.run_while(super::secs(10), |sim| sim.clients_wait() > 0);
    }

    /// How many clients of the workload wait for an answer.
    pub(super) fn clients_wait(&self) -> usize {
        self.workload.waiting.len()
    }

    /// How many operations of the clients have ended, with an answer and without.
    pub fn operations(&self) -> u64 {
        self.workload.answered + self.workload.unknown
    }

    /// How many have ended with an answer.
    pub fn answered(&self) -> u64 {
        self.workload.answered
    }

    fn next_operation(&mut self, client: u64) {
        let mix = &self.workload.mix;
        let key = Bytes::from(format!("k{}", self.rng.below(mix.keys)));
        let dice = self.rng.below(100);
        let (gets, swaps, deletes, cancels) = (mix.gets, mix.swaps, mix.deletes, mix.cancels);
        self.workload.next_value += 1;
        let value = Bytes::from(format!("v{}", self.workload.next_value));
        let request = if dice < gets {
            Request::Get(RawGetRequest { key, ..Default::default() })
        } else if dice < gets + swaps {
            let expected = self.workload.saw.get(&(client, key.clone())).cloned().flatten();
            Request::Cas(RawCasRequest {
                key,
                value,
                previous_not_exist: expected.is_none(),
                previous_value: expected.unwrap_or_default(),
                ..Default::default()
            })
        } else if dice < gets + swaps + deletes {
            Request::Delete(RawDeleteRequest { key, ..Default::default() })
        } else {
            Request::Put(RawPutRequest { key, value, ..Default::default() })
        };
        let call = self.call(client, request, None);
        self.workload.waiting.insert(call, client);
        if cancels > 0 && self.rng.percent(cancels) {
            self.forget(call);
        }
    }

    /// Called for every call that ends; the workload's clients go on to the next operation.
    pub(super) fn on_call_ended(&mut self, id: CallId) {
        let Some(client) = self.workload.waiting.remove(&id) else { return };
        let call = self.calls.remove(&id).expect("a call that ends is there");
        match call.outcome {
            Some(Ending::Answered(response)) => {
                self.workload.answered += 1;
                self.remember(client, &call.request, response);
            }
            _ => self.workload.unknown += 1,
        }
        if !self.workload.running {
            return;
        }
        match self.workload.mix.pause {
            0 => self.next_operation(client),
            mean => {
                let pause = 1 + self.rng.below(2 * mean);
                self.schedule(pause, Happening::Resume(client));
            }
        }
    }

    /// A client has paused.
    pub(super) fn on_resume(&mut self, client: u64) {
        if self.workload.running {
            self.next_operation(client);
        }
    }

    fn remember(&mut self, client: u64, request: &Request, response: Response) {
        let (key, saw) = match (request, response) {
            (Request::Get(r), Response::Get(got)) => (&r.key, (!got.not_found).then_some(got.value)),
            (Request::Put(r), _) => (&r.key, Some(r.value.clone())),
            (Request::Cas(r), Response::Cas(cas)) if cas.succeed => (&r.key, Some(r.value.clone())),
            (Request::Cas(r), Response::Cas(cas)) => {
                (&r.key, (!cas.previous_not_exist).then_some(cas.previous_value))
            }
            (Request::Delete(r), _) => (&r.key, None),
            _ => return,
        };
        self.workload.saw.insert((client, key.clone()), saw);
    }
}
