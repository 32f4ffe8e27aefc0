//! RocksDB as a simulated disk: real files, and faults in front of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use raftkv::engine::{
    Cf, DirFolder, Engine, EngineError, Fault, FileReader, FileWriter, Folder, Pairs, RocksEngine, Snapshot,
    WriteBatch,
};
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
    struck: u64,
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
        Arc::new(Faulty { below: engine, boot: self.lock().boot, state: self.state.clone() })
    }

    /// Opens the folder of plain files.
    pub fn plain_files(&self) -> Arc<dyn Folder> {
        let folder = DirFolder::open(self.folder.path().join("files")).expect("a scratch folder can be made");
        Arc::new(Faulty { below: folder, boot: self.lock().boot, state: self.state.clone() })
    }

    /// How many writes it has been asked for.
    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    /// How many planned faults have struck.
    pub fn struck(&self) -> u64 {
        self.lock().struck
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

/// Something on the disk, with the disk's faults in front of it.
struct Faulty<T> {
    below: T,
    boot: u64,
    state: Arc<Mutex<State>>,
}

impl<T> Faulty<T> {
    /// One write, unless a fault is planned for it.
    fn change(&self, write: impl FnOnce(&T) -> Result<(), EngineError>) -> Result<(), EngineError> {
        strike(&self.state, self.boot, || write(&self.below))
    }

    fn check(&self) -> Result<(), EngineError> {
        let state = self.state.lock().expect("nothing panics while it holds the state");
        if state.stopped || state.boot != self.boot { Err(EngineError::Crashed) } else { Ok(()) }
    }
}

fn strike(
    state: &Mutex<State>,
    boot: u64,
    write: impl FnOnce() -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let mut state = state.lock().expect("nothing panics while it holds the state");
    if state.stopped || state.boot != boot {
        return Err(EngineError::Crashed);
    }
    state.writes += 1;
    let fault = state.plan.get(&state.writes).copied();
    state.struck += u64::from(fault.is_some());
    match fault {
        Some(Fault::Fail) => Err(EngineError::Io(format!("write {} was planned to fail", state.writes))),
        Some(Fault::StopBefore) => {
            state.stopped = true;
            Err(EngineError::Crashed)
        }
        Some(Fault::StopAfter) => {
            state.stopped = true;
            write()?;
            Err(EngineError::Crashed)
        }
        None => write(),
    }
}

/// The power is never cut here, so waiting for the real disk would only cost time.
impl Engine for Faulty<RocksEngine> {
    fn write(&self, batch: WriteBatch, _sync: bool) -> Result<(), EngineError> {
        self.change(|engine| engine.write(batch, false))
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.change(|_| Ok(()))
    }

    fn ingest(&self, cf: Cf, pairs: &mut Pairs<'_>) -> Result<(), EngineError> {
        self.change(|engine| engine.ingest(cf, pairs))
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        self.below.snapshot()
    }
}

impl Folder for Faulty<DirFolder> {
    fn create(&self, name: &str) -> Result<Box<dyn FileWriter>, EngineError> {
        let mut file = None;
        self.change(|folder| {
            file = Some(folder.create(name)?);
            Ok(())
        })?;
        let below = file.ok_or(EngineError::Crashed)?;
        Ok(Box::new(FaultyFile { below, boot: self.boot, state: self.state.clone() }))
    }

    fn open(&self, name: &str) -> Result<Box<dyn FileReader>, EngineError> {
        self.check()?;
        self.below.open(name)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), EngineError> {
        self.change(|folder| folder.rename(from, to))
    }

    fn remove(&self, name: &str) -> Result<(), EngineError> {
        self.change(|folder| folder.remove(name))
    }

    fn list(&self) -> Result<Vec<String>, EngineError> {
        self.check()?;
        self.below.list()
    }
}

struct FaultyFile {
    below: Box<dyn FileWriter>,
    boot: u64,
    state: Arc<Mutex<State>>,
}

impl FileWriter for FaultyFile {
    fn append(&mut self, data: &[u8]) -> Result<(), EngineError> {
        strike(&self.state, self.boot, || self.below.append(data))
    }

    fn sync(&mut self) -> Result<(), EngineError> {
        strike(&self.state, self.boot, || Ok(()))
    }
}
