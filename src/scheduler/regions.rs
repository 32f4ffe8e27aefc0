//! Routing: which region has which keys.
//!
//! Reports come from many leaders, late and in any order. Two facts bring order into them:
//!
//! - **Epochs.** A region's `version` rises with each split and its `conf_ver` with each change of members. A split
//!   cuts one region into parts, all with a larger version. So of two regions that share a key, the one with the larger
//!   version is the later one, whatever their ids; two with the same version cannot share a key.
//! - **Terms.** A region keeps its Raft group, so of two leaders of one region the one with the larger term is right.
//!
//! ```text
//!   known                    1: ""..z  version 1
//!   reported: 2, version 2                              2: m..z            1 is older and shares m..z: it goes,
//!                                                                          and "".. has no region for now
//!   reported: 1, version 1   stale: 2 is newer and shares m..z
//!   reported: 1, version 2   1: ""..m                   2: m..z
//! ```
//!
//! A split only makes ranges smaller, so whatever has replaced a region lies inside it and refuses its late reports.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use super::SchedulerError;
use crate::engine::KeyRange;
use crate::ids::{PeerId, RegionId, Term};
use crate::proto::metapb::{Peer, Region, RegionEpoch};
use crate::proto::pdpb::PeerStats;

/// What is known of a region.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegionInfo {
    /// Its keys and its peers.
    pub region: Region,
    /// None until a leader has reported itself. Always one of the peers.
    pub leader: Option<Peer>,
    /// The leader's.
    pub term: Term,
    /// Peers that the leader has not heard from.
    pub down_peers: Vec<PeerStats>,
    /// Peers that still wait for their first snapshot.
    pub pending_peers: Vec<Peer>,
    /// In bytes, as the leader guesses.
    pub approximate_size: u64,
}

impl RegionInfo {
    /// The edition of the region.
    pub fn epoch(&self) -> RegionEpoch {
        self.region.region_epoch.unwrap_or_default()
    }

    /// Is it a peer of the region?
    pub fn has(&self, peer: PeerId) -> bool {
        self.region.peers.iter().any(|p| p.id == peer)
    }

    /// Does it lead the region?
    pub fn is_led_by(&self, peer: PeerId) -> bool {
        self.leader.is_some_and(|leader| leader.id == peer)
    }

    /// Does it still wait for its first snapshot?
    pub fn is_pending(&self, peer: PeerId) -> bool {
        self.pending_peers.iter().any(|p| p.id == peer)
    }

    /// For how long the leader has not heard from it. None for a peer that is well.
    pub fn down_seconds(&self, peer: PeerId) -> Option<u64> {
        let down = self.down_peers.iter().find(|stats| stats.peer.is_some_and(|p| p.id == peer));
        down.map(|stats| stats.down_seconds)
    }

    /// Has the leader not heard from it for so long?
    pub fn is_down(&self, peer: PeerId, seconds: u64) -> bool {
        self.down_seconds(peer).is_some_and(|down| down >= seconds)
    }

    /// A later edition of the region, with what is known of its peers.
    fn moved_to(mut self, region: &Region) -> RegionInfo {
        self.region = region.clone();
        self.leader = self.leader.filter(|leader| region.peers.iter().any(|p| p.id == leader.id));
        self.only_own_peers();
        self
    }

    /// Forgets what was said of peers that are no longer in the region, or never were.
    pub(super) fn only_own_peers(&mut self) {
        let peers = &self.region.peers;
        let own = |peer: &Peer| peers.iter().any(|p| p.id == peer.id);
        self.down_peers.retain(|stats| stats.peer.as_ref().is_some_and(own));
        self.pending_peers.retain(own);
    }
}

/// What a report has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// The region was not known in this edition.
    pub newer: bool,
    /// Other regions that it has replaced.
    pub gone: Vec<RegionId>,
    /// The reporter leads the region, as far as is known.
    pub from_leader: bool,
}

/// The regions by id and by key.
///
/// - `by_start` has an entry for each of `by_id`, under its start key.
/// - Ranges do not overlap: a key has one region at most. It may have none for a while.
#[derive(Clone, Debug, Default)]
pub(super) struct Regions {
    by_id: BTreeMap<RegionId, RegionInfo>,
    by_start: BTreeMap<Bytes, RegionId>,
}

