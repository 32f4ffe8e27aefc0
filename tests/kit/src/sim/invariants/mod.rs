//! What must hold in every moment of every run, one invariant a file.
//!
//! | invariant | section of the paper | file |
//! |---|---|---|
//! | one leader a region and term | 5.2, figure 3 "Election Safety" | `election_safety` |
//! | logs that agree at an entry agree up to it | 5.3, figure 3 "Log Matching" | `log_matching` |
//! | committed means: on a majority's disks | 5.3 | `commit_by_majority` |
//! | later leaders have what is committed | 5.4, figure 3 "Leader Completeness" | `leader_completeness` |
//! | answered when applied | 8 | `answered_when_applied` |
//! | all commit the same at an index | 5.4.3, figure 3 "State Machine Safety" | `state_machine_safety` |
//! | term, commit and applied index never go back | 5.1, figure 2 | `monotonic` |
//! | each entry is applied once | figure 2 "lastApplied" | `applied_once` |
//! | applied <= commit <= last index | 5.3, figure 2 "lastApplied" | `bounds` |
//! | a log begins where its storage says; only what is applied is dropped | 7 | `log_begins` |
//! | log entries are deleted when nothing can need them; snapshots are what they were made of | 7, figure 13 | `work` |
//! | saved before told | figure 2 "Persistent state" | `saved_before_told` |
//! | what a store goes by is on its disks | figure 2 "Persistent state" | `on_disk` |
//! | regions: one edition, one content; editions never go back; together they cover all keys once; who is gone stays gone | thesis 4.1; stage 3b | `regions` |
//! | a restart finds what was told | figure 2 "Persistent state" | `restart` |
//!
//! They look at a store after each of its steps, at each message at the moment in which it leaves, with the disk as it
//! is then, and at each start. They know the keys of `src/engine/keys.rs` and the accessors of `Peer`, and nothing of
//! how a store came to its state.
//!
//! "On the disk" means for the raft engine: there even if the power is cut now ([`Disks::raft`]). So a promise that
//! leaves before its write is synced is noticed in every run, not only where a crash happens to come between the two.
//!
//! Each keeps what it has seen, and looks only at what is new: they run after every step of every store that has
//! changed anything.

mod answered_when_applied;
mod applied_once;
mod bounds;
mod commit_by_majority;
mod election_safety;
mod leader_completeness;
mod log_begins;
mod log_matching;
mod monotonic;
mod on_disk;
pub mod regions;
mod restart;
mod saved_before_told;
mod state_machine_safety;
pub mod work;

use std::cell::OnceCell;
use std::collections::BTreeMap;

use prost::Message;
use raftkv::engine::{Cf, Snapshot, keys};
use raftkv::ids::{Index, RegionId, StoreId, Term};
use raftkv::proto::eraftpb::Entry;
use raftkv::proto::raft_serverpb::{RaftApplyState, RaftLocalState, RaftMessage};
use raftkv::raft::{RaftLog, Role};
use raftkv::raftstore::{Engines, Peer, PeerStorage, Store};

use super::disk::Disk;

/// `Err` says what happened; the invariant itself says what should have.
pub type Verdict = Result<(), String>;

/// A peer: the store that it is on, and its region.
pub type Place = (StoreId, RegionId);

/// The disks of one store, as they are now. Looked at by several invariants, read once.
pub struct Disks<'a> {
    engines: &'a Engines,
    disk: &'a Disk,
    raft: OnceCell<Box<dyn Snapshot>>,
    raft_state: OnceCell<(RegionId, RaftLocalState)>,
}

