//! The event loop: what happens next, and what comes of it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use raftkv::ids::StoreId;
use raftkv::proto::metapb::Region;
use raftkv::proto::raft_serverpb::RaftMessage;
use raftkv::raftstore::{CommandId, CommandResult, Config, Effect, Event, Store};
use raftkv::storage::{Asked, answer, ask};

use super::calls::{Attempt, Call, CallId};
use super::faults::Fault;
use super::invariants::{self, Disks, Invariant};
use super::machine::Machine;
use super::network::{Fate, Link, Network};
use super::raw::{Request, Response};
use super::setup::Setup;
use super::trace::{Trace, What};
use super::workload::Workload;
use super::{Crash, Micros};
use crate::Rng;
use crate::history::Recorder;

/// A store that has this many rounds of work after one event will never be done.
const ROUNDS: usize = 100;

/// Something that will happen.
#[derive(Debug)]
pub(super) enum Happening {
    /// A store's clock ticks, if it is still in the same life.
    Tick(StoreId, u64),
    /// A message arrives.
    Message(Box<RaftMessage>),
    /// A client's request arrives at a store.
    Request { store: StoreId, id: CommandId },
    /// A response arrives at the client.
    Response { id: CommandId, response: Box<Response> },
    /// A client's patience with one attempt ends.
    Impatience(CommandId),
    /// A client asks, or asks again.
    Ask(CallId),
    /// A crashed machine comes back.
    Restart(StoreId),
    /// The next stroke of random trouble.
    Trouble,
}

#[derive(Debug)]
struct Scheduled {
    at: Micros,
    seq: u64,
    what: Happening,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Scheduled) -> bool {
        (self.at, self.seq) == (other.at, other.seq)
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Scheduled) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Scheduled) -> std::cmp::Ordering {
        (self.at, self.seq).cmp(&(other.at, other.seq))
    }
}

/// A cluster of stores in virtual time, with its clients. See the [module](super) for the words.
pub struct Sim {
    pub(super) config: Config,
    pub(super) regions: Vec<Region>,
    pub(super) rng: Rng,
    pub(super) now: Micros,
    seq: u64,
    queue: BinaryHeap<Reverse<Scheduled>>,
    pub(super) machines: BTreeMap<StoreId, Machine>,
    /// The stores that run.
    pub(super) stores: BTreeMap<StoreId, Store>,
    pub(super) network: Network,
    pub(super) held: Vec<RaftMessage>,
    pub(super) calls: BTreeMap<CallId, Call>,
    pub(super) attempts: BTreeMap<CommandId, Attempt>,
    pub(super) last_id: u64,
    /// Which store each region's clients ask first.
    pub(super) leaders: BTreeMap<u64, StoreId>,
    pub(super) workload: Workload,
    pub(super) trouble: Option<super::nemesis::Nemesis>,
    pub(super) invariants: Vec<Box<dyn Invariant>>,
    pub(super) trace: Trace,
    pub(super) recorder: Recorder,
    /// Replies that went straight to the test.
    pub(super) direct: BTreeMap<CommandId, Option<CommandResult>>,
}

impl Sim {
    pub(super) fn new(setup: Setup, machines: BTreeMap<StoreId, Machine>) -> Sim {
        let network = Network::new(setup.weather);
        let mut sim = Sim {
            config: setup.config,
            regions: setup.regions,
            rng: Rng::new(setup.seed),
            now: 0,
            seq: 0,
            queue: BinaryHeap::new(),
            machines,
            stores: BTreeMap::new(),
            network,
            held: Vec::new(),
            calls: BTreeMap::new(),
            attempts: BTreeMap::new(),
            last_id: 0,
            leaders: BTreeMap::new(),
            workload: Workload::none(),
            trouble: None,
            invariants: invariants::all(),
            trace: Trace::new(),
            recorder: Recorder::default(),
            direct: BTreeMap::new(),
        };
        for id in sim.machines.keys().copied().collect::<Vec<_>>() {
            sim.boot(id);
        }
        sim
    }

    pub(super) fn schedule(&mut self, after: Micros, what: Happening) {
        self.seq += 1;
        self.queue.push(Reverse(Scheduled { at: self.now + after, seq: self.seq, what }));
    }

    /// Lets time pass while the condition holds, up to a limit. False if the limit was reached first.
    pub(super) fn run_while(&mut self, limit: Micros, mut goes_on: impl FnMut(&Sim) -> bool) -> bool {
        let end = self.now + limit;
        while goes_on(self) {
            match self.queue.peek() {
                Some(Reverse(next)) if next.at <= end => self.step(),
                _ => {
                    self.now = end;
                    return !goes_on(self);
                }
            }
        }
        true
    }

