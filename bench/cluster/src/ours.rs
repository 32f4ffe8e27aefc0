//! Our cluster: a scheduler and three stores on RocksDB, with the settings that they have by themselves.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use raftkv::server::client;
use tokio::process::Command;
use tokio::time::interval;

use crate::load;
use crate::process::{Process, start};

/// How long a client tries.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Cluster {
    _processes: Vec<Process>,
    scheduler: String,
}

impl Cluster {
    /// Starts it, and waits until the region has a peer on each store.
    pub async fn start(programs: &Path, data: &Path) -> Result<Cluster> {
        let mut command = Command::new(programs.join("raftkv-scheduler"));
        command
            .args(["--listen", "127.0.0.1:0", "--status", "none", "--data-dir"])
            .arg(data.join("scheduler"));
        let process = start(command, "the scheduler listens at ").await;
        let scheduler = process.address.clone();
        let mut processes = vec![process];
        for n in 0..3 {
            let mut command = Command::new(programs.join("raftkv-server"));
            command.args(["--listen", "127.0.0.1:0", "--status", "none", "--scheduler", &scheduler]);
            command.arg("--data-dir").arg(data.join(format!("store-{n}")));
            processes.push(start(command, "serving address=").await);
        }
        let cluster = Cluster { _processes: processes, scheduler };
        let client = cluster.connect().await?;
        let mut look = interval(Duration::from_millis(100));
        for _ in 0..300 {
            look.tick().await;
            let Some(scheduler) = client.scheduler() else { bail!("the cluster has a scheduler") };
            let found = scheduler.region_of_key(b"").await.map_err(|error| anyhow!(error))?;
            let peers = found.region.map_or(0, |region| region.peers.len());
            if peers == 3 && found.leader.is_some() && found.pending_peers.is_empty() {
                return Ok(cluster);
            }
        }
        bail!("the region does not get three peers")
    }

    async fn connect(&self) -> Result<client::Client> {
        client::Client::connect(&self.scheduler, PATIENCE).await.map_err(|error| anyhow!(error))
    }

    pub fn target(&self) -> Target {
        Target { scheduler: self.scheduler.clone() }
    }
}

#[derive(Clone)]
pub struct Target {
    scheduler: String,
}

impl load::Target for Target {
    type Client = Client;

    async fn connect(&self) -> Result<Client> {
        let client = client::Client::connect(&self.scheduler, PATIENCE).await;
        Ok(Client(client.map_err(|error| anyhow!(error))?))
    }
}

#[derive(Clone)]
pub struct Client(client::Client);

impl load::Client for Client {
    async fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.0.put("default", key, value).await?)
    }

    async fn get(&mut self, key: &[u8]) -> Result<bool> {
        Ok(self.0.get("default", key).await?.is_some())
    }
}
