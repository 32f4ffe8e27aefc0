//! Machines go down and come back.

use raftkv::ids::StoreId;
use raftkv::raftstore::{CommandId, Config, Store, StoreError};
use raftkv::worker::snap::{Permits, SnapFiles};

use super::events::Happening;
use super::faults::Fault;
use super::machine::Machine;
use super::trace::What;
use super::workers::Queues;
use super::{Crash, Sim};

/// Starts what a process starts: the store, and its files of snapshots.
fn open(config: Config, machine: &mut Machine) -> Result<Store, StoreError> {
    let store = Store::open(config, machine.disk.open())?;
    machine.struck_before = machine.disk.struck();
    machine.files = Some(SnapFiles::open(machine.disk.folder(), &store.snapshots_in_use())?);
    Ok(store)
}

impl Sim {
    /// `drain` has returned an error: the machine stopped at a planned write, or the store gave up.
    pub(super) fn on_failure(&mut self, id: StoreId, why: String) {
        if self.machines[&id].disk.is_stopped() {
            self.network.strike(Fault::CrashAtWrite);
            self.trace.note(self.now, What::Crashed(id, "at a write"));
            self.take_down(id);
            self.plan_return(id);
            return;
        }
        self.all_answered(id, "its disk fails");
        if self.machines[&id].stopped.is_none() {
            self.network.strike(Fault::DiskError);
            self.trace.note(self.now, What::Stopped(id, why.clone()));
            self.machines.get_mut(&id).expect("it is there").stopped = Some(why);
            self.plan_return(id);
        }
    }

    /// A store that ends in order leaves nobody waiting.
    pub(super) fn all_answered(&self, id: StoreId, when: &str) {
        let waiting = self.waiting_at(id);
        if !waiting.is_empty() {
            self.break_off(
                "when a store stops, everyone who waits there is answered (Store::drain, Store::shutdown)",
                &format!("store {id} stops because {when}, and nobody answers the commands {waiting:?}"),
            );
        }
    }

    /// The commands that a store has taken in and not answered.
    pub(super) fn waiting_at(&self, id: StoreId) -> Vec<CommandId> {
        let attempts = self.attempts.iter().filter(|(_, a)| a.store == id && a.arrived).map(|(id, _)| *id);
        let direct = self.direct.iter().filter(|(_, d)| d.store == id && d.result.is_none());
        attempts.chain(direct.map(|(id, _)| *id)).collect()
    }

    /// The store's process ends without a word, and with it what it had not looked at yet.
    pub(super) fn take_down(&mut self, id: StoreId) {
        self.stores.remove(&id);
        self.attempts.retain(|_, attempt| attempt.store != id || !attempt.arrived);
        self.direct.retain(|_, direct| direct.store != id || direct.result.is_some());
        self.drop_streams(id);
        let machine = self.machines.get_mut(&id).expect("every store has a machine");
        machine.boot += 1;
        machine.busy_until = 0;
        machine.files = None;
        machine.queues = Queues::default();
        machine.outgoing.clear();
        for what in std::mem::take(&mut machine.inbox) {
            match what {
                Happening::Message(m) => self.trace.note(self.now, What::Lost(*m, "the store went down")),
                Happening::Request { id, .. } => drop(self.attempts.remove(&id)),
                _ => {}
            }
        }
    }

    /// A crash, now.
    pub(super) fn go_down(&mut self, id: StoreId, crash: Crash) {
        if self.stores.contains_key(&id) {
            self.network.strike(Fault::Crash);
            let how = if crash == Crash::Kill { "killed" } else { "power cut" };
            self.trace.note(self.now, What::Crashed(id, how));
            self.take_down(id);
        }
        self.machines[&id].disk.restart(crash);
    }

    /// Starts a machine that is down, or whose store has stopped by itself.
    pub(super) fn start(&mut self, id: StoreId) {
        if self.is_up(id) {
            return;
        }
        if self.stores.contains_key(&id) || self.machines[&id].disk.is_stopped() {
            // It stopped by itself, or at a planned write: the old process is gone.
            self.take_down(id);
            self.machines[&id].disk.restart(self.machines[&id].crash);
        }
        self.network.strike(Fault::Restart);
        self.trace.note(self.now, What::Started(id));
        self.boot(id);
    }

    /// A planned fault has struck while the store started: it is down again.
    fn on_failed_start(&mut self, id: StoreId, why: String) {
        self.network.strike(Fault::CrashAtStart);
        self.trace.note(self.now, What::Stopped(id, format!("while it starts: {why}")));
        let machine = self.machines.get_mut(&id).expect("it is there");
        machine.boot += 1;
        machine.disk.restart(machine.crash);
        self.plan_return(id);
    }

    pub(super) fn boot(&mut self, id: StoreId) {
        let machine = self.machines.get_mut(&id).expect("every store has a machine");
        machine.stopped = None;
        let (tick, boot) = (machine.tick, machine.boot);
        // The disk has been started anew: what is left of the last life cannot touch it any more.
        machine.graveyard.clear();
        machine.sending = Permits::new(machine.sending.limit());
        machine.receiving = Permits::new(machine.receiving.limit());
        let struck = machine.disk.struck();
        match open(self.config.clone(), machine) {
            Ok(store) => drop(self.stores.insert(id, store)),
            Err(error) if machine.disk.struck() > struck => return self.on_failed_start(id, error.to_string()),
            Err(error) => self.break_off(
                "a store finds on its disks what it needs to go on: what it has told others, and a log that reaches at least as far as \
                 its data (figure 2, \"Persistent state\")",
                &format!("store {id} does not start again: {error}"),
            ),
        }
        let first = 1 + self.rng.below(tick);
        self.schedule(first, Happening::Tick(id, boot));
        let (store, disk) = (&self.stores[&id], &self.machines[&id].disk);
        if let Some((rule, happened)) = self.watch.on_start(store, disk) {
            self.break_off(rule, &happened);
        }
    }
}