impl Regions {
    /// The region that has the key.
    pub fn by_key(&self, key: &[u8]) -> Option<&RegionInfo> {
        let before = (Bound::Unbounded, Bound::Included(key));
        let (_, id) = self.by_start.range::<[u8], _>(before).next_back()?;
        Some(&self.by_id[id]).filter(|info| info.region.range().is_before_end(key))
    }

    /// One region.
    pub fn by_id(&self, id: RegionId) -> Option<&RegionInfo> {
        self.by_id.get(&id)
    }

    /// All, by id.
    pub fn iter(&self) -> impl Iterator<Item = &RegionInfo> {
        self.by_id.values()
    }

    /// Takes in what a leader reports.
    ///
    /// A leader that has been succeeded may be the first to report a new edition, for it may have applied more. The
    /// region is taken then, and the leader stays the later one.
    ///
    /// # Errors
    /// As for [`Regions::check`]; [`SchedulerError::OldLeader`] where nothing in it is new. Nothing has changed then.
    pub fn heartbeat(&mut self, mut report: RegionInfo) -> Result<Taken, SchedulerError> {
        self.check(&report.region)?;
        let newer = self.is_new(&report.region);
        let mut from_leader = true;
        if let Some(known) = self.by_id.get(&report.region.id)
            && report.term < known.term
        {
            if !newer {
                let (region, term) = (report.region.id, report.term);
                return Err(SchedulerError::OldLeader { region, term, known: known.term });
            }
            report = known.clone().moved_to(&report.region);
            from_leader = false;
        }
        let gone = self.replace(report);
        Ok(Taken { newer, gone, from_leader })
    }

    /// Takes in a region of which nobody says who leads it. Who led it before still does.
    ///
    /// # Errors
    /// As for [`Regions::check`].
    pub fn register(&mut self, region: &Region) -> Result<Taken, SchedulerError> {
        self.check(region)?;
        if !self.is_new(region) {
            return Ok(Taken::default());
        }
        let known = self.by_id.get(&region.id).cloned().unwrap_or_default();
        let gone = self.replace(known.moved_to(region));
        Ok(Taken { newer: true, gone, from_leader: false })
    }

    /// What was saved of a region.
    pub fn restore(&mut self, region: Region) {
        self.replace(RegionInfo { region, ..Default::default() });
    }

    /// Forgets a region.
    pub fn remove(&mut self, id: RegionId) {
        if let Some(old) = self.by_id.remove(&id) {
            self.by_start.remove(&old.region.start_key);
        }
    }

    /// Is this region at least as new as all that is known?
    ///
    /// # Errors
    /// [`SchedulerError::Stale`] where something known is newer: the region itself, or one that has taken some of its
    /// keys. [`SchedulerError::Contradiction`] where the two cannot both have been.
    pub fn check(&self, region: &Region) -> Result<(), SchedulerError> {
        if let Some(known) = self.by_id.get(&region.id) {
            check_same(&known.region, region)?;
        }
        for known in self.overlapping(&region.range()).filter(|known| known.region.id != region.id) {
            let epoch = region.region_epoch.unwrap_or_default();
            if epoch.version < known.epoch().version {
                return Err(stale(&known.region, region));
            }
            if epoch.version == known.epoch().version {
                return Err(contradiction(&known.region, region, "both have some key in the same version"));
            }
        }
        Ok(())
    }

    fn is_new(&self, region: &Region) -> bool {
        let known = self.by_id.get(&region.id);
        known.is_none_or(|known| known.epoch() != region.region_epoch.unwrap_or_default())
    }

    /// Puts a region in the place of all that it overlaps. Returns which others that were.
    fn replace(&mut self, info: RegionInfo) -> Vec<RegionId> {
        let id = info.region.id;
        self.remove(id);
        let gone: Vec<RegionId> = self.overlapping(&info.region.range()).map(|old| old.region.id).collect();
        for old in &gone {
            self.remove(*old);
        }
        let before = self.by_start.insert(info.region.start_key.clone(), id);
        assert_eq!(before, None, "two regions begin at the same key");
        self.by_id.insert(id, info);
        gone
    }

