//! Peers come and go: the one door through which they are created, the one through which they leave.
//!
//! | a message for | while here is | then |
//! |---|---|---|
//! | anybody | a peer whose region does not name the sender, and is not older than the sender's | the sender was removed: it is told to go, and the message is dropped |
//! | peer 12 | peer 12 | it is Raft's business |
//! | peer 12 | peer 15 | it is late: peer 12 was removed before 15 came |
//! | peer 12 | peer 9, and its edition of the region is not later than the sender's | peer 9 was removed, and nobody has told it: it is destroyed, and peer 12 created |
//! | peer 12 | nobody, but peer 15 was when the store stopped, and knew no region yet ([`keys::unnamed_peer`]) | it is late, as above |
//! | peer 12 | nobody, and there never was | peer 12 is created, if the message comes from a leader or a candidate and no other region's keys are in the way |
//! | peer 12 | nobody, and a tombstone of an edition not later than the sender's | as above |
//! | peer 12 | nobody, and a tombstone of a later edition than the sender's | the sender is late, and perhaps it was removed itself: if the tombstone knows that, it is told to go; otherwise those are asked whom the tombstone knows |
//!
//! **Who is removed, does not go at once.** It has applied its removal, but the others may not have, and may need its
//! vote once more: in a group of two, always. It goes when it is told to, by somebody who has applied the removal,
//! synced; and it asks, from time to time.
//!
//! **Ids only grow**, and none is given twice: the scheduler sees to that. So of two peers of a region on one store,
//! the one with the higher id is the later one, and whoever comes back comes under a new id: what is still under way
//! for the old one does not hit it.
//!
//! **What is left** of a peer is its tombstone: the edition of the region at which it was gone. Without it, a message
//! that comes late would bring the peer back, without the votes that it has given. And it says who may know more: a
//! peer that was away while the region moved to other stores knows none of those, but the tombstones lead it there,
//! each to a later edition.

use prost::Message as _;

use super::bootstrap::read;
use super::peer::unnamed;
use super::{Effect, Peer, PeerStorage, SnapFileSet, Store, StoreError};
use crate::engine::{Cf, KeyRange, WriteBatch, keys};
use crate::ids::RegionId;
use crate::proto::eraftpb::{ConfChangeType, Message, MessageType};
use crate::proto::metapb::{self, Region, RegionEpoch};
use crate::proto::raft_serverpb::{PeerState, RaftMessage, RegionLocalState};

/// Candidates of so many regions are kept waiting for a split: a split makes few.
const EARLY_MAX: usize = 64;

/// What has been applied, and written, and concerns more than the peer.
#[derive(Clone, Debug, PartialEq)]
pub enum RegionChange {
    /// One peer came or went; perhaps this one.
    Members {
        /// Added or removed.
        kind: ConfChangeType,
        /// Which one.
        peer: metapb::Peer,
    },
    /// The region has become several.
    Split {
        /// All of them, from left to right.
        parts: Vec<Region>,
        /// Those that are new, and of which there is to be a peer here.
        created: Vec<Region>,
    },
}

/// Why a message does not get to a peer.
#[derive(Debug)]
pub(super) enum Turned {
    /// There is no use for it.
    Away(&'static str),
    /// The store must stop.
    Failed(StoreError),
}

impl From<StoreError> for Turned {
    fn from(error: StoreError) -> Turned {
        Turned::Failed(error)
    }
}

fn conf_ver(epoch: Option<RegionEpoch>) -> u64 {
    epoch.unwrap_or_default().conf_ver
}

fn names(region: &Region, peer: &metapb::Peer) -> bool {
    region.peers.iter().any(|member| member.id == peer.id)
}

/// Somebody says that a peer is to go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dismissal {
    /// As of this edition of the region.
    epoch: RegionEpoch,
    /// Who says so, and knows that edition. Not the one in whose name a store was asked ([`Store::refer`]).
    by: Option<metapb::Peer>,
}

impl Dismissal {
    fn of(envelope: &RaftMessage) -> Dismissal {
        let knows = envelope.is_tombstone || envelope.message.is_some();
        let by = envelope.from_peer.filter(|_| knows);
        Dismissal { epoch: envelope.region_epoch.unwrap_or_default(), by }
    }
}

