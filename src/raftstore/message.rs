//! Raft messages in their envelopes.
//!
//! Raft speaks of peers; the envelope adds what a store needs: which region, which store, and the sender's edition of
//! the region.

use super::lifecycle::{Turned, is_first};
use super::region::region_of;
use super::{Effect, Peer, SnapFileSet, SnapKey, Store, StoreError, Task};
use crate::ids::{PeerId, RegionId};
use crate::proto::eraftpb::{Message, MessageType, Snapshot};
use crate::proto::metapb::{self, Region};
use crate::proto::raft_serverpb::RaftMessage;

impl Store {
    /// Takes a message to the peer it is for. What is for nobody here is dropped: the network may deliver late, and to
    /// the wrong door.
    pub(super) fn on_raft_message(&mut self, envelope: RaftMessage) -> Result<(), StoreError> {
        let region_id = envelope.region_id;
        let to = envelope.to_peer.unwrap_or_default();
        if to.store_id != self.id() {
            tracing::debug!(region_id, to = to.store_id, "a message for another store");
            return Ok(());
        }
        let from = envelope.from_peer.unwrap_or_default();
        if [region_id, to.id, from.id, from.store_id].contains(&0) {
            tracing::debug!(region_id, to = to.id, from = from.id, "a message from or for nobody");
            return Ok(());
        }
        if envelope.is_tombstone {
            return self.on_told_to_go(&envelope);
        }
        match self.check_envelope(&envelope) {
            Ok(()) => {}
            Err(Turned::Failed(error)) => return Err(error),
            Err(Turned::Away(why)) => {
                tracing::debug!(region_id, to = to.id, why, "a message is dropped");
                return Ok(());
            }
        }
        let Some(message) = envelope.message else { return Ok(()) };
        self.remember(region_id, envelope.from_peer);
        if message.msg_type() == MessageType::MsgSnapshot {
            tracing::warn!(region_id, from = message.from, "a snapshot without its files");
            return Ok(());
        }
        self.step(region_id, to.id, message)
    }

    /// Takes a snapshot, whose files are here, to the peer that it is for. If that has no use for it, the files are
    /// removed.
    ///
    /// While a peer is taking over one snapshot, any other counts as lost. The leader finds out, and sends another.
    pub(super) fn on_snapshot(&mut self, envelope: RaftMessage, copy: u64) -> Result<(), StoreError> {
        let RaftMessage { region_id, from_peer, to_peer, message, .. } = envelope;
        let (to, message) = (to_peer.unwrap_or_default(), message.unwrap_or_default());
        let snapshot = message.snapshot.as_ref();
        let Some(key) = snapshot.and_then(|snapshot| SnapKey::of(region_id, snapshot)) else {
            return Ok(());
        };
        let in_use = |store: &Store| store.peers.get(&region_id).and_then(Peer::snapshot_in_use);
        let is_free = in_use(self).is_none();
        let described = snapshot.and_then(|snapshot| described_for(snapshot, region_id, to));
        let is_sound = described.is_some_and(|region| match self.check_snapshot(&region) {
            Ok(()) => true,
            Err(other) => {
                tracing::info!(%key, other, "a snapshot is dropped: another region here holds some of its keys");
                false
            }
        });
        if is_free && to.store_id == self.id() && is_sound {
            self.remember(region_id, from_peer);
            self.step(region_id, to.id, message)?;
        }
        let is_taken = is_free && in_use(self) == Some(key);
        if !is_taken {
            self.remove_files(key, SnapFileSet::Copy(copy));
        }
        Ok(())
    }

    /// A peer learns where those are that write to it and that its region does not name: it may not know its region
    /// yet, or an old edition of it.
    fn remember(&mut self, region: RegionId, sender: Option<metapb::Peer>) {
        let Some((peer, sender)) = self.peers.get_mut(&region).zip(sender) else { return };
        peer.silent.remove(&sender.id);
        if peer.region().peers.contains(&sender) {
            peer.senders.remove(&sender.id);
        } else {
            peer.senders.insert(sender.id, sender);
        }
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

/// The region of the snapshot, if that is this one, with this peer in it, and with the members that Raft will take
/// over. Once it is saved, there is no way back.
fn described_for(snapshot: &Snapshot, region: RegionId, to: metapb::Peer) -> Option<Region> {
    let described = region_of(snapshot).filter(|described| described.id == region)?;
    let conf_state = snapshot.metadata.as_ref().and_then(|last| last.conf_state.as_ref());
    let voters = conf_state.map(|conf_state| &conf_state.voters[..]).unwrap_or_default();
    let is_sound = described.peers.iter().map(|peer| peer.id).eq(voters.iter().copied())
        && described.peer_on(to.store_id).is_some_and(|peer| peer.id == to.id);
    is_sound.then_some(described)
}

impl Peer {
    /// Hands a message to Raft. What no correct peer sends is ignored; only what breaks Raft's promises stops the
    /// store.
    fn step(&mut self, message: Message) -> Result<(), StoreError> {
        let _entered = self.span.enter();
        match self.node.step(message) {
            Err(error) if error.is_fatal() => Err(StoreError::Raft { region: self.region_id(), error }),
            Err(error) => {
                tracing::debug!(%error, "ignored");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// An envelope for a peer. A message that may create its receiver says which keys the region has.
    pub(super) fn envelope(&self, to: metapb::Peer, message: Option<Message>) -> RaftMessage {
        let region = self.region();
        let creates = message.as_ref().is_some_and(is_first);
        let keys = creates.then(|| (region.start_key.clone(), region.end_key.clone()));
        let (start_key, end_key) = keys.unwrap_or_default();
        RaftMessage {
            region_id: region.id,
            from_peer: Some(self.meta),
            to_peer: Some(to),
            region_epoch: region.region_epoch,
            message,
            start_key,
            end_key,
            ..Default::default()
        }
    }

    /// Sends messages of Raft, each in its envelope. One to a peer of which nobody has heard goes nowhere. A snapshot
    /// goes another way than all others: it would hold them up.
    pub(super) fn send(&self, messages: Vec<Message>, out: &mut dyn FnMut(Effect)) {
        for message in messages {
            let Some(to) = self.find(message.to) else { continue };
            let is_snapshot = message.msg_type() == MessageType::MsgSnapshot;
            let envelope = self.envelope(to, Some(message));
            out(if is_snapshot {
                Effect::Schedule(Task::Send(Box::new(envelope)))
            } else {
                Effect::Send(envelope)
            });
        }
    }
}
