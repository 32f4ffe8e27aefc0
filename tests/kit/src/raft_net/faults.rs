//! What goes wrong: cuts, loss, duplicates, disorder, delay, slow disks, crashes. All of it is counted, for a
//! test of faults that never happened has tested nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use raftkv::ids::PeerId;
use raftkv::proto::eraftpb::Message;

use super::driver::Driver;
use super::net::Net;
use crate::rng::Rng;

/// A kind of trouble. (A change of leader or group is not meant as such, but it is where trouble comes from.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A message got lost on a link that works.
    Loss,
    /// A message was lost at a cut link.
    Cut,
    /// A message arrived twice.
    Duplicate,
    /// A message was overtaken.
    Disorder,
    /// A message waited.
    Delay,
    /// A write waited.
    SlowDisk,
    /// A node crashed; what it had not written is gone.
    Crash,
    /// What was committed waited to be applied.
    SlowApply,
    /// A leader told its successor to stand for election.
    Transfer,
    /// Somebody has become a member of the group.
    Joined,
    /// Somebody is no member any more.
    Left,
}

type Choice = Box<dyn FnMut(&Message) -> bool>;

/// The faults in force, and how often each has struck.
#[derive(Default)]
pub struct Faults {
    cut: BTreeSet<(PeerId, PeerId)>,
    losing: Vec<Choice>,
    holding: Vec<Choice>,
    pub(super) held: Vec<Message>,
    struck: BTreeMap<Fault, u64>,
}

impl Faults {
    pub(super) fn count(&mut self, fault: Fault) {
        *self.struck.entry(fault).or_default() += 1;
    }

    /// Why this message does not get through the link, if it does not.
    pub(super) fn cut_off(&mut self, sender: PeerId, m: &Message) -> Option<&'static str> {
        let is_cut = self.cut.contains(&(sender, m.to));
        is_cut.then(|| {
            self.count(Fault::Cut);
            "the link is cut"
        })
    }

    pub(super) fn is_cut(&self) -> bool {
        !self.cut.is_empty()
    }

    /// Why this message is lost at once, if it is.
    pub(super) fn lose(&mut self, sender: PeerId, m: &Message) -> Option<&'static str> {
        if let Some(why) = self.cut_off(sender, m) {
            return Some(why);
        }
        let lost = self.losing.iter_mut().any(|choose| choose(m));
        lost.then(|| {
            self.count(Fault::Loss);
            "the script loses it"
        })
    }

    /// Keeps a copy if this message has to wait.
    pub(super) fn hold(&mut self, m: &Message) -> bool {
        let waits = self.holding.iter_mut().any(|choose| choose(m));
        if waits {
            self.count(Fault::Delay);
            self.held.push(m.clone());
        }
        waits
    }
}

impl<D: Driver> Net<D> {
    /// From now on nothing gets from `from` to `to`. The other direction still works.
    pub fn cut_one_way(&mut self, from: PeerId, to: PeerId) {
        self.command(format!("cut {from} -> {to}"));
        self.faults.cut.insert((from, to));
    }

    /// From now on nothing gets from `a` to `b` or back.
    pub fn cut(&mut self, a: PeerId, b: PeerId) {
        self.command(format!("cut {a} <-> {b}"));
        self.faults.cut.extend([(a, b), (b, a)]);
    }

    /// From now on nothing gets to this node or away from it.
    pub fn isolate(&mut self, id: PeerId) {
        self.command(format!("isolate {id}"));
        for other in self.world.everybody().into_iter().filter(|other| *other != id) {
            self.faults.cut.extend([(id, other), (other, id)]);
        }
    }

    /// From now on nothing gets from one of these nodes to one of the others or back.
    pub fn partition(&mut self, side: &[PeerId]) {
        self.command(format!("partition {side:?} from the others"));
        for other in self.world.everybody().into_iter().filter(|other| !side.contains(other)) {
            self.faults.cut.extend(side.iter().flat_map(|&id| [(id, other), (other, id)]));
        }
    }

    /// All links work again, and nothing is lost or held back any more. What was held stays held: see
    /// [`Net::release`].
    pub fn heal(&mut self) {
        self.heal_links();
        self.faults.losing.clear();
        self.faults.holding.clear();
    }

