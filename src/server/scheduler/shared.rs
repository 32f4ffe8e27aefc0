//! What all connections share: the core, its records, and the one lock around both.
//!
//! ```text
//!   lock  ->  the call  ->  take_changes, and one synced write of them  ->  unlock  ->  the answer leaves
//! ```
//!
//! - An answer leaves only after everything before it is on the disk: a timestamp, an id or a route that was told to
//!   somebody is never forgotten.
//! - Nobody waits for a socket with the lock: it is a plain mutex, and no future holds it.
//! - When a write fails, the core is gone, under the same lock. What is in memory then is more than what is on the
//!   disk, and nobody may hear of it. The process ends; a new one goes on with what was saved.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::task::block_in_place;

use super::metrics::Metrics;
use super::records::Records;
use crate::ids::StoreId;
use crate::scheduler::Scheduler;
use crate::server::disk::DataDir;
use crate::server::process::{Stop, Stopper, stop_pair};

/// What a call works on.
pub struct Core {
    /// What decides.
    pub scheduler: Scheduler,
    /// When each store was heard last. Only for people: the core counts rounds instead.
    pub heard: BTreeMap<StoreId, Instant>,
    records: Records,
    /// Released after the engine is closed: fields are dropped in this order.
    _dir: Option<DataDir>,
}

impl Core {
    /// A core that saves what it changes. It has the data directory to itself, if there is one.
    pub fn new(scheduler: Scheduler, records: Records, dir: Option<DataDir>) -> Core {
        Core { scheduler, heard: BTreeMap::new(), records, _dir: dir }
    }
}

/// The process ends, or has to: nobody is answered any more.
#[derive(Clone, Copy, Debug)]
pub struct Stopped;

/// See the [module](self).
pub struct Shared {
    /// None once nobody may be answered any more.
    core: Mutex<Option<Core>>,
    /// Why the process has to end, if it has to.
    failure: OnceLock<String>,
    stopper: Stopper,
    stop: Stop,
    /// What is counted.
    pub metrics: Metrics,
    /// Where clients and stores find this scheduler: `host:port`.
    pub address: String,
}

impl Shared {
    /// Nothing has failed yet.
    pub fn new(core: Core, address: String) -> Shared {
        let (stopper, stop) = stop_pair();
        Shared {
            core: Mutex::new(Some(core)),
            failure: OnceLock::new(),
            stopper,
            stop,
            metrics: Metrics::new(),
            address,
        }
    }

    /// One call: carried out, saved, and only then answered.
    ///
    /// # Errors
    /// The answer may not leave, or there is none.
    pub fn call<T>(&self, work: impl FnOnce(&mut Core) -> T) -> Result<T, Stopped> {
        let mut place = self.lock()?;
        let core = place.as_mut().ok_or(Stopped)?;
        let answer = work(core);
        let changes = core.scheduler.take_changes();
        if changes.is_empty() {
            return Ok(answer);
        }
        self.metrics.wrote();
        // A write waits for the disk. Meanwhile this thread's other tasks go on elsewhere.
        if let Err(error) = block_in_place(|| core.records.save(&changes)) {
            self.fail(format!("what has changed could not be saved: {error}"));
            *place = None;
            return Err(Stopped);
        }
        Ok(answer)
    }

    fn lock(&self) -> Result<MutexGuard<'_, Option<Core>>, Stopped> {
        self.core.lock().map_err(|_| {
            self.fail(
                "a call has ended in a panic, and may have left its work half done: see the log".to_string(),
            );
            Stopped
        })
    }

    /// The process has to end. The first reason counts.
    pub fn fail(&self, why: String) {
        if self.failure.set(why.clone()).is_ok() {
            tracing::error!("{why}");
        }
        self.stopper.stop();
    }

    /// Why it had to end, if it had to.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// For whoever has to end with it.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Everything that waits is told to end.
    pub fn begin_stop(&self) {
        self.stopper.stop();
    }

    /// Nobody is answered any more; the disk is closed, and the data directory is free.
    pub fn close(&self) {
        // After a panic there is nothing left to be done with the core but to drop it.
        let mut place = self.core.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        *place = None;
    }
}

/// The time of day. A clock before 1970 counts as standing at 1970: timestamps rise whatever it says.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// An id for a new cluster, from what no two of them have in common: the moment and the process. It is never 0, and
/// small enough for every reader of JSON.
pub fn new_cluster_id() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let nanos = since.as_nanos() as u64;
    (scramble(nanos ^ u64::from(std::process::id()).rotate_left(40)) >> 11).max(1)
}

/// Numbers that differ in little become numbers that differ in much (the last step of SplitMix64).
fn scramble(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;

    use super::*;
    use crate::engine::{Fault, MemDisk};

    fn shared(disk: &MemDisk) -> Shared {
        let engine = Arc::new(disk.open("data").expect("nobody else has it open"));
        let (records, saved) = Records::open(engine, Some(7), || 7).expect("an empty disk");
        let scheduler = Scheduler::new(saved.cluster_id);
        Shared::new(Core::new(scheduler, records, None), "127.0.0.1:1".to_string())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn after_a_failed_write_nobody_is_answered() {
        let disk = MemDisk::new();
        let shared = shared(&disk);
        assert_eq!(shared.call(|core| core.scheduler.alloc_id()).ok(), Some(1));
        disk.plan(disk.writes() + 1, Fault::Fail);
        shared.call(|core| core.scheduler.timestamp(5, 1)).expect_err("the bound could not be saved");
        shared.call(|core| core.scheduler.cluster_id()).expect_err("not even what needs no write");
        assert!(shared.failure().is_some_and(|why| why.contains("saved")), "{:?}", shared.failure());
        assert!(shared.stop().is_stopped(), "the process has to end");
        drop(disk.open("data").expect("the engine is closed: nobody can write any more"));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn after_a_panic_nobody_is_answered() {
        let shared = shared(&MemDisk::new());
        let ended =
            catch_unwind(AssertUnwindSafe(|| shared.call(|_| -> u64 { panic!("part of this test") })));
        assert!(ended.is_err());
        shared.call(|core| core.scheduler.cluster_id()).expect_err("its work may be half done");
        assert!(shared.failure().is_some() && shared.stop().is_stopped(), "the process has to end");
    }

    #[test]
    fn similar_moments_give_different_clusters() {
        let ids: std::collections::BTreeSet<u64> = (0..1000).map(scramble).collect();
        assert_eq!(ids.len(), 1000);
        assert!((1..1 << 53).contains(&new_cluster_id()));
    }
}
