//! The `raft` crate behind the harness, driven as its own documentation says, with and without its
//! `batch_append`.

use raft::eraftpb::{ConfState, Entry, Message};
use raft::storage::MemStorage;
use raft::{Config, RawNode, StateRole};

use crate::group::{Applied, Peer, limits};

/// As its configuration comes: each proposal leaves in an append of its own.
pub type Plain = RaftPeer<false>;
/// With `batch_append`: proposals of one round join the append that is already waiting.
pub type Batching = RaftPeer<true>;

/// One member.
pub struct RaftPeer<const BATCH: bool> {
    node: RawNode<MemStorage>,
    applied: Applied,
}

impl<const BATCH: bool> RaftPeer<BATCH> {
    fn apply(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            self.applied.count(&entry.data);
        }
    }
}

impl<const BATCH: bool> Peer for RaftPeer<BATCH> {
    type Message = Message;

    fn new(id: u64, voters: &[u64]) -> Self {
        let config = Config {
            id,
            election_tick: limits::ELECTION_TICK as usize,
            heartbeat_tick: limits::HEARTBEAT_TICK as usize,
            max_size_per_msg: limits::BYTES_PER_MESSAGE as u64,
            max_inflight_msgs: limits::INFLIGHT_MESSAGES,
            batch_append: BATCH,
            ..Config::default()
        };
        let storage = MemStorage::new_with_conf_state(ConfState::from((voters.to_vec(), vec![])));
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let node = RawNode::new(&config, storage, &logger).expect("the configuration is valid");
        RaftPeer { node, applied: Applied::default() }
    }

    fn campaign(&mut self) {
        self.node.campaign().expect("a voter may campaign");
    }

    fn is_leader(&self) -> bool {
        self.node.raft.state == StateRole::Leader
    }

    fn propose(&mut self, payload: Vec<u8>) {
        self.node.propose(Vec::new(), payload).expect("the leader takes proposals");
    }

    fn step(&mut self, message: Message) {
        self.node.step(message).expect("a peer's message is well formed");
    }

    fn process(&mut self, send: &mut impl FnMut(u64, Message)) {
        while self.node.has_ready() {
            let mut ready = self.node.ready();
            for message in ready.take_messages() {
                send(message.to, message);
            }
            self.apply(ready.take_committed_entries());
            let store = self.node.raft.raft_log.store.clone();
            store.wl().append(ready.entries()).expect("entries follow the log");
            if let Some(hard_state) = ready.hs() {
                store.wl().set_hardstate(hard_state.clone());
            }
            for message in ready.take_persisted_messages() {
                send(message.to, message);
            }

            let mut light = self.node.advance(ready);
            if let Some(commit) = light.commit_index() {
                store.wl().mut_hard_state().set_commit(commit);
            }
            for message in light.take_messages() {
                send(message.to, message);
            }
            self.apply(light.take_committed_entries());
            self.node.advance_apply();
        }
    }

    fn applied(&self) -> Applied {
        self.applied
    }
}
