//! Members come and go (stage 3b; thesis, section 4.1): from a command to a log entry.
//!
//! - **Propose**: here. The entry is of Raft's own type for changes of the group; the command travels in its context.
//! - **Apply**: `apply/change_peer.rs`, on every peer.
//! - **After it is written**: the store settles what concerns more than the peer ([`Store::settle_changes`]).

use bytes::Bytes;

use super::command::PeerChange;
use super::lifecycle::RegionChange;
use super::{Peer, Store, StoreError, region_error};
use crate::error::{Error, Rejection};
use crate::ids::RegionId;
use crate::proto::eraftpb::{ConfChange, ConfChangeType};
use crate::proto::metapb;
use crate::raft::RaftError;

impl Peer {
    /// Does the change make sense for the region as it is?
    ///
    /// # Errors
    /// A command that makes no sense (`BadCommand`): to add a peer that is there, or a second one on a store; to remove
    /// one that is not there, or not on this store, or the last one.
    pub(super) fn check_change_peer(&self, change: &PeerChange) -> Result<(), Error> {
        // LAB 3b BEGIN: who is in the region?
        let bad = |why| Err(Rejection::BadCommand(why).into());
        let peers = &self.region().peers;
        match change.kind {
            ConfChangeType::RemoveNode => {
                let (id, store) = (change.peer.id, change.peer.store_id);
                let is_it = |peer: &metapb::Peer| (peer.id, peer.store_id) == (id, store);
                if !peers.iter().any(is_it) {
                    return bad("the peer to be removed is not in the region");
                }
                if peers.len() == 1 {
                    return bad("the last peer of a region cannot be removed");
                }
            }
            ConfChangeType::AddNode | ConfChangeType::AddLearnerNode => {
                let is_taken =
                    |peer: &metapb::Peer| peer.id == change.peer.id || peer.store_id == change.peer.store_id;
                if peers.iter().any(is_taken) {
                    return bad("the region has this peer, or another one on its store");
                }
            }
        }
        Ok(())
        // LAB 3b END
    }

    /// Puts a change of peers into the log. `command` is the whole command, encoded.
    ///
    /// # Errors
    /// `NotLeader` where this peer does not lead (any more). `ServerIsBusy` where Raft cannot take a change now:
    /// another one is under way, the leader is new, or on its way out.
    pub(super) fn propose_change_peer(&mut self, command: Bytes, change: &PeerChange) -> Result<(), Error> {
        // LAB 3b BEGIN: RawNode::propose_conf_change
        let change = ConfChange {
            change_type: change.kind.into(),
            node_id: change.peer.id,
            context: command,
            ..Default::default()
        };
        match self.node.propose_conf_change(&change) {
            Ok(()) => Ok(()),
            Err(error @ (RaftError::ConfChangeRefused(_) | RaftError::LeaderTransferring { .. })) => {
                Err(region_error::server_is_busy(error.to_string()))
            }
            Err(_) => Err(region_error::not_leader(self.region_id(), self.leader())),
        }
        // LAB 3b END
    }
}

impl Store {
    /// Settles what this round has changed about regions, now that it is written: [`StoreMeta`](super::StoreMeta),
    /// peers that come and go, those who wait for them, and the scheduler.
    pub(super) fn settle_changes(&mut self) -> Result<(), StoreError> {
        // LAB 3b BEGIN idle: for each peer with `changes`, each in its order
        let changed = |peer: &&mut Peer| !peer.changes.is_empty();
        let changes: Vec<(RegionId, Vec<RegionChange>)> = self
            .peers
            .values_mut()
            .filter(changed)
            .map(|peer| (peer.region_id(), std::mem::take(&mut peer.changes)))
            .collect();
        for (id, changes) in changes {
            for change in changes {
                match change {
                    RegionChange::Members { kind, peer } => self.settle_members(id, kind, peer),
                    RegionChange::Split { parts, created } => self.settle_split(id, &parts, created)?,
                }
            }
        }
        // LAB 3b END
        Ok(())
    }

    /// The members of a region have changed.
    ///
    /// After: the store's picture of the regions is right. A peer that was removed by the leader here has been told to
    /// go. If it is this store's own peer that was removed, everyone who still waits there has an answer, since it will
    /// not learn of anything more.
    fn settle_members(&mut self, id: RegionId, kind: ConfChangeType, changed: metapb::Peer) {
        // LAB 3b BEGIN: `meta`, `report_due`, `tell_to_go`, `answer_unknown`
        let Some(peer) = self.peers.get_mut(&id) else { return };
        self.meta.insert(peer.region());
        peer.report_due = true;
        if kind != ConfChangeType::RemoveNode {
            return;
        }
        if changed.id == peer.id() {
            self.outbox.extend(peer.answer_unknown("the peer was removed from the region"));
        } else if peer.is_leader() {
            let region = peer.region().clone();
            self.tell_to_go(changed, &region);
        }
        // LAB 3b END
    }
}
