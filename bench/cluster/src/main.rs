//! Three stores and a scheduler against three nodes of etcd, on this machine and this disk, driven by the same load.
//!
//! The method is in docs/benchmarks.md. `just bench-cluster` builds what is needed and runs it.

mod etcd;
mod load;
mod ours;
#[allow(dead_code, reason = "it is shared with the server's own tests")]
#[path = "../../../tests/server/process.rs"]
mod process;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;

use load::{Load, Outcome, Target, Work};

/// The load shares the machine with what it measures, so it should cost little. It is the same for both.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Our cluster against etcd.
#[derive(Parser)]
struct Flags {
    /// The folder of our programs
    #[arg(long, value_name = "FOLDER")]
    programs: PathBuf,
    /// Where both keep their data: on one disk
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// How many clients at once
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    clients: Vec<usize>,
    /// How many connections they share; without this, each client has its own
    #[arg(long)]
    connections: Option<usize>,
    /// How long a run takes, in seconds
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How many runs of each; the table has the medians
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// What is measured
    #[arg(long, value_enum, value_delimiter = ',', default_value = "put,get,mixed")]
    work: Vec<Work>,
    /// Only ours: for a profiler
    #[arg(long, conflicts_with = "against")]
    only_ours: bool,
    /// Instead of etcd, another build of our programs: for whoever changes something
    #[arg(long, value_name = "FOLDER")]
    against: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let flags = Flags::parse();
    ensure!(flags.runs > 0 && flags.seconds > 0, "at least one run of one second is needed");
    let dir = match &flags.data {
        Some(data) => tempfile::tempdir_in(data)?,
        None => tempfile::tempdir()?,
    };
    println!("starting the clusters in {}", dir.path().display());
    let ours = ours::Cluster::start(&flags.programs, &dir.path().join("ours")).await?;
    let rival = Rival::start(&flags, &dir.path().join("rival")).await?;
    let mut rows = Vec::new();
    for work in &flags.work {
        for &clients in &flags.clients {
            let connections = flags.connections.map_or(clients, |most| most.clamp(1, clients));
            let time = Duration::from_secs(flags.seconds);
            let load = Load { work: *work, clients, connections, time };
            let (mut mine, mut theirs) = (Vec::new(), Vec::new());
            for run in 0..flags.runs {
                // They take turns, and who begins changes.
                if run % 2 == 0 {
                    mine.push(measure(&load, ours.target()).await?);
                }
                match &rival {
                    Some(Rival::Etcd(etcd)) => theirs.push(measure(&load, etcd.target()).await?),
                    Some(Rival::Ours(other)) => theirs.push(measure(&load, other.target()).await?),
                    None => {}
                }
                if run % 2 == 1 {
                    mine.push(measure(&load, ours.target()).await?);
                }
            }
            let row =
                table::Row { load, ours: median(mine), rival: (!theirs.is_empty()).then(|| median(theirs)) };
            println!("{}", row.line());
            rows.push(row);
        }
    }
    let rival = if flags.against.is_some() { "other" } else { "etcd" };
    println!("\n{}", table::table(&rows, rival));
    Ok(())
}

/// Whom we are measured against.
enum Rival {
    Etcd(etcd::Cluster),
    Ours(ours::Cluster),
}

impl Rival {
    async fn start(flags: &Flags, data: &Path) -> Result<Option<Rival>> {
        Ok(match &flags.against {
            Some(programs) => Some(Rival::Ours(ours::Cluster::start(programs, data).await?)),
            None if flags.only_ours => None,
            None => Some(Rival::Etcd(etcd::Cluster::start(data).await?)),
        })
    }
}

async fn measure<T: Target>(load: &Load, target: T) -> Result<Outcome> {
    // The first second is for connections and caches.
    let warm = Load { time: Duration::from_secs(1), ..*load };
    load::run(&warm, &target).await?;
    load::run(load, &target).await
}

/// By throughput.
fn median(mut outcomes: Vec<Outcome>) -> Outcome {
    outcomes.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    outcomes.swap_remove(outcomes.len() / 2)
}