/// Messages at the door.
impl Store {
    /// Looks at who writes to whom, before Raft looks at what is written: the table above.
    ///
    /// After `Ok`: the peer that the message is for is here. A sender that was removed as far as this store knows (its
    /// edition of the region is not a later one, and the region does not name it) has been told to go.
    ///
    /// # Errors
    /// `Away`: the message is dropped. `Failed`: the disk failed.
    pub(super) fn check_envelope(&mut self, envelope: &RaftMessage) -> Result<(), Turned> {
        // LAB 3b BEGIN idle: which row of the table is it? `tell_to_go`, `destroy_peer`, `maybe_create_peer`, `tombstone`, `refer`
        let id = envelope.region_id;
        let (from, to) = (envelope.from_peer.unwrap_or_default(), envelope.to_peer.unwrap_or_default());
        let sender = conf_ver(envelope.region_epoch);
        if let Some(peer) = self.peers.get(&id).filter(|peer| peer.id() >= to.id) {
            let region = peer.region();
            if peer.is_initialized() && !names(region, &from) && sender <= conf_ver(region.region_epoch) {
                let region = region.clone();
                self.tell_to_go(from, &region);
                return Err(Turned::Away("the sender was removed from the region"));
            }
            if peer.id() > to.id {
                return Err(Turned::Away("it is for an earlier peer of the region"));
            }
            return Ok(());
        }
        if let Some(earlier) = self.peers.get(&id) {
            if sender < conf_ver(earlier.region().region_epoch) {
                return Err(Turned::Away("it is for a peer that the region here does not name any more"));
            }
            self.destroy_peer(id, Dismissal::of(envelope))?;
            if self.peers.contains_key(&id) {
                return Err(Turned::Away("an earlier peer has to go first"));
            }
        }
        if let Some(gone) = self.tombstone(id)?
            && sender < conf_ver(gone.region_epoch)
        {
            self.refer(from, &gone);
            return Err(Turned::Away("the peer is gone"));
        }
        self.maybe_create_peer(envelope)?;
        // LAB 3b END
        Ok(())
    }

    /// Creates the peer that a message is for, and that is not here. It knows nothing, has index and term 0, and
    /// belongs to no group until it gets a snapshot; only a vote that it may have given before is on the disk.
    ///
    /// - Only a leader that knows nothing of this peer (a heartbeat with commit index 0) or a candidate creates it:
    ///   anything else speaks to a peer that has been there.
    /// - Not if a later peer of the region has been here, which the store knows by name: it has votes to keep.
    /// - Not while another region here holds keys of this one: that has still to be split, and then this peer is there
    ///   with its data. A candidate's message is kept until then, the latest one of each region: the new region need
    ///   not wait for another election.
    ///
    /// # Errors
    /// `Away` where it is not created.
    fn maybe_create_peer(&mut self, envelope: &RaftMessage) -> Result<(), Turned> {
        // LAB 3b BEGIN: what kind of message? whose keys? Peer::create; `early`
        let message = envelope.message.as_ref();
        let is_vote = message.is_some_and(|m| m.msg_type() == MessageType::MsgRequestVote);
        if !message.is_some_and(is_first) {
            return Err(Turned::Away("it is for a peer that is not here"));
        }
        let range = KeyRange::new(envelope.start_key.clone(), envelope.end_key.clone());
        if range.is_empty() {
            return Err(Turned::Away("a region has keys"));
        }
        if self.meta.overlapping(&range).any(|other| other != envelope.region_id) {
            if is_vote {
                self.keep_early(envelope);
            }
            return Err(Turned::Away("its keys belong to a region here that is still to be split"));
        }
        let to = envelope.to_peer.unwrap_or_default();
        if unnamed(&self.engines, envelope.region_id)?.is_some_and(|known| known.id > to.id) {
            return Err(Turned::Away("it is for an earlier peer of the region"));
        }
        let peer = Peer::create(&self.config, &self.engines, envelope.region_id, to)?;
        tracing::info!(region = envelope.region_id, peer = to.id, "created by a message");
        self.peers.insert(envelope.region_id, peer);
        self.early.remove(&envelope.region_id);
        Ok(())
        // LAB 3b END
    }

    /// Keeps a candidate's message for later, if there is room: it asks again.
    fn keep_early(&mut self, envelope: &RaftMessage) {
        if self.early.len() < EARLY_MAX || self.early.contains_key(&envelope.region_id) {
            self.early.insert(envelope.region_id, envelope.clone());
        }
    }

