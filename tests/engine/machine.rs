//! The machines that an engine is tested on. The stage 1 suite uses them too.

use std::sync::Arc;

use raftkv::engine::{Engine, EngineError, MemDisk};

/// A machine with one disk and one engine on it.
pub trait Machine {
    /// For the text of a failure.
    fn name(&self) -> &'static str;

    /// Opens the engine, as a process does when it starts.
    fn open(&self) -> Result<Arc<dyn Engine>, EngineError>;

    /// Stops as in a power cut and comes back.
    fn crash(&mut self);
}

/// Runs a test on a fresh machine of each kind that this build has.
pub fn on_each_machine(test: impl Fn(&mut dyn Machine)) {
    let mut machines: Vec<Box<dyn Machine>> = vec![Box::new(MemMachine::default())];
    add_rocks(&mut machines);
    for machine in &mut machines {
        let report = ReportName(machine.name());
        test(machine.as_mut());
        drop(report);
    }
}

/// Says on which machine a test failed, when it does.
struct ReportName(&'static str);

impl Drop for ReportName {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("engine: {}", self.0);
        }
    }
}

#[derive(Default)]
struct MemMachine {
    disk: MemDisk,
}

impl Machine for MemMachine {
    fn name(&self) -> &'static str {
        "MemEngine"
    }

    fn open(&self) -> Result<Arc<dyn Engine>, EngineError> {
        Ok(Arc::new(self.disk.open("kv")?))
    }

    fn crash(&mut self) {
        self.disk.restart();
    }
}

#[cfg(feature = "rocksdb")]
fn add_rocks(machines: &mut Vec<Box<dyn Machine>>) {
    machines.push(Box::new(rocks::RocksMachine::new()));
}

/// Says once that half of the engines is missing. Straight to the descriptor, where no test captures it.
#[cfg(not(feature = "rocksdb"))]
fn add_rocks(_: &mut Vec<Box<dyn Machine>>) {
    use std::io::Write;
    use std::sync::Once;

    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let line = "RocksDB is not built: these tests run on MemEngine alone (both: `just test-1-rocksdb`)";
        // A closed standard error is no reason to fail.
        let _ = writeln!(std::io::stderr(), "{line}");
    });
}

#[cfg(feature = "rocksdb")]
mod rocks {
    use std::collections::BTreeMap;
    use std::ffi::OsString;
    use std::path::Path;
    use std::sync::Arc;
    use std::{fs, io};

    use raftkv::engine::{Engine, EngineError, RocksEngine};
    use tempfile::TempDir;

    use super::Machine;

    pub struct RocksMachine {
        folder: TempDir,
    }

    impl RocksMachine {
        pub fn new() -> RocksMachine {
            RocksMachine { folder: new_folder() }
        }
    }

    impl Machine for RocksMachine {
        fn name(&self) -> &'static str {
            "RocksEngine"
        }

        fn open(&self) -> Result<Arc<dyn Engine>, EngineError> {
            Ok(Arc::new(RocksEngine::open(self.folder.path().join("kv"))?))
        }

        /// Copies the files as they are, under an engine that may be open, and goes on from the copy. No
        /// process gets to write what it still has in memory. What the operating system has not written yet
        /// is not lost, so this crash is milder than a real one: it shows that synced data stays, not that
        /// unsynced data goes.
        fn crash(&mut self) {
            let from = self.folder.path().join("kv");
            let mut copies =
                (0..TRIES).map(|_| copy_at_one_moment(&from).expect("a copy of the engine's folder"));
            self.folder = copies.find_map(|copy| copy).expect("RocksDB comes to rest between two writes");
        }
    }

    /// So often a copy is begun. RocksDB's own work after it has opened is done by then, many times over.
    const TRIES: usize = 1000;

    /// A power cut stops everything at once, but RocksDB's own threads go on while files are copied one by one:
    /// after it has opened, they remove the files of before. A copy is of one moment if from the first file to the
    /// last none came, went or grew; any other is no crash that can happen, and `None`.
    fn copy_at_one_moment(from: &Path) -> io::Result<Option<TempDir>> {
        let copy = new_folder();
        let to = copy.path().join("kv");
        fs::create_dir(&to)?;
        let files = lengths(from)?;
        for file in files.keys() {
            match fs::copy(from.join(file), to.join(file)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                other => other?,
            };
        }
        Ok((lengths(from)? == files).then_some(copy))
    }

    /// The files of a folder. One that goes while they are looked at has no length.
    fn lengths(folder: &Path) -> io::Result<BTreeMap<OsString, Option<u64>>> {
        let length = |file: io::Result<fs::DirEntry>| {
            let file = file?;
            Ok((file.file_name(), file.metadata().ok().map(|meta| meta.len())))
        };
        fs::read_dir(folder)?.map(length).collect()
    }

    fn new_folder() -> TempDir {
        TempDir::new().expect("a temporary folder")
    }
}
