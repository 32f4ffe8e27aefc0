//! What survives a restart, as records: plain values, each under a key of its own.
//!
//! Where they are kept is the owner's business. Of records with the same key only the last one counts, so a map from
//! [`RecordKey`] to [`Record`] is a saved scheduler.

use super::{Config, Scheduler, SchedulerError, TimestampOracle, ids::Ids};
use crate::ids::{RegionId, StoreId};
use crate::proto::metapb::{Cluster, Region, Store};

/// One thing that must not be forgotten.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// The cluster has begun.
    Cluster(Cluster),
    /// No id up to this one may be given any more.
    IdsUpTo(u64),
    /// No timestamp of a millisecond below this one may be given any more.
    TimestampsBelow(u64),
    /// A store.
    Store(Store),
    /// A region. After a restart clients find it at once, and stale reports are known to be stale.
    Region(Region),
    /// There is no such region any more, or not as it was: it may come back.
    RegionGone(RegionId),
}

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKey {
    /// The cluster as a whole.
    Cluster,
    /// All ids.
    Ids,
    /// All timestamps.
    Timestamps,
    /// A store.
    Store(StoreId),
    /// A region, there or gone.
    Region(RegionId),
}

impl Record {
    /// A record replaces the one before with the same key.
    pub fn key(&self) -> RecordKey {
        match self {
            Record::Cluster(_) => RecordKey::Cluster,
            Record::IdsUpTo(_) => RecordKey::Ids,
            Record::TimestampsBelow(_) => RecordKey::Timestamps,
            Record::Store(store) => RecordKey::Store(store.id),
            Record::Region(region) => RecordKey::Region(region.id),
            Record::RegionGone(id) => RecordKey::Region(*id),
        }
    }
}

