//! Which region lies where.

use std::collections::BTreeMap;
use std::ops::Bound;

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

    /// The regions that hold keys of this range, from left to right.
    pub fn overlapping<'a>(&'a self, range: &'a KeyRange) -> impl Iterator<Item = RegionId> + 'a {
        let before = self.region_ranges.range::<Bytes, _>(..=&range.start).next_back();
        let behind = self.region_ranges.range::<Bytes, _>((Bound::Excluded(&range.start), Bound::Unbounded));
        let inside = behind.take_while(|(start, _)| range.is_before_end(start));
        let near = before.into_iter().chain(inside).filter_map(|(_, id)| self.regions.get(id));
        near.filter(|region| region.range().overlaps(range)).map(|region| region.id)
    }

    /// The regions here that lie next to this one, on its left and on its right.
    pub fn neighbours(&self, id: RegionId) -> impl Iterator<Item = &Region> {
        let beside = self.regions.get(&id).map(|region| {
            let left = self.region_ranges.range::<Bytes, _>(..&region.start_key).next_back();
            let left = left.and_then(|(_, id)| self.regions.get(id));
            let right = self.region_ranges.get(&region.end_key).and_then(|id| self.regions.get(id));
            let left = left.filter(|left| left.end_key == region.start_key);
            left.into_iter().chain(right.filter(|_| !region.end_key.is_empty()))
        });
        beside.into_iter().flatten()
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
    fn what_lies_where() {
        let mut meta = StoreMeta::default();
        for (id, start, end) in [(3, "", "c"), (1, "c", "h"), (2, "k", "p"), (4, "p", "")] {
            let (start_key, end_key) = (start.into(), end.into());
            meta.insert(&Region { id, start_key, end_key, ..Default::default() });
        }
        let overlapping = |start: &'static str, end: &'static str| {
            meta.overlapping(&KeyRange::new(start, end)).collect::<Vec<_>>()
        };
        assert_eq!(overlapping("", ""), [3, 1, 2, 4]);
        assert_eq!(overlapping("a", "b"), [3]);
        assert_eq!(overlapping("c", "h"), [1], "an end is not inside");
        assert_eq!(overlapping("h", "k"), Vec::<RegionId>::new(), "nobody holds these");
        assert_eq!(overlapping("d", "l"), [1, 2]);
        assert_eq!(overlapping("z", ""), [4]);
        let neighbours = |id| meta.neighbours(id).map(|region| region.id).collect::<Vec<_>>();
        assert_eq!([3, 1, 2, 4, 9].map(neighbours), [vec![1], vec![3], vec![4], vec![2], vec![]]);
    }

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
