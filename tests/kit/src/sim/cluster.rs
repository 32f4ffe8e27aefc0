//! The event loop: what happens next, and what comes of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use raftkv::ids::StoreId;
use raftkv::proto::metapb::Region;
use raftkv::proto::raft_serverpb::RaftMessage;
use raftkv::raftstore::{CommandId, CommandResult, Config, Effect, Event, Store};
use raftkv::storage::{Asked, answer, ask};

use super::Micros;
use super::calls::{Attempt, Call, CallId};
use super::events::{Agenda, Happening};
use super::faults::Fault;
use super::invariants::{Disks, Watch, work::Snapshots};
use super::machine::Machine;
use super::nemesis::{Nemesis, Stroke};
use super::network::{Fate, Link, Network};
use super::placement::Placement;
use super::raw::{Request, Response};
use super::setup::Setup;
use super::streams::Streams;
use super::trace::{Trace, What};
use super::workload::Workload;
use crate::Rng;
use crate::history::Recorder;

/// A store that has this many rounds of work after one event will never be done.
const ROUNDS: usize = 100;

/// So many things are never planned at once, unless messages beget more messages.
const STORM: usize = 50_000;

/// What the owner of a store puts into the header of a client's command.
fn uuid(id: CommandId) -> Bytes {
    Bytes::copy_from_slice(&id.to_be_bytes())
}

/// A command of the test's, past the clients.
#[derive(Debug)]
pub(super) struct Direct {
    pub store: StoreId,
    pub result: Option<CommandResult>,
}

/// How much was done about snapshots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// So many were to be made.
    pub generated: u64,
    /// So many streams began.
    pub streams: u64,
    /// So many broke.
    pub broken: u64,
    /// So many snapshots arrived whole.
    pub received: u64,
    /// The most bytes of data in one chunk.
    pub largest_chunk: u64,
}

/// A cluster of stores in virtual time, with its clients. See the [module](super) for the words.
pub struct Sim {
    pub(super) config: Config,
    pub(super) regions: Vec<Region>,
    pub(super) rng: Rng,
    pub(super) now: Micros,
    agenda: Agenda,
    pub(super) machines: BTreeMap<StoreId, Machine>,
    /// The stores that run, or that have stopped by themselves.
    pub(super) stores: BTreeMap<StoreId, Store>,
    pub(super) network: Network,
    pub(super) placement: Placement,
    pub(super) held: Vec<RaftMessage>,
    pub(super) calls: BTreeMap<CallId, Call>,
    pub(super) attempts: BTreeMap<CommandId, Attempt>,
    pub(super) last_id: u64,
    /// Which store each region's clients ask first.
    pub(super) leaders: BTreeMap<u64, StoreId>,
    /// The store that let each region's clients wait in vain, since their last answer.
    pub(super) silent: BTreeMap<u64, StoreId>,
    pub(super) workload: Workload,
    pub(super) trouble: Option<Nemesis>,
    /// Until then a store may still stop for what happened while there was trouble.
    pub(super) aftermath: Micros,
    /// What goes wrong next.
    pub(super) deck: Vec<Stroke>,
    pub(super) watch: Watch,
    /// What every snapshot was made of.
    pub(super) snapshots: Snapshots,
    /// Snapshots on their way.
    pub(super) streams: Streams,
    pub(super) chunk_size: usize,
    /// In bytes a microsecond.
    pub(super) bandwidth: u64,
    pub(super) counts: Counts,
    pub(super) trace: Trace,
    pub(super) recorder: Recorder,
    /// Commands that came straight from the test.
    pub(super) direct: BTreeMap<CommandId, Direct>,
}

