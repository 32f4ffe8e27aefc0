//! Random trouble, from the seed.

use raftkv::engine::Fault as WriteFault;
use raftkv::ids::StoreId;

use super::events::Happening;
use super::network::Weather;
use super::reshape::Reshape;
use super::{Crash, Micros, Sim, millis};

/// So long after the trouble a store may still stop because of it.
const AFTERMATH: Micros = millis(500);

/// What may go wrong, and how often something does.
#[derive(Clone, Debug)]
pub struct Nemesis {
    /// The mean time between two strokes.
    pub every: Micros,
    /// Partitions, and one-way cuts.
    pub cuts: bool,
    /// Power cuts and dead processes, also in the middle of a write. At most a minority is down at a time, unless
    /// `all_down`.
    pub crashes: bool,
    /// Everything may go down at once.
    pub all_down: bool,
    /// Messages get lost, doubled, late; clients do not hear their answers.
    pub weather: bool,
    /// Disks are full for once: the store stops, and is started again.
    pub disk_errors: bool,
    /// Slow disks and wrong clocks.
    pub drift: bool,
    /// Members come and go, leaders hand over, regions split.
    pub regions: bool,
}

/// One kind of thing that goes wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stroke {
    Partition,
    OneWay,
    Heal,
    Crash,
    StopAtWrite,
    DiskError,
    Drift,
    SlowDisk,
    GoodDisk,
    CutClients,
    Reshape(Reshape),
}

impl Nemesis {
    fn deck(&self) -> Vec<Stroke> {
        let mut deck = Vec::new();
        let mut add = |wanted: bool, strokes: &[Stroke]| {
            if wanted {
                deck.extend_from_slice(strokes);
            }
        };
        add(self.cuts, &[Stroke::Partition, Stroke::Partition, Stroke::OneWay, Stroke::Heal]);
        add(self.crashes, &[Stroke::Crash, Stroke::Crash, Stroke::StopAtWrite]);
        add(self.disk_errors, &[Stroke::DiskError]);
        add(self.drift, &[Stroke::Drift, Stroke::SlowDisk, Stroke::GoodDisk]);
        add(self.weather, &[Stroke::CutClients, Stroke::Heal]);
        add(
            self.regions,
            &[Reshape::Add, Reshape::Add, Reshape::Remove, Reshape::Remove].map(Stroke::Reshape),
        );
        add(self.regions, &[Reshape::Transfer, Reshape::Transfer, Reshape::Split].map(Stroke::Reshape));
        deck
    }

    /// Everything that can go wrong.
    pub fn everything() -> Nemesis {
        Nemesis {
            every: millis(150),
            cuts: true,
            crashes: true,
            all_down: true,
            weather: true,
            disk_errors: true,
            drift: true,
            regions: false,
        }
    }

    /// Nothing fails, but regions change all the time.
    pub fn regions() -> Nemesis {
        let still = Nemesis { crashes: false, all_down: false, cuts: false, ..Nemesis::everything() };
        Nemesis {
            every: millis(60),
            weather: false,
            disk_errors: false,
            drift: false,
            regions: true,
            ..still
        }
    }

    /// The network alone.
    pub fn network() -> Nemesis {
        let still = Nemesis { crashes: false, all_down: false, ..Nemesis::everything() };
        Nemesis { disk_errors: false, drift: false, ..still }
    }

    /// The machines alone.
    pub fn machines() -> Nemesis {
        Nemesis { cuts: false, weather: false, ..Nemesis::everything() }
    }
}

impl Sim {
    /// From now on something goes wrong every so often.
    pub fn trouble(&mut self, nemesis: Nemesis) {
        self.say(format!("trouble: {nemesis:?}"));
        if nemesis.weather {
            self.weather(Weather::bad());
        }
        let first = 1 + self.rng.below(nemesis.every);
        self.trouble = Some(nemesis);
        self.schedule(first, Happening::Trouble);
    }

