//! An engine that says how long its writes and syncs take.

use std::sync::Arc;

use prometheus::{Histogram, HistogramOpts, HistogramVec, Registry};

use crate::engine::{Cf, Engine, EngineError, Pairs, Snapshot, WriteBatch};

/// How long the writes of a server's engines take.
pub struct WriteTimes(HistogramVec);

impl WriteTimes {
    /// Times that the registry shows.
    ///
    /// # Errors
    /// It has such times already.
    pub fn new(registry: &Registry) -> Result<WriteTimes, prometheus::Error> {
        let buckets = prometheus::exponential_buckets(0.00001, 2.0, 20)?;
        let what = "Time of one write to an engine; synced=true: until it is safe on the disk";
        let options = HistogramOpts::new("raftkv_engine_write_seconds", what).buckets(buckets);
        let times = HistogramVec::new(options, &["engine", "synced"])?;
        registry.register(Box::new(times.clone()))?;
        Ok(WriteTimes(times))
    }

    /// The same engine, measured.
    pub fn of(&self, name: &str, engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
        let times = |synced| self.0.with_label_values(&[name, synced]);
        Arc::new(Measured { engine, synced: times("true"), unsynced: times("false") })
    }
}

struct Measured {
    engine: Arc<dyn Engine>,
    synced: Histogram,
    unsynced: Histogram,
}

impl Engine for Measured {
    fn write(&self, batch: WriteBatch, sync: bool) -> Result<(), EngineError> {
        let times = if sync { &self.synced } else { &self.unsynced };
        let _timer = times.start_timer();
        self.engine.write(batch, sync)
    }

    fn sync(&self) -> Result<(), EngineError> {
        let _timer = self.synced.start_timer();
        self.engine.sync()
    }

    fn ingest(&self, cf: Cf, pairs: &mut Pairs<'_>) -> Result<(), EngineError> {
        let _timer = self.synced.start_timer();
        self.engine.ingest(cf, pairs)
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        self.engine.snapshot()
    }
}
