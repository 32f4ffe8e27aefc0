//! The load: so many clients, each of which waits for its answer before it asks again.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

/// So many different keys.
const KEYS: u64 = 10_000;

/// So large are values.
const VALUE: usize = 128;

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// Write.
    Put,
    /// Read, so that everything that was acknowledged before is seen.
    Get,
    /// Half and half.
    Mixed,
}

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub work: Work,
    pub clients: usize,
    /// So many connections, which the clients share; no more than clients.
    pub connections: usize,
    pub time: Duration,
}

/// What came of it. Latencies are in microseconds.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub per_second: f64,
    pub latencies: Histogram<u64>,
}

/// A cluster that is measured.
pub trait Target: Clone + Send + Sync + 'static {
    type Client: Client;
    /// A client with connections of its own.
    fn connect(&self) -> impl Future<Output = Result<Self::Client>> + Send;
}

/// One client. Clones share its connections.
pub trait Client: Clone + Send + 'static {
    fn put(&mut self, key: &[u8], value: &[u8]) -> impl Future<Output = Result<()>> + Send;
    /// Is the key there?
    fn get(&mut self, key: &[u8]) -> impl Future<Output = Result<bool>> + Send;
}

/// Loads a cluster for a while.
pub async fn run<T: Target>(load: &Load, target: &T) -> Result<Outcome> {
    let mut clients = JoinSet::new();
    let mut connected = Vec::new();
    for _ in 0..load.connections {
        connected.push(target.connect().await.context("a client connects")?);
    }
    let begun = Instant::now();
    for (seed, client) in (1..=load.clients as u64).zip(connected.iter().cycle()) {
        clients.spawn(ask(*load, client.clone(), seed, begun + load.time));
    }
    let mut latencies = Histogram::new(3)?;
    while let Some(seen) = clients.join_next().await {
        latencies.add(seen??)?;
    }
    let per_second = latencies.len() as f64 / begun.elapsed().as_secs_f64();
    Ok(Outcome { per_second, latencies })
}

async fn ask<C: Client>(load: Load, mut client: C, seed: u64, end: Instant) -> Result<Histogram<u64>> {
    let mut seen = Histogram::new(3)?;
    let value = [b'v'; VALUE];
    // A linear congruential generator (Knuth's constants): which key is next, must cost nothing.
    let mut state = seed;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    loop {
        let begun = Instant::now();
        if begun >= end {
            return Ok(seen);
        }
        let key = format!("key-{:08}", next() % KEYS);
        let writes = match load.work {
            Work::Put => true,
            Work::Get => false,
            Work::Mixed => next() % 2 == 0,
        };
        if writes {
            client.put(key.as_bytes(), &value).await?;
        } else {
            client.get(key.as_bytes()).await?;
        }
        seen.record(u64::try_from(begun.elapsed().as_micros())?.max(1))?;
    }
}
