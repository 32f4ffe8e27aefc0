//! A scheduler and some stores in this process, on engines in memory, with real sockets between them.

mod figures;
mod service;
mod shapes;
mod strangers;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use raftkv::proto::pdpb::GetRegionResponse;
use raftkv::server::client::Client;
use raftkv::server::disk::EngineKind;
use raftkv::server::scheduler;
use raftkv::server::scheduler_client::SchedulerClient;
use raftkv::server::settings::{Settings, StoreSettings};
use raftkv::server::start::{Running, start};
use tokio::time::{interval, timeout};

/// No test takes longer; most take less than a second.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a test on a runtime with threads, within the limit.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("the system has threads");
    runtime.block_on(async {
        timeout(LIMIT, test).await.unwrap_or_else(|_| panic!("this takes longer than {} s", LIMIT.as_secs()));
    });
}

/// Looks again and again until it finds something.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    let search = async {
        let mut again = interval(Duration::from_millis(10));
        loop {
            again.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    timeout(Duration::from_secs(30), search).await.unwrap_or_else(|_| panic!("not within 30 s: {what}"))
}

/// The cluster.
pub struct Cluster {
    scheduler: scheduler::Running,
    stores: Vec<Running>,
}

/// Fast, so that tests do not wait: a tick of 10 ms, elections after 100 ms of silence.
pub fn fast() -> StoreSettings {
    StoreSettings { tick_ms: 10, report_ticks: 5, ..StoreSettings::default() }
}

impl Cluster {
    /// So many stores, and the first region has a peer on up to three of them.
    pub async fn start(stores: usize) -> Cluster {
        Cluster::with(stores, 3, fast()).await
    }

    pub async fn with(stores: usize, replicas: usize, settings: StoreSettings) -> Cluster {
        let begun = scheduler::start(scheduler::Settings {
            listen: "127.0.0.1:0".to_string(),
            status: "127.0.0.1:0".to_string(),
            engine: EngineKind::Memory,
            replicas,
            repair: true,
            ..scheduler::Settings::default()
        });
        let begun = begun.await.expect("a scheduler on free ports starts");
        let mut cluster = Cluster { scheduler: begun, stores: Vec::new() };
        for _ in 0..stores {
            cluster.add_store(settings.clone()).await;
        }
        until_full(&cluster.client().await, replicas.min(stores)).await;
        cluster
    }

    pub async fn add_store(&mut self, store: StoreSettings) {
        let settings = Settings { store, ..self.store_settings() };
        self.stores.push(start(&settings).await.unwrap_or_else(|error| panic!("a store starts: {error}")));
    }

    pub fn store_settings(&self) -> Settings {
        Settings {
            listen: "127.0.0.1:0".to_string(),
            status: "127.0.0.1:0".to_string(),
            scheduler: self.scheduler.address().to_string(),
            engine: EngineKind::Memory,
            ..Settings::default()
        }
    }

    /// Where the scheduler's status page is.
    pub fn status(&self) -> SocketAddr {
        self.scheduler.status_address().expect("it has one")
    }

    pub fn scheduler(&self) -> &scheduler::Running {
        &self.scheduler
    }

    pub fn stores(&self) -> &[Running] {
        &self.stores
    }

    pub async fn client(&self) -> Client {
        let address = self.scheduler.address().to_string();
        Client::connect(&address, Duration::from_secs(20)).await.expect("the scheduler is there")
    }

    /// Takes the store that listens there out of the cluster, and ends it in order.
    pub async fn stop_store(&mut self, store: u64) {
        let client = self.client().await;
        let address = scheduler(&client).store_address(store).await.expect("it is known");
        let place = self.stores.iter().position(|running| running.address.to_string() == address);
        let running = self.stores.remove(place.expect("it runs"));
        running.stop().await.expect("it ends in order");
    }
}

/// Waits until the first region has so many peers, with data, and one that leads.
pub async fn until_full(client: &Client, wanted: usize) {
    until("the first region has a peer on each store that it should have one on", || async {
        let found = scheduler(client).region_of_key(b"").await.ok()?;
        let is_full = found.region.as_ref()?.peers.len() == wanted && found.pending_peers.is_empty();
        (is_full && found.leader.is_some()).then_some(())
    })
    .await;
}

/// The scheduler of a client's cluster.
pub fn scheduler(client: &Client) -> &SchedulerClient {
    client.scheduler().expect("this cluster has a scheduler")
}

/// The region of a key, as the scheduler knows it.
pub async fn region(client: &Client, key: &str) -> GetRegionResponse {
    until("the scheduler knows the region, and who leads it", || async {
        let found = scheduler(client).region_of_key(key.as_bytes()).await.ok()?;
        (found.region.is_some() && found.leader.is_some()).then_some(found)
    })
    .await
}
