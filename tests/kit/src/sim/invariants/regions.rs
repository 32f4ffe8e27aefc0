//! What must hold of regions: their editions, their keys, and the peers that come and go.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use raftkv::engine::{Cf, keys};
use raftkv::ids::{PeerId, RegionId, StoreId};
use raftkv::proto::metapb::{Region, RegionEpoch};
use raftkv::proto::raft_serverpb::{RaftMessage, RegionLocalState};
use raftkv::raftstore::{Peer, Store};

use super::{Broken, Place};

/// Everything that is known about regions, from whatever store.
#[derive(Debug, Default)]
pub struct Regions {
    /// The peers that there are on stores that run.
    peers: BTreeMap<Place, PeerId>,
    /// Peers that were there when their store went down, and are not, since they have no region yet: a message brings
    /// them back, with the votes that they have given.
    asleep: BTreeMap<Place, PeerId>,
    /// Peers that are gone for good.
    gone: BTreeSet<(RegionId, PeerId)>,
    /// The edition that each peer went by last.
    last: BTreeMap<Place, RegionEpoch>,
    /// Every edition of every region.
    editions: BTreeMap<(RegionId, u64, u64), Region>,
    /// The newest edition of each region.
    newest: BTreeMap<RegionId, Region>,
    /// They have changed since they were looked at together.
    is_new: bool,
}

fn numbers(epoch: Option<RegionEpoch>) -> (u64, u64) {
    let epoch = epoch.unwrap_or_default();
    (epoch.version, epoch.conf_ver)
}

impl Regions {
    /// The places whose peers have gone since the last look, be it for good or to make way for others.
    pub(super) fn take_gone(&mut self, store: &Store) -> Vec<Place> {
        let id = store.id();
        let known = self.peers.range((id, 0)..=(id, u64::MAX));
        let is_other = |place: &Place, peer: &PeerId| store.peer(place.1).map(Peer::id) != Some(*peer);
        let gone: Vec<(Place, PeerId)> = known
            .filter(|(place, peer)| is_other(place, peer))
            .map(|(place, peer)| (*place, *peer))
            .collect();
        for (place, peer) in &gone {
            self.peers.remove(place);
            self.last.remove(place);
            self.gone.insert((place.1, *peer));
        }
        gone.into_iter().map(|(place, _)| place).collect()
    }

    /// The regions of which a peer has come back that was asleep. All others that are new are noted.
    pub(super) fn take_awake(&mut self, store: &Store) -> Vec<RegionId> {
        let mut awake = Vec::new();
        for peer in store.peers() {
            let at = (store.id(), peer.region_id());
            if self.peers.insert(at, peer.id()).is_none() && self.asleep.remove(&at) == Some(peer.id()) {
                awake.push(at.1);
            }
        }
        awake
    }

    /// A store has come back. Returns the places whose peers are gone for good: a peer that knew its region is on the
    /// disk, or was destroyed.
    pub(super) fn on_start(&mut self, store: &Store) -> Vec<Place> {
        let id = store.id();
        let is_missing = |place: &Place| store.peer(place.1).is_none();
        let known = self.peers.range((id, 0)..=(id, u64::MAX));
        let unborn: Vec<(Place, PeerId)> = known
            .filter(|(place, _)| is_missing(place) && !self.last.contains_key(place))
            .map(|(place, peer)| (*place, *peer))
            .collect();
        for (place, peer) in unborn {
            self.peers.remove(&place);
            self.asleep.insert(place, peer);
        }
        let gone = self.take_gone(store);
        let _ = self.take_awake(store);
        gone
    }

    /// A peer has changed.
    pub(super) fn after_step(&mut self, store: &Store, peer: &Peer) -> Option<Broken> {
        if !peer.is_initialized() {
            return None;
        }
        let (at, region) = ((store.id(), peer.region_id()), peer.region());
        let epoch = region.region_epoch.unwrap_or_default();
        let before = self.last.insert(at, epoch);
        if before == Some(epoch) {
            return None;
        }
        let fault = go_back(before, epoch).or_else(|| self.compare(region));
        let fault = fault.or_else(|| on_disk(store, peer));
        self.take_newest(region);
        fault.map(|(rule, what)| (rule, format!("store {}, region {}: {what}", at.0, at.1)))
    }

    /// One edition is the same everywhere.
    fn compare(&mut self, region: &Region) -> Option<Broken> {
        let (version, conf_ver) = numbers(region.region_epoch);
        let first = self.editions.entry((region.id, version, conf_ver)).or_insert_with(|| region.clone());
        if first == region {
            return None;
        }
        Some((
            "a change raises the region's epoch: two peers with the same epoch have the same keys and the same members (metapb)",
            format!(
                "epoch {} is {} here, and elsewhere {}",
                text(region.region_epoch),
                region_text(region),
                region_text(first)
            ),
        ))
    }