    /// Somebody who has applied the removal of a peer here says so.
    ///
    /// After: it is gone, or will be; unless the word is older than what it knows itself, or was for another peer. A
    /// word for a peer that is not here leaves nothing behind.
    pub(super) fn on_told_to_go(&mut self, envelope: &RaftMessage) -> Result<(), StoreError> {
        // LAB 3b BEGIN idle: is it meant, and is it news?
        let to = envelope.to_peer.unwrap_or_default();
        if let Some(peer) = self.peers.get(&envelope.region_id)
            && peer.id() == to.id
            && conf_ver(peer.region().region_epoch) <= conf_ver(envelope.region_epoch)
        {
            self.destroy_peer(envelope.region_id, Dismissal::of(envelope))?;
        }
        // LAB 3b END
        Ok(())
    }

    /// Somebody who knows an earlier edition of a region than the tombstone here has written.
    ///
    /// After: it is told to go, if it was removed, and that is known here: the members of the tombstone's edition are,
    /// if none of them is on this store. Otherwise those whom the tombstone names are asked in its place, in envelopes
    /// with nothing in them. They are of the tombstone's edition, so that from one tombstone to the next the edition is
    /// a later one, and nothing goes round in circles.
    fn refer(&mut self, from: metapb::Peer, gone: &Region) {
        // LAB 3b BEGIN idle: who is known? `tell_to_go`; Effect::Send
        let is_complete = !gone.peers.is_empty() && gone.peer_on(self.id()).is_none();
        if is_complete && !names(gone, &from) {
            self.tell_to_go(from, gone);
            return;
        }
        let own = self.id();
        let others = gone.peers.iter().filter(|peer| peer.store_id != own && peer.id != from.id);
        self.outbox.extend(others.map(|to| {
            Effect::Send(RaftMessage {
                region_id: gone.id,
                from_peer: Some(from),
                to_peer: Some(*to),
                region_epoch: gone.region_epoch,
                ..Default::default()
            })
        }));
        // LAB 3b END
    }

    /// The edition of the region at which its last peer here was gone ([`Peer::remains`]).
    fn tombstone(&self, id: RegionId) -> Result<Option<Region>, StoreError> {
        let what = "region state";
        let state: Option<RegionLocalState> =
            read(&*self.engines.kv.snapshot(), Cf::Raft, &keys::region_state(id), what)?;
        Ok(state.filter(|state| state.state() == PeerState::Tombstone).and_then(|state| state.region))
    }

    /// Tells a peer on another store that the region, as it is here, does not name it any more. Where this store has no
    /// peer of it any more either, a member's name is given: whoever goes, remembers who knows.
    pub(super) fn tell_to_go(&mut self, peer: metapb::Peer, region: &Region) {
        let from_peer = region.peer_on(self.id()).or(region.peers.first()).copied();
        self.outbox.push_back(Effect::Send(RaftMessage {
            region_id: region.id,
            from_peer,
            to_peer: Some(peer),
            region_epoch: region.region_epoch,
            is_tombstone: true,
            ..Default::default()
        }));
    }
}

/// True for what the leader sends to a peer that it knows nothing of, and for what a candidate sends.
pub(super) fn is_first(message: &Message) -> bool {
    match message.msg_type() {
        MessageType::MsgRequestVote => true,
        MessageType::MsgHeartbeat => message.commit == 0,
        _ => false,
    }
}

/// Peers leave.
impl Store {
    /// Destroys the peer of a region, which was removed as of the edition in the dismissal, or of the one that it
    /// knows, if that is later.
    ///
    /// After: everyone who waited has an answer (nobody knows what comes of a command that is in the log: the others
    /// may carry it out); the files of its snapshots are removed; data, log and states are gone from the disks, and a
    /// tombstone is there; the other regions' data is untouched. A peer that knows no region has no data.
    ///
    /// While a worker loads a snapshot for it, it stays ([`Peer::doomed`]), and goes when that is done: the worker
    /// would write into what may be another region's by then.
    pub(super) fn destroy_peer(&mut self, id: RegionId, dismissal: Dismissal) -> Result<(), StoreError> {
        // LAB 3b BEGIN: loading? answers, files, meta, disks (`remains`, `PeerStorage::destroy`)
        let Some(peer) = self.peers.get_mut(&id) else { return Ok(()) };
        if peer.node.storage().loading().is_some() {
            peer.doomed = Some(dismissal);
            return Ok(());
        }
        let mut peer = self.peers.remove(&id).expect("it was there a moment ago");
        self.outbox.extend(peer.answer_unknown("the peer was removed from the region"));
        for key in peer.node.storage().made.clone() {
            self.remove_files(key, SnapFileSet::Made);
        }
        if let Some(key) = peer.snapshot_in_use() {
            self.remove_files(key, SnapFileSet::Received);
        }
        self.meta.remove(id);
        tracing::info!(region = id, peer = peer.id(), "destroyed");
        peer.node.storage().destroy(peer.remains(dismissal))
        // LAB 3b END
    }

