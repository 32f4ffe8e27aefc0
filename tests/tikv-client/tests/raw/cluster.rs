//! A RaftKV cluster as processes, on ports that the system picks and on engines in memory.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tikv_client::RawClient;
use tokio::process::Command;
use tokio::time::{interval, timeout};

use crate::process::{Process, free_address, start};

/// What takes longer, does not come.
const LIMIT: Duration = Duration::from_secs(30);

/// The folder of our programs, which `just test-tikv-client` has built.
fn program(name: &str) -> PathBuf {
    let folder =
        std::env::var_os("RAFTKV_PROGRAMS").expect("RAFTKV_PROGRAMS names the folder of the programs");
    PathBuf::from(folder).join(name)
}

pub struct Cluster {
    pub scheduler: Process,
    status: String,
    pub stores: Vec<Process>,
}

impl Cluster {
    /// A scheduler and three stores; the first region is on all of them.
    pub async fn start() -> Cluster {
        // The scheduler does not say where its status page is.
        let status = free_address();
        let mut command = Command::new(program("raftkv-scheduler"));
        command.args(["--listen", "127.0.0.1:0", "--status", &status, "--engine", "memory"]);
        let scheduler = start(command, "the scheduler listens at ").await;
        let mut cluster = Cluster { scheduler, status, stores: Vec::new() };
        for _ in 0..3 {
            let mut command = Command::new(program("raftkv-server"));
            command.args(["--listen", "127.0.0.1:0", "--status", "none", "--engine", "memory"]);
            command.args(["--scheduler", &cluster.scheduler.address]);
            cluster.stores.push(start(command, "serving address=").await);
        }
        cluster.until("the first region is on all stores", |regions| peers(&regions[0]).len() == 3).await;
        cluster
    }

    /// The published client, as its documentation says.
    pub async fn client(&self) -> RawClient {
        RawClient::new(vec![self.scheduler.address.clone()]).await.expect("the client finds the scheduler")
    }

    /// Runs our own tool.
    pub async fn ctl(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).expect("it prints JSON")
    }

    /// Gives the scheduler an order. It takes one at a time for each region, and its own repair may be at work.
    pub async fn order(&self, arguments: &[&str]) {
        let given = async {
            let mut again = interval(Duration::from_millis(50));
            loop {
                again.tick().await;
                if self.run(arguments).await.status.success() {
                    return;
                }
            }
        };
        timeout(LIMIT, given).await.unwrap_or_else(|_| panic!("the scheduler does not take {arguments:?}"));
    }

    async fn run(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = Command::new(program("raftkv-ctl"));
        command.args(["--format", "json", "--scheduler", &self.scheduler.address]);
        command.args(["--scheduler-status", &self.status]);
        command.args(arguments).output().await.expect("raftkv-ctl is built")
    }

    /// Waits until the regions are as wanted: an array as `raftkv-ctl regions` prints it.
    pub async fn until(&self, what: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let search = async {
            let mut again = interval(Duration::from_millis(50));
            loop {
                again.tick().await;
                let regions = self.ctl(&["regions"]).await;
                let regions = regions.as_array().expect("an array").clone();
                if wanted(&regions) {
                    return regions;
                }
            }
        };
        timeout(LIMIT, search).await.unwrap_or_else(|_| panic!("not within {} s: {what}", LIMIT.as_secs()))
    }
}

pub fn peers(region: &Value) -> &[Value] {
    region["peers"].as_array().expect("a region has peers")
}