    fn take_newest(&mut self, region: &Region) {
        let newest = self.newest.entry(region.id).or_default();
        if numbers(newest.region_epoch) >= numbers(region.region_epoch) && !newest.peers.is_empty() {
            return;
        }
        *newest = region.clone();
        self.is_new = true;
    }

    /// A store sends something: not in the name of a peer that is gone.
    pub(super) fn on_send(&mut self, from: StoreId, m: &RaftMessage) -> Option<Broken> {
        let (peer, message) = (m.from_peer?, m.message.as_ref()?);
        if self.gone.contains(&(m.region_id, peer.id)) {
            return Some((
                "a peer that was destroyed never comes back: it would have forgotten its votes (tombstone; section 5.2)",
                format!(
                    "store {from} sends {:?} for peer {} of region {}",
                    message.msg_type(),
                    peer.id,
                    m.region_id
                ),
            ));
        }
        None
    }

    /// The newest edition of each region.
    pub fn newest(&self) -> impl Iterator<Item = &Region> {
        self.newest.values()
    }

    /// The newest editions cover all keys, each once; looked at when no store is in the middle of its work, if one of
    /// them has changed.
    pub(in crate::sim) fn check_tiles(&mut self) -> Result<(), Broken> {
        if !std::mem::take(&mut self.is_new) {
            return Ok(());
        }
        let mut regions: Vec<&Region> = self.newest.values().collect();
        regions.sort_by(|a, b| a.start_key.cmp(&b.start_key));
        let mut end = Some(bytes::Bytes::new());
        for region in &regions {
            if end.as_ref() != Some(&region.start_key) {
                let map: Vec<String> = regions.iter().map(|region| region_text(region)).collect();
                return Err((
                    "together the regions cover all keys, each once: a split gives every key to one of its parts (metapb)",
                    format!("they do not meet at {}: {}", region.start_key.escape_ascii(), map.join(", ")),
                ));
            }
            end = (!region.end_key.is_empty()).then(|| region.end_key.clone());
        }
        match end {
            None => Ok(()),
            Some(_) if regions.is_empty() => Ok(()),
            Some(end) => Err((
                "together the regions cover all keys, each once (metapb)",
                format!("behind {} there is none", end.escape_ascii()),
            )),
        }
    }
}

fn go_back(before: Option<RegionEpoch>, new: RegionEpoch) -> Option<Broken> {
    let old = before.unwrap_or_default();
    if old.version <= new.version && old.conf_ver <= new.conf_ver {
        return None;
    }
    Some((
        "neither number of a region's epoch ever goes back on a peer: version counts splits, conf_ver changes of members (metapb)",
        format!("the epoch was {} and is {}", text(before), text(Some(new))),
    ))
}

fn on_disk(store: &Store, peer: &Peer) -> Option<Broken> {
    let (id, region) = (peer.region_id(), peer.region());
    let kv = store.engines().kv.snapshot();
    let value = kv.get(Cf::Raft, &keys::region_state(id)).expect("the simulated disk can be read");
    let state = value.and_then(|value| RegionLocalState::decode(value).ok()).unwrap_or_default();
    if state.region.as_ref() != Some(region) {
        return Some((
            "the region that a peer goes by is on the kv engine (RegionLocalState), written together with the applied index",
            format!(
                "it goes by {}, and the disk has {}",
                region_text(region),
                state.region.as_ref().map_or("nothing".to_string(), region_text)
            ),
        ));
    }
    let meta = store.meta();
    if meta.region(id) != Some(region) || meta.region_ranges().get(&region.start_key) != Some(&id) {
        return Some((
            "StoreMeta says of each region here what its peer goes by: it is how a store finds whose keys are whose",
            format!(
                "the peer goes by {}, and StoreMeta says {}; it knows the ranges {:?}",
                region_text(region),
                meta.region(id).map_or("nothing".to_string(), region_text),
                meta.region_ranges()
            ),
        ));
    }
    None
}

fn text(epoch: Option<RegionEpoch>) -> String {
    let (version, conf_ver) = numbers(epoch);
    format!("version {version}, conf_ver {conf_ver}")
}

/// A region in a few words: id, keys, epoch, and its members as `peer on store`.
pub fn region_text(region: &Region) -> String {
    let end =
        if region.end_key.is_empty() { "end".to_string() } else { region.end_key.escape_ascii().to_string() };
    let (version, conf_ver) = numbers(region.region_epoch);
    let peers: Vec<String> = region.peers.iter().map(|p| format!("{} on {}", p.id, p.store_id)).collect();
    format!(
        "region {} [{} .. {end}) v{version} c{conf_ver} ({})",
        region.id,
        region.start_key.escape_ascii(),
        peers.join(", ")
    )
}
