//! Another peer is to lead (stage 3b): a command that does not go through the log.

use super::{Peer, region_error};
use crate::error::{Error, Rejection};
use crate::ids::NO_PEER;
use crate::proto::metapb;

impl Peer {
    /// Is the wanted leader in the region?
    ///
    /// # Errors
    /// `BadCommand` if not.
    pub(super) fn check_transfer(&self, to: &metapb::Peer) -> Result<(), Error> {
        // LAB 3b BEGIN: who is in the region?
        if self.region().peers.iter().any(|peer| (peer.id, peer.store_id) == (to.id, to.store_id)) {
            return Ok(());
        }
        Err(Rejection::BadCommand("the wanted leader is not in the region").into())
        // LAB 3b END
    }

    /// Begins to hand over the leadership. The answer to the command says only that: whether it succeeds, the next
    /// leader shows.
    pub(super) fn hand_leadership(&mut self, to: &metapb::Peer) {
        // LAB 3b BEGIN: RawNode
        self.node.transfer_leader(to.id);
        // LAB 3b END
    }

    /// May commands be proposed? (It is not asked for another transfer: whom somebody wants last is to lead.)
    ///
    /// # Errors
    /// `NotLeader` while the leadership is being handed over, without a hint: whoever is to be the next leader is none
    /// yet.
    pub(super) fn check_transferring(&self) -> Result<(), Error> {
        // LAB 3b BEGIN idle: Raft::lead_transferee
        if self.node.raft().lead_transferee() != NO_PEER {
            return Err(region_error::not_leader(self.region_id(), None));
        }
        // LAB 3b END
        Ok(())
    }
}
