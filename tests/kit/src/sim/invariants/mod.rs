//! What must hold in every moment of every run, one invariant a file.
//!
//! | invariant | section of the paper | file |
//! |---|---|---|
//! | one leader a region and term | 5.2, figure 3 "Election Safety" | `election_safety` |
//! | logs that agree at an entry agree up to it | 5.3, figure 3 "Log Matching" | `log_matching` |
//! | committed means: on a majority's disks | 5.3 | `commit_by_majority` |
//! | later leaders have what is committed | 5.4, figure 3 "Leader Completeness" | `leader_completeness` |
//! | all commit the same at an index | 5.4.3, figure 3 "State Machine Safety" | `state_machine_safety` |
//! | term, commit and applied index never go back | 5.1, figure 2 | `monotonic` |
//! | applied <= commit <= last index | 5.3, figure 2 "lastApplied" | `bounds` |
//! | saved before told | figure 2 "Persistent state" | `saved_before_told` |
//! | what a store goes by is on its disks | figure 2 "Persistent state" | `on_disk` |
//! | a restart finds what was told | figure 2 "Persistent state" | `restart` |
//!
//! They look at a store after each of its steps, at each message at the moment in which it leaves, with the disk as it is then,
//! and at each start. They know the keys of `src/engine/keys.rs` and the accessors of `Peer`, and nothing of how a store
//! came to its state.

mod bounds;
mod commit_by_majority;
mod election_safety;
mod leader_completeness;
mod log_matching;
mod monotonic;
mod on_disk;
mod restart;
mod saved_before_told;
mod state_machine_safety;

use std::collections::BTreeMap;

use prost::Message;
use raftkv::engine::{Cf, Snapshot, keys};
use raftkv::ids::{RegionId, StoreId};
use raftkv::proto::raft_serverpb::{RaftLocalState, RaftMessage};
use raftkv::raftstore::{Engines, Peer, Store};

/// `Err` says what happened; the invariant itself says what should have.
pub type Verdict = Result<(), String>;

/// A peer: the store that it is on, and its region.
pub type Place = (StoreId, RegionId);

/// One invariant.
pub trait Invariant {
    /// The rule, as a sentence, with its section.
    fn rule(&self) -> &'static str;

    /// A peer's store has done something.
    fn after_step(&mut self, _at: Place, _peer: &Peer) -> Verdict {
        Ok(())
    }

    /// A store sends a message; its disks are as they are at this moment.
    fn on_send(&mut self, _disks: &Engines, _at: Place, _m: &RaftMessage) -> Verdict {
        Ok(())
    }

    /// A peer has come back from its disks.
    fn on_start(&mut self, _at: Place, _peer: &Peer) -> Verdict {
        Ok(())
    }
}

/// All of them.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(restart::Restart::default()),
        Box::new(bounds::Bounds),
        Box::new(monotonic::Monotonic::default()),
        Box::new(election_safety::ElectionSafety::default()),
        Box::new(on_disk::OnDisk::default()),
        Box::new(log_matching::LogMatching::default()),
        Box::new(commit_by_majority::CommitByMajority::default()),
        Box::new(leader_completeness::LeaderCompleteness::default()),
        Box::new(state_machine_safety::StateMachineSafety::default()),
        Box::new(saved_before_told::SavedBeforeTold),
    ]
}

/// A broken rule, and what broke it.
pub(super) type Broken = (&'static str, String);

pub(super) fn after_step(
    invariants: &mut [Box<dyn Invariant>],
    stores: &BTreeMap<StoreId, Store>,
    id: StoreId,
) -> Option<Broken> {
    each_peer(invariants, stores, id, |invariant, at, peer| invariant.after_step(at, peer))
}

pub(super) fn on_start(
    invariants: &mut [Box<dyn Invariant>],
    stores: &BTreeMap<StoreId, Store>,
    id: StoreId,
) -> Option<Broken> {
    each_peer(invariants, stores, id, |invariant, at, peer| invariant.on_start(at, peer))
}

fn each_peer(
    invariants: &mut [Box<dyn Invariant>],
    stores: &BTreeMap<StoreId, Store>,
    id: StoreId,
    ask: impl Fn(&mut dyn Invariant, Place, &Peer) -> Verdict,
) -> Option<Broken> {
    for peer in stores.get(&id)?.peers() {
        for invariant in invariants.iter_mut() {
            if let Err(happened) = ask(&mut **invariant, (id, peer.region_id()), peer) {
                return Some((invariant.rule(), format!("store {id}: {happened}")));
            }
        }
    }
    None
}

pub(super) fn on_send(
    invariants: &mut [Box<dyn Invariant>],
    disks: &Engines,
    from: StoreId,
    m: &RaftMessage,
) -> Option<Broken> {
    for invariant in invariants.iter_mut() {
        if let Err(happened) = invariant.on_send(disks, (from, m.region_id), m) {
            return Some((invariant.rule(), format!("store {from}: {happened}")));
        }
    }
    None
}

/// `Err` with this text unless `holds`.
fn check(holds: bool, text: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(text()) }
}

/// The peer's record on the raft engine; all zero if there is none.
fn raft_state_on_disk(raft: &dyn Snapshot, region: RegionId) -> Result<RaftLocalState, String> {
    let value = raft.get(Cf::Default, &keys::raft_state(region)).map_err(|error| error.to_string())?;
    let decode =
        |value| RaftLocalState::decode(value).map_err(|error| format!("the RaftLocalState: {error}"));
    value.map_or(Ok(RaftLocalState::default()), decode)
}

/// FNV-1a of an entry's content: two entries that differ are told apart without being kept.
fn fingerprint(data: &[u8]) -> u64 {
    data.iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
