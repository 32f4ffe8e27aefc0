//! Clients: whom they ask, how they take a refusal, when they give up.
//!
//! They behave as TiKV's client libraries do. A region error is a promise that nothing was done, so they ask again,
//! elsewhere or later. Without an answer, or with "undetermined", they ask again only if that can do no harm.

use std::collections::BTreeSet;

use raftkv::engine::KeyRange;
use raftkv::ids::{RegionId, StoreId};
use raftkv::proto::errorpb;
use raftkv::proto::kvrpcpb::Context;
use raftkv::proto::metapb::Region;
use raftkv::raftstore::CommandId;

use super::events::Happening;
use super::faults::Fault;
use super::raw::{Request, Response};
use super::setup::REGION;
use super::trace::What;
use super::{Micros, Sim, millis};

/// One thing that a client wants, however often it has to ask.
pub type CallId = u64;

/// How long a client waits for one answer.
const PATIENCE: Micros = millis(400);

/// How long it waits before it asks again after a refusal.
const BACK_OFF: Micros = millis(20);

/// A client's wish.
#[derive(Debug)]
pub(super) struct Call {
    pub client: u64,
    pub request: Request,
    pub region: RegionId,
    /// The only store to ask, once; else the client looks for the leader.
    pub only: Option<StoreId>,
    /// The store that was asked last.
    pub asked: StoreId,
    /// The attempt under way.
    pub attempt: Option<CommandId>,
    /// When it began.
    pub since: Micros,
    pub tries: u64,
    pub outcome: Option<Ending>,
    /// Where the history has it.
    pub record: usize,
    /// What the last attempt came to, for the report of a failure.
    pub last_word: String,
}

/// How a call ended.
#[expect(clippy::large_enum_variant, reason = "few are kept, and not for long")]
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// With this response.
    Answered(Response),
    /// Nobody knows whether it was carried out.
    Unknown,
}

/// A request on its way to a store, or inside it.
#[derive(Debug)]
pub(super) struct Attempt {
    pub store: StoreId,
    pub region: RegionId,
    pub request: Request,
    /// The store has it, and owes an answer.
    pub arrived: bool,
}

impl Sim {
    /// A client begins to ask.
    pub(super) fn call(&mut self, client: u64, request: Request, only: Option<StoreId>) -> CallId {
        self.last_id += 1;
        let id = self.last_id;
        let region = self.region_of(&request).unwrap_or(REGION);
        let known = self.regions.iter().find(|known| known.id == region);
        let range = known.map_or(KeyRange::all(), Region::range);
        let record = self.recorder.invoke(client, &request, range, self.now);
        let call = Call {
            client,
            request,
            region,
            only,
            asked: 0,
            attempt: None,
            since: self.now,
            tries: 0,
            outcome: None,
            record,
            last_word: "not sent yet".to_string(),
        };
        self.calls.insert(id, call);
        self.ask(id);
        id
    }

    /// The region that holds the first key of a request.
    fn region_of(&self, request: &Request) -> Option<RegionId> {
        let key = request.first_key();
        self.regions.iter().find(|region| region.range().contains(key)).map(|region| region.id)
    }

