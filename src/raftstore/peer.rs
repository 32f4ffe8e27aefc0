//! One replica of one region.

use std::collections::BTreeMap;

use prost::Message as _;

use super::bootstrap::read;
use super::lifecycle::{Dismissal, RegionChange, remove_log};
use super::proposals::Proposals;
use super::{Config, Effect, Engines, PeerStorage, SnapKey, StoreError};
use crate::engine::{Cf, WriteBatch, keys};
use crate::error::Error;
use crate::ids::{Index, PeerId, RegionId, StoreId, Term};
use crate::proto::metapb::{self, Region};
use crate::proto::raft_serverpb::RaftApplyState;
use crate::raft::{RawNode, Role};

/// One replica of one region: its Raft node, and the commands that wait for it.
///
/// - Its region, which is as of the last applied entry, has it among its peers; unless it knows no region yet, or was
///   removed.
/// - Entries up to `apply_state().applied_index` are in the data, each once; except while a snapshot is being loaded,
///   when the data is of no moment.
/// - Each waiting proposal is answered once.
pub struct Peer {
    pub(super) meta: metapb::Peer,
    pub(super) node: RawNode<PeerStorage>,
    pub(super) proposals: Proposals,
    /// Term and index of the last CompactLog that it has proposed.
    pub(super) compact_proposed: (Term, Index),
    /// Those who have written to it and whom its region does not name: not yet, or it does not know its region.
    pub(super) senders: BTreeMap<PeerId, metapb::Peer>,
    /// What this round has changed about the region: the store settles it after the write.
    pub(super) changes: Vec<RegionChange>,
    /// It is to be destroyed as soon as a worker is done with its data.
    pub(super) doomed: Option<Dismissal>,
    /// Until it asks again whether it is still wanted.
    pub(super) ticks_to_ask: u32,
    /// For how many ticks a leader has not heard from each of the others.
    pub(super) silent: BTreeMap<PeerId, u32>,
    /// About so many bytes were written since the region's size was looked at.
    pub(super) written: u64,
    /// The region's size when it was looked at last.
    pub(super) size: Option<u64>,
    /// Somebody is looking at the size, or for ids to split with.
    pub(super) checking: bool,
    /// The scheduler has not heard of this edition of the region, or of this leader.
    pub(super) report_due: bool,
    /// What the log says of it, it says of this peer and region.
    pub(super) span: tracing::Span,
}

impl Peer {
    /// The peer as the store's disks remember it.
    pub(super) fn open(
        config: &Config,
        store: StoreId,
        engines: &Engines,
        region: Region,
    ) -> Result<Peer, StoreError> {
        let meta = match region.peer_on(store) {
            Some(member) => Some(*member),
            None => unnamed(engines, region.id)?,
        };
        let Some(meta) = meta else {
            let text = format!("region {} has no peer on store {store}, but its data is here", region.id);
            return Err(StoreError::Corrupt(text));
        };
        Peer::of(config, meta, PeerStorage::open(engines.clone(), &region)?)
    }

    /// A peer of which nothing is known yet but its name; and its votes, if it was here before the store stopped. The
    /// name is written down before it can vote: a vote is its own. An earlier peer, which a late message or a late
    /// split may ask for, must not get it, and a later one need not.
    pub(super) fn create(
        config: &Config,
        engines: &Engines,
        region: RegionId,
        meta: metapb::Peer,
    ) -> Result<Peer, StoreError> {
        if unnamed(engines, region)?.is_none_or(|known| known.id != meta.id) {
            engines.raft.write(remove_log(region), true)?;
            let mut batch = WriteBatch::new();
            batch.put(Cf::Raft, keys::unnamed_peer(region), meta.encode_to_vec());
            engines.kv.write(batch, true)?;
        }
        Peer::of(config, meta, PeerStorage::create(engines.clone(), region)?)
    }

