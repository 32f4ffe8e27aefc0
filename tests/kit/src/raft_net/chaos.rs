//! Random trouble under a seed: the safety phase. And its end: the liveness phase.

use raftkv::ids::PeerId;

use super::driver::Driver;
use super::faults::Fault;
use super::letter::{add_node, remove_node};
use super::net::Net;
use crate::rng::Rng;

/// How likely each kind of trouble is, in percent of the steps. What is left over delivers messages.
#[derive(Clone, Copy, Debug)]
pub struct Chaos {
    /// A node gets a tick.
    pub tick: u64,
    /// A client proposes something to some node.
    pub propose: u64,
    /// A message is lost.
    pub lose: u64,
    /// A message is doubled.
    pub duplicate: u64,
    /// A message is set aside, or one that was, arrives: long after what it belongs to is over.
    pub delay: u64,
    /// A link or a node is cut off, or all cuts are healed.
    pub cut: u64,
    /// A node crashes, or one that is down starts again.
    pub crash: u64,
    /// A disk gets slow, or catches up.
    pub slow_disk: u64,
    /// Some node's owner wants another leader.
    pub transfer: u64,
    /// Somebody wants a member added or removed, at some node, leader or not.
    pub change: u64,
    /// A state machine gets slow, or catches up.
    pub slow_apply: u64,
    /// An owner drops what is applied from its log.
    pub compact: u64,
}

impl Chaos {
    /// A bit of everything. Proposals only where the stage under test replicates.
    pub fn new(with_proposals: bool) -> Chaos {
        let propose = if with_proposals { 6 } else { 0 };
        Chaos {
            tick: 25,
            propose,
            lose: 3,
            duplicate: 3,
            delay: 8,
            cut: 2,
            crash: 2,
            slow_disk: 3,
            transfer: 0,
            change: 0,
            slow_apply: 0,
            compact: 0,
        }
    }

    /// And leaders and groups that change. There must be nodes to be added: see [`Net::join`].
    pub fn with_changes() -> Chaos {
        let changes = Chaos { transfer: 4, change: 6, slow_apply: 3, compact: 2, ..Chaos::new(true) };
        // With less of the rest, for a change takes a while of peace.
        Chaos {
            tick: 15,
            propose: 4,
            lose: 2,
            duplicate: 2,
            delay: 4,
            cut: 1,
            crash: 1,
            slow_disk: 2,
            ..changes
        }
    }

    /// What must have struck before the trouble is over. Where there is one node, there are no messages.
    fn kinds(&self, nodes: usize) -> Vec<Fault> {
        let on_the_wire = [
            (self.lose, Fault::Loss),
            (self.duplicate, Fault::Duplicate),
            (self.delay, Fault::Delay),
            (100, Fault::Disorder),
            (self.cut, Fault::Cut),
        ];
        let on_a_node = [
            (self.crash, Fault::Crash),
            (self.slow_disk, Fault::SlowDisk),
            (self.transfer, Fault::Transfer),
            (self.change, Fault::Joined),
            (self.change, Fault::Left),
            (self.slow_apply, Fault::SlowApply),
        ];
        let wire = on_the_wire.into_iter().filter(|_| nodes > 1);
        wire.chain(on_a_node).filter(|(share, _)| *share > 0).map(|(_, fault)| fault).collect()
    }
}

impl<D: Driver> Net<D> {
    /// So many random steps, and more until each kind of trouble has struck at least once. The invariants
    /// watch each step.
    #[track_caller]
    pub fn chaos(&mut self, rng: &mut Rng, steps: u64, chaos: Chaos) {
        let kinds = chaos.kinds(self.world.nodes.len());
        for step in 0..20 * steps {
            if step >= steps && kinds.iter().all(|fault| self.struck(*fault) > 0) {
                return;
            }
            self.chaotic_step(rng, step, chaos);
        }
        self.assert_struck(&kinds);
    }

    #[track_caller]
    fn chaotic_step(&mut self, rng: &mut Rng, step: u64, chaos: Chaos) {
        let up = self.up();
        let draw = rng.below(100);
        let mut bound = 0;
        let mut falls_to = |share: u64| {
            bound += share;
            draw < bound
        };
        if falls_to(chaos.tick) && !up.is_empty() {
            self.tick(rng.pick(&up));
        } else if falls_to(chaos.propose) && !up.is_empty() {
            let id = rng.pick(&up);
            // A node without a leader refuses; that is its right.
            let _ = self.try_propose(id, &format!("c{step}"));
        } else if falls_to(chaos.lose) {
            self.lose_some(rng);
        } else if falls_to(chaos.duplicate) {
            self.duplicate_some(rng);
        } else if falls_to(chaos.delay) {
            self.delay_some(rng);
        } else if falls_to(chaos.cut) {
            self.cut_some(rng);
        } else if falls_to(chaos.crash) {
            self.crash_or_restart(rng);
        } else if falls_to(chaos.slow_disk) && !up.is_empty() {
            self.slow_disk_or_release(rng);
        } else if falls_to(chaos.transfer + chaos.change + chaos.slow_apply + chaos.compact) && !up.is_empty()
        {
            self.change_something(rng, chaos);
        } else if !self.wire.is_empty() {
            // Mostly in order: a network that shuffles everything elects nobody.
            let reach = if rng.percent(20) { self.wire.len() } else { 1 };
            self.deliver_nth(rng.below(reach as u64) as usize);
        }
    }