    /// Sends the request to the store that the client believes to lead.
    pub(super) fn ask(&mut self, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return };
        let only = call.only;
        let Some(region) = self.region_of(&call.request) else {
            // What was one region is several, and of this one nobody has told the client.
            let key = call.request.first_key().to_vec();
            self.look_up(&key);
            return self.schedule(BACK_OFF, Happening::Ask(id));
        };
        self.calls.get_mut(&id).expect("it is there").region = region;
        let some_store: Vec<StoreId> = self.region(region).peers.iter().map(|peer| peer.store_id).collect();
        let guess = self.leaders.get(&region).copied();
        let store = only.or(guess).unwrap_or_else(|| self.rng.pick(&some_store));
        self.leaders.insert(region, store);
        let context = self.context(region, store);
        self.last_id += 1;
        let attempt = self.last_id;
        let (now, latency) = (self.now, self.client_latency());
        let call = self.calls.get_mut(&id).expect("it was there a moment ago");
        call.attempt = Some(attempt);
        call.asked = store;
        call.since = now;
        call.tries += 1;
        call.last_word = format!("sent to store {store}, no answer yet");
        let mut request = call.request.clone();
        request.set_context(context);
        self.trace.note(now, What::Asked(call.client, store, attempt, request.clone()));
        if !self.network.loses_client(store, &mut self.rng) {
            self.attempts.insert(attempt, Attempt { store, region, request, arrived: false });
            self.schedule(latency, Happening::Request { store, id: attempt });
        }
        self.schedule(PATIENCE, Happening::Impatience(attempt));
        self.workload.awaited.insert(attempt, id);
    }

    /// What a client that knows the region writes into a request for it.
    pub fn context(&self, region: RegionId, store: StoreId) -> Context {
        let region = self.regions.iter().find(|r| r.id == region).expect("the region of a key is known");
        Context {
            region_id: region.id,
            region_epoch: region.region_epoch,
            peer: region.peer_on(store).copied(),
            term: 0,
        }
    }

    pub(super) fn client_latency(&mut self) -> Micros {
        200 + self.rng.below(300)
    }

    /// The call that waits for this attempt, if one still does.
    fn awaited(&mut self, attempt: CommandId) -> Option<CallId> {
        let call = self.workload.awaited.remove(&attempt)?;
        (self.calls.get(&call)?.attempt == Some(attempt)).then_some(call)
    }

    pub(super) fn on_response(&mut self, attempt: CommandId, response: Response) {
        let Some(id) = self.awaited(attempt) else { return };
        let call = self.calls.get_mut(&id).expect("an awaited call is there");
        self.trace.note(self.now, What::Answered(call.client, attempt, response.clone()));
        call.last_word = response.text();
        if response.is_undetermined() {
            return self.on_unknown(id);
        }
        let (region, only) = (call.region, call.only);
        match response.region_error() {
            Some(error) if only.is_none() => {
                let (key, asked, error) = (call.request.first_key().to_vec(), call.asked, error.clone());
                if self.on_region_error(&key, &error) {
                    self.schedule(BACK_OFF, Happening::Ask(id));
                    return;
                }
                let leader = error.not_leader.as_ref().and_then(|e| e.leader).map(|peer| peer.store_id);
                // Two stores of a minority would send the client back and forth between them for ever.
                let leader = leader.filter(|leader| self.silent.get(&region) != Some(leader));
                if leader.is_none() {
                    self.look_up(&key);
                }
                self.look_elsewhere(region, asked, leader);
                let wait = if leader.is_some() { 0 } else { BACK_OFF };
                self.schedule(wait, Happening::Ask(id));
            }
            _ => {
                self.silent.remove(&region);
                self.end(id, Ending::Answered(response));
            }
        }
    }

    /// The client has an old picture of the regions. What the error says about them is learned; or else the scheduler
    /// is asked. False where the error is about something else.
    fn on_region_error(&mut self, key: &[u8], error: &errorpb::Error) -> bool {
        if !self.placement.is_on {
            return false;
        }
        let region = self.regions.iter().find(|region| region.range().contains(key)).cloned();
        if let Some(mismatch) = &error.epoch_not_match {
            mismatch.current_regions.iter().for_each(|current| self.learn(current));
        }
        let is_stale = error.epoch_not_match.is_some()
            || error.region_not_found.is_some()
            || error.key_not_in_region.is_some()
            || error.store_not_match.is_some();
        let now = self.regions.iter().find(|region| region.range().contains(key)).cloned();
        if is_stale && now == region {
            if let Some(region) = region {
                self.leaders.remove(&region.id);
            }
            self.look_up(key);
        }
        is_stale
    }

    /// The store is down: nothing was done.
    pub(super) fn on_refused_connection(&mut self, attempt: CommandId) {
        let Some(id) = self.awaited(attempt) else { return };
        let call = self.calls.get_mut(&id).expect("an awaited call is there");
        call.last_word = "the store is down".to_string();
        if call.only.is_some() {
            return self.end(id, Ending::Unknown);
        }
        let (region, asked) = (call.region, call.asked);
        self.look_elsewhere(region, asked, None);
        self.schedule(BACK_OFF, Happening::Ask(id));
    }

    pub(super) fn on_impatience(&mut self, attempt: CommandId) {
        let Some(id) = self.awaited(attempt) else { return };
        let call = self.calls.get_mut(&id).expect("an awaited call is there");
        self.trace.note(self.now, What::GaveUp(call.client, attempt));
        let (region, store) = (call.region, call.asked);
        call.last_word = format!("no answer from store {store} in time");
        self.silent.insert(region, store);
        self.look_elsewhere(region, store, None);
        self.on_unknown(id);
    }

    /// Nobody knows what becomes of the last attempt. Reading again is safe; a change may come twice.
    fn on_unknown(&mut self, id: CallId) {
        let call = &self.calls[&id];
        if call.request.is_read() && call.only.is_none() {
            self.schedule(BACK_OFF, Happening::Ask(id));
        } else {
            self.end(id, Ending::Unknown);
        }
    }

    /// The store that was asked does not serve the region; `leader` does, if it is known. If another client has looked
    /// elsewhere since, that is as good: or six clients that turn away from one of three stores would come round to it.
    fn look_elsewhere(&mut self, region: RegionId, asked: StoreId, leader: Option<StoreId>) {
        if leader.is_none() && self.leaders.get(&region) != Some(&asked) {
            return;
        }
        let next = leader.unwrap_or_else(|| {
            let last = self.leaders.get(&region).copied().unwrap_or_default();
            let members = self.regions.iter().find(|known| known.id == region).map(|r| &r.peers[..]);
            let stores: BTreeSet<StoreId> = members.unwrap_or_default().iter().map(|p| p.store_id).collect();
            let mut after = stores.range(last + 1..).chain(stores.iter());
            *after.next().unwrap_or(&last)
        });
        self.leaders.insert(region, next);
    }

    fn end(&mut self, id: CallId, ending: Ending) {
        let call = self.calls.get_mut(&id).expect("a call ends once");
        call.attempt = None;
        let response = match &ending {
            Ending::Answered(response) => Some(response),
            Ending::Unknown => None,
        };
        self.recorder.complete(call.record, response, self.now);
        call.outcome = Some(ending);
        self.on_call_ended(id);
    }

    /// The client goes away. Its request stays where it is.
    pub(super) fn forget(&mut self, id: CallId) {
        if let Some(call) = self.calls.get_mut(&id)
            && call.outcome.is_none()
        {
            self.network.strike(Fault::Cancel);
            self.trace.note(self.now, What::GaveUp(call.client, call.attempt.unwrap_or_default()));
            self.end(id, Ending::Unknown);
        }
    }
}
