//! What makes a request acceptable.

use std::collections::BTreeSet;

use super::SchedulerError;
use crate::proto::metapb::Region;

/// No cluster comes that far. A larger id is damage, and taken seriously it would leave no ids to give.
const MAX_ID: u64 = u64::MAX / 2;

/// 0 is no id.
pub(super) fn check_id(id: u64) -> Result<(), SchedulerError> {
    match id {
        0 => Err(SchedulerError::BadRequest("an id is 0")),
        1..=MAX_ID => Ok(()),
        _ => Err(SchedulerError::BadRequest("an id is out of range")),
    }
}

/// A region that can be: it has keys and peers, one a store.
pub(super) fn check_region(region: Option<&Region>) -> Result<&Region, SchedulerError> {
    let region = region.ok_or(SchedulerError::BadRequest("no region"))?;
    check_id(region.id)?;
    if region.range().is_empty() {
        return Err(SchedulerError::BadRequest("the region has no keys"));
    }
    if region.peers.is_empty() {
        return Err(SchedulerError::BadRequest("the region has no peers"));
    }
    let mut peers = BTreeSet::new();
    let mut stores = BTreeSet::new();
    for peer in &region.peers {
        check_id(peer.id)?;
        check_id(peer.store_id)?;
        if !peers.insert(peer.id) || !stores.insert(peer.store_id) {
            return Err(SchedulerError::BadRequest("two peers have one id or one store"));
        }
    }
    Ok(region)
}

#[cfg(test)]
mod tests {
    use super::super::samples::region;
    use super::*;

    #[test]
    fn regions_that_cannot_be_are_refused() {
        let good = region(2, ["a", "m"], [1, 1], &[1, 2]);
        assert_eq!(check_region(Some(&good)), Ok(&good));
        let bad = [
            region(0, ["a", "m"], [1, 1], &[1]),
            region(u64::MAX, ["a", "m"], [1, 1], &[]),
            region(2, ["m", "m"], [1, 1], &[1]),
            region(2, ["a", "m"], [1, 1], &[]),
            region(2, ["a", "m"], [1, 1], &[1, 1]),
            region(2, ["a", "m"], [1, 1], &[0]),
        ];
        for bad in bad {
            assert!(check_region(Some(&bad)).is_err(), "{bad:?}");
        }
        assert!(check_region(None).is_err());
    }
}
