//! The stores of the cluster.

use std::collections::BTreeMap;

use super::SchedulerError;
use crate::ids::StoreId;
use crate::proto::metapb::{Store, StoreState};
use crate::proto::pdpb::StoreStats;

/// What is known of a store.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreInfo {
    /// What it says of itself; its state is what was decided here.
    pub store: Store,
    /// From its last heartbeat.
    pub stats: Option<StoreStats>,
    /// The round in which it was last heard from.
    round: u64,
}

/// All stores, the gone ones too: an id must not come back.
///
/// Time is counted in rounds: one is over when a store sends its second heartbeat in it. All stores have the same
/// interval, so a store that misses rounds is in trouble, and nobody needs a clock to see it.
#[derive(Clone, Debug, Default)]
pub(super) struct Stores {
    by_id: BTreeMap<StoreId, StoreInfo>,
    round: u64,
}

impl Stores {
    /// A store announces itself. Returns what is known of it now.
    pub fn put(&mut self, store: &Store) -> Result<&Store, SchedulerError> {
        let known = self.by_id.get(&store.id);
        let state = known.map_or(StoreState::Up, |info| info.store.state());
        if state == StoreState::Tombstone {
            return Err(SchedulerError::StoreTombstone(store.id));
        }
        let clash = self.by_id.values().map(|info| &info.store).find(|other| {
            other.id != store.id
                && other.state() != StoreState::Tombstone
                && !store.address.is_empty()
                && other.address == store.address
        });
        if let Some(other) = clash {
            return Err(SchedulerError::AddressInUse(other.id));
        }
        let stats = known.and_then(|info| info.stats);
        let store = Store { state: state.into(), ..store.clone() };
        Ok(self.insert(StoreInfo { store, stats, round: self.round }))
    }

    /// What was saved of a store.
    pub fn restore(&mut self, store: Store) {
        self.insert(StoreInfo { store, stats: None, round: self.round });
    }

    fn insert(&mut self, info: StoreInfo) -> &Store {
        let id = info.store.id;
        self.by_id.insert(id, info);
        &self.by_id[&id].store
    }

    /// Returns what is known of it now.
    pub fn set_state(&mut self, id: StoreId, state: StoreState) -> Result<&Store, SchedulerError> {
        let info = self.live(id)?;
        info.store.state = state.into();
        Ok(&info.store)
    }

    /// A store is well.
    pub fn heartbeat(&mut self, stats: &StoreStats) -> Result<(), SchedulerError> {
        let round = self.round;
        let info = self.live(stats.store_id)?;
        // The first one does not count: it may follow upon the announcement at once.
        let next = if info.round == round && info.stats.is_some() { round + 1 } else { round };
        info.stats = Some(*stats);
        info.round = next;
        self.round = next;
        Ok(())
    }

    fn live(&mut self, id: StoreId) -> Result<&mut StoreInfo, SchedulerError> {
        let info = self.by_id.get_mut(&id).ok_or(SchedulerError::StoreNotFound(id))?;
        if info.store.state() == StoreState::Tombstone {
            return Err(SchedulerError::StoreTombstone(id));
        }
        Ok(info)
    }

    /// May a new peer be put there?
    pub fn is_up(&self, id: StoreId) -> bool {
        self.get(id).is_some_and(|info| info.store.state() == StoreState::Up)
    }

    /// Has it missed more rounds than that?
    pub fn is_silent(&self, id: StoreId, max_rounds: u64) -> bool {
        self.get(id).is_some_and(|info| self.round - info.round > max_rounds)
    }

    /// One store.
    pub fn get(&self, id: StoreId) -> Option<&StoreInfo> {
        self.by_id.get(&id)
    }

    /// All, by id.
    pub fn iter(&self) -> impl Iterator<Item = &StoreInfo> {
        self.by_id.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(id: StoreId, address: &str) -> Store {
        Store { id, address: address.to_string(), ..Default::default() }
    }

    fn beat(stores: &mut Stores, store_id: StoreId) {
        stores.heartbeat(&StoreStats { store_id, ..Default::default() }).expect("the store is known");
    }

    #[test]
    fn a_new_address_replaces_the_old_one_and_no_other_store_has_it() {
        let mut stores = Stores::default();
        stores.put(&store(1, "a:1")).unwrap();
        stores.put(&store(2, "b:1")).unwrap();
        assert_eq!(stores.put(&store(1, "b:1")), Err(SchedulerError::AddressInUse(2)));
        stores.put(&store(1, "c:1")).unwrap();
        stores.put(&store(3, "a:1")).expect("nobody listens there any more");
        assert_eq!(
            stores.iter().map(|info| info.store.address.as_str()).collect::<Vec<_>>(),
            ["c:1", "b:1", "a:1"]
        );
    }

    #[test]
    fn a_tombstone_does_not_come_back() {
        let mut stores = Stores::default();
        stores.put(&store(1, "a:1")).unwrap();
        stores.set_state(1, StoreState::Tombstone).unwrap();
        let gone = SchedulerError::StoreTombstone(1);
        assert_eq!(stores.put(&store(1, "a:1")).err(), Some(gone.clone()));
        assert_eq!(stores.set_state(1, StoreState::Up).err(), Some(gone.clone()));
        assert_eq!(stores.heartbeat(&StoreStats { store_id: 1, ..Default::default() }), Err(gone));
        stores.put(&store(2, "a:1")).expect("the address is free");
    }

    #[test]
    fn an_announcement_does_not_change_the_state() {
        let mut stores = Stores::default();
        let offline = Store { state: StoreState::Offline.into(), ..store(1, "a:1") };
        stores.put(&offline).unwrap();
        assert!(stores.is_up(1), "what a store is for is not for the store to say");
        stores.set_state(1, StoreState::Offline).unwrap();
        stores.put(&store(1, "a:2")).unwrap();
        assert!(!stores.is_up(1));
    }

    #[test]
    fn a_store_that_misses_rounds_is_silent_until_it_is_heard_again() {
        let mut stores = Stores::default();
        for id in [1, 2, 3] {
            stores.put(&store(id, "")).unwrap();
        }
        for _ in 0..20 {
            [1, 2, 3].into_iter().for_each(|id| beat(&mut stores, id));
        }
        assert!(!(1..=3).any(|id| stores.is_silent(id, 2)), "all have the same pace");
        for _ in 0..4 {
            [1, 3].into_iter().for_each(|id| beat(&mut stores, id));
        }
        assert_eq!([1, 2, 3].map(|id| stores.is_silent(id, 2)), [false, true, false]);
        beat(&mut stores, 2);
        assert!(!stores.is_silent(2, 2));
    }

    #[test]
    fn an_unknown_store_has_to_announce_itself() {
        let unknown = Stores::default().heartbeat(&StoreStats { store_id: 1, ..Default::default() });
        assert_eq!(unknown, Err(SchedulerError::StoreNotFound(1)));
    }
}
