//! The net itself: nodes, the wire between them, and the watch that is kept over both.

use std::collections::{BTreeMap, VecDeque};

use raftkv::ids::PeerId;
use raftkv::proto::eraftpb::{Message, MessageType};
use raftkv::raft::{Config, LogStorage, RaftError};

use super::driver::{Driver, Work};
use super::faults::{Fault, Faults};
use super::group::members;
use super::invariants::{self, Invariant, Verdict, World};
use super::letter::message_text;
use super::node::{Node, Seen};
use super::setup::{Setup, Tune};
use super::trace::{Event, Trace, change};
use crate::rng::Rng;

/// How often a node may ask for more work after one step. One or two rounds are normal.
const ROUNDS_TO_REST: usize = 50;

/// A group of nodes and the network between them. Nothing happens by itself: the script ticks, delivers,
/// loses.
///
/// - After each step a node's writes go to its disk and its messages to the wire, in the order that the
///   contract of `Outbox` and `Ready` asks for.
/// - After each step all [invariants](super::invariants) are checked.
pub struct Net<D: Driver> {
    pub(super) world: World,
    pub(super) peers: BTreeMap<PeerId, D>,
    /// Messages on their way, oldest first.
    pub(super) wire: VecDeque<Message>,
    /// What has reached the puppets.
    pub(super) mail: BTreeMap<PeerId, Vec<Message>>,
    pub(super) faults: Faults,
    /// Snapshots that got lost: sender and receiver.
    reports: Vec<(PeerId, PeerId)>,
    pub(super) trace: Trace,
    invariants: Vec<Box<dyn Invariant>>,
    tune: Vec<Tune>,
    seed: u64,
}

impl<D: Driver> Net<D> {
    #[track_caller]
    pub(super) fn new(setup: Setup) -> Net<D> {
        let nodes = setup.disks.into_iter().filter(|(id, _)| !setup.puppets.contains(id));
        let nodes: BTreeMap<_, _> = nodes.map(|(id, disk)| (id, Node::new(id, disk))).collect();
        let ids: Vec<PeerId> = nodes.keys().copied().collect();
        let puppet_acks = BTreeMap::new();
        let mut net = Net {
            world: World { voters: setup.voters, puppets: setup.puppets, nodes, puppet_acks },
            peers: BTreeMap::new(),
            wire: VecDeque::new(),
            mail: BTreeMap::new(),
            faults: Faults::default(),
            reports: Vec::new(),
            trace: Trace::default(),
            invariants: invariants::all(),
            tune: setup.tune,
            seed: setup.seed,
        };
        for id in ids {
            net.start(id);
        }
        net
    }

    /// Starts a node from its disk.
    #[track_caller]
    pub(super) fn start(&mut self, id: PeerId) {
        let mut config = Config::new(id);
        for tune in &self.tune {
            tune(&mut config);
        }
        let node = self.world.nodes.get_mut(&id).expect("only nodes are started");
        node.starts += 1;
        // Each start draws its own timeouts, whatever an implementation makes of the id.
        config.seed = Rng::new(self.seed ^ (id << 32) ^ node.starts).draw();
        config.applied = node.applied_to();
        node.group = members(&node.disk);
        let started = D::start(&config, node.disk.clone());
        (node.up, node.seen) = (true, Seen::default());
        let peer = started.unwrap_or_else(|e| panic!("node {id} does not start from its disk: {e}"));
        self.peers.insert(id, peer);
        self.look(id);
        self.ask_invariants(|invariant, world| invariant.on_start(world, id));
        self.settle(id);
        self.load_snapshot(id);
        self.settle(id);
    }

    /// The node, or a clear word why there is none.
    #[track_caller]
    pub(super) fn peer(&mut self, id: PeerId) -> &mut D {
        self.peers.get_mut(&id).unwrap_or_else(|| panic!("node {id} is down, or a puppet: it cannot do that"))
    }

    /// One step of one node, and everything that follows from it on that node.
    #[track_caller]
    pub(super) fn act(
        &mut self,
        id: PeerId,
        step: impl FnOnce(&mut D) -> Result<(), RaftError>,
    ) -> Result<(), RaftError> {
        let result = step(self.peer(id));
        self.settle(id);
        result
    }

    /// Does the node's work until there is no more.
    #[track_caller]
    pub(super) fn settle(&mut self, id: PeerId) {
        for (from, to) in std::mem::take(&mut self.reports) {
            match self.peers.get_mut(&from) {
                Some(peer) if from == id => peer.report_snapshot(to, false),
                _ => self.reports.push((from, to)),
            }
        }
        self.observe(id);
        for _ in 0..ROUNDS_TO_REST {
            let may_apply = !self.node_mut(id).applying_held;
            let Some(mut work) = self.peer(id).poll(may_apply) else { return self.check_saved(id) };
            // What leaves before the write may have been made by the poll: look again.
            self.observe(id);
            for m in std::mem::take(&mut work.now) {
                self.post(id, m);
            }
            let node = self.node_mut(id);
            node.writing.push_back(work);
            if node.disk_held {
                return;
            }
            self.write_one(id);
        }
        panic!(
            "node {id} does not come to rest: after {ROUNDS_TO_REST} rounds of writing, sending and applying \
             it still wants more. Is something handed out again that has been written or applied already?"
        );
    }