    /// A worker has loaded a snapshot for the peer of a region: if it was to be destroyed meanwhile, it is now.
    pub(super) fn finish_destroy(&mut self, id: RegionId) -> Result<(), StoreError> {
        // LAB 3b BEGIN idle: Peer::doomed
        if let Some(dismissal) = self.peers.get(&id).and_then(|peer| peer.doomed) {
            self.destroy_peer(id, dismissal)?;
        }
        // LAB 3b END
        Ok(())
    }

    /// One tick for peers that nobody may need: one that was removed, and one that has not learned its region yet.
    /// Every election timeout it asks those it knows whether it is still wanted, with an envelope that has no message
    /// in it.
    pub(super) fn tick_lifecycle(&mut self) {
        // LAB 3b BEGIN idle: members of the region, or those who have written; `ticks_to_ask`
        for peer in self.peers.values_mut().filter(|peer| !peer.is_initialized() || peer.is_removed()) {
            peer.ticks_to_ask = peer.ticks_to_ask.saturating_sub(1);
            if peer.ticks_to_ask > 0 {
                continue;
            }
            peer.ticks_to_ask = self.config.election_ticks;
            let known = peer.region().peers.iter().chain(peer.senders.values());
            let ask = |to: &metapb::Peer| Effect::Send(peer.envelope(*to, None));
            self.outbox.extend(known.map(ask));
        }
        // LAB 3b END
    }
}

impl Peer {
    /// What its tombstone says: the edition of the region at which it was gone, and those who may know more.
    ///
    /// If the peer knows that edition, these are its members. If not, these are the members that it knows, itself among
    /// them, and the one that has sent it away.
    fn remains(&self, dismissal: Dismissal) -> Region {
        // LAB 3b BEGIN: which of the two editions is later?
        let mut gone = self.region().clone();
        if conf_ver(gone.region_epoch) < dismissal.epoch.conf_ver {
            gone.region_epoch = Some(dismissal.epoch);
            let more: Vec<metapb::Peer> = dismissal.by.into_iter().chain([self.meta]).collect();
            gone.peers.retain(|peer| more.iter().all(|other| other.id != peer.id));
            gone.peers.extend(more);
        }
        gone
        // LAB 3b END
    }
}

impl PeerStorage {
    /// Nothing is left of the peer but its tombstone.
    ///
    /// First the kv engine, in one synced batch: a store that stops before the rest is done finds the tombstone, and
    /// does it when it starts ([`remove_log`]).
    pub(super) fn destroy(&self, gone: Region) -> Result<(), StoreError> {
        // LAB 3b BEGIN: Cf::DATA; `bury`; then the raft engine
        let id = self.region.id;
        let mut kv = WriteBatch::new();
        if self.is_initialized() {
            Cf::DATA.into_iter().for_each(|cf| kv.delete_range(cf, self.region.range()));
        }
        bury(gone, &mut kv);
        self.engines.kv.write(kv, true)?;
        self.engines.raft.write(remove_log(id), false)?;
        Ok(())
        // LAB 3b END
    }
}

/// Records that the last peer of a region here is gone, as of this edition of it.
pub(super) fn bury(region: Region, kv: &mut WriteBatch) {
    let id = region.id;
    let state = RegionLocalState { state: PeerState::Tombstone.into(), region: Some(region) };
    kv.put(Cf::Raft, keys::region_state(id), state.encode_to_vec());
    kv.delete(Cf::Raft, keys::apply_state(id));
    kv.delete(Cf::Raft, keys::unnamed_peer(id));
}

/// Takes log and Raft state of a region off the raft engine.
pub(super) fn remove_log(id: RegionId) -> WriteBatch {
    let mut raft = WriteBatch::new();
    raft.delete_range(Cf::Default, keys::raft_log_range(id, 0, u64::MAX));
    raft.delete(Cf::Default, keys::raft_state(id));
    raft
}
