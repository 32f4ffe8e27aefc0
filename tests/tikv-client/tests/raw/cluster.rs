//! A RaftKV cluster as processes, on ports that the system picks and on engines in memory.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tikv_client::RawClient;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::{interval, timeout};

/// What takes longer, does not come.
const LIMIT: Duration = Duration::from_secs(30);

/// A process of ours. It is killed when this is dropped.
pub struct Process {
    child: Child,
    pub address: String,
}

/// The folder of our programs, which `just test-tikv-client` has built.
fn program(name: &str) -> PathBuf {
    let folder =
        std::env::var_os("RAFTKV_PROGRAMS").expect("RAFTKV_PROGRAMS names the folder of the programs");
    PathBuf::from(folder).join(name)
}

impl Process {
    /// Starts a program, and waits until it says where it listens: `marker` stands before that.
    async fn start(mut command: Command, marker: &'static str) -> Process {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let (found, address) = oneshot::channel();
        tokio::spawn(async move {
            let mut found = Some(found);
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some((_, rest)) = line.split_once(marker)
                    && let Some(found) = found.take()
                {
                    // Whoever waited may have given up.
                    let _ = found.send(rest.trim().to_string());
                }
            }
        });
        let address = timeout(LIMIT, address).await.expect("it starts in time").expect("it starts");
        Process { child, address }
    }

    /// It ends at once, without a word.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it runs");
    }
}

pub struct Cluster {
    pub scheduler: Process,
    status: String,
    pub stores: Vec<Process>,
}

impl Cluster {
    /// A scheduler and three stores; the first region is on all of them.
    pub async fn start() -> Cluster {
        let status = free_address();
        let mut command = Command::new(program("raftkv-scheduler"));
        command.args(["--listen", "127.0.0.1:0", "--status", &status, "--engine", "memory"]);
        let scheduler = Process::start(command, "the scheduler listens at ").await;
        let mut cluster = Cluster { scheduler, status, stores: Vec::new() };
        for _ in 0..3 {
            let mut command = Command::new(program("raftkv-server"));
            command.args(["--listen", "127.0.0.1:0", "--status", "none", "--engine", "memory"]);
            command.args(["--scheduler", &cluster.scheduler.address]);
            cluster.stores.push(Process::start(command, "serving address=").await);
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

/// A port that was free a moment ago: the status page does not say where it is.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there are free ports");
    listener.local_addr().expect("it is bound").to_string()
}
