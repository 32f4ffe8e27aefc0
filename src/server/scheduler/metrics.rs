//! What is counted, for Prometheus.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

use super::status::Status;

/// The counters of one scheduler, in a registry of its own: a test may run several.
pub struct Metrics {
    registry: Registry,
    calls: IntCounterVec,
    timestamps: IntCounter,
    writes: IntCounter,
    stores: IntGaugeVec,
    regions: IntGauge,
    leaderless: IntGauge,
    operators: IntGaugeVec,
}

impl Metrics {
    /// All at 0.
    pub fn new() -> Metrics {
        let named = |name: &str, help: &str| Opts::new(format!("raftkv_scheduler_{name}"), help);
        let valid = "names and labels are fixed, and valid";
        let metrics = Metrics {
            registry: Registry::new(),
            calls: IntCounterVec::new(named("calls_total", "Calls by name and result."), &["call", "result"])
                .expect(valid),
            timestamps: IntCounter::with_opts(named("tso_given_total", "Timestamps given.")).expect(valid),
            writes: IntCounter::with_opts(named("writes_total", "Synced writes to the disk.")).expect(valid),
            stores: IntGaugeVec::new(named("stores", "Stores by state."), &["state"]).expect(valid),
            regions: IntGauge::with_opts(named("regions", "Regions known.")).expect(valid),
            leaderless: IntGauge::with_opts(named(
                "regions_without_leader",
                "Regions of which no leader has reported itself.",
            ))
            .expect(valid),
            operators: IntGaugeVec::new(
                named("operators", "The last operator of each region, by state."),
                &["state"],
            )
            .expect(valid),
        };
        metrics.register().expect("no two have one name");
        metrics
    }

    fn register(&self) -> prometheus::Result<()> {
        self.registry.register(Box::new(self.calls.clone()))?;
        self.registry.register(Box::new(self.timestamps.clone()))?;
        self.registry.register(Box::new(self.writes.clone()))?;
        self.registry.register(Box::new(self.stores.clone()))?;
        self.registry.register(Box::new(self.regions.clone()))?;
        self.registry.register(Box::new(self.leaderless.clone()))?;
        self.registry.register(Box::new(self.operators.clone()))
    }

    /// A call was answered.
    pub fn answered(&self, call: &str, ok: bool) {
        self.calls.with_label_values(&[call, if ok { "ok" } else { "refused" }]).inc();
    }

    /// Timestamps were given.
    pub fn gave_timestamps(&self, count: u32) {
        self.timestamps.inc_by(u64::from(count));
    }

    /// Something is written.
    pub fn wrote(&self) {
        self.writes.inc();
    }

    /// All of it as text. What is not counted but looked up, comes from the status.
    pub fn text(&self, status: &Status) -> String {
        for state in ["up", "offline", "tombstone"] {
            let stores = status.stores.iter().filter(|store| store.state == state).count();
            self.stores.with_label_values(&[state]).set(stores as i64);
        }
        for state in ["running", "done", "dropped"] {
            let operators = status.operators.iter().filter(|operator| operator.state == state).count();
            self.operators.with_label_values(&[state]).set(operators as i64);
        }
        self.regions.set(status.regions.len() as i64);
        let leaderless = status.regions.iter().filter(|region| region.leader.is_none()).count();
        self.leaderless.set(leaderless as i64);
        TextEncoder::new().encode_to_string(&self.registry.gather()).expect("every metric here has a text")
    }
}
