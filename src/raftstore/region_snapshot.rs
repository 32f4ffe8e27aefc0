//! The data of one region at one moment: what a `Snap` command is answered with.

use std::sync::Arc;

use bytes::Bytes;

use super::region_error::key_not_in_region;
use crate::engine::{Cf, Cursor, KeyRange, Snapshot};
use crate::error::Error;
use crate::proto::metapb::Region;

/// The data of a region as of one place in its log.
///
/// The engine below holds other regions too: nothing outside the region's range can be seen through this. Clones see
/// the same data.
#[derive(Clone)]
pub struct RegionSnapshot {
    region: Region,
    snapshot: Arc<dyn Snapshot>,
}

impl RegionSnapshot {
    /// The part of the engine's snapshot that belongs to the region.
    pub fn new(region: Region, snapshot: Box<dyn Snapshot>) -> RegionSnapshot {
        RegionSnapshot { region, snapshot: snapshot.into() }
    }

    /// The region, as it was then.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The key's value, or `None` where the key does not exist.
    ///
    /// # Errors
    /// `KeyNotInRegion` for a key outside: "not found" would be wrong, for another region may have it.
    pub fn get(&self, cf: Cf, key: &[u8]) -> Result<Option<Bytes>, Error> {
        if !self.range().contains(key) {
            return Err(key_not_in_region(key, &self.region));
        }
        Ok(self.snapshot.get(cf, key)?)
    }

    /// A cursor over those keys of the range that are in the region, not yet on any of them. The client asks the
    /// neighbouring regions for the rest.
    pub fn cursor(&self, cf: Cf, range: KeyRange) -> Box<dyn Cursor + '_> {
        self.snapshot.cursor(cf, self.range().intersect(range))
    }

    fn range(&self) -> KeyRange {
        self.region.range()
    }
}

impl std::fmt::Debug for RegionSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegionSnapshot").field("region", &self.region).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Engine, MemEngine, WriteBatch};

    fn region_b_to_d() -> RegionSnapshot {
        let engine = MemEngine::new();
        let mut batch = WriteBatch::new();
        for key in ["a", "b", "c", "d"] {
            batch.put(Cf::Default, key, key);
        }
        engine.write(batch, false).unwrap();
        let region = Region { id: 1, start_key: "b".into(), end_key: "d".into(), ..Default::default() };
        RegionSnapshot::new(region, engine.snapshot())
    }

    #[test]
    fn a_key_outside_is_an_error_and_not_missing() {
        let snapshot = region_b_to_d();
        assert_eq!(snapshot.get(Cf::Default, b"b").unwrap(), Some("b".into()));
        assert_eq!(snapshot.get(Cf::Default, b"bb").unwrap(), None);
        for outside in [b"a", b"d"] {
            let error = snapshot.get(Cf::Default, outside).unwrap_err();
            assert!(error.into_response().0.unwrap().key_not_in_region.is_some());
        }
    }

    #[test]
    fn a_cursor_stays_in_the_region() {
        let snapshot = region_b_to_d();
        let mut cursor = snapshot.cursor(Cf::Default, KeyRange::all());
        cursor.seek_to_first().unwrap();
        let mut keys = Vec::new();
        while let Some((key, _)) = cursor.entry() {
            keys.push(key.to_vec());
            cursor.next().unwrap();
        }
        assert_eq!(keys, [b"b", b"c"]);
    }
}