    /// No more trouble: links are mended, clocks and disks are right, everybody is up.
    pub fn end_trouble(&mut self) {
        self.say("the trouble ends");
        if self.trouble.take().is_some() {
            self.aftermath = self.now + AFTERMATH;
        }
        self.deck.clear();
        self.network.weather = Weather::default();
        self.heal();
        self.release();
        for id in self.machines.keys().copied().collect::<Vec<_>>() {
            let machine = self.machines.get_mut(&id).expect("it is there");
            machine.tick = super::TICK;
            machine.disk_latency = (100, 400);
            machine.worker_latency = super::machine::WORKER_LATENCY;
            machine.disk.call_off();
            self.start(id);
        }
    }

    /// One stroke, and a plan for the next. Strokes come from a shuffled deck with a card for each kind, so that each
    /// kind strikes before any one strikes twice.
    pub(super) fn stir(&mut self) {
        let Some(nemesis) = self.trouble.clone() else { return };
        let next = 1 + self.rng.below(2 * nemesis.every);
        self.schedule(next, Happening::Trouble);
        if self.deck.is_empty() {
            self.deck = nemesis.deck();
            self.rng.shuffle(&mut self.deck);
        }
        let ids: Vec<StoreId> = self.machines.keys().copied().collect();
        let victim = self.rng.pick(&ids);
        match self.deck.pop() {
            Some(Stroke::Partition) => self.random_partition(&ids),
            Some(Stroke::OneWay) => {
                let other = self.rng.pick(&self.others(victim));
                self.cut(victim, other);
            }
            Some(Stroke::Heal) => self.heal(),
            Some(Stroke::Crash) => self.random_crash(&nemesis, victim),
            Some(Stroke::StopAtWrite) => {
                let fault = self.rng.pick(&[WriteFault::StopBefore, WriteFault::StopAfter]);
                let crash = self.rng.pick(&[Crash::PowerCut, Crash::Kill]);
                self.random_stop(&nemesis, victim, fault, crash);
            }
            Some(Stroke::DiskError) => {
                self.random_stop(&nemesis, victim, WriteFault::Fail, Crash::PowerCut);
            }
            Some(Stroke::Drift) => {
                let percent = self.rng.pick(&[50, 80, 100, 120, 200]);
                self.drift(victim, percent);
            }
            Some(Stroke::SlowDisk) => self.slow_disk(victim, 100, 30_000),
            Some(Stroke::GoodDisk) => self.slow_disk(victim, 100, 400),
            Some(Stroke::CutClients) => self.cut_clients(victim),
            Some(Stroke::Reshape(what)) => self.reshape(what),
            None => {}
        }
    }

    fn random_stop(&mut self, nemesis: &Nemesis, victim: StoreId, fault: WriteFault, crash: Crash) {
        let n = 1 + self.rng.below(6);
        if self.may_go_down(nemesis, victim) {
            self.plan_stop(victim, n, fault, crash);
        }
    }

    fn random_partition(&mut self, ids: &[StoreId]) {
        let mut shuffled = ids.to_vec();
        self.rng.shuffle(&mut shuffled);
        let size = 1 + self.rng.below(ids.len() as u64 / 2 + 1) as usize;
        self.partition(&[&shuffled[..size.min(ids.len())]]);
    }

    fn random_crash(&mut self, nemesis: &Nemesis, victim: StoreId) {
        let everybody = nemesis.all_down && self.rng.percent(20);
        let victims = if everybody { self.machines.keys().copied().collect() } else { vec![victim] };
        for id in victims {
            if !everybody && !self.may_go_down(nemesis, id) {
                continue;
            }
            if self.rng.percent(50) {
                self.crash(id);
            } else {
                self.kill(id);
            }
            let wait = millis(20) + self.rng.below(millis(400));
            self.schedule(wait, Happening::Restart(id));
        }
    }

    /// A store went down at a planned write, or gave up: while there is trouble, it comes back by itself. And for a
    /// while longer: a store may learn late that a worker's write has failed.
    pub(super) fn plan_return(&mut self, id: StoreId) {
        if self.trouble.is_some() || self.now < self.aftermath {
            let wait = millis(20) + self.rng.below(millis(400));
            self.schedule(wait, Happening::Restart(id));
        }
    }

    /// One more may go down if a majority is left, or if anything goes.
    fn may_go_down(&self, nemesis: &Nemesis, id: StoreId) -> bool {
        let up = self.stores.keys().filter(|other| **other != id && self.is_up(**other)).count();
        nemesis.all_down || up > self.machines.len() / 2
    }
}
