//! How a store comes into its cluster.
//!
//! | the disk | the cluster | then |
//! |---|---|---|
//! | new | has not begun | the store gets an id, and begins the cluster with a region of which it has the only peer |
//! | new | has begun | the store gets an id; the scheduler will give it peers |
//! | has a name | the same | the store goes on as who it was, wherever it listens now |
//! | has a name | another | refused: the data would be lost among strangers |
//!
//! It may be stopped at any point. The name is on the disk before anybody hears of it. The cluster's first region is
//! known to the scheduler before it is on the disk; if the store is stopped in between, it finds at the next start that
//! the region is in its first edition, has no other member, and is not here: so nobody can have written to it, and it
//! begins now.

use std::collections::BTreeMap;

use super::directory::{Directory, fixed_region};
use super::scheduler_client::SchedulerClient;
use crate::ids::StoreId;
use crate::proto::metapb::{Peer, Region, RegionEpoch, Store as StoreMeta};
use crate::raftstore::{
    Config, Engines, Store, StoreError, StoreName, bootstrap_region, bootstrap_store, store_name,
};

/// Opens the store of these engines, as a member of the scheduler's cluster. `address` is where it listens.
///
/// # Errors
/// A text for whoever runs the store.
pub async fn join(
    scheduler: &SchedulerClient,
    engines: &Engines,
    address: &str,
    config: impl Fn(StoreName) -> Config,
) -> Result<Store, String> {
    let text = |error: StoreError| error.to_string();
    let cluster = scheduler.cluster_id();
    let name = match store_name(engines).map_err(text)? {
        Some(name) if name.cluster != cluster => {
            return Err(format!(
                "the data directory has {name}, and the scheduler at {} is of cluster {cluster}: give the store its own \
                 scheduler, or a data directory of its own",
                scheduler.address()
            ));
        }
        Some(name) => name,
        None => {
            let name = StoreName { cluster, store: scheduler.alloc_id().await? };
            bootstrap_store(engines, name).map_err(text)?;
            tracing::info!(store = name.store, cluster, "a new store");
            name
        }
    };
    let meta = StoreMeta { id: name.store, address: address.to_string(), ..Default::default() };
    if !scheduler.is_bootstrapped().await? && begin_cluster(scheduler, meta.clone()).await? {
        tracing::info!(store = name.store, cluster, "it begins the cluster");
    }
    scheduler.put_store(meta).await?;
    let first = first_region(scheduler, name).await?;
    open(engines, config(name), first.as_ref())
}

/// Opens the store of these engines, as member `id` of a cluster without a scheduler.
///
/// # Errors
/// A text for whoever runs the store: the data is another store's.
pub fn join_fixed(
    stores: &BTreeMap<StoreId, String>,
    engines: &Engines,
    id: StoreId,
    config: impl Fn(StoreName) -> Config,
) -> Result<Store, String> {
    let text = |error: StoreError| error.to_string();
    let expected = StoreName { cluster: Directory::Fixed(stores.clone()).cluster_id(), store: id };
    match store_name(engines).map_err(text)? {
        Some(found) if found != expected => {
            return Err(StoreError::WrongStore { expected, found }.to_string());
        }
        Some(_) => {}
        None => bootstrap_store(engines, expected).map_err(text)?,
    }
    open(engines, config(expected), Some(&fixed_region(stores)))
}

/// Opens a store that has to have a peer of this region: if it is not there, it begins now.
fn open(engines: &Engines, config: Config, first: Option<&Region>) -> Result<Store, String> {
    let text = |error: StoreError| error.to_string();
    let store = Store::open(config.clone(), engines.clone()).map_err(text)?;
    let Some(missing) = first.filter(|region| store.peer(region.id).is_none()) else { return Ok(store) };
    drop(store);
    bootstrap_region(engines, missing).map_err(text)?;
    Store::open(config, engines.clone()).map_err(text)
}

/// False if another store was first.
async fn begin_cluster(scheduler: &SchedulerClient, store: StoreMeta) -> Result<bool, String> {
    let (region, peer) = (scheduler.alloc_id().await?, scheduler.alloc_id().await?);
    let peer = Peer { id: peer, store_id: store.id, ..Default::default() };
    let region_epoch = Some(RegionEpoch { conf_ver: 1, version: 1 });
    let region = Region { id: region, region_epoch, peers: vec![peer], ..Default::default() };
    scheduler.bootstrap(store, region).await
}

/// The cluster's first region, if nothing has happened to it yet, and it is on this store alone.
async fn first_region(scheduler: &SchedulerClient, name: StoreName) -> Result<Option<Region>, String> {
    let region = scheduler.region_of_key(b"").await?.region.unwrap_or_default();
    let is_first = region.region_epoch == Some(RegionEpoch { conf_ver: 1, version: 1 });
    let is_here = region.peers.len() == 1 && region.peer_on(name.store).is_some();
    Ok((is_first && is_here).then_some(region))
}