    /// The trouble is over: links work, disks work, all nodes are up. What is still on its way arrives, and
    /// timers that had nearly run out run out, before the test goes on.
    #[track_caller]
    pub fn calm(&mut self) {
        self.heal();
        self.release();
        for id in self.world.nodes.keys().copied().collect::<Vec<_>>() {
            if self.world.nodes[&id].up {
                self.release_disk(id)
            } else {
                self.restart(id)
            }
            if self.world.nodes[&id].applying_held {
                self.release_applying(id);
            }
        }
        self.deliver_all();
        self.run(20);
    }

    /// Fails unless each of these faults has struck: trouble that never came has proved nothing.
    #[track_caller]
    pub fn assert_struck(&self, faults: &[Fault]) {
        for fault in faults {
            assert!(self.struck(*fault) > 0, "this test meant to cause {fault:?}, and it never happened");
        }
    }

    /// A transfer, a change of the group, a state machine that gets slow or catches up, or a log that gets shorter.
    #[track_caller]
    fn change_something(&mut self, rng: &mut Rng, chaos: Chaos) {
        let nodes: Vec<PeerId> = self.world.nodes.keys().copied().collect();
        let (id, other) = (rng.pick(&self.up()), rng.pick(&nodes));
        let draw = rng.below(chaos.transfer + chaos.change + chaos.slow_apply + chaos.compact);
        if draw < chaos.transfer {
            let id = self.leader().filter(|_| rng.percent(80)).unwrap_or(id);
            self.transfer(id, other);
        } else if draw < chaos.transfer + chaos.change {
            // Most go to the leader, or hardly any would be made. It may refuse; that is its right.
            let id = self.leader().filter(|_| rng.percent(80)).unwrap_or(id);
            // And most change something.
            let is_member = self.world.group(id).contains(&other) == rng.percent(80);
            let change = if is_member { remove_node(other) } else { add_node(other) };
            let _ = self.try_change(id, &change);
        } else if draw < chaos.transfer + chaos.change + chaos.compact {
            let id = self.leader().filter(|_| rng.percent(50)).unwrap_or(id);
            self.compact_applied(id);
        } else {
            let held = self.up().into_iter().find(|id| self.world.nodes[id].applying_held);
            match held {
                Some(slow) => self.release_applying(slow),
                None => self.hold_applying(id),
            }
        }
    }

    fn lose_some(&mut self, rng: &mut Rng) {
        if !self.wire.is_empty() {
            let n = rng.below(self.wire.len() as u64) as usize;
            let m = self.wire.remove(n).expect("n is below the length");
            self.faults.count(Fault::Loss);
            self.lost(m, "the script loses it");
        }
    }

    fn duplicate_some(&mut self, rng: &mut Rng) {
        if !self.wire.is_empty() {
            let copy = self.wire[rng.below(self.wire.len() as u64) as usize].clone();
            self.faults.count(Fault::Duplicate);
            self.wire.push_back(copy);
        }
    }

    fn delay_some(&mut self, rng: &mut Rng) {
        if rng.percent(50) && !self.faults.held.is_empty() {
            let n = rng.below(self.faults.held.len() as u64) as usize;
            let m = self.faults.held.swap_remove(n);
            self.wire.push_front(m);
        } else if !self.wire.is_empty() {
            let n = rng.below(self.wire.len() as u64) as usize;
            let m = self.wire.remove(n).expect("n is below the length");
            self.faults.count(Fault::Delay);
            self.faults.held.push(m);
        }
    }

    /// Every cut is followed by its end: a group that stays in pieces does nothing worth watching.
    fn cut_some(&mut self, rng: &mut Rng) {
        if self.faults.is_cut() {
            return self.heal_links();
        }
        let mut nodes: Vec<PeerId> = self.world.nodes.keys().copied().collect();
        rng.shuffle(&mut nodes);
        match rng.below(3) {
            0 if nodes.len() > 1 => self.cut_one_way(nodes[0], nodes[1]),
            1 => self.isolate(nodes[0]),
            _ => self.partition(&nodes[..nodes.len() / 2]),
        }
    }

    /// A disk that is slow catches up before another one gets slow.
    #[track_caller]
    fn slow_disk_or_release(&mut self, rng: &mut Rng) {
        let up = self.up();
        match up.iter().find(|id| self.world.nodes[id].disk_held) {
            Some(&slow) => self.release_disk(slow),
            None => self.hold_disk(rng.pick(&up)),
        }
    }

    /// At most a minority is down at a time (or the only node), or nothing would ever happen.
    #[track_caller]
    fn crash_or_restart(&mut self, rng: &mut Rng) {
        let down: Vec<PeerId> = self.world.nodes.values().filter(|n| !n.up).map(|n| n.id).collect();
        let nodes = self.world.nodes.len();
        let limit = (nodes - (nodes / 2 + 1)).max(1);
        if !down.is_empty() && (down.len() >= limit || rng.percent(50)) {
            self.restart(rng.pick(&down));
        } else {
            self.crash(rng.pick(&self.up()));
        }
    }
}
