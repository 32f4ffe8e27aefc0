//! What a net looks like before the first step.

use std::collections::{BTreeMap, BTreeSet};

use raftkv::ids::{Index, PeerId, Term};
use raftkv::proto::eraftpb::{ConfChange, ConfState, HardState};
use raftkv::raft::{Config, LogStorage, MemLogStorage};

use super::driver::{Direct, Driver, Readied};
use super::letter::{change_entry, entries};
use super::net::Net;
use crate::Lab;

/// A change to the settings of every node.
pub(super) type Tune = Box<dyn Fn(&mut Config)>;

/// A net in the making: `Setup::of(&lab, 3).log(1, &[1, 1, 2]).puppets(&[3]).start()`.
pub struct Setup {
    pub(super) seed: u64,
    pub(super) voters: Vec<PeerId>,
    pub(super) puppets: BTreeSet<PeerId>,
    pub(super) disks: BTreeMap<PeerId, MemLogStorage>,
    pub(super) tune: Vec<Tune>,
}

impl Setup {
    /// `n` nodes, numbered from 1, that have never run. Their timeouts come from the test's seed.
    pub fn of(lab: &Lab, n: u64) -> Setup {
        Setup::seeded(lab.seed(), n)
    }

    /// The same under a seed of its own.
    pub fn seeded(seed: u64, n: u64) -> Setup {
        let voters: Vec<PeerId> = (1..=n).collect();
        let disks = voters.iter().map(|&id| (id, MemLogStorage::new_with_voters(&voters))).collect();
        Setup { seed, voters, puppets: BTreeSet::new(), disks, tune: Vec::new() }
    }

    /// These do not run: the test speaks for them, with messages of its own.
    pub fn puppets(mut self, ids: &[PeerId]) -> Setup {
        self.puppets.extend(ids);
        self
    }

    /// The node starts with entries of these terms on disk, and in the term of the last one. Nothing is
    /// known to be committed.
    pub fn log(mut self, id: PeerId, terms: &[Term]) -> Setup {
        let disk = self.disk(id);
        disk.append(&entries(1, terms));
        let term = disk.hard_state().term.max(terms.last().copied().unwrap_or(0));
        disk.set_hard_state(HardState { term, ..*disk.hard_state() });
        self
    }

    /// The log on the node's disk goes on with a change of the group, of this term.
    pub fn change(mut self, id: PeerId, term: Term, change: &ConfChange) -> Setup {
        let disk = self.disk(id);
        let index = disk.last_index().expect("MemLogStorage does not fail") + 1;
        disk.append(&[change_entry(index, term, change)]);
        disk.set_hard_state(HardState { term: disk.hard_state().term.max(term), ..*disk.hard_state() });
        self
    }

    /// The node starts in this term, having voted for `vote` (or nobody: 0) in it.
    pub fn term(mut self, id: PeerId, term: Term, vote: PeerId) -> Setup {
        let disk = self.disk(id);
        disk.set_hard_state(HardState { term, vote, ..*disk.hard_state() });
        self
    }

    /// The node starts with its log committed up to here. (It applies that first.)
    pub fn commit(mut self, id: PeerId, commit: Index) -> Setup {
        let disk = self.disk(id);
        disk.set_hard_state(HardState { commit, ..*disk.hard_state() });
        self
    }

    /// The node has applied and compacted its log up to here.
    pub fn compacted(mut self, id: PeerId, index: Index) -> Setup {
        self.disk(id).compact(index).expect("the log reaches that far");
        let commit = self.disk(id).hard_state().commit.max(index);
        self.commit(id, commit)
    }

    /// The node's disk names these as the members of its group.
    pub fn group(mut self, id: PeerId, voters: &[PeerId]) -> Setup {
        let disk = self.disk(id);
        disk.set_conf_state(ConfState { voters: voters.to_vec(), ..Default::default() });
        self
    }

    /// Changes the settings of every node.
    pub fn tune(mut self, change: impl Fn(&mut Config) + 'static) -> Setup {
        self.tune.push(Box::new(change));
        self
    }

    /// Starts the nodes, driven through `Raft`.
    #[track_caller]
    pub fn start(self) -> Net<Direct> {
        Net::new(self)
    }

    /// Starts the nodes, driven through `RawNode`.
    #[track_caller]
    pub fn start_raw_nodes(self) -> Net<Readied> {
        Net::new(self)
    }

    /// Starts the nodes, driven through `D`.
    #[track_caller]
    pub fn start_as<D: Driver>(self) -> Net<D> {
        Net::new(self)
    }

    fn disk(&mut self, id: PeerId) -> &mut MemLogStorage {
        self.disks.get_mut(&id).unwrap_or_else(|| panic!("the net has no node {id}"))
    }
}

/// The last entry that a disk has compacted away.
pub(super) fn compacted_to(disk: &MemLogStorage) -> Index {
    disk.first_index().expect("MemLogStorage does not fail") - 1
}