impl Disks<'_> {
    pub(super) fn new<'a>(engines: &'a Engines, disk: &'a Disk) -> Disks<'a> {
        Disks { engines, disk, raft: OnceCell::new(), raft_state: OnceCell::new() }
    }

    /// What the raft engine would hold after a power cut. (RocksDB cannot tell: there it is all that is written.)
    pub fn raft(&self) -> &dyn Snapshot {
        let now = || self.disk.synced("raft").unwrap_or_else(|| self.engines.raft.snapshot());
        &**self.raft.get_or_init(now)
    }

    /// What is written to the kv engine, synced or not: what a crash takes away there, the log brings back.
    pub fn kv(&self) -> Box<dyn Snapshot> {
        self.engines.kv.snapshot()
    }

    /// The log begins behind this index, whatever happens to the power now. (RocksDB cannot tell: there it is what is
    /// written.)
    pub fn truncated(&self, region: RegionId) -> Result<Index, String> {
        let kv = self.disk.synced("kv").unwrap_or_else(|| self.engines.kv.snapshot());
        let value = kv.get(Cf::Raft, &keys::apply_state(region)).map_err(|error| error.to_string())?;
        let decode =
            |value| RaftApplyState::decode(value).map_err(|error| format!("the RaftApplyState: {error}"));
        Ok(value.map_or(Ok(RaftApplyState::default()), decode)?.truncated_state.unwrap_or_default().index)
    }

    /// The region's record on the raft engine; all zero if there is none.
    pub fn raft_state(&self, region: RegionId) -> Result<RaftLocalState, String> {
        if let Some((_, state)) = self.raft_state.get().filter(|(known, _)| *known == region) {
            return Ok(*state);
        }
        let value =
            self.raft().get(Cf::Default, &keys::raft_state(region)).map_err(|error| error.to_string())?;
        let decode =
            |value| RaftLocalState::decode(value).map_err(|error| format!("the RaftLocalState: {error}"));
        let state = value.map_or(Ok(RaftLocalState::default()), decode)?;
        // Where it is another region's turn, the first one keeps its place.
        let _ = self.raft_state.set((region, state));
        Ok(state)
    }
}

/// One invariant.
pub trait Invariant {
    /// The rule, as a sentence, with its section.
    fn rule(&self) -> &'static str;

    /// A peer's store has done something.
    fn after_step(&mut self, _disks: &Disks<'_>, _at: Place, _peer: &Peer) -> Verdict {
        Ok(())
    }

    /// A store sends a message; its disks are as they are at this moment.
    fn on_send(&mut self, _disks: &Disks<'_>, _at: Place, _m: &RaftMessage) -> Verdict {
        Ok(())
    }

    /// A store answers a command of a client with success; its disks are as they are at this moment.
    fn on_reply(&mut self, _disks: &Disks<'_>, _at: Place, _uuid: &[u8]) -> Verdict {
        Ok(())
    }

    /// A peer is gone for good, and another may take its place.
    fn forget(&mut self, _at: Place) {}

    /// A peer has come back from its disks.
    fn on_start(&mut self, _disks: &Disks<'_>, _at: Place, _peer: &Peer) -> Verdict {
        Ok(())
    }
}