    /// Completes the oldest write that is under way, with all that waited for it.
    #[track_caller]
    pub(super) fn write_one(&mut self, id: PeerId) {
        let Some(mut work) = self.node_mut(id).writing.pop_front() else { return };
        self.write(id, &work);
        for m in std::mem::take(&mut work.after_persist) {
            self.post(id, m);
        }
        let snapshot = work.snapshot.as_ref().and_then(|snapshot| snapshot.metadata.clone());
        self.peer(id).written(work);
        if let Some(last) = snapshot {
            self.node_mut(id).loading = Some(last.index);
            self.restore_group(id, last.index);
        }
        self.observe(id);
        self.apply(id);
        self.load_snapshot(id);
    }

    /// The state machine becomes that of the snapshot, if there is one to load.
    #[track_caller]
    pub(super) fn load_snapshot(&mut self, id: PeerId) {
        let node = self.node_mut(id);
        if node.loading_held {
            return;
        }
        let Some(index) = node.loading.take() else { return };
        (node.applied_base, node.applied) = (index, Vec::new());
        self.peer(id).loaded(index);
        self.observe(id);
    }

    #[track_caller]
    fn write(&mut self, id: PeerId, work: &Work) {
        let node = self.world.nodes.get_mut(&id).expect("only nodes write");
        let peer = self.peers.get_mut(&id).expect("it is up");
        if let Some(snapshot) = &work.snapshot {
            node.disk.apply_snapshot(snapshot);
            peer.disk().apply_snapshot(snapshot);
            node.unsaved_from = 0;
        }
        if let Some(first) = work.entries.first() {
            let last = node.disk.last_index().expect("MemLogStorage does not fail");
            assert!(
                first.index <= last + 1,
                "node {id} wants entry {} written, and its disk ends at {last}: entries in between were never \
                 handed out, or have been cut off and replaced without being handed out again (RaftLog, \
                 unstable_entries)",
                first.index
            );
            node.disk.append(&work.entries);
            peer.disk().append(&work.entries);
        }
        if let Some(state) = &work.hard_state {
            node.disk.set_hard_state(*state);
            peer.disk().set_hard_state(*state);
        }
    }

    /// A node at rest has handed out all that must be on disk.
    #[track_caller]
    fn check_saved(&mut self, id: PeerId) {
        let node = self.node_mut(id);
        if !node.writing.is_empty() || node.applying_held {
            return;
        }
        let (seen, saved) = (&node.seen, node.hard_state());
        assert!(
            (seen.term, seen.vote) == (saved.term, saved.vote),
            "node {id} is in term {} with vote {}, and has nothing more to save, but its disk says term {}, \
             vote {}: what changes must be handed out to be saved (figure 2, persistent state)",
            seen.term,
            seen.vote,
            saved.term,
            saved.vote
        );
        let from = node.unsaved_from.max(seen.first);
        let disk_last = node.disk.last_index().expect("MemLogStorage does not fail");
        let unsaved = (from..).zip(seen.entries_from(from)).find(|(i, e)| !node.has_on_disk(*i, e.term));
        if let Some((index, entry)) = unsaved {
            panic!(
                "node {id} has nothing more to write, but entry {index}@{} of its log is not on its disk (which \
                 ends at {disk_last} and has {:?} there): every entry must be handed out to be saved, also one \
                 that replaces another (figure 2, persistent state)",
                entry.term,
                node.disk.term(index).ok(),
            );
        }
        node.unsaved_from = node.seen.last() + 1;
    }

    /// Puts a message on the wire, or into the mail of a puppet, or wherever the faults want it.
    #[track_caller]
    fn post(&mut self, id: PeerId, m: Message) {
        // A wish for a leader comes in the name of the one that is wanted.
        let signed = m.from == id || m.msg_type() == MessageType::MsgTransferLeader;
        assert!(signed, "node {id} sends a message that is signed by {}: {}", m.from, message_text(&m));
        self.ask_invariants(|invariant, world| invariant.on_send(world, &m));
        if let Some(why) = self.faults.lose(id, &m) {
            return self.lost(m, why);
        }
        if self.faults.hold(&m) {
            return self.trace.note(Event::Held(m));
        }
        self.carry(m);
    }

