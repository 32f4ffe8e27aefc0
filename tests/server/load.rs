//! Clients that keep a cluster of programs busy, and note what they hear.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use raftkv::server::client::{Client, ClientError};
use raftkv_testkit::Rng;
use raftkv_testkit::history::{Op, Operation};

/// Clients that ask for what the generator says, and note what they hear.
pub struct Load {
    begun: Instant,
    answered: AtomicU64,
    is_over: AtomicBool,
}

impl Load {
    /// None yet.
    pub fn new() -> Arc<Load> {
        let (answered, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        Arc::new(Load { begun: Instant::now(), answered, is_over })
    }

    /// How many calls have been answered so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Every client ends when it has heard what it waits for.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).expect("a test is short")
    }

    /// One client, until the load is over. What it heard, in its order.
    pub async fn work(self: Arc<Load>, id: u64, client: Client, mut rng: Rng) -> Vec<Operation> {
        let mut history = Vec::new();
        while !self.is_over.load(Ordering::Relaxed) {
            let key = format!("k{}", rng.below(3));
            let value = Bytes::from(format!("{id}-{}", history.len()));
            let invoked = self.now();
            let (op, is_known) = match rng.below(3) {
                0 => match client.get("default", key.as_bytes()).await {
                    Ok(held) => (Op::Read(held), true),
                    // A read that was not answered has told nobody anything.
                    Err(_) => continue,
                },
                1 => match client.put("default", key.as_bytes(), &value).await {
                    Err(ClientError::Unserved(_)) => continue,
                    outcome => (Op::Write(Some(value)), outcome.is_ok()),
                },
                _ => match client.compare_and_swap("default", key.as_bytes(), None, &value).await {
                    Err(ClientError::Unserved(_)) => continue,
                    outcome => {
                        let told = outcome.ok();
                        let is_known = told.is_some();
                        (Op::Swap { expected: None, value, told }, is_known)
                    }
                },
            };
            let returned = is_known.then(|| self.now());
            self.answered.fetch_add(u64::from(is_known), Ordering::Relaxed);
            let key = ("default".to_string(), Bytes::from(key));
            history.push(Operation { client: id, key, op, invoked, returned });
        }
        history
    }
}