/// A broken rule, and what broke it.
pub(super) type Broken = (&'static str, String);

/// All of them, at work.
pub(super) struct Watch {
    invariants: Vec<Box<dyn Invariant>>,
    /// What each peer looked like last.
    seen: BTreeMap<Place, Look>,
    /// Which peers there are, and were.
    pub(in crate::sim) regions: regions::Regions,
}

/// What an invariant can see of a peer without its entries. Where this is as before, so is the rest: a log that has
/// changed has another end, and a region another edition.
type Look = (Role, [u64; 10]);

fn look(peer: &Peer) -> Look {
    let epoch = peer.region().region_epoch.unwrap_or_default();
    let (raft, log) = (peer.node().raft(), peer.node().raft().log());
    let applied = peer.apply_state().applied_index;
    let (last, last_term, first) = (log.last_index(), log.last_term(), log.first_index());
    let (version, conf_ver) = (epoch.version, epoch.conf_ver);
    let state = [raft.term(), raft.vote(), last, last_term, raft.commit(), applied, first];
    let [term, vote, last, last_term, commit, applied, first] = state;
    (raft.role(), [term, vote, last, last_term, commit, applied, first, version, conf_ver, peer.id()])
}

impl Watch {
    /// Nothing seen yet.
    pub fn new() -> Watch {
        let invariants: Vec<Box<dyn Invariant>> = vec![
            Box::new(restart::Restart::default()),
            Box::new(applied_once::AppliedOnce),
            Box::new(bounds::Bounds),
            Box::new(log_begins::LogBegins::default()),
            Box::new(monotonic::Monotonic::default()),
            Box::new(election_safety::ElectionSafety::default()),
            Box::new(on_disk::OnDisk::default()),
            Box::new(log_matching::LogMatching::default()),
            Box::new(commit_by_majority::CommitByMajority::default()),
            Box::new(leader_completeness::LeaderCompleteness::default()),
            Box::new(state_machine_safety::StateMachineSafety::default()),
            Box::new(saved_before_told::SavedBeforeTold),
            Box::new(answered_when_applied::AnsweredWhenApplied),
        ];
        Watch { invariants, seen: BTreeMap::new(), regions: regions::Regions::default() }
    }

    /// Which peers have come and gone since the store's last step.
    fn comings_and_goings(&mut self, store: &Store, disk: &Disk) -> Option<Broken> {
        for at in self.regions.take_gone(store) {
            self.seen.remove(&at);
            self.invariants.iter_mut().for_each(|invariant| invariant.forget(at));
        }
        for region in self.regions.take_awake(store) {
            let (at, peer) = ((store.id(), region), store.peer(region)?);
            let disks = Disks::new(store.engines(), disk);
            let broken = self.ask(store.id(), |invariant| invariant.on_start(&disks, at, peer));
            if broken.is_some() {
                return broken;
            }
        }
        None
    }

    /// A store has done something. Peers that look as before are passed over: most steps are ticks.
    pub fn after_step(&mut self, store: &Store, disk: &Disk) -> Option<Broken> {
        let broken = self.comings_and_goings(store, disk);
        if broken.is_some() {
            return broken;
        }
        for peer in store.peers() {
            let (at, now) = ((store.id(), peer.region_id()), look(peer));
            if self.seen.insert(at, now) != Some(now) {
                let disks = Disks::new(store.engines(), disk);
                let broken = self.ask(store.id(), |invariant| invariant.after_step(&disks, at, peer));
                if broken.is_some() {
                    return broken;
                }
                let broken = self.regions.after_step(store, peer);
                if broken.is_some() {
                    return broken;
                }
            }
        }
        None
    }

    /// A store has come back.
    pub fn on_start(&mut self, store: &Store, disk: &Disk) -> Option<Broken> {
        for at in self.regions.on_start(store) {
            self.seen.remove(&at);
            self.invariants.iter_mut().for_each(|invariant| invariant.forget(at));
        }
        for peer in store.peers() {
            let disks = Disks::new(store.engines(), disk);
            let at = (store.id(), peer.region_id());
            self.seen.remove(&at);
            let broken = self.ask(store.id(), |invariant| invariant.on_start(&disks, at, peer));
            if broken.is_some() {
                return broken;
            }
        }
        store.peers().find_map(|peer| self.regions.after_step(store, peer))
    }

    /// A store sends a message; its disks are as they are at this moment.
    pub fn on_send(&mut self, disks: Disks<'_>, from: StoreId, m: &RaftMessage) -> Option<Broken> {
        let broken = self.regions.on_send(from, m);
        if broken.is_some() {
            return broken;
        }
        self.ask(from, |invariant| invariant.on_send(&disks, (from, m.region_id), m))
    }

    /// A store answers a command of a client with success.
    pub fn on_reply(&mut self, disks: Disks<'_>, at: Place, uuid: &[u8]) -> Option<Broken> {
        self.ask(at.0, |invariant| invariant.on_reply(&disks, at, uuid))
    }

    fn ask(&mut self, store: StoreId, question: impl Fn(&mut dyn Invariant) -> Verdict) -> Option<Broken> {
        self.invariants.iter_mut().find_map(|invariant| {
            let happened = question(&mut **invariant).err()?;
            Some((invariant.rule(), format!("store {store}: {happened}")))
        })
    }
}

/// `Err` with this text unless `holds`.
fn check(holds: bool, text: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(text()) }
}

/// The applied index on the kv engine; 0 if there is none.
fn applied_on_disk(disks: &Disks<'_>, region: RegionId) -> Result<Index, String> {
    let value = disks.kv().get(Cf::Raft, &keys::apply_state(region)).map_err(|error| error.to_string())?;
    let decode =
        |value| RaftApplyState::decode(value).map_err(|error| format!("the RaftApplyState: {error}"));
    Ok(value.map_or(Ok(RaftApplyState::default()), decode)?.applied_index)
}

/// An entry as it is on the raft engine; `None` if it is not there, or unreadable.
fn entry_on_disk(raft: &dyn Snapshot, region: RegionId, index: Index) -> Option<Entry> {
    let value = raft.get(Cf::Default, &keys::raft_log(region, index)).ok()??;
    Entry::decode(value).ok()
}

/// The entries of a log that are new since the last look at it. `seen` is the log as of then.
fn new_entries<'a>(seen: &mut BTreeMap<Index, Term>, log: &'a RaftLog<PeerStorage>) -> &'a [Entry] {
    let last = log.last_index();
    while seen.last_key_value().is_some_and(|(index, _)| *index > last) {
        seen.pop_last();
    }
    let mut first = last + 1;
    while first > log.first_index() && seen.get(&(first - 1)) != log.term(first - 1).as_ref() {
        first -= 1;
    }
    let entries = log.entries(first, last + 1);
    seen.extend(entries.iter().map(|entry| (entry.index, entry.term)));
    entries
}

/// FNV-1a of an entry's content: two entries that differ are told apart without being kept.
fn fingerprint(data: &[u8]) -> u64 {
    data.iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