    fn of(config: &Config, meta: metapb::Peer, storage: PeerStorage) -> Result<Peer, StoreError> {
        let (region, applied) = (storage.region().id, storage.apply_state().applied_index);
        let node = RawNode::new(&config.raft(meta.id, applied), storage)
            .map_err(|error| StoreError::Raft { region, error })?;
        Ok(Peer {
            meta,
            node,
            proposals: Proposals::default(),
            compact_proposed: (0, 0),
            senders: BTreeMap::new(),
            changes: Vec::new(),
            doomed: None,
            ticks_to_ask: config.election_ticks,
            silent: BTreeMap::new(),
            written: 0,
            size: None,
            checking: false,
            report_due: true,
            span: tracing::info_span!("peer", region, id = meta.id),
        })
    }

    /// True once it knows its region.
    pub fn is_initialized(&self) -> bool {
        self.node.storage().is_initialized()
    }

    /// True if its region does not name it any more: it answers Raft's messages until somebody who knows tells it to
    /// go.
    pub fn is_removed(&self) -> bool {
        self.is_initialized() && !self.region().peers.iter().any(|member| member.id == self.id())
    }

    /// A member of the region, or somebody who has written to this peer.
    pub(super) fn find(&self, id: PeerId) -> Option<metapb::Peer> {
        let member = self.region().peers.iter().find(|member| member.id == id);
        member.or_else(|| self.senders.get(&id)).copied()
    }

    /// True if a round of work has something to do for it.
    pub(super) fn has_work(&self) -> bool {
        self.node.has_ready() || self.node.storage().has_tasks()
    }

    /// The received snapshot that it goes by, or will: its files have to stay, and there is never a second one.
    pub(super) fn snapshot_in_use(&self) -> Option<SnapKey> {
        let pending = self.node.raft().log().pending_snapshot();
        let pending = pending.and_then(|snapshot| SnapKey::of(self.region_id(), snapshot));
        self.node.storage().loading().or(pending)
    }

    /// Answers for all commands that wait here: nobody knows what becomes of them.
    pub(super) fn answer_unknown(&mut self, why: &str) -> Vec<Effect> {
        let answer = |id| Effect::Reply { id, result: Err(Error::Undetermined(why.to_string())) };
        self.proposals.take_all().into_iter().map(answer).collect()
    }

    /// One tick of the clock.
    pub(super) fn tick(&mut self) {
        self.span.in_scope(|| self.node.tick());
        if !self.is_leader() {
            self.silent.clear();
            return;
        }
        let last = std::mem::take(&mut self.silent);
        let others = self.region().peers.iter().filter(|peer| peer.id != self.id());
        self.silent = others.map(|peer| (peer.id, last.get(&peer.id).map_or(0, |ticks| ticks + 1))).collect();
    }

    /// Its id.
    pub fn id(&self) -> PeerId {
        self.meta.id
    }

    /// Its region's id.
    pub fn region_id(&self) -> RegionId {
        self.region().id
    }

    /// Its region, as of the last applied entry.
    pub fn region(&self) -> &Region {
        self.node.storage().region()
    }

    /// Its Raft node.
    pub fn node(&self) -> &RawNode<PeerStorage> {
        &self.node
    }

    /// True while it believes that it leads.
    pub fn is_leader(&self) -> bool {
        self.node.raft().role() == Role::Leader
    }

    /// The latest term it has seen.
    pub fn term(&self) -> Term {
        self.node.raft().term()
    }

    /// The leader of this term, as far as it is known and a member of the region.
    pub fn leader(&self) -> Option<&metapb::Peer> {
        let leader = self.node.raft().leader_id();
        self.region().peers.iter().find(|p| p.id == leader)
    }

    /// The disks of its store.
    pub fn engines(&self) -> &Engines {
        self.node.storage().engines()
    }

    /// How far its data is.
    pub fn apply_state(&self) -> &RaftApplyState {
        self.node.storage().apply_state()
    }

    /// How many commands wait for their answer.
    pub fn pending(&self) -> usize {
        self.proposals.len()
    }
}

/// Who the peer of a region here is, or was, that its region does not name.
pub(super) fn unnamed(engines: &Engines, region: RegionId) -> Result<Option<metapb::Peer>, StoreError> {
    read(&*engines.kv.snapshot(), Cf::Raft, &keys::unnamed_peer(region), "name of a peer")
}