    fn step(&mut self) {
        let Some(Reverse(next)) = self.queue.pop() else { return };
        self.now = next.at;
        if let Some(wait) = self.wait_for_disk(&next.what) {
            self.schedule(wait, next.what);
            return;
        }
        match next.what {
            Happening::Tick(id, boot) => self.on_tick(id, boot),
            Happening::Message(message) => self.on_message(*message),
            Happening::Request { store, id } => self.on_request(store, id),
            Happening::Response { id, response } => self.on_response(id, *response),
            Happening::Impatience(id) => self.on_impatience(id),
            Happening::Ask(call) => self.ask(call),
            Happening::Restart(id) => self.start(id),
            Happening::Trouble => self.stir(),
        }
    }

    /// How long the store that this is for still waits for its disk.
    fn wait_for_disk(&self, what: &Happening) -> Option<Micros> {
        let store = match what {
            Happening::Tick(id, _) | Happening::Request { store: id, .. } => *id,
            Happening::Message(message) => message.to_peer?.store_id,
            _ => return None,
        };
        let until = self.machines.get(&store)?.busy_until;
        (until > self.now).then(|| until - self.now)
    }

    fn on_tick(&mut self, id: StoreId, boot: u64) {
        let machine = &self.machines[&id];
        if machine.boot != boot || !self.stores.contains_key(&id) {
            return;
        }
        self.schedule(machine.tick, Happening::Tick(id, boot));
        self.trace.tick(self.now, id);
        self.give(id, Event::Tick);
    }

    fn on_message(&mut self, message: RaftMessage) {
        let to = message.to_peer.map_or(0, |peer| peer.store_id);
        if !self.stores.contains_key(&to) {
            self.trace.note(self.now, What::Lost(message, "the store is down"));
            return;
        }
        self.trace.note(self.now, What::Arrived(message.clone()));
        self.give(to, Event::RaftMessage(message));
    }

    fn on_request(&mut self, store: StoreId, id: CommandId) {
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        if !self.stores.contains_key(&store) {
            // Nobody listens there: the client notices at once, and knows that nothing was done.
            self.attempts.remove(&id);
            self.on_refused_connection(id);
            return;
        }
        attempt.arrived = true;
        let request = attempt.request.clone();
        match ask(|storage| request.run(storage)) {
            Asked::Answered(response) => {
                self.attempts.remove(&id);
                self.respond(id, 0, response);
            }
            Asked::Command(command) => self.give(store, Event::Command { id, request: *command }),
        }
    }

    /// Hands an event to a store, lets it work, and carries out what it wants.
    pub(super) fn give(&mut self, id: StoreId, event: Event) {
        let Some(store) = self.stores.get_mut(&id) else { return };
        store.handle(event);
        let mut effects = Vec::new();
        let failed = self.work(id, &mut effects);
        let wrote = effects.iter().any(|(after_disk, _)| *after_disk);
        let delay = if wrote { self.disk_delay(id) } else { 0 };
        for (after_disk, effect) in effects {
            self.carry_out(id, effect, if after_disk { delay } else { 0 });
        }
        if let Some(why) = failed {
            self.on_failure(id, why);
        }
        self.check_store(id);
    }

    /// Drains the store. The effects, each with whether it came after a write; and why the store has stopped, if it
    /// has.
    fn work(&mut self, id: StoreId, effects: &mut Vec<(bool, Effect)>) -> Option<String> {
        let store = self.stores.get_mut(&id)?;
        let disk = &self.machines[&id].disk;
        let before = disk.writes();
        let engines = store.engines().clone();
        let (invariants, mut broken, mut failed) = (&mut self.invariants, None, None);
        let mut rounds = 0;
        while store.has_work() && failed.is_none() {
            let mut sink = |effect: Effect| {
                if let Effect::Send(message) = &effect {
                    let disks = Disks { engines: &engines, disk };
                    broken = broken.take().or_else(|| invariants::on_send(invariants, disks, id, message));
                }
                effects.push((disk.writes() > before, effect));
            };
            failed = store.drain(&mut sink).err().map(|error| error.to_string());
            rounds += 1;
            if rounds > ROUNDS {
                broken = Some((
                    "a store comes to rest: without new events it has no work left after a few rounds",
                    format!(
                        "store {id} has work after {ROUNDS} rounds: is a Ready handed out again and again?"
                    ),
                ));
                break;
            }
        }
        if let Some((rule, happened)) = broken {
            self.break_off(rule, &happened);
        }
        failed
    }

    /// How long the store's disk takes; until then it takes in nothing.
    fn disk_delay(&mut self, id: StoreId) -> Micros {
        let machine = self.machines.get_mut(&id).expect("every store has a machine");
        let (least, most) = machine.disk_latency;
        let delay = least + self.rng.below(most - least + 1);
        machine.busy_until = self.now + delay;
        if delay >= super::SLOW {
            self.network.strike(Fault::SlowDisk);
        }
        delay
    }

    pub(super) fn carry_out_now(&mut self, from: StoreId, effect: Effect) {
        self.carry_out(from, effect, 0);
    }

    fn carry_out(&mut self, from: StoreId, effect: Effect, delay: Micros) {
        match effect {
            Effect::Send(message) => self.send(from, message, delay),
            Effect::Reply { id, result } => self.on_reply(from, id, result, delay),
        }
    }