impl Sim {
    pub(super) fn new(setup: Setup, machines: BTreeMap<StoreId, Machine>) -> Sim {
        let network = Network::new(setup.weather);
        let stores: Vec<StoreId> = machines.keys().copied().collect();
        let mut sim = Sim {
            placement: Placement::new(&stores, &setup.regions, setup.scheduler),
            config: setup.config,
            regions: setup.regions,
            rng: Rng::new(setup.seed),
            now: 0,
            agenda: Agenda::default(),
            machines,
            stores: BTreeMap::new(),
            network,
            held: Vec::new(),
            calls: BTreeMap::new(),
            attempts: BTreeMap::new(),
            last_id: 0,
            leaders: BTreeMap::new(),
            silent: BTreeMap::new(),
            workload: Workload::none(),
            trouble: None,
            aftermath: 0,
            deck: Vec::new(),
            watch: Watch::new(),
            snapshots: Snapshots::default(),
            streams: Streams::new(),
            chunk_size: setup.chunk_size,
            bandwidth: setup.bandwidth,
            counts: Counts::default(),
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
        self.agenda.plan(self.now + after, what);
    }

    /// Lets time pass while the condition holds, up to a limit. False if the limit was reached first.
    pub(super) fn run_while(&mut self, limit: Micros, mut goes_on: impl FnMut(&Sim) -> bool) -> bool {
        let end = self.now + limit;
        while goes_on(self) {
            match self.agenda.next_at() {
                Some(at) if at <= end => self.step(),
                _ => {
                    self.now = end;
                    return !goes_on(self);
                }
            }
        }
        true
    }

    fn step(&mut self) {
        let Some((at, what)) = self.agenda.pop() else { return };
        self.now = at;
        if let Some(machine) = what.recipient().and_then(|id| self.machines.get_mut(&id))
            && machine.busy_until > at
        {
            machine.inbox.push(what);
            return;
        }
        match what {
            Happening::Tick(..)
            | Happening::Message(_)
            | Happening::Request { .. }
            | Happening::TaskDone(..)
            | Happening::Snapshot(..) => {
                if let Some(id) = self.take_in(what) {
                    self.serve(id);
                }
            }
            Happening::DiskDone(id, boot) => self.on_disk_done(id, boot),
            Happening::Response { id, response } => self.on_response(id, *response),
            Happening::Impatience(id) => self.on_impatience(id),
            Happening::Ask(call) => self.ask(call),
            Happening::Resume(client) => self.on_resume(client),
            Happening::Work(id, boot, worker) => self.on_work(id, boot, worker),
            Happening::AtScheduler(id, boot, task) => self.at_scheduler(id, boot, *task),
            Happening::Send(id, message) => self.on_send_snapshot(id, *message),
            Happening::Resend(id) => self.on_resend(id),
            Happening::Chunk(id, chunk) => self.on_chunk(id, chunk.map(|chunk| *chunk)),
            Happening::StreamEnd(id) => self.on_stream_end(id),
            Happening::StreamDone(id) => self.on_stream_done(id),
            Happening::StreamBroken(id) => self.break_stream(id, "the connection is lost"),
            Happening::Restart(id) => self.start(id),
            Happening::Trouble => self.stir(),
        }
    }

    /// All that came while the disk was at work becomes one round, as in a server that empties its queue.
    fn on_disk_done(&mut self, id: StoreId, boot: u64) {
        let machine = self.machines.get_mut(&id).expect("every store has a machine");
        if machine.boot != boot || machine.busy_until > self.now {
            return;
        }
        let waiting = std::mem::take(&mut machine.inbox);
        let taken_in = waiting.into_iter().filter_map(|what| self.take_in(what)).count();
        if taken_in > 0 {
            self.serve(id);
        }
    }

    /// Hands a store what is for it. Returns the store if it has it now.
    fn take_in(&mut self, what: Happening) -> Option<StoreId> {
        match what {
            Happening::Tick(id, boot) => self.on_tick(id, boot),
            Happening::Message(message) => self.on_message(*message),
            Happening::Request { store, id } => self.on_request(store, id),
            Happening::TaskDone(id, boot, done) => self.on_task_done(id, boot, *done),
            Happening::Snapshot(id, boot, event) => self.on_snapshot(id, boot, *event),
            other => unreachable!("this is for no store: {other:?}"),
        }
    }

    fn on_tick(&mut self, id: StoreId, boot: u64) -> Option<StoreId> {
        let machine = &self.machines[&id];
        if machine.boot != boot || !self.stores.contains_key(&id) {
            return None;
        }
        self.schedule(machine.tick, Happening::Tick(id, boot));
        self.trace.tick(self.now, id);
        self.hand(id, Event::Tick)
    }

    fn on_message(&mut self, message: RaftMessage) -> Option<StoreId> {
        let to = message.to_peer.map_or(0, |peer| peer.store_id);
        if !self.stores.contains_key(&to) {
            self.trace.note(self.now, What::Lost(message, "the store is down"));
            return None;
        }
        self.trace.arrived(self.now, &message);
        self.hand(to, Event::RaftMessage(message))
    }

    fn on_request(&mut self, store: StoreId, id: CommandId) -> Option<StoreId> {
        let attempt = self.attempts.get_mut(&id)?;
        if !self.stores.contains_key(&store) {
            // Nobody listens there: the client notices at once, and knows that nothing was done.
            self.attempts.remove(&id);
            self.on_refused_connection(id);
            return None;
        }
        attempt.arrived = true;
        let request = &attempt.request;
        match ask(|storage| request.run(storage)) {
            Asked::Answered(response) => {
                self.attempts.remove(&id);
                self.respond(store, id, 0, response);
                None
            }
            Asked::Command(mut command) => {
                // Signed, so that its entry can be found in the log.
                command.header.get_or_insert_default().uuid = uuid(id);
                self.hand(store, Event::Command { id, request: *command })
            }
        }
    }

    pub(super) fn hand(&mut self, id: StoreId, event: Event) -> Option<StoreId> {
        self.stores.get_mut(&id)?.handle(event);
        Some(id)
    }

    /// Hands an event to a store at once, and lets it work.
    pub(super) fn give(&mut self, id: StoreId, event: Event) {
        if self.hand(id, event).is_some() {
            self.serve(id);
        }
    }

    /// Lets a store work until it has nothing to do, and carries out what it wants: what comes before its first write
    /// at once, the rest when its disk is done.
    fn serve(&mut self, id: StoreId) {
        let before = self.machines[&id].disk.writes();
        let mut effects = Vec::new();
        let failed = self.work(id, &mut effects);
        let wrote = self.machines[&id].disk.writes() > before;
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
    /// has. From the moment in which the machine stops, nothing comes out any more.
    fn work(&mut self, id: StoreId, effects: &mut Vec<(bool, Effect)>) -> Option<String> {
        let store = self.stores.get_mut(&id)?;
        let disk = &self.machines[&id].disk;
        let before = disk.writes();
        let (engines, attempts) = (store.engines().clone(), &self.attempts);
        let (watch, mut broken, mut failed) = (&mut self.watch, None, None);
        let mut rounds = 0;
        while store.has_work() && failed.is_none() {
            let mut sink = |effect: Effect| {
                if disk.is_stopped() {
                    return;
                }
                let disks = Disks::new(&engines, disk);
                let found = match &effect {
                    Effect::Send(message) => watch.on_send(disks, id, message),
                    Effect::Reply { id: command, result: Ok(_) } => attempts
                        .get(command)
                        .and_then(|attempt| watch.on_reply(disks, (id, attempt.region), &uuid(*command))),
                    Effect::Reply { .. } | Effect::Schedule(_) => None,
                };
                broken = broken.take().or(found);
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
        machine.busy_until = self.now.max(machine.busy_until) + delay;
        let (wait, boot) = (machine.busy_until - self.now, machine.boot);
        if delay >= super::SLOW {
            self.network.strike(Fault::SlowDisk);
        }
        self.schedule(wait, Happening::DiskDone(id, boot));
        wait
    }

    pub(super) fn carry_out(&mut self, from: StoreId, effect: Effect, delay: Micros) {
        match effect {
            Effect::Send(message) => self.send(from, message, delay),
            Effect::Reply { id, result } => self.on_reply(from, id, result, delay),
            Effect::Schedule(task) => self.on_schedule(from, task, delay),
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
            Fate::Arrives(time, again) => {
                if let Some(time) = again {
                    self.schedule(delay + time, Happening::Message(Box::new(message.clone())));
                }
                self.schedule(delay + time, Happening::Message(Box::new(message)));
            }
        }
        if self.agenda.len() > STORM {
            self.break_off(
                "a message is answered by one message, or by none: stores come to rest",
                &format!(
                    "{} messages and other things are under way at once: do two peers answer answers?",
                    self.agenda.len()
                ),
            );
        }
    }

    fn on_reply(&mut self, from: StoreId, id: CommandId, result: CommandResult, delay: Micros) {
        if let Some(direct) = self.direct.get_mut(&id).filter(|d| d.result.is_none() && d.store == from) {
            self.trace.note(self.now, What::Replied(from, id, result.is_ok()));
            let counted = Sim::change_in(&result);
            direct.result = Some(result);
            if let Some(fault) = counted {
                self.network.strike(fault);
            }
            return;
        }
        let asked_here = self.attempts.get(&id).is_some_and(|a| a.arrived && a.store == from);
        let Some(attempt) = self.attempts.remove(&id).filter(|_| asked_here) else {
            self.break_off(
                "every command gets exactly one reply, from the store that it was given to (Effect::Reply)",
                &format!(
                    "store {from} replies to command {id}, which was answered before, or never came to it"
                ),
            );
        };
        let request: Request = attempt.request;
        let response = answer(|storage| request.run(storage), result);
        self.respond(from, id, delay, response);
    }

    /// The response leaves the store.
    fn respond(&mut self, from: StoreId, id: CommandId, delay: Micros, response: Response) {
        if self.network.loses_client(from, &mut self.rng) {
            return;
        }
        let latency = self.client_latency();
        self.schedule(delay + latency, Happening::Response { id, response: Box::new(response) });
    }

    fn check_store(&mut self, id: StoreId) {
        if !self.is_up(id) {
            return;
        }
        let (store, disk) = (&self.stores[&id], &self.machines[&id].disk);
        if let Some((rule, happened)) = self.watch.after_step(store, disk) {
            self.break_off(rule, &happened);
        }
        if let Err((rule, happened)) = self.watch.regions.check_tiles() {
            self.break_off(rule, &happened);
        }
        self.trace.see(self.now, id, store);
    }
}
