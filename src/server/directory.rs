//! Who is in the cluster, and where: asked of the scheduler, or fixed from the beginning.

use std::collections::BTreeMap;

use super::scheduler_client::SchedulerClient;
use crate::ids::StoreId;
use crate::proto::metapb::{Peer, Region, RegionEpoch};

/// The number of a cluster without a scheduler.
const FIXED_CLUSTER: u64 = 1;

/// The one region of such a cluster.
const FIXED_REGION: u64 = 1;

/// What a store asks about others.
#[derive(Clone)]
pub enum Directory {
    /// The scheduler knows.
    Scheduler(SchedulerClient),
    /// These stores, one region that is on all of them, and no scheduler: as in stage 2b. A store's peer has the
    /// store's number.
    Fixed(BTreeMap<StoreId, String>),
}

impl Directory {
    /// Which cluster it is.
    pub fn cluster_id(&self) -> u64 {
        match self {
            Directory::Scheduler(scheduler) => scheduler.cluster_id(),
            Directory::Fixed(_) => FIXED_CLUSTER,
        }
    }

    /// Where a store listens.
    ///
    /// # Errors
    /// Nobody knows, or it cannot be asked.
    pub async fn store_address(&self, store: StoreId) -> Result<String, String> {
        match self {
            Directory::Scheduler(scheduler) => scheduler.store_address(store).await,
            Directory::Fixed(stores) => {
                stores.get(&store).cloned().ok_or_else(|| format!("store {store} is not in this cluster"))
            }
        }
    }

    /// The scheduler, if there is one.
    pub fn scheduler(&self) -> Option<&SchedulerClient> {
        match self {
            Directory::Scheduler(scheduler) => Some(scheduler),
            Directory::Fixed(_) => None,
        }
    }
}

/// The region of a fixed cluster, as it begins.
pub fn fixed_region(stores: &BTreeMap<StoreId, String>) -> Region {
    let peers = stores.keys().map(|id| Peer { id: *id, store_id: *id, ..Default::default() }).collect();
    let region_epoch = Some(RegionEpoch { conf_ver: 1, version: 1 });
    Region { id: FIXED_REGION, region_epoch, peers, ..Default::default() }
}

/// Reads `1=host:port,2=host:port`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_members(text: &str) -> Result<BTreeMap<StoreId, String>, String> {
    let mut stores = BTreeMap::new();
    for member in text.split(',') {
        let parsed =
            member.split_once('=').and_then(|(id, address)| Some((id.trim().parse().ok()?, address.trim())));
        let Some((id, address)) = parsed.filter(|(id, address)| *id != 0 && address.contains(':')) else {
            return Err(format!(
                "members: `{member}`: each is written NUMBER=HOST:PORT, such as 1=127.0.0.1:20160"
            ));
        };
        if stores.insert(id, address.to_string()).is_some() {
            return Err(format!("members: store {id} is there twice"));
        }
    }
    Ok(stores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read() {
        let members = parse_members("1=127.0.0.1:20160, 2=host:2").unwrap();
        assert_eq!(
            members.into_iter().collect::<Vec<_>>(),
            [(1, "127.0.0.1:20160".into()), (2, "host:2".into())]
        );
        for bad in ["", "1", "x=h:1", "0=h:1", "1=h", "1=h:1,1=h:2", "1=h:1,"] {
            assert!(parse_members(bad).is_err(), "{bad}");
        }
    }
}
