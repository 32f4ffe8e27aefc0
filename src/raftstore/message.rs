//! Raft messages in their envelopes.
//!
//! Raft speaks of peers; the envelope adds what a store needs: which region, which store, and the sender's edition of the
//! region.

use prost::Message as _;

use super::{Effect, Peer, SnapFileSet, SnapKey, Store, StoreError, Task};
use crate::ids::{PeerId, RegionId};
use crate::proto::eraftpb::{Message, MessageType, Snapshot};
use crate::proto::metapb;
use crate::proto::raft_serverpb::{RaftMessage, RaftSnapshotData};

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
        if message.msg_type() == MessageType::MsgSnapshot {
            tracing::warn!(region_id, from = message.from, "a snapshot without its files");
            return Ok(());
        }
        self.step(region_id, to.id, message)
    }

    /// Takes a snapshot, whose files are here, to the peer that it is for. If that has no use for it, the files are removed.
    ///
    /// While a peer is taking over one snapshot, any other counts as lost. The leader finds out, and sends another.
    pub(super) fn on_snapshot(&mut self, envelope: RaftMessage, copy: u64) -> Result<(), StoreError> {
        let RaftMessage { region_id, to_peer, message, .. } = envelope;
        let (to, message) = (to_peer.unwrap_or_default(), message.unwrap_or_default());
        let snapshot = message.snapshot.as_ref();
        let Some(key) = snapshot.and_then(|snapshot| SnapKey::of(region_id, snapshot)) else {
            return Ok(());
        };
        let in_use = |store: &Store| store.peers.get(&region_id).and_then(Peer::snapshot_in_use);
        let is_free = in_use(self).is_none();
        let is_sound = snapshot.is_some_and(|snapshot| is_for_peer(snapshot, region_id, to));
        if is_free && to.store_id == self.id() && is_sound {
            self.step(region_id, to.id, message)?;
        }
        let is_taken = is_free && in_use(self) == Some(key);
        if !is_taken {
            self.remove_files(key, SnapFileSet::Copy(copy));
        }
        Ok(())
    }

    fn step(&mut self, region: RegionId, to: PeerId, message: Message) -> Result<(), StoreError> {
        match self.peers.get_mut(&region) {
            Some(peer) if peer.id() == to => peer.step(message),
            _ => {
                tracing::debug!(region, to, "a message for a peer that is not here");
                Ok(())
            }
        }
    }
}

/// Does the snapshot say that it is of this region, with this peer in it, and with the members that Raft will take over? Once it is
/// saved, there is no way back.
fn is_for_peer(snapshot: &Snapshot, region: RegionId, to: metapb::Peer) -> bool {
    let described = RaftSnapshotData::decode(snapshot.data.clone()).ok().and_then(|data| data.region);
    let Some(described) = described.filter(|described| described.id == region) else { return false };
    let conf_state = snapshot.metadata.as_ref().and_then(|last| last.conf_state.as_ref());
    let voters = conf_state.map(|conf_state| &conf_state.voters[..]).unwrap_or_default();
    described.peers.iter().map(|peer| peer.id).eq(voters.iter().copied())
        && described.peer_on(to.store_id).is_some_and(|peer| peer.id == to.id)
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

    /// Sends messages of Raft, each in its envelope. One to a peer that the region does not have goes nowhere. A snapshot goes another
    /// way than all others: it would hold them up.
    pub(super) fn send(&self, messages: Vec<Message>, out: &mut dyn FnMut(Effect)) {
        for message in messages {
            let Some(to) = self.region().peers.iter().find(|p| p.id == message.to) else { continue };
            let is_snapshot = message.msg_type() == MessageType::MsgSnapshot;
            let envelope = RaftMessage {
                region_id: self.region_id(),
                from_peer: Some(self.meta),
                to_peer: Some(*to),
                region_epoch: self.region().region_epoch,
                message: Some(message),
                ..Default::default()
            };
            out(if is_snapshot {
                Effect::Schedule(Task::Send(Box::new(envelope)))
            } else {
                Effect::Send(envelope)
            });
        }
    }
}