    fn send(&mut self, from: StoreId, message: RaftMessage, delay: Micros) {
        let link: Link = (from, message.to_peer.map_or(0, |peer| peer.store_id));
        match self.network.fate(link, &mut self.rng) {
            Fate::Lost(why) => self.trace.note(self.now, What::Lost(message, why)),
            Fate::Held => {
                self.trace.note(self.now, What::Held(message.clone()));
                self.held.push(message);
            }
            Fate::Arrives(times) => {
                for time in times {
                    self.schedule(delay + time, Happening::Message(Box::new(message.clone())));
                }
            }
        }
    }

    fn on_reply(&mut self, from: StoreId, id: CommandId, result: CommandResult, delay: Micros) {
        if let Some(slot @ None) = self.direct.get_mut(&id) {
            self.trace.note(self.now, What::Replied(from, id, result.is_ok()));
            *slot = Some(result);
            return;
        }
        let Some(attempt) = self.attempts.remove(&id) else {
            self.break_off(
                "every command gets exactly one reply (Effect::Reply)",
                &format!(
                    "store {from} replies to command {id}, which was answered before, or never came to it"
                ),
            );
        };
        let request: Request = attempt.request;
        let response = answer(|storage| request.run(storage), result);
        self.respond(id, delay, response);
    }

    /// The response leaves the store.
    pub(super) fn respond(&mut self, id: CommandId, delay: Micros, response: Response) {
        let latency = self.client_latency();
        self.schedule(delay + latency, Happening::Response { id, response: Box::new(response) });
    }

    fn on_failure(&mut self, id: StoreId, why: String) {
        if self.machines[&id].disk.is_stopped() {
            self.network.strike(Fault::CrashAtWrite);
            self.trace.note(self.now, What::Crashed(id, "at a write"));
            self.take_down(id);
            self.plan_return(id);
            return;
        }
        if self.machines[&id].stopped.is_none() {
            self.network.strike(Fault::DiskError);
            self.trace.note(self.now, What::Stopped(id, why.clone()));
            self.machines.get_mut(&id).expect("it is there").stopped = Some(why);
        }
    }

    /// The store's process ends without a word.
    pub(super) fn take_down(&mut self, id: StoreId) {
        self.stores.remove(&id);
        let lost: Vec<CommandId> =
            self.attempts.iter().filter(|(_, a)| a.store == id && a.arrived).map(|(id, _)| *id).collect();
        for attempt in lost {
            self.attempts.remove(&attempt);
        }
        let machine = self.machines.get_mut(&id).expect("every store has a machine");
        machine.boot += 1;
        machine.busy_until = 0;
    }

    /// A crash, now.
    pub(super) fn go_down(&mut self, id: StoreId, crash: Crash) {
        if self.stores.contains_key(&id) {
            self.network.strike(Fault::Crash);
            self.trace
                .note(self.now, What::Crashed(id, if crash == Crash::Kill { "killed" } else { "power cut" }));
            self.take_down(id);
        }
        self.machines[&id].disk.restart(crash);
    }

    /// Starts a machine that is down.
    pub(super) fn start(&mut self, id: StoreId) {
        if self.stores.contains_key(&id) && self.machines[&id].stopped.is_none() {
            return;
        }
        if self.stores.remove(&id).is_some() || self.machines[&id].disk.is_stopped() {
            // It stopped by itself, or at a planned write: the old process is gone, and so is what it had not synced.
            self.take_down(id);
            self.machines[&id].disk.restart(Crash::PowerCut);
        }
        self.network.strike(Fault::Restart);
        self.trace.note(self.now, What::Started(id));
        self.boot(id);
    }

    fn boot(&mut self, id: StoreId) {
        let machine = self.machines.get_mut(&id).expect("every store has a machine");
        machine.stopped = None;
        let (tick, boot) = (machine.tick, machine.boot);
        match Store::open(self.config.clone(), machine.disk.open()) {
            Ok(store) => drop(self.stores.insert(id, store)),
            Err(error) => self.break_off(
                "a store finds on its disk what it needs to go on (figure 2, \"Persistent state\")",
                &format!("store {id} does not start again: {error}"),
            ),
        }
        let first = 1 + self.rng.below(tick);
        self.schedule(first, Happening::Tick(id, boot));
        let (store, disk) = (&self.stores[&id], &self.machines[&id].disk);
        if let Some((rule, happened)) = invariants::on_start(&mut self.invariants, store, disk) {
            self.break_off(rule, &happened);
        }
    }

    fn check_store(&mut self, id: StoreId) {
        if !self.stores.contains_key(&id) || self.machines[&id].stopped.is_some() {
            return;
        }
        let (store, disk) = (&self.stores[&id], &self.machines[&id].disk);
        if let Some((rule, happened)) = invariants::after_step(&mut self.invariants, store, disk) {
            self.break_off(rule, &happened);
        }
        self.trace.see(self.now, id, store);
    }
}