    /// Puts a message on the wire, past all faults.
    #[track_caller]
    pub(super) fn carry(&mut self, m: Message) {
        if self.world.puppets.contains(&m.to) {
            self.trace.note(Event::Delivered(m.clone()));
            self.mail.entry(m.to).or_default().push(m);
        } else {
            self.wire.push_back(m);
        }
    }

    /// Hands a message to its receiver.
    #[track_caller]
    pub(super) fn deliver(&mut self, m: Message) {
        // Who has passed on a wish does not stand on it; its link was looked at when it was sent.
        let is_wish = m.msg_type() == MessageType::MsgTransferLeader;
        if let Some(why) = self.faults.cut_off(m.from, &m).filter(|_| !is_wish) {
            return self.lost(m, why);
        }
        if !self.peers.contains_key(&m.to) {
            return self.lost(m, "the receiver is down");
        }
        self.trace.note(Event::Delivered(m.clone()));
        let (from, id, what) = (m.from, m.to, m.msg_type());
        if what == MessageType::MsgTimeoutNow {
            self.faults.count(Fault::Transfer);
        }
        let result = self.act(id, |peer| peer.step(m));
        if what == MessageType::MsgSnapshot {
            self.report_snapshot(from, id, true);
        }
        let Err(error) = result else { return };
        self.trace.note(Event::Refused(id, error.to_string()));
        assert!(
            what == MessageType::MsgPropose,
            "node {id} calls a message an error that a peer of the same code has sent: {error}"
        );
    }

    /// A message does not arrive. Who sent a snapshot learns of it: its owner has a stream that breaks.
    #[track_caller]
    pub(super) fn lost(&mut self, m: Message, why: &'static str) {
        let (from, to, what) = (m.from, m.to, m.msg_type());
        self.trace.note(Event::Lost(m, why));
        if what == MessageType::MsgSnapshot {
            // It may be in the middle of its work: it hears of it next time.
            self.reports.push((from, to));
        }
    }

    /// The owner of a node tells it what became of a snapshot.
    #[track_caller]
    pub fn report_snapshot(&mut self, id: PeerId, to: PeerId, arrived: bool) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.report_snapshot(to, arrived);
            self.settle(id);
        }
    }

    /// Takes a look at a node and asks the invariants.
    #[track_caller]
    pub(super) fn observe(&mut self, id: PeerId) {
        self.look(id);
        self.ask_invariants(|invariant, world| invariant.after_step(world, id));
    }

    fn look(&mut self, id: PeerId) {
        let raft = self.peers[&id].raft();
        let node = self.world.nodes.get_mut(&id).expect("every peer is a node");
        let old = Seen { log: Vec::new(), voters: Vec::new(), ..node.seen };
        let old_last = node.seen.last();
        let log = raft.log();
        let first = log.first_index();
        let entries = log.entries(first, log.last_index() + 1);
        let seen = &mut node.seen;
        if seen.first > 0 && seen.first < first && first <= seen.last() + 1 {
            // Compacted: what is left is as it was.
            seen.log.drain(..(first - seen.first) as usize);
            seen.first = first;
        } else if seen.first != first {
            (seen.first, seen.log) = (first, Vec::new());
        }
        let same = seen.log.iter().zip(entries).take_while(|(a, b)| a == b).count();
        seen.changed_from = if same == entries.len() && same == seen.log.len() {
            first + same as u64
        } else {
            seen.log.truncate(same);
            seen.log.extend_from_slice(&entries[same..]);
            first + same as u64
        };
        (seen.role, seen.term, seen.vote) = (raft.role(), raft.term(), raft.vote());
        (seen.leader, seen.commit, seen.applied) = (raft.leader_id(), raft.commit(), log.applied());
        let snapshot = log.pending_snapshot().and_then(|snapshot| snapshot.metadata.as_ref());
        (seen.voters, seen.restored) = (raft.voters().collect(), snapshot.map(|last| last.index));
        node.unsaved_from = node.unsaved_from.min(node.seen.changed_from);
        if let Some(what) = change(&old, old_last, node) {
            self.trace.note(Event::Changed(id, what));
        }
    }

    #[track_caller]
    pub(super) fn ask_invariants(&mut self, mut ask: impl FnMut(&mut dyn Invariant, &World) -> Verdict) {
        for invariant in &mut self.invariants {
            if let Err(happened) = ask(invariant.as_mut(), &self.world) {
                panic!("broken invariant\n  expected: {}\n  happened: {happened}", invariant.rule());
            }
        }
    }

    #[track_caller]
    pub(super) fn node_mut(&mut self, id: PeerId) -> &mut Node {
        self.world.nodes.get_mut(&id).unwrap_or_else(|| panic!("the net has no node {id}"))
    }
}

impl<D: Driver> Drop for Net<D> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("\n{}", self.report());
        }
    }
}
