//! Raft messages in their envelopes.
//!
//! Raft speaks of peers; the envelope adds what a store needs: which region, which store, and the sender's edition of the
//! region.

use super::{Effect, Peer, Store, StoreError};
use crate::proto::eraftpb::Message;
use crate::proto::raft_serverpb::RaftMessage;

impl Store {
    /// Takes a message to the peer it is for. What is for nobody here is dropped: the network may deliver late, and to
    /// the wrong door.
    pub(super) fn on_raft_message(&mut self, envelope: RaftMessage) -> Result<(), StoreError> {
        let RaftMessage { region_id, to_peer, message, .. } = envelope;
        let (Some(to), Some(message)) = (to_peer, message) else {
            tracing::debug!(region_id, "a message without a receiver, or without content");
            return Ok(());
        };
        if to.store_id != self.id() {
            tracing::debug!(region_id, to = to.store_id, "a message for another store");
            return Ok(());
        }
        match self.peers.get_mut(&region_id) {
            Some(peer) if peer.id() == to.id => peer.step(message),
            _ => {
                tracing::debug!(region_id, to = to.id, "a message for a peer that is not here");
                Ok(())
            }
        }
    }
}

impl Peer {
    /// Hands a message to Raft. What no correct peer sends is ignored; only what breaks Raft's promises stops the store.
    fn step(&mut self, message: Message) -> Result<(), StoreError> {
        match self.node.step(message) {
            Err(error) if error.is_fatal() => Err(StoreError::Raft { region: self.region_id(), error }),
            Err(error) => {
                tracing::debug!(region = self.region_id(), %error, "ignored");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Sends messages of Raft, each in its envelope. One to a peer that the region does not have goes nowhere.
    pub(super) fn send(&self, messages: Vec<Message>, out: &mut dyn FnMut(Effect)) {
        for message in messages {
            let Some(to) = self.region().peers.iter().find(|p| p.id == message.to) else { continue };
            out(Effect::Send(RaftMessage {
                region_id: self.region_id(),
                from_peer: Some(self.meta),
                to_peer: Some(*to),
                region_epoch: self.region().region_epoch,
                message: Some(message),
                ..Default::default()
            }));
        }
    }
}
