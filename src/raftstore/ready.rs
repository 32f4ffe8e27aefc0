//! The order of writing, sending and applying: what makes a promise safe.
//!
//! ```text
//!   every peer with a Ready
//!        |  messages  ------------------------------>  sent: they promise nothing
//!        |  snapshot  ->  PeerStorage::save_snapshot   (stage 2c; until then there is none)
//!        |  entries, hard state  ->  one batch
//!        v
//!   one write to the raft engine, synced if one of them must be  (figure 2: persistent state, before responding to RPCs)
//!        |  persisted_messages  -------------------->  sent: votes and acknowledgements
//!        |  committed_entries  ->  apply
//!        v
//!   writes to the kv engine: data and applied index together
//!        |  ---------------------------------------->  replies
//!        v
//!   advance
//! ```

use super::apply::ApplyRound;
use super::{Effect, Store, StoreError};
use crate::engine::WriteBatch;
use crate::ids::RegionId;
use crate::raft::Ready;

impl Store {
    /// One round for all peers that have something to do.
    ///
    /// - One write for all of them, however many regions there are: waiting for the disk is what costs. It is synced if
    ///   the [`Ready`] of one of them must be; a commit index alone need not, it can be learned again.
    /// - A snapshot in a `Ready` goes to [`PeerStorage::save_snapshot`](super::PeerStorage), which writes to the kv
    ///   engine, and fills the batch in front of the `Ready`'s entries.
    /// - What promises something leaves after that write.
    /// - A client hears of its command after the write that carries it out.
    pub(super) fn handle_ready(&mut self, out: &mut dyn FnMut(Effect)) -> Result<(), StoreError> {
        // LAB 2b BEGIN: the steps of the drawing, in their order
        let mut round = self.persist(out)?;
        for (region, ready) in &mut round {
            let promises = std::mem::take(&mut ready.persisted_messages);
            self.peers[&*region].send(promises, out);
        }
        self.apply_all(&round, out)?;
        for (region, ready) in round {
            if let Some(peer) = self.peers.get_mut(&region) {
                peer.node.advance(ready);
            }
        }
        Ok(())
        // LAB 2b END
    }

    // SOLUTION 2b BEGIN
    /// Sends what needs no disk, and writes what all peers want written.
    fn persist(&mut self, out: &mut dyn FnMut(Effect)) -> Result<Vec<(RegionId, Ready)>, StoreError> {
        let mut round = Vec::new();
        let mut batch = WriteBatch::new();
        let mut sync = false;
        for (&region, peer) in self.peers.iter_mut().filter(|(_, peer)| peer.node.has_ready()) {
            let mut ready = peer.node.ready();
            peer.send(std::mem::take(&mut ready.messages), out);
            if let Some(snapshot) = &ready.snapshot {
                peer.node.storage_mut().save_snapshot(snapshot, &mut batch)?;
            }
            peer.node.storage_mut().save_ready_state(&ready, &mut batch);
            sync |= ready.must_sync;
            round.push((region, ready));
        }
        if !batch.is_empty() {
            self.engines.raft.write(batch, sync)?;
        }
        Ok(round)
    }

    fn apply_all(
        &mut self,
        round: &[(RegionId, Ready)],
        out: &mut dyn FnMut(Effect),
    ) -> Result<(), StoreError> {
        let mut applying = ApplyRound::new(self.engines.kv.clone());
        let applied = round.iter().try_for_each(|(region, ready)| match self.peers.get_mut(region) {
            Some(peer) => peer.apply(&ready.committed_entries, &mut applying),
            None => Ok(()),
        });
        applying.finish(applied, out)
    }
    // SOLUTION 2b END
}
