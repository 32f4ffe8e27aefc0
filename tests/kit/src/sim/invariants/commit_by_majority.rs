//! Committed means: on the disks of a majority.

use std::collections::BTreeMap;

use raftkv::ids::{Index, RegionId, Term};
use raftkv::proto::eraftpb::MessageType;
use raftkv::proto::raft_serverpb::RaftMessage;
use raftkv::raftstore::Peer;

use super::{Disks, Invariant, Place, Verdict, check, entry_on_disk};

/// What is on each disk, as of the store's last step, and how far commits have been checked.
#[derive(Default)]
pub struct CommitByMajority {
    disks: BTreeMap<Place, BTreeMap<Index, Term>>,
    checked: BTreeMap<RegionId, Index>,
    /// How many members the peer's region had at its last step: what is committed in this step may have changed that.
    members: BTreeMap<Place, usize>,
    /// What peers had on disk that are gone, as far as nobody had called it committed by then. A member that is late
    /// with a removal may have the removed peer's acknowledgement, and count it: of any two majorities, before and
    /// after the removal, two members meet.
    departed: Vec<(RegionId, u64, BTreeMap<Index, Term>)>,
}

impl Invariant for CommitByMajority {
    fn forget(&mut self, at: Place) {
        let checked = self.checked.get(&at.1).copied().unwrap_or_default();
        if let Some(mut log) = self.disks.remove(&at) {
            self.departed.push((at.1, at.0, log.split_off(&(checked + 1))));
        }
        self.members.remove(&at);
    }

    fn rule(&self) -> &'static str {
        "an entry is committed once a majority of the stores has it on disk, and not before (section 5.3): a write that only a \
         minority holds is not acknowledged"
    }

    fn after_step(&mut self, disks: &Disks<'_>, at: Place, peer: &Peer) -> Verdict {
        let raft = peer.node().raft();
        let begins = raft.log().first_index() - 1;
        let checked = self.checked.get(&at.1).copied().unwrap_or(begins).max(begins);
        if !self.is_up_to_date(at, peer) {
            self.look_at_disk(at, disks)?;
        }
        let now = peer.region().peers.len();
        let members = self.members.insert(at, now).unwrap_or(now).min(now);
        for index in checked + 1..=raft.commit() {
            let term = raft.log().term(index);
            let holders = self
                .disks
                .iter()
                .filter(|((_, region), log)| *region == at.1 && log.get(&index).copied() == term);
            let departed = self
                .departed
                .iter()
                .filter(|(region, _, log)| *region == at.1 && log.get(&index).copied() == term);
            let holders: Vec<u64> =
                holders.map(|((store, _), _)| *store).chain(departed.map(|(_, store, _)| *store)).collect();
            check(holders.len() > members / 2, || {
                let term = term.unwrap_or_default();
                format!(
                    "it calls {index}@{term} committed, which is on the disks of {holders:?} only, of {members} stores"
                )
            })?;
        }
        self.checked.insert(at.1, checked.max(raft.commit()));
        Ok(())
    }

    /// A store may go down right after this, before its step is over.
    fn on_send(&mut self, disks: &Disks<'_>, at: Place, m: &RaftMessage) -> Verdict {
        match &m.message {
            Some(m) if m.msg_type() == MessageType::MsgAppendResponse && !m.reject => {
                self.look_at_disk(at, disks)
            }
            _ => Ok(()),
        }
    }

    fn on_start(&mut self, disks: &Disks<'_>, at: Place, _peer: &Peer) -> Verdict {
        self.disks.remove(&at);
        self.look_at_disk(at, disks)
    }
}

impl CommitByMajority {
    /// Takes over what has changed at the end of the log on disk.
    fn look_at_disk(&mut self, at: Place, disks: &Disks<'_>) -> Verdict {
        let known = self.disks.entry(at).or_default();
        let last = disks.raft_state(at.1)?.last_index;
        while known.last_key_value().is_some_and(|(index, _)| *index > last) {
            known.pop_last();
        }
        for index in (1..=last).rev() {
            let Some(entry) = entry_on_disk(disks.raft(), at.1, index) else { break };
            if known.insert(index, entry.term) == Some(entry.term) {
                break;
            }
        }
        Ok(())
    }

    /// Is the end of the peer's log known to be on its disk already?
    fn is_up_to_date(&self, at: Place, peer: &Peer) -> bool {
        let log = peer.node().raft().log();
        let (last, term) = (log.last_index(), log.last_term());
        self.disks.get(&at).and_then(|known| known.last_key_value()) == Some((&last, &term))
    }
}