    /// All links work again; what the script loses or holds back, it still does.
    pub fn heal_links(&mut self) {
        self.command("heal".to_string());
        self.faults.cut.clear();
    }

    /// From now on messages of this kind get lost when they are sent.
    pub fn lose(&mut self, choose: impl FnMut(&Message) -> bool + 'static) {
        self.faults.losing.push(Box::new(choose));
    }

    /// The next message of this kind gets lost.
    pub fn lose_one(&mut self, mut choose: impl FnMut(&Message) -> bool + 'static) {
        let mut done = false;
        self.lose(move |m| {
            let lost = !done && choose(m);
            done |= lost;
            lost
        });
    }

    /// From now on messages of this kind wait when they are sent.
    pub fn hold(&mut self, choose: impl FnMut(&Message) -> bool + 'static) {
        self.faults.holding.push(Box::new(choose));
    }

    /// What waits.
    pub fn held(&self) -> &[Message] {
        &self.faults.held
    }

    /// Nothing waits any more: what was held goes on the wire, behind what is there.
    #[track_caller]
    pub fn release(&mut self) {
        self.command("release the held messages".to_string());
        self.faults.holding.clear();
        for m in std::mem::take(&mut self.faults.held) {
            self.carry(m);
        }
    }

    /// Loses messages that are on their way. Returns how many.
    pub fn drop_where(&mut self, choose: impl Fn(&Message) -> bool) -> usize {
        let (lost, kept): (VecDeque<_>, _) =
            std::mem::take(&mut self.wire).into_iter().partition(|m| choose(m));
        self.wire = kept;
        let count = lost.len();
        for m in lost {
            self.faults.count(Fault::Loss);
            self.lost(m, "the script loses it");
        }
        count
    }

    /// Loses everything that is on its way.
    pub fn drop_all(&mut self) -> usize {
        self.drop_where(|_| true)
    }

    /// Doubles messages that are on their way; the copies travel behind everything else. Returns how many.
    pub fn duplicate_where(&mut self, choose: impl Fn(&Message) -> bool) -> usize {
        let copies: Vec<Message> = self.wire.iter().filter(|m| choose(m)).cloned().collect();
        let count = copies.len();
        for m in copies {
            self.faults.count(Fault::Duplicate);
            self.wire.push_back(m);
        }
        count
    }

    /// Puts what is on its way into a random order.
    pub fn reorder(&mut self, rng: &mut Rng) {
        if self.wire.len() > 1 {
            self.faults.count(Fault::Disorder);
        }
        rng.shuffle(self.wire.make_contiguous());
    }

    /// The node's disk completes no write from now on: what has to wait for the disk, waits.
    pub fn hold_disk(&mut self, id: PeerId) {
        self.command(format!("the disk of {id} is slow"));
        self.faults.count(Fault::SlowDisk);
        self.node_mut(id).disk_held = true;
    }

    /// The node's disk completes the oldest write that is under way, and no other.
    #[track_caller]
    pub fn write_oldest(&mut self, id: PeerId) {
        self.command(format!("the disk of {id} completes one write"));
        self.write_one(id);
    }

    /// The node's disk catches up.
    #[track_caller]
    pub fn release_disk(&mut self, id: PeerId) {
        self.command(format!("the disk of {id} catches up"));
        while !self.node_mut(id).writing.is_empty() {
            self.write_one(id);
        }
        self.node_mut(id).disk_held = false;
        self.settle(id);
    }

    /// The node loses power: only what is on its disk is left of it.
    #[track_caller]
    pub fn crash(&mut self, id: PeerId) {
        self.command(format!("crash {id}"));
        self.faults.count(Fault::Crash);
        self.peers.remove(&id);
        let node = self.node_mut(id);
        assert!(node.up, "node {id} is down already");
        (node.up, node.disk_held, node.applying_held) = (false, false, false);
        node.writing.clear();
        node.seen.role = raftkv::raft::Role::Follower;
    }

    /// The node starts again from its disk.
    #[track_caller]
    pub fn restart(&mut self, id: PeerId) {
        self.command(format!("restart {id}"));
        assert!(!self.node_mut(id).up, "node {id} is up already");
        self.start(id);
    }

    /// How often this fault has struck.
    pub fn struck(&self, fault: Fault) -> u64 {
        self.faults.struck.get(&fault).copied().unwrap_or(0)
    }
}
