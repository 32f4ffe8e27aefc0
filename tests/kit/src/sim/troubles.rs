//! What a test does to machines and links.

use raftkv::engine::{Fault as WriteFault, Folder};
use raftkv::ids::StoreId;
use raftkv::raftstore::Engines;

use super::events::Happening;
use super::faults::Fault;
use super::machine::TICK;
use super::network::Weather;
use super::{Crash, Micros, Sim};

impl Sim {
    /// Stores of different groups no longer hear each other. Stores that are in no group make one more. It takes the
    /// place of all cuts between stores that were there before. Clients reach all stores.
    pub fn partition(&mut self, groups: &[&[StoreId]]) {
        self.say(format!("partition: {groups:?} and the rest"));
        self.network.heal_stores();
        let group = |id: &StoreId| groups.iter().position(|group| group.contains(id));
        let ids: Vec<StoreId> = self.machines.keys().copied().collect();
        for a in &ids {
            for b in &ids {
                if group(a) != group(b) {
                    self.network.cut((*a, *b));
                }
            }
        }
    }

    /// Messages from `a` to `b` are lost; those from `b` to `a` are not.
    pub fn cut(&mut self, a: StoreId, b: StoreId) {
        self.say(format!("cut: {a} -> {b}"));
        self.network.cut((a, b));
    }

    /// A store hears nobody, and nobody hears it.
    pub fn isolate(&mut self, id: StoreId) {
        self.say(format!("isolate {id}"));
        for other in self.machines.keys().copied().filter(|other| *other != id) {
            self.network.cut((id, other));
            self.network.cut((other, id));
        }
    }

    /// Clients and the store do not hear each other: requests and answers are lost. Other stores hear it.
    pub fn cut_clients(&mut self, id: StoreId) {
        self.say(format!("cut: clients - {id}"));
        self.network.cut_clients(id);
    }

    /// All hear each other again.
    pub fn heal(&mut self) {
        self.say("heal");
        self.network.heal();
    }

    /// Messages from `a` to `b` wait for [`Sim::release`].
    pub fn hold(&mut self, a: StoreId, b: StoreId) {
        self.say(format!("hold: {a} -> {b}"));
        self.network.hold((a, b));
    }

    /// What was held arrives now, in any order.
    pub fn release(&mut self) {
        self.say("release");
        self.network.release();
        for message in std::mem::take(&mut self.held) {
            let wait = self.rng.below(2000);
            self.schedule(wait, Happening::Message(Box::new(message)));
        }
    }

    /// How messages travel from now on.
    pub fn weather(&mut self, weather: Weather) {
        self.say(format!("weather: {weather:?}"));
        self.network.weather = weather;
    }

    /// The power of a machine fails: what was not synced is lost.
    pub fn crash(&mut self, id: StoreId) {
        self.go_down(id, Crash::PowerCut);
    }

    /// The process of a store is killed: what it wrote is there.
    pub fn kill(&mut self, id: StoreId) {
        self.go_down(id, Crash::Kill);
    }

    /// Something happens at the `n`-th write from now to the store's disk: 1 is the next. If it stops there, the power
    /// is gone: what was not synced is lost.
    pub fn crash_at_write(&mut self, id: StoreId, n: u64, fault: WriteFault) {
        self.plan_stop(id, n, fault, Crash::PowerCut);
    }

    /// The same, but if it stops there, only the process dies: what it wrote before, synced or not, is there when it
    /// comes back.
    pub fn kill_at_write(&mut self, id: StoreId, n: u64, fault: WriteFault) {
        self.plan_stop(id, n, fault, Crash::Kill);
    }

    pub(super) fn plan_stop(&mut self, id: StoreId, n: u64, fault: WriteFault, crash: Crash) {
        self.say(format!("store {id}: {fault:?} at write {n} from now, then {crash:?}"));
        let machine = self.machines.get_mut(&id).expect("there is such a store");
        machine.crash = crash;
        machine.disk.plan(machine.disk.writes() + n, fault);
    }

    /// A store that is down starts again.
    pub fn restart(&mut self, id: StoreId) {
        self.start(id);
    }

    /// A store is asked to end. Whoever waits there gets an answer.
    pub fn shut_down(&mut self, id: StoreId) {
        self.say(format!("shut down store {id}"));
        let Some(store) = self.stores.remove(&id) else { return };
        let mut effects = Vec::new();
        store.shutdown(&mut |effect| effects.push(effect));
        self.carry_out_last(id, effects);
        self.all_answered(id, "it was asked to");
        self.take_down(id);
        self.machines[&id].disk.restart(Crash::Kill);
    }

    /// Somebody changes the disk of a machine that is down.
    pub fn edit_disk(&mut self, id: StoreId, edit: impl FnOnce(&Engines)) {
        self.say(format!("somebody changes the disk of store {id}"));
        assert!(!self.stores.contains_key(&id), "store {id} runs: its disk is its own");
        let disk = &self.machines[&id].disk;
        disk.restart(Crash::Kill);
        edit(&disk.open());
        disk.restart(Crash::Kill);
    }

    /// Somebody changes the files of a machine that is down.
    pub fn edit_files(&mut self, id: StoreId, edit: impl FnOnce(&dyn Folder)) {
        self.say(format!("somebody changes the files of store {id}"));
        assert!(!self.stores.contains_key(&id), "store {id} runs: its disk is its own");
        let disk = &self.machines[&id].disk;
        disk.restart(Crash::Kill);
        edit(&*disk.folder());
        disk.restart(Crash::Kill);
    }

    /// How long a round with writes takes on this store.
    pub fn slow_disk(&mut self, id: StoreId, least: Micros, most: Micros) {
        self.say(format!("store {id}: a write takes {least} to {most} us"));
        self.machines.get_mut(&id).expect("there is such a store").disk_latency = (least, most);
    }

    /// How long a task of this store's workers takes: making a snapshot, loading one, deleting log entries.
    pub fn slow_workers(&mut self, id: StoreId, least: Micros, most: Micros) {
        self.say(format!("store {id}: a task takes {least} to {most} us"));
        self.machines.get_mut(&id).expect("there is such a store").worker_latency = (least, most);
    }

    /// The store's clock runs at so many percent of the right speed.
    pub fn drift(&mut self, id: StoreId, percent: u64) {
        self.say(format!("store {id}: the clock runs at {percent} %"));
        if percent != 100 {
            self.network.strike(Fault::Drift);
        }
        self.machines.get_mut(&id).expect("there is such a store").tick = TICK * 100 / percent;
    }

    /// How often a fault has struck.
    pub fn struck(&self, fault: Fault) -> u64 {
        self.network.struck.get(&fault).copied().unwrap_or_default()
    }

    /// Each of these has struck: the trouble of the test was real.
    pub fn assert_struck(&self, faults: &[Fault]) {
        for fault in faults {
            assert!(
                self.struck(*fault) > 0,
                "{fault:?} never struck, so this run has shown nothing about it: {:?}",
                self.network.struck
            );
        }
    }
}
