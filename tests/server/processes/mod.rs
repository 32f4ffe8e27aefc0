//! Real processes on RocksDB: what is killed, starts again, and knows what it has promised.

mod disk;
mod kill;
mod stop;

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::{Signal, kill as send};
use nix::unistd::Pid;
use raftkv::server::client::Client;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use crate::cluster::{scheduler, until, until_full};
use crate::process::{Process, start};

/// A process that takes longer to end, and a request that takes longer, does not do it at all.
const LIMIT: Duration = Duration::from_secs(30);

/// Short times, so that tests do not wait; logs are short, so that whoever was away needs a snapshot.
const SETTINGS: &str = "[store]\ntick-ms = 10\nreport-ticks = 5\nlog-gc-limit = 50\n";

impl Process {
    /// It ends at once, without a word.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it runs");
    }

    /// It is asked to end.
    pub fn terminate(&self) {
        let pid = self.child.id().expect("it runs").cast_signed();
        send(Pid::from_raw(pid), Signal::SIGTERM).expect("it runs");
    }

    pub async fn ended(mut self) -> (ExitStatus, String) {
        let status = timeout(LIMIT, self.child.wait()).await;
        let status = status.unwrap_or_else(|_| panic!("it does not end: {}", self.log.text()));
        (status.expect("its end can be waited for"), self.log.text())
    }
}

/// A scheduler and some stores, and the folders of their data.
pub struct Cluster {
    dir: TempDir,
    pub scheduler: Process,
    pub stores: Vec<Option<Process>>,
}

impl Cluster {
    pub async fn start(stores: usize) -> Cluster {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("settings.toml"), SETTINGS).expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_raftkv-scheduler"));
        command.args(["--listen", "127.0.0.1:0", "--status", "127.0.0.1:0", "--repair", "--data-dir"]);
        command.arg(dir.path().join("scheduler"));
        let begun = start(command, "the scheduler listens at ").await;
        let mut cluster = Cluster { dir, scheduler: begun, stores: Vec::new() };
        for n in 0..stores {
            cluster.stores.push(None);
            cluster.start_store(n).await;
        }
        until_full(&cluster.client().await, stores).await;
        cluster
    }

    pub fn folder(&self, n: usize) -> PathBuf {
        self.dir.path().join(format!("store-{n}"))
    }

    pub fn command(&self, n: usize) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_raftkv-server"));
        command.args(store_flags(&self.scheduler.address, &self.folder(n)));
        command.arg("--config").arg(self.dir.path().join("settings.toml"));
        command
    }

    /// Starts a store on its folder, at another port than before.
    pub async fn start_store(&mut self, n: usize) {
        self.stores[n] = Some(start(self.command(n), "serving address=").await);
    }

    pub async fn client(&self) -> Client {
        Client::connect(&self.scheduler.address, LIMIT).await.expect("the scheduler is there")
    }

    /// Which of the stores leads the region of a key.
    pub async fn leader(&self, key: &str) -> usize {
        let client = self.client().await;
        until("the scheduler knows who leads", || async {
            let found = scheduler(&client).region_of_key(key.as_bytes()).await.ok()?;
            let address = scheduler(&client).store_address(found.leader?.store_id).await.ok()?;
            self.stores.iter().position(|store| store.as_ref().is_some_and(|store| store.address == address))
        })
        .await
    }
}

fn store_flags(scheduler: &str, folder: &Path) -> Vec<String> {
    let folder = folder.to_string_lossy().into_owned();
    let flags =
        ["--listen", "127.0.0.1:0", "--status", "none", "--scheduler", scheduler, "--data-dir", &folder];
    flags.map(str::to_string).to_vec()
}
