//! Three nodes of etcd, with its defaults: every write is on the disks of a majority, every read is linearizable.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::process::Command;
use tokio::time::interval;

use crate::load;
use crate::process::{Process, free_addresses, start};

pub struct Cluster {
    _processes: Vec<Process>,
    endpoints: Vec<String>,
}

impl Cluster {
    /// Starts it, and waits until it takes a write.
    pub async fn start(data: &Path) -> Result<Cluster> {
        // etcd has to be told its addresses before it starts.
        let all: Vec<String> = free_addresses(6).iter().map(|address| format!("http://{address}")).collect();
        let (clients, peers) = all.split_at(3);
        let urls: Vec<(&String, &String)> = clients.iter().zip(peers).collect();
        let members: Vec<String> =
            urls.iter().enumerate().map(|(n, (_, peer))| format!("n{n}={peer}")).collect();
        let mut starting = Vec::new();
        for (n, (client, peer)) in urls.iter().enumerate() {
            let mut command = Command::new("etcd");
            command.args(["--name", &format!("n{n}")]);
            command.args(["--listen-client-urls", client, "--advertise-client-urls", client]);
            command.args(["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]);
            command.args(["--initial-cluster", &members.join(","), "--initial-cluster-state", "new"]);
            command.arg("--data-dir").arg(data.join(format!("n{n}")));
            starting.push(tokio::spawn(start(command, "ready to serve client requests")));
        }
        let mut processes = Vec::new();
        for process in starting {
            processes.push(process.await?);
        }
        let endpoints = clients.to_vec();
        let cluster = Cluster { _processes: processes, endpoints };
        let mut look = interval(Duration::from_millis(100));
        for _ in 0..100 {
            look.tick().await;
            if let Ok(mut client) = etcd_client::Client::connect(&cluster.endpoints, None).await
                && client.put("ready", "1", None).await.is_ok()
            {
                return Ok(cluster);
            }
        }
        bail!("etcd takes no writes")
    }

    pub fn target(&self) -> Target {
        Target { endpoints: self.endpoints.clone() }
    }
}

#[derive(Clone)]
pub struct Target {
    endpoints: Vec<String>,
}

impl load::Target for Target {
    type Client = Client;

    async fn connect(&self) -> Result<Client> {
        Ok(Client(etcd_client::Client::connect(&self.endpoints, None).await?))
    }
}

#[derive(Clone)]
pub struct Client(etcd_client::Client);

impl load::Client for Client {
    async fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.0.put(key, value, None).await?;
        Ok(())
    }

    async fn get(&mut self, key: &[u8]) -> Result<bool> {
        Ok(!self.0.get(key, None).await?.kvs().is_empty())
    }
}
