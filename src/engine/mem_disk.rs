//! The disk of a simulated machine: it forgets what was not synced, and it fails when it is told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use super::mem::{Lease, Maps, apply, snapshot_of};
use super::mem_folder::{Files, MemFolder};
use super::{Cf, EngineError, MemEngine, Pairs, Snapshot, WriteBatch};

/// What goes wrong at a planned write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The write fails and leaves no trace, and the machine goes on: a full disk.
    Fail,
    /// The machine stops just before the write.
    StopBefore,
    /// The machine stops just after the write, so its caller never learns of it.
    StopAfter,
}

/// A disk that holds any number of engines by name, as a real one holds folders, and one folder of plain files.
///
/// Writes are counted over all engines and files of the disk, so a test that plans a [`Fault`] for write 1, then for
/// write 2 and so on visits every point at which the machine can stop, also between the writes to two
/// different engines.
///
/// A machine that has stopped fails every write until [`restart`](MemDisk::restart). Reading goes on: nothing
/// that is read can leave a stopped machine.
#[derive(Clone, Default)]
pub struct MemDisk {
    state: Arc<Mutex<DiskState>>,
}

#[derive(Default)]
struct DiskState {
    engines: BTreeMap<String, Stored>,
    files: Files,
    /// Writes so far, failed ones included.
    writes: u64,
    /// How many of them met a planned fault.
    struck: u64,
    plan: BTreeMap<u64, Fault>,
    stopped: bool,
    /// How often the machine was restarted. An engine that was opened before the last time is dead.
    boot: u64,
}

/// One engine's contents.
///
/// - `synced` is what a crash leaves: the state as of the last write with `sync`.
/// - `current` is what reads see: `synced` and every write since.
#[derive(Clone, Default)]
struct Stored {
    current: Maps,
    synced: Maps,
    open: Weak<Lease>,
}

impl MemDisk {
    /// An empty disk.
    pub fn new() -> MemDisk {
        MemDisk::default()
    }

    /// Opens the engine of that name, which is empty where there was none. Fails while it is open already.
    pub fn open(&self, name: &str) -> Result<MemEngine, EngineError> {
        let mut state = self.lock();
        let boot = state.boot;
        let stored = state.engines.entry(name.to_string()).or_default();
        if stored.open.strong_count() > 0 {
            let reason = "it is open already: an engine or one of its snapshots is still alive".to_string();
            return Err(EngineError::Open { path: name.into(), reason });
        }
        let lease = Arc::new(Lease);
        stored.open = Arc::downgrade(&lease);
        Ok(MemEngine::new_on(self.clone(), name, boot, lease))
    }

    /// Its folder of plain files.
    pub fn folder(&self) -> MemFolder {
        let boot = self.lock().boot;
        MemFolder::new_on(self.clone(), boot)
    }

    /// Plans a fault for the `write`-th write to this disk, counted from 1 since the disk was made.
    pub fn plan(&self, write: u64, fault: Fault) {
        self.lock().plan.insert(write, fault);
    }

    /// Forgets every plan that has not struck.
    pub fn call_off(&self) {
        self.lock().plan.clear();
    }

    /// How many writes the disk has been asked for.
    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    /// How many planned faults have struck.
    pub fn struck(&self) -> u64 {
        self.lock().struck
    }

    /// True once a planned fault has stopped the machine.
    pub fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// What a loss of power would leave of an engine at this moment. It does not count as a use of the engine.
    pub fn synced(&self, name: &str) -> Box<dyn Snapshot> {
        snapshot_of(self.lock().engines.get(name).map(|stored| stored.synced.clone()).unwrap_or_default())
    }

    /// The machine loses power, if it has not stopped already, and comes back: every engine is as it was at
    /// its last synced write. Engines that were open are dead and may be opened again at once.
    pub fn restart(&self) {
        self.reboot(|stored| stored.current = stored.synced.clone());
        self.lock().files.lose_unsynced();
    }

    /// The process is killed, if it has not stopped already, and started again; the machine itself stays up. What was
    /// written is there, synced or not: the operating system has it.
    pub fn restart_process(&self) {
        self.reboot(|_| ());
    }

    fn reboot(&self, effect: impl Fn(&mut Stored)) {
        let mut state = self.lock();
        state.stopped = false;
        state.boot += 1;
        for stored in state.engines.values_mut() {
            effect(stored);
            stored.open = Weak::new();
        }
    }

    pub(super) fn write(
        &self,
        name: &str,
        boot: u64,
        batch: WriteBatch,
        sync: bool,
    ) -> Result<(), EngineError> {
        batch.validate()?;
        self.change(boot, |state| {
            let stored = state.engine(name);
            apply(&mut stored.current, batch);
            if sync {
                stored.synced = stored.current.clone();
            }
        })
    }

    pub(super) fn sync(&self, name: &str, boot: u64) -> Result<(), EngineError> {
        self.change(boot, |state| {
            let stored = state.engine(name);
            stored.synced = stored.current.clone();
        })
    }

    /// What was written before and not synced is not safe by this: so it is with the files of a real database.
    pub(super) fn ingest(
        &self,
        name: &str,
        boot: u64,
        cf: Cf,
        pairs: &mut Pairs<'_>,
    ) -> Result<(), EngineError> {
        let pairs = pairs.collect::<Result<Vec<_>, _>>()?;
        self.change(boot, |state| {
            let stored = state.engine(name);
            for (key, value) in pairs {
                stored.synced[cf as usize].insert_mut(key.clone(), value.clone());
                stored.current[cf as usize].insert_mut(key, value);
            }
        })
    }

    /// Changes the files; one write.
    pub(super) fn change_files(&self, boot: u64, change: impl FnOnce(&mut Files)) -> Result<(), EngineError> {
        self.change(boot, |state| change(&mut state.files))
    }

    /// Looks at the files.
    pub(super) fn with_files<T>(
        &self,
        boot: u64,
        look: impl FnOnce(&mut Files) -> T,
    ) -> Result<T, EngineError> {
        let mut state = self.lock();
        if state.stopped || state.boot != boot {
            return Err(EngineError::Crashed);
        }
        Ok(look(&mut state.files))
    }

    /// One write to the disk, whatever it changes there, unless a fault is planned for it.
    fn change(&self, boot: u64, change: impl FnOnce(&mut DiskState)) -> Result<(), EngineError> {
        let mut state = self.lock();
        if state.stopped || state.boot != boot {
            return Err(EngineError::Crashed);
        }
        state.writes += 1;
        let (write, fault) = (state.writes, state.plan.get(&state.writes).copied());
        state.struck += u64::from(fault.is_some());
        match fault {
            Some(Fault::Fail) => return Err(EngineError::Io(format!("write {write} was planned to fail"))),
            Some(Fault::StopBefore) => {
                state.stopped = true;
                return Err(EngineError::Crashed);
            }
            Some(Fault::StopAfter) => state.stopped = true,
            None => {}
        }
        change(&mut state);
        if state.stopped { Err(EngineError::Crashed) } else { Ok(()) }
    }

    /// The engine's maps as they are now.
    pub(super) fn maps(&self, name: &str) -> Maps {
        self.lock().engines.get(name).map(|stored| stored.current.clone()).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, DiskState> {
        self.state.lock().expect("nothing panics while it holds the disk")
    }
}

impl DiskState {
    fn engine(&mut self, name: &str) -> &mut Stored {
        self.engines.get_mut(name).expect("an open engine is on its disk")
    }
}