impl Scheduler {
    /// What has changed since the last call, by key. It belongs into one atomic, synced write, before any answer since
    /// then leaves. An owner that saves nothing need not ask: there is never more than one record for each key.
    pub fn take_changes(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.changes).into_values().collect()
    }

    /// All there is to save, as of now.
    pub fn state(&self) -> Vec<Record> {
        let mut records = Vec::new();
        records.extend(self.is_bootstrapped().then(|| Record::Cluster(self.cluster())));
        records.push(Record::IdsUpTo(self.ids.bound()));
        records.push(Record::TimestampsBelow(self.timestamps.saved_until()));
        records.extend(self.stores().map(|info| Record::Store(info.store.clone())));
        records.extend(self.regions().map(|info| Record::Region(info.region.clone())));
        records
    }

    /// A scheduler that knows what was saved: the last record of each key in any order, or all of them as they came.
    ///
    /// # Errors
    /// [`SchedulerError::WrongCluster`]: these are the records of another one.
    pub fn restore(
        cluster_id: u64,
        config: Config,
        records: impl IntoIterator<Item = Record>,
    ) -> Result<Scheduler, SchedulerError> {
        let mut scheduler = Scheduler::with_config(cluster_id, config);
        for record in records {
            match record {
                Record::Cluster(cluster) if cluster.id != cluster_id => {
                    return Err(SchedulerError::WrongCluster { ours: cluster_id, theirs: cluster.id });
                }
                Record::Cluster(_) => scheduler.bootstrapped = true,
                Record::IdsUpTo(bound) => scheduler.ids = Ids::restore(bound),
                Record::TimestampsBelow(bound) => scheduler.timestamps = TimestampOracle::new(bound),
                Record::Store(store) => scheduler.stores.restore(store),
                Record::Region(region) => scheduler.regions.restore(region),
                Record::RegionGone(id) => scheduler.regions.remove(id),
            }
        }
        Ok(scheduler)
    }

    pub(super) fn change(&mut self, record: Record) {
        self.changes.insert(record.key(), record);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::samples::{CLUSTER, bootstrapped, heartbeat, region};
    use super::*;
    use crate::proto::metapb::StoreState;

    /// A scheduler with some history, each call of which was saved; and what was saved.
    fn history() -> (Scheduler, BTreeMap<RecordKey, Record>) {
        let mut scheduler = bootstrapped(Config::default(), &[1, 2]);
        let mut saved = BTreeMap::new();
        let mut save = |scheduler: &mut Scheduler| {
            saved.extend(scheduler.take_changes().into_iter().map(|record| (record.key(), record)));
        };
        save(&mut scheduler);
        // The right half first: the region before the split is gone for a moment.
        for (id, range) in [(20, ["m", ""]), (10, ["", "m"])] {
            heartbeat(&mut scheduler, region(id, range, [2, 1], &[1, 2])).expect("newer");
            save(&mut scheduler);
        }
        scheduler.set_store_state(2, StoreState::Offline).expect("it is known");
        scheduler.timestamp(1_000_000, 1).expect("an ordinary time");
        for _ in 0..3000 {
            scheduler.alloc_id();
        }
        save(&mut scheduler);
        (scheduler, saved)
    }

    fn regions(scheduler: &Scheduler) -> Vec<Region> {
        scheduler.regions().map(|info| info.region.clone()).collect()
    }

    #[test]
    fn the_changes_add_up_to_the_state() {
        let (scheduler, saved) = history();
        assert_eq!(saved.into_values().collect::<Vec<_>>(), scheduler.state());
    }

    #[test]
    fn a_restart_forgets_nothing_that_matters() {
        let (mut before, saved) = history();
        let backwards: Vec<Record> = saved.into_values().rev().collect();
        let mut after = Scheduler::restore(CLUSTER, Config::default(), backwards).expect("its own records");
        assert!(after.is_bootstrapped());
        assert_eq!(regions(&after), regions(&before));
        assert_eq!(after.store(2).map(|info| info.store.state()), Some(StoreState::Offline));
        assert!(after.alloc_id() > before.alloc_id(), "an id comes twice");
        let times = [&mut before, &mut after].map(|s| s.timestamp(1_000_000, 1).expect("an ordinary time"));
        assert!(times[1].physical > times[0].physical, "a timestamp may come twice: {times:?}");
        let late = heartbeat(&mut after, region(10, ["", ""], [1, 1], &[1, 2]));
        assert!(matches!(late, Err(SchedulerError::Stale { .. })), "{late:?}");
        assert_eq!(after.state().len(), before.state().len());
    }

    #[test]
    fn what_was_replaced_is_gone_after_a_restart_too() {
        let mut scheduler = bootstrapped(Config::default(), &[1]);
        scheduler.take_changes();
        heartbeat(&mut scheduler, region(20, ["m", ""], [2, 1], &[1])).expect("newer");
        let changes = scheduler.take_changes();
        assert!(changes.contains(&Record::RegionGone(10)), "20 has taken a part of its keys: {changes:?}");
        let saved = [bootstrapped(Config::default(), &[1]).take_changes(), changes].concat();
        let after = Scheduler::restore(CLUSTER, Config::default(), saved).expect("its own records");
        assert_eq!(regions(&after), regions(&scheduler));
    }

    #[test]
    fn what_has_not_changed_is_not_saved_again() {
        let (mut scheduler, _) = history();
        heartbeat(&mut scheduler, region(10, ["", "m"], [2, 1], &[1, 2])).expect("as before");
        scheduler.timestamp(1_000_001, 1).expect("an ordinary time");
        scheduler.alloc_id();
        assert_eq!(scheduler.take_changes(), []);
    }

    #[test]
    fn the_records_of_another_cluster_are_refused() {
        let wrong = Scheduler::restore(CLUSTER + 1, Config::default(), history().0.state());
        assert_eq!(wrong.err(), Some(SchedulerError::WrongCluster { ours: CLUSTER + 1, theirs: CLUSTER }));
    }
}
