//! Splits: ids for the new regions, and the report that it has been done.

use super::check::check_region;
use super::{Scheduler, SchedulerError};
use crate::proto::pdpb::{AskBatchSplitRequest, AskBatchSplitResponse, ReportBatchSplitRequest, SplitId};

/// The largest number of new regions in one split.
pub const MAX_SPLIT_COUNT: u32 = 1024;

impl Scheduler {
    /// Ids for the regions of a split: for each new one its own, and one for each peer in the order of the region's
    /// peers.
    ///
    /// The ids are gone, also if the split never happens.
    ///
    /// # Errors
    /// [`SchedulerError::RegionNotFound`], or [`SchedulerError::Stale`] where the region has been split or changed
    /// since: the asker does not know the region it wants to split.
    pub fn ask_batch_split(
        &mut self,
        request: &AskBatchSplitRequest,
    ) -> Result<AskBatchSplitResponse, SchedulerError> {
        self.check_call(request.header)?;
        let region = check_region(request.region.as_ref())?;
        if !(1..=MAX_SPLIT_COUNT).contains(&request.split_count) {
            return Err(SchedulerError::BadRequest("a split has 1 to 1024 new regions"));
        }
        if self.regions.by_id(region.id).is_none() {
            return Err(SchedulerError::RegionNotFound(region.id));
        }
        self.regions.check(region)?;
        self.note_ids(region);
        let mut ids = Vec::new();
        for _ in 0..request.split_count {
            let new_region_id = self.alloc_id();
            let new_peer_ids = region.peers.iter().map(|_| self.alloc_id()).collect();
            ids.push(SplitId { new_region_id, new_peer_ids });
        }
        Ok(AskBatchSplitResponse { header: Some(self.header()), ids })
    }

    /// A split has been applied: its parts can be found, even before their leaders report themselves. Parts of which
    /// something newer is known are passed over.
    ///
    /// # Errors
    /// [`SchedulerError::BadRequest`] and [`SchedulerError::Contradiction`]: no right store sends this.
    pub fn report_batch_split(&mut self, request: &ReportBatchSplitRequest) -> Result<(), SchedulerError> {
        self.check_call(request.header)?;
        for region in &request.regions {
            check_region(Some(region))?;
        }
        for region in &request.regions {
            self.note_ids(region);
            match self.register(region) {
                Ok(()) | Err(SchedulerError::Stale { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::samples::{bootstrapped, region};
    use super::super::{Config, RegionInfo};
    use super::*;
    use crate::ids::RegionId;
    use crate::proto::metapb::Region;

    fn ask(region: Region, split_count: u32) -> AskBatchSplitRequest {
        AskBatchSplitRequest { region: Some(region), split_count, ..Default::default() }
    }

    fn report(scheduler: &mut Scheduler, regions: &[Region]) -> Result<(), SchedulerError> {
        scheduler
            .report_batch_split(&ReportBatchSplitRequest { regions: regions.to_vec(), ..Default::default() })
    }

    fn route(scheduler: &Scheduler, key: &[u8]) -> Option<RegionId> {
        scheduler.region_by_key(key).map(|info: &RegionInfo| info.region.id)
    }

    #[test]
    fn every_new_region_and_each_of_its_peers_gets_an_id_of_its_own() {
        let mut scheduler = bootstrapped(Config::default(), &[1, 2, 3]);
        let whole = region(10, ["", ""], [1, 3], &[1, 2, 3]);
        let answers = [0, 1].map(|_| scheduler.ask_batch_split(&ask(whole.clone(), 2)).expect("up to date"));
        let splits: Vec<&SplitId> = answers.iter().flat_map(|answer| &answer.ids).collect();
        assert_eq!(splits.iter().map(|split| split.new_peer_ids.len()).collect::<Vec<_>>(), [3; 4]);
        let mut ids: BTreeSet<u64> = splits.iter().map(|split| split.new_region_id).collect();
        ids.extend(splits.iter().flat_map(|split| &split.new_peer_ids));
        assert_eq!(ids.len(), 16, "4 regions with 3 peers each: none has the id of another");
        assert!(
            ids.iter().all(|id| ![10, 1, 2, 3, 1001, 1002, 1003].contains(id)),
            "none is in use: {ids:?}"
        );
    }

    #[test]
    fn who_does_not_know_the_region_cannot_split_it() {
        let mut scheduler = bootstrapped(Config::default(), &[1]);
        report(&mut scheduler, &[region(10, ["", "m"], [2, 1], &[1])]).expect("newer");
        let stale = scheduler.ask_batch_split(&ask(region(10, ["", ""], [1, 1], &[1]), 1));
        assert!(matches!(stale, Err(SchedulerError::Stale { .. })), "{stale:?}");
        let unknown = scheduler.ask_batch_split(&ask(region(99, ["m", ""], [2, 1], &[1]), 1));
        assert_eq!(unknown, Err(SchedulerError::RegionNotFound(99)));
        for count in [0, MAX_SPLIT_COUNT + 1] {
            let bad = scheduler.ask_batch_split(&ask(region(10, ["", "m"], [2, 1], &[1]), count));
            assert!(matches!(bad, Err(SchedulerError::BadRequest(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_report_makes_the_parts_known_and_is_never_taken_twice() {
        let mut scheduler = bootstrapped(Config::default(), &[1]);
        let parts = [region(10, ["", "m"], [2, 1], &[1]), region(20, ["m", ""], [2, 1], &[1])];
        report(&mut scheduler, &parts).expect("newer");
        assert_eq!([route(&scheduler, b"a"), route(&scheduler, b"x")], [Some(10), Some(20)]);
        report(&mut scheduler, &[region(20, ["m", "t"], [3, 1], &[1]), region(30, ["t", ""], [3, 1], &[1])])
            .expect("newer");
        report(&mut scheduler, &parts).expect("a late copy is passed over");
        assert_eq!([route(&scheduler, b"n"), route(&scheduler, b"x")], [Some(20), Some(30)]);
        assert!(scheduler.alloc_id() > 3001, "peer 3001 of region 30 was seen");
    }
}