    /// The regions that share a key with the range, from left to right.
    fn overlapping(&self, range: &KeyRange) -> impl Iterator<Item = &RegionInfo> {
        let first = self.by_key(&range.start);
        let inside = (Bound::Excluded(&range.start[..]), range.upper_bound());
        first.into_iter().chain(self.by_start.range::<[u8], _>(inside).map(|(_, id)| &self.by_id[id]))
    }
}

/// Two editions of one region. Both counters only grow, and what they count does not change without them.
fn check_same(known: &Region, region: &Region) -> Result<(), SchedulerError> {
    let old = known.region_epoch.unwrap_or_default();
    let new = region.region_epoch.unwrap_or_default();
    if new.version < old.version || new.conf_ver < old.conf_ver {
        return Err(stale(known, region));
    }
    if new.version == old.version && region.range() != known.range() {
        return Err(contradiction(known, region, "the range has changed, the version has not"));
    }
    if new.conf_ver == old.conf_ver && members(region) != members(known) {
        return Err(contradiction(known, region, "the peers have changed, the conf_ver has not"));
    }
    Ok(())
}

fn members(region: &Region) -> BTreeMap<PeerId, u64> {
    region.peers.iter().map(|peer| (peer.id, peer.store_id)).collect()
}

fn stale(known: &Region, region: &Region) -> SchedulerError {
    SchedulerError::Stale {
        region: region.id,
        epoch: region.region_epoch.unwrap_or_default(),
        known_region: known.id,
        known: known.region_epoch.unwrap_or_default(),
    }
}

fn contradiction(known: &Region, region: &Region, why: &'static str) -> SchedulerError {
    SchedulerError::Contradiction { region: region.id, known_region: known.id, why }
}

#[cfg(test)]
mod tests {
    use super::super::samples::region;
    use super::*;

    /// What the leader on the first of the region's stores says.
    fn report(region: Region, term: Term) -> RegionInfo {
        let leader = Some(region.peers[0]);
        RegionInfo { region, leader, term, ..Default::default() }
    }

    /// Start, end, region; from left to right.
    fn routes(regions: &Regions) -> Vec<(&str, &str, RegionId)> {
        let text = |key| std::str::from_utf8(key).expect("keys of these tests are text");
        let infos = regions.by_start.values().map(|id| &regions.by_id[id].region);
        infos.map(|r| (text(&r.start_key), text(&r.end_key), r.id)).collect()
    }

    fn with(known: Region) -> Regions {
        let mut regions = Regions::default();
        regions.heartbeat(report(known, 5)).expect("nothing is known yet");
        regions
    }

    fn is_stale(result: Result<Taken, SchedulerError>) -> bool {
        matches!(result, Err(SchedulerError::Stale { .. }))
    }

    #[test]
    fn whichever_half_reports_first_a_key_never_has_two_regions() {
        let (left, right) = (region(1, ["", "m"], [2, 1], &[1]), region(2, ["m", ""], [2, 1], &[1]));
        for halves in [[&left, &right], [&right, &left]] {
            let mut regions = with(region(1, ["", ""], [1, 1], &[1]));
            regions.heartbeat(report(halves[0].clone(), 6)).expect("newer than what was known");
            assert_eq!(
                routes(&regions).len(),
                1,
                "the region before the split is gone: {:?}",
                routes(&regions)
            );
            let late = regions.heartbeat(report(region(1, ["", ""], [1, 1], &[1]), 9));
            assert!(is_stale(late), "the region before the split reports late");
            regions.heartbeat(report(halves[1].clone(), 6)).expect("nothing newer has its keys");
            assert_eq!(routes(&regions), [("", "m", 1), ("m", "", 2)]);
        }
    }

    #[test]
    fn a_key_without_a_region_has_none() {
        let regions = with(region(1, ["b", "m"], [2, 1], &[1]));
        let found = ["a", "b", "l", "m", "z"].map(|key| regions.by_key(key.as_bytes()).is_some());
        assert_eq!(found, [false, true, true, false, false]);
    }

    #[test]
    fn a_newer_region_replaces_all_older_ones_it_overlaps() {
        let mut regions = Regions::default();
        for (id, range) in [(1, ["", "c"]), (2, ["c", "f"]), (3, ["f", "k"]), (4, ["k", ""])] {
            regions.heartbeat(report(region(id, range, [3, 1], &[1]), 5)).unwrap();
        }
        let taken = regions.heartbeat(report(region(9, ["d", "k"], [4, 1], &[1]), 5)).unwrap();
        assert_eq!(taken.gone, [2, 3]);
        assert_eq!(routes(&regions), [("", "c", 1), ("d", "k", 9), ("k", "", 4)], "neighbours stay");
        assert!(regions.by_id(2).is_none());
    }

