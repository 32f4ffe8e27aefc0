//! One replica of one region.

use super::proposals::Proposals;
use super::{Config, Engines, PeerStorage, SnapKey, StoreError};
use crate::ids::{Index, PeerId, RegionId, StoreId, Term};
use crate::proto::metapb::{self, Region};
use crate::proto::raft_serverpb::RaftApplyState;
use crate::raft::{RawNode, Role};

/// One replica of one region: its Raft node, and the commands that wait for it.
///
/// - Its region, which is as of the last applied entry, has it among its peers.
/// - Entries up to `apply_state().applied_index` are in the data, each once; except while a snapshot is being loaded, when the data is of
///   no moment.
/// - Each waiting proposal is answered once.
pub struct Peer {
    pub(super) meta: metapb::Peer,
    pub(super) node: RawNode<PeerStorage>,
    pub(super) proposals: Proposals,
    /// Term and index of the last CompactLog that it has proposed.
    pub(super) compact_proposed: (Term, Index),
}

impl Peer {
    /// The peer as the store's disks remember it.
    pub(super) fn open(
        config: &Config,
        store: StoreId,
        engines: &Engines,
        region: Region,
    ) -> Result<Peer, StoreError> {
        let Some(meta) = region.peer_on(store).copied() else {
            let text = format!("region {} has no peer on store {store}, but its data is here", region.id);
            return Err(StoreError::Corrupt(text));
        };
        let storage = PeerStorage::open(engines.clone(), &region)?;
        let applied = storage.apply_state().applied_index;
        let node = RawNode::new(&config.raft(meta.id, applied), storage)
            .map_err(|error| StoreError::Raft { region: region.id, error })?;
        Ok(Peer { meta, node, proposals: Proposals::default(), compact_proposed: (0, 0) })
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

    /// One tick of the clock.
    pub(super) fn tick(&mut self) {
        self.node.tick();
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
