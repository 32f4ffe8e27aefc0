//! Which region lies where.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::engine::KeyRange;
use crate::ids::RegionId;
use crate::proto::metapb::Region;

/// The regions of which this store has a peer, and their ranges.
///
/// - `region_ranges` has an entry for each of `regions`, under its start key.
/// - Ranges do not overlap.
#[derive(Clone, Debug, Default)]
pub struct StoreMeta {
    regions: BTreeMap<RegionId, Region>,
    region_ranges: BTreeMap<Bytes, RegionId>,
}

impl StoreMeta {
    /// Adds a region, or replaces what was known of it.
    pub fn insert(&mut self, region: &Region) {
        self.remove(region.id);
        self.region_ranges.insert(region.start_key.clone(), region.id);
        self.regions.insert(region.id, region.clone());
    }

    /// Forgets a region.
    pub fn remove(&mut self, id: RegionId) {
        if let Some(old) = self.regions.remove(&id)
            && self.region_ranges.get(&old.start_key) == Some(&id)
        {
            self.region_ranges.remove(&old.start_key);
        }
    }

    /// The regions that hold keys of this range.
    pub fn overlapping<'a>(&'a self, range: &'a KeyRange) -> impl Iterator<Item = RegionId> + 'a {
        self.regions.values().filter(|region| region.range().overlaps(range)).map(|region| region.id)
    }

    /// The regions here that lie next to this one, on its left and on its right.
    pub fn neighbours(&self, id: RegionId) -> impl Iterator<Item = &Region> {
        let region = self.regions.get(&id).cloned().unwrap_or_default();
        let is_next = move |other: &&Region| {
            let is_left = !region.start_key.is_empty() && other.end_key == region.start_key;
            let is_right = !region.end_key.is_empty() && other.start_key == region.end_key;
            is_left || is_right
        };
        self.regions.values().filter(is_next)
    }

    /// One region.
    pub fn region(&self, id: RegionId) -> Option<&Region> {
        self.regions.get(&id)
    }

    /// All regions, by id.
    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        self.regions.values()
    }

    /// Start keys and regions, from left to right.
    pub fn region_ranges(&self) -> &BTreeMap<Bytes, RegionId> {
        &self.region_ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_that_moves_leaves_no_old_range_behind() {
        let mut meta = StoreMeta::default();
        let region = |id, start: &'static str| Region { id, start_key: start.into(), ..Default::default() };
        meta.insert(&region(1, ""));
        meta.insert(&region(2, "m"));
        meta.insert(&region(2, "k"));
        assert_eq!(
            meta.region_ranges().clone().into_iter().collect::<Vec<_>>(),
            [("".into(), 1), ("k".into(), 2)]
        );
        meta.remove(1);
        meta.remove(1);
        assert_eq!(meta.regions().map(|r| r.id).collect::<Vec<_>>(), [2]);
        assert_eq!(meta.region_ranges().len(), 1);
    }
}