    #[test]
    fn an_older_edition_is_stale_whatever_its_term() {
        let mut regions = with(region(1, ["", "m"], [3, 4], &[1, 2]));
        for epoch in [[2, 4], [3, 3], [2, 9], [9, 3]] {
            let late = regions.heartbeat(report(region(1, ["", "m"], epoch, &[1, 2]), 99));
            assert!(is_stale(late), "version and conf_ver {epoch:?} against 3 and 4");
        }
        assert_eq!(regions.by_id(1).map(|info| info.term), Some(5), "nothing has changed");
    }

    #[test]
    fn of_two_leaders_the_later_one_is_right() {
        let known = region(1, ["", ""], [1, 1], &[1, 2, 3]);
        let mut regions = with(known.clone());
        let late = RegionInfo { leader: Some(known.peers[1]), ..report(known.clone(), 4) };
        let old = SchedulerError::OldLeader { region: 1, term: 4, known: 5 };
        assert_eq!(regions.heartbeat(late), Err(old));
        assert_eq!(regions.by_id(1).and_then(|info| info.leader), Some(known.peers[0]));
        let next = RegionInfo { leader: Some(known.peers[2]), ..report(known.clone(), 6) };
        let taken = regions.heartbeat(next).expect("a later term");
        assert_eq!((taken.newer, taken.from_leader), (false, true));
        assert_eq!(regions.by_id(1).and_then(|info| info.leader), Some(known.peers[2]));
    }

    #[test]
    fn an_old_leader_may_know_a_newer_region() {
        let mut regions = with(region(1, ["", ""], [1, 1], &[1, 2]));
        let newer = region(1, ["", ""], [1, 2], &[1, 2, 3]);
        let taken =
            regions.heartbeat(RegionInfo { leader: Some(newer.peers[1]), ..report(newer.clone(), 4) });
        assert_eq!(taken, Ok(Taken { newer: true, gone: vec![], from_leader: false }));
        let info = regions.by_id(1).expect("it was reported");
        assert_eq!((info.region.peers.len(), info.leader, info.term), (3, Some(newer.peers[0]), 5));
    }

    #[test]
    fn a_leader_that_is_no_member_is_none() {
        let mut regions = with(region(1, ["", ""], [1, 1], &[1, 2]));
        regions.register(&region(1, ["", ""], [1, 2], &[2, 3])).expect("newer");
        assert_eq!(regions.by_id(1).map(|info| info.leader), Some(None));
    }

    #[test]
    fn a_registered_region_has_no_leader_and_does_not_hide_one() {
        let mut regions = with(region(1, ["", ""], [1, 1], &[1]));
        let (left, right) = (region(1, ["", "m"], [2, 1], &[1]), region(2, ["m", ""], [2, 1], &[1]));
        regions.register(&left).expect("newer");
        assert_eq!(regions.by_id(1).map(|info| info.leader), Some(Some(left.peers[0])), "it still leads");
        regions.register(&right).expect("newer");
        assert_eq!(regions.by_key(b"x").map(|info| (info.region.id, info.leader)), Some((2, None)));
        regions.heartbeat(report(right.clone(), 6)).expect("as new");
        assert_eq!(regions.register(&right), Ok(Taken::default()));
        assert_eq!(regions.by_id(2).map(|info| info.leader), Some(Some(right.peers[0])));
    }

    #[test]
    fn who_forgets_to_raise_the_epoch_hears_so() {
        let mut regions = with(region(1, ["", "m"], [2, 2], &[1, 2]));
        let wrong = [
            region(1, ["", "k"], [2, 3], &[1, 2, 3]),
            region(1, ["", "k"], [3, 2], &[1, 3]),
            region(2, ["k", ""], [2, 9], &[1, 2]),
        ];
        for wrong in wrong {
            let refused = regions.heartbeat(report(wrong, 9));
            assert!(matches!(refused, Err(SchedulerError::Contradiction { .. })), "{refused:?}");
        }
        assert_eq!(routes(&regions), [("", "m", 1)]);
    }
}
