//! The map that everything in memory is kept in, and the cursor over it.

use std::ops::Bound;

use bytes::Bytes;
use rpds::RedBlackTreeMapSync;

use super::{Cursor, EngineError, KeyRange};

/// An ordered map that is cheap to copy: the copy shares all nodes with the original, and a change to one of
/// the two copies just the path from the root to what changed. A snapshot is such a copy.
pub(crate) type OrdMap = RedBlackTreeMapSync<Bytes, Bytes>;

/// Removes every key of the range.
pub(crate) fn delete_range(map: &mut OrdMap, range: &KeyRange) {
    if range.is_empty() {
        return; // the map's own `range` panics on one
    }
    let bounds = (Bound::Included(&range.start[..]), range.upper_bound());
    let keys: Vec<Bytes> = map.range::<[u8], _>(bounds).map(|(key, _)| key.clone()).collect();
    for key in keys {
        map.remove_mut(&key);
    }
}

type Entry<'a> = Option<(&'a Bytes, &'a Bytes)>;

/// A cursor over one map. It remembers the key it is on and finds each neighbour from the root.
pub(crate) struct MapCursor<'a> {
    map: &'a OrdMap,
    range: KeyRange,
    entry: Entry<'a>,
}

impl<'a> MapCursor<'a> {
    pub(crate) fn new(map: &'a OrdMap, range: KeyRange) -> MapCursor<'a> {
        MapCursor { map, range, entry: None }
    }

    /// The smallest key of the map that `lower` lets through, if it is in the range.
    fn first_from(&self, lower: Bound<&[u8]>) -> Entry<'a> {
        let first = self.map.range::<[u8], _>((lower, Bound::Unbounded)).next();
        first.filter(|(key, _)| self.range.contains(key))
    }

    /// The greatest key of the map that `upper` lets through, if it is in the range.
    fn last_up_to(&self, upper: Bound<&[u8]>) -> Entry<'a> {
        let last = self.map.range::<[u8], _>((Bound::Unbounded, upper)).next_back();
        last.filter(|(key, _)| self.range.contains(key))
    }
}

impl Cursor for MapCursor<'_> {
    fn seek(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.entry = self.first_from(Bound::Included(key.max(&self.range.start)));
        Ok(())
    }

    fn seek_for_prev(&mut self, key: &[u8]) -> Result<(), EngineError> {
        if self.range.is_before_end(key) {
            self.entry = self.last_up_to(Bound::Included(key));
            Ok(())
        } else {
            self.seek_to_last()
        }
    }

    fn seek_to_first(&mut self) -> Result<(), EngineError> {
        self.entry = self.first_from(Bound::Included(&self.range.start));
        Ok(())
    }

    fn seek_to_last(&mut self) -> Result<(), EngineError> {
        self.entry = self.last_up_to(self.range.upper_bound());
        Ok(())
    }

    fn next(&mut self) -> Result<(), EngineError> {
        if let Some((key, _)) = self.entry {
            self.entry = self.first_from(Bound::Excluded(key));
        }
        Ok(())
    }

    fn prev(&mut self) -> Result<(), EngineError> {
        if let Some((key, _)) = self.entry {
            self.entry = self.last_up_to(Bound::Excluded(key));
        }
        Ok(())
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.entry.map(|(key, value)| (&key[..], &value[..]))
    }
}
