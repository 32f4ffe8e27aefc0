//! RocksDB as a simulated disk: real files, and faults in front of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use raftkv::engine::{Engine, EngineError, Fault, RocksEngine, Snapshot, WriteBatch};
use tempfile::TempDir;

/// A scratch folder with one RocksDB for each engine. Its counting and its faults are those of
/// [`MemDisk`](raftkv::engine::MemDisk).
pub struct RocksDisk {
    folder: TempDir,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    writes: u64,
    plan: BTreeMap<u64, Fault>,
    stopped: bool,
    boot: u64,
}

impl RocksDisk {
    /// An empty folder.
    pub fn new() -> RocksDisk {
        let folder = TempDir::with_prefix("raftkv-sim-").expect("a scratch folder can be made");
        RocksDisk { folder, state: Arc::default() }
    }

    /// Opens one engine. All handles and snapshots of the last start must be gone.
    pub fn open(&self, name: &str) -> Arc<dyn Engine> {
        let engine = RocksEngine::open(self.folder.path().join(name)).expect("the old handles are gone");
        Arc::new(Faulty { engine, boot: self.lock().boot, state: self.state.clone() })
    }

    /// How many writes it has been asked for.
    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    /// Plans a fault for one write.
    pub fn plan(&self, write: u64, fault: Fault) {
        self.lock().plan.insert(write, fault);
    }

    /// Forgets every plan that has not struck.
    pub fn call_off(&self) {
        self.lock().plan.clear();
    }

    /// True once a planned fault has stopped the machine.
    pub fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// The process goes down. What it wrote is in the operating system's hands.
    pub fn restart(&self) {
        let mut state = self.lock();
        state.stopped = false;
        state.boot += 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the state")
    }
}

struct Faulty {
    engine: RocksEngine,
    boot: u64,
    state: Arc<Mutex<State>>,
}

impl Engine for Faulty {
    fn write(&self, batch: WriteBatch, sync: bool) -> Result<(), EngineError> {
        let mut state = self.state.lock().expect("nothing panics while it holds the state");
        if state.stopped || state.boot != self.boot {
            return Err(EngineError::Crashed);
        }
        state.writes += 1;
        match state.plan.get(&state.writes).copied() {
            Some(Fault::Fail) => {
                return Err(EngineError::Io(format!("write {} was planned to fail", state.writes)));
            }
            Some(Fault::StopBefore) => {
                state.stopped = true;
                return Err(EngineError::Crashed);
            }
            Some(Fault::StopAfter) => {
                state.stopped = true;
                self.engine.write(batch, sync)?;
                return Err(EngineError::Crashed);
            }
            None => {}
        }
        // The power is never cut here, so waiting for the real disk would only cost time.
        self.engine.write(batch, false)
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        self.engine.snapshot()
    }
}
