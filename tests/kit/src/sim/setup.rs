//! What a cluster looks like before its first tick.

use std::collections::BTreeMap;

use raftkv::ids::StoreId;
use raftkv::proto::metapb::{Peer, Region, RegionEpoch};
use raftkv::raftstore::{Config, StoreName, bootstrap_region, bootstrap_store};

use super::disk::Disk;
use super::machine::Machine;
use super::network::Weather;
use super::{Micros, Sim};
use crate::Lab;

/// The cluster that all simulated stores belong to.
pub const CLUSTER: u64 = 1;

/// The region that covers all keys.
pub const REGION: u64 = 1;

/// A cluster in the making: `Setup::of(&lab, 3).weather(Weather::bad()).start()`.
pub struct Setup {
    pub(super) seed: u64,
    pub(super) stores: u64,
    pub(super) config: Config,
    pub(super) weather: Weather,
    pub(super) disk_latency: (Micros, Micros),
    pub(super) regions: Vec<Region>,
    pub(super) chunk_size: usize,
    pub(super) bandwidth: u64,
    pub(super) scheduler: bool,
}

impl Setup {
    /// `n` stores, numbered from 1, each with a peer of region 1, which covers all keys. A peer has the number of its
    /// store. What is drawn at random comes from the test's seed.
    pub fn of(lab: &Lab, n: u64) -> Setup {
        Setup::seeded(lab.seed(), n)
    }

    /// The same under a seed of its own.
    pub fn seeded(seed: u64, n: u64) -> Setup {
        let peers = (1..=n).map(|id| Peer { id, store_id: id, ..Default::default() }).collect();
        let region_epoch = Some(RegionEpoch { conf_ver: 1, version: 1 });
        let region = Region { id: REGION, region_epoch, peers, ..Default::default() };
        Setup {
            seed,
            stores: n,
            config: Config {
                seed,
                heartbeat_to_scheduler_ticks: 0,
                split_check_ticks: 0,
                ..Config::default()
            },
            weather: Weather::default(),
            disk_latency: (100, 400),
            regions: vec![region],
            chunk_size: 200,
            bandwidth: 10,
            scheduler: false,
        }
    }

    /// Changes the settings of every store.
    pub fn tune(mut self, change: impl FnOnce(&mut Config)) -> Setup {
        change(&mut self.config);
        self
    }

    /// How messages travel from the start.
    pub fn weather(mut self, weather: Weather) -> Setup {
        self.weather = weather;
        self
    }

    /// How many bytes a chunk of a snapshot has at most, and how many travel in a microsecond.
    pub fn chunks(mut self, size: usize, bandwidth: u64) -> Setup {
        (self.chunk_size, self.bandwidth) = (size, bandwidth);
        self
    }

    /// Regions change: there is a scheduler, to which stores report, and whom clients ask where a key is.
    pub fn scheduler(mut self) -> Setup {
        self.scheduler = true;
        self.config.heartbeat_to_scheduler_ticks = 10;
        self
    }

    /// Only these stores have peers of the regions; the others are empty.
    pub fn members(mut self, stores: &[u64]) -> Setup {
        for region in &mut self.regions {
            region.peers.retain(|peer| stores.contains(&peer.store_id));
        }
        self
    }

    /// Instead of one region, one for each of these ranges: `&["", "m"]` makes two, cut at `m`. They are numbered from
    /// 1, and region 2 has the peers 101, 102 and so on.
    pub fn regions(mut self, starts: &[&'static str]) -> Setup {
        let whole = self.regions[0].clone();
        self.regions = starts
            .iter()
            .enumerate()
            .map(|(i, start)| Region {
                id: i as u64 + 1,
                start_key: (*start).into(),
                end_key: starts.get(i + 1).copied().unwrap_or_default().into(),
                peers: whole.peers.iter().map(|p| Peer { id: p.id + 100 * i as u64, ..*p }).collect(),
                region_epoch: whole.region_epoch,
            })
            .collect();
        self
    }

    /// Bootstraps every store and starts it.
    pub fn start(self) -> Sim {
        let mut machines = BTreeMap::new();
        for id in 1..=self.stores {
            let disk = Disk::new();
            self.bootstrap(&disk, id);
            machines.insert(id, Machine::new(disk, self.disk_latency));
        }
        Sim::new(self, machines)
    }

    fn bootstrap(&self, disk: &Disk, store: StoreId) {
        let engines = disk.open();
        let name = StoreName { cluster: CLUSTER, store };
        bootstrap_store(&engines, name).expect("an empty disk can be bootstrapped");
        for region in self.regions.iter().filter(|region| region.peer_on(store).is_some()) {
            bootstrap_region(&engines, region).expect("an empty disk can be bootstrapped");
        }
        drop(engines);
        disk.restart(super::Crash::Kill);
    }
}
