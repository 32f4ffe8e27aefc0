//! One store: all peers of one process, and the door through which everything comes in and goes out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::{
    Config, Effect, Event, Peer, SnapFileSet, SnapKey, StoreError, StoreMeta, StoreName, Task, bootstrap,
};
use crate::engine::Engine;
use crate::ids::{RegionId, StoreId};
use crate::proto::raft_serverpb::RaftMessage;

/// The two disks of a store. They fail independently, and no write spans both.
#[derive(Clone)]
pub struct Engines {
    /// Data, apply states, region states.
    pub kv: Arc<dyn Engine>,
    /// Logs and Raft states.
    pub raft: Arc<dyn Engine>,
}

/// One store.
///
/// - `handle` takes in, `drain` works: it writes, sends, applies, answers. Between two drains nothing leaves the store:
///   whoever lets several reads share one command (`src/server/node/waiting.rs`) relies on it. (One write is in
///   `handle`: that a snapshot is loaded.)
/// - Every command gets one reply.
/// - After an error of `drain` the store does nothing more. What it has acknowledged is safe.
pub struct Store {
    pub(super) config: Config,
    pub(super) name: StoreName,
    pub(super) engines: Engines,
    pub(super) meta: StoreMeta,
    /// By region: the order in which regions are served, and in which their messages leave.
    pub(super) peers: BTreeMap<RegionId, Peer>,
    /// What needs no disk to be said: refusals.
    pub(super) outbox: VecDeque<Effect>,
    /// What is to be done elsewhere, beside what the peers' storages want.
    pub(super) tasks: Vec<Task>,
    /// Until the next look at the logs.
    pub(super) ticks_to_gc: u32,
    /// Until the next report to the scheduler.
    pub(super) ticks_to_report: u32,
    /// Until the next look at the regions' sizes.
    pub(super) ticks_to_check: u32,
    /// Candidates' messages for regions that have still to come out of a split here.
    pub(super) early: BTreeMap<RegionId, RaftMessage>,
    /// Files that could not be removed: the next look at the logs tries again.
    pub(super) leftovers: Vec<(SnapKey, SnapFileSet)>,
    /// Why the store does nothing more.
    failure: Option<StoreError>,
    /// The owner knows of the failure.
    failure_told: bool,
}

impl Store {
    /// The store as its disks remember it.
    ///
    /// # Errors
    /// See [`StoreError`]: no store here, another store's data, a failed disk, damage.
    pub fn open(config: Config, engines: Engines) -> Result<Store, StoreError> {
        config.validate()?;
        let snapshot = engines.kv.snapshot();
        let name = bootstrap::read_name(&*snapshot)?.ok_or(StoreError::NotBootstrapped)?;
        let mut meta = StoreMeta::default();
        let mut peers = BTreeMap::new();
        let found = bootstrap::take_inventory(&*snapshot)?;
        drop(snapshot);
        bootstrap::finish_burials(&engines, &found)?;
        for region in found.regions {
            let id = region.id;
            meta.insert(&region);
            peers.insert(id, Peer::open(&config, name.store, &engines, region)?);
        }
        Ok(Store {
            name,
            engines,
            meta,
            peers,
            outbox: VecDeque::new(),
            tasks: Vec::new(),
            ticks_to_gc: config.log_gc_ticks,
            ticks_to_report: 1,
            ticks_to_check: config.split_check_ticks,
            config,
            leftovers: Vec::new(),
            early: BTreeMap::new(),
            failure: None,
            failure_told: false,
        })
    }

    /// Takes in one event. What comes of it, [`Store::drain`] tells.
    pub fn handle(&mut self, event: Event) {
        if let Some(failure) = &self.failure {
            if let Event::Command { id, .. } = event {
                // Certainly not carried out, so asking elsewhere is safe.
                let error = super::region_error::store_stopped(self.name.store, &failure.to_string());
                self.outbox.push_back(Effect::Reply { id, result: Err(error) });
            }
            return;
        }
        let outcome = match event {
            Event::Tick => {
                self.peers.values_mut().for_each(Peer::tick);
                self.tick_log_gc();
                self.tick_lifecycle();
                self.tick_scheduling();
                Ok(())
            }
            Event::RaftMessage(message) => self.on_raft_message(message),
            Event::Snapshot { message, copy } => self.on_snapshot(message, copy),
            Event::TaskDone(done) => self.on_task_done(done),
            Event::Command { id, request } => {
                self.on_command(id, &request);
                Ok(())
            }
        };
        if let Err(error) = outcome {
            self.fail(error);
        }
    }

    /// True if [`Store::drain`] may have something to do, or a failure to tell.
    pub fn has_work(&self) -> bool {
        if self.failure.is_some() {
            return !self.outbox.is_empty() || !self.failure_told;
        }
        !self.outbox.is_empty() || !self.tasks.is_empty() || self.peers.values().any(Peer::has_work)
    }

    /// One round of work. Effects come out in the order in which they may be carried out, each at the moment from which
    /// on it may be: a leader's appends before the write to the own disk, a vote after it.
    ///
    /// Call it again while [`Store::has_work`]: what one round applies and sends to itself may make more.
    ///
    /// # Errors
    /// The store has stopped. All who waited have got their replies.
    pub fn drain(&mut self, out: &mut dyn FnMut(Effect)) -> Result<(), StoreError> {
        self.empty_outbox(out);
        if self.failure.is_none()
            && let Err(error) =
                self.handle_ready(out).and_then(|()| self.settle_changes()).and_then(|()| self.schedule(out))
        {
            self.fail(error);
            self.empty_outbox(out);
        }
        match &self.failure {
            None => Ok(()),
            Some(failure) => {
                self.failure_told = true;
                Err(StoreError::Stopped(failure.to_string()))
            }
        }
    }

    /// Ends the store. Whoever still waits is told that nobody knows what will come of it: the command may be in the
    /// log of another peer.
    pub fn shutdown(mut self, out: &mut dyn FnMut(Effect)) {
        self.answer_all("the store shuts down");
        self.empty_outbox(out);
    }

    /// Nothing more is done from here on.
    fn fail(&mut self, error: StoreError) {
        tracing::error!(store = self.name.store, %error, "the store stops");
        self.answer_all(&error.to_string());
        self.failure = Some(error);
    }

    fn answer_all(&mut self, why: &str) {
        for peer in self.peers.values_mut() {
            self.outbox.extend(peer.answer_unknown(why));
        }
    }

    fn empty_outbox(&mut self, out: &mut dyn FnMut(Effect)) {
        self.outbox.drain(..).for_each(out);
    }

    /// Who this is.
    pub fn name(&self) -> StoreName {
        self.name
    }

    /// The store's id.
    pub fn id(&self) -> StoreId {
        self.name.store
    }

    /// Which region lies where, as far as this store has peers of them.
    pub fn meta(&self) -> &StoreMeta {
        &self.meta
    }

    /// The peer of a region, if there is one here.
    pub fn peer(&self, region: RegionId) -> Option<&Peer> {
        self.peers.get(&region)
    }

    /// True if there is a peer of this region here that knows it.
    pub(super) fn holds(&self, region: RegionId) -> bool {
        self.peers.get(&region).is_some_and(Peer::is_initialized)
    }

    /// All peers, by region.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values()
    }

    /// The disks.
    pub fn engines(&self) -> &Engines {
        &self.engines
    }
}
