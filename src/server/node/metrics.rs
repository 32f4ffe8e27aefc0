//! What a store thread counts.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, Registry};

/// Of one store thread. Clones count together.
#[derive(Clone)]
pub struct Metrics {
    inputs: IntCounter,
    rounds: IntCounter,
    shared_reads: IntCounter,
    per_round: Histogram,
    drain_seconds: Histogram,
}

impl Metrics {
    /// Counters that the registry shows.
    ///
    /// # Errors
    /// It has such counters already.
    pub fn new(registry: &Registry) -> Result<Metrics, prometheus::Error> {
        let per_round = HistogramOpts::new(
            "raftkv_store_round_inputs",
            "Inputs that the store took in before it worked: commands, messages, results of tasks",
        );
        let seconds = HistogramOpts::new(
            "raftkv_store_drain_seconds",
            "Time of one round of work: writing, sending, applying, answering",
        );
        let doubling = |first, count| prometheus::exponential_buckets(first, 2.0, count);
        let metrics = Metrics {
            inputs: IntCounter::new("raftkv_store_inputs_total", "Inputs that the store has taken in")?,
            rounds: IntCounter::new("raftkv_store_rounds_total", "Rounds of work")?,
            shared_reads: IntCounter::new(
                "raftkv_store_shared_reads_total",
                "Reads that went with another one's entry of the log",
            )?,
            per_round: Histogram::with_opts(per_round.buckets(doubling(1.0, 11)?))?,
            drain_seconds: Histogram::with_opts(seconds.buckets(doubling(0.0001, 14)?))?,
        };
        registry.register(Box::new(metrics.inputs.clone()))?;
        registry.register(Box::new(metrics.rounds.clone()))?;
        registry.register(Box::new(metrics.shared_reads.clone()))?;
        registry.register(Box::new(metrics.per_round.clone()))?;
        registry.register(Box::new(metrics.drain_seconds.clone()))?;
        Ok(metrics)
    }

    pub(super) fn round(&self, inputs: usize) {
        if inputs > 0 {
            self.inputs.inc_by(inputs as u64);
            self.per_round.observe(inputs as f64);
        }
    }

    pub(super) fn read_shared(&self) {
        self.shared_reads.inc();
    }

    pub(super) fn drained(&self, time: Duration) {
        self.rounds.inc();
        self.drain_seconds.observe(time.as_secs_f64());
    }
}
