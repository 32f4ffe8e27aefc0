//! Our Raft behind the harness.

use bytes::Bytes;
use raftkv::proto::eraftpb::Message;
use raftkv::raft::{Config, MemLogStorage, RawNode, Role};

use crate::group::{Applied, Peer, limits};

/// One member.
pub struct Ours {
    node: RawNode<MemLogStorage>,
    applied: Applied,
}

impl Peer for Ours {
    type Message = Message;

    fn new(id: u64, voters: &[u64]) -> Self {
        let config = Config {
            election_tick: limits::ELECTION_TICK,
            heartbeat_tick: limits::HEARTBEAT_TICK,
            max_bytes_per_msg: limits::BYTES_PER_MESSAGE,
            max_inflight_msgs: limits::INFLIGHT_MESSAGES,
            ..Config::new(id)
        };
        let storage = MemLogStorage::new_with_voters(voters);
        let node = RawNode::new(&config, storage).expect("the configuration is valid");
        Ours { node, applied: Applied::default() }
    }

    fn campaign(&mut self) {
        self.node.campaign();
    }

    fn is_leader(&self) -> bool {
        self.node.raft().role() == Role::Leader
    }

    fn propose(&mut self, payload: Vec<u8>) {
        self.node.propose(Bytes::from(payload)).expect("the leader takes proposals");
    }

    fn step(&mut self, message: Message) {
        self.node.step(message).expect("a peer's message is well formed");
    }

    fn process(&mut self, send: &mut impl FnMut(u64, Message)) {
        while self.node.has_ready() {
            let mut ready = self.node.ready();
            for message in std::mem::take(&mut ready.messages) {
                send(message.to, message);
            }
            let store = self.node.storage_mut();
            store.append(&ready.entries);
            if let Some(hard_state) = ready.hard_state {
                store.set_hard_state(hard_state);
            }
            for message in std::mem::take(&mut ready.persisted_messages) {
                send(message.to, message);
            }
            for entry in &ready.committed_entries {
                self.applied.count(&entry.data);
            }
            self.node.advance(ready);
        }
    }

    fn applied(&self) -> Applied {
        self.applied
    }
}
