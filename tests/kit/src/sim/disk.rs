//! The disk of one machine: in memory, or two RocksDB folders.

use std::sync::Arc;

use raftkv::engine::{Engine, Fault, Folder, MemDisk, Snapshot};
use raftkv::raftstore::Engines;

#[cfg(feature = "rocksdb")]
use super::rocks_disk::RocksDisk;

/// How a machine goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// What was not synced is lost. (RocksDB's files cannot be made to forget: there it is as [`Crash::Kill`].)
    PowerCut,
    /// Only the process dies: what it wrote is there, synced or not.
    Kill,
}

/// True where the disks of this run are RocksDB's: real files, so what visits thousands of points visits fewer of them.
pub fn on_rocksdb() -> bool {
    std::env::var("RAFTKV_ENGINE").is_ok_and(|engine| engine == "rocksdb")
}

/// Two engines and a folder, whose writes are counted together and can be made to fail.
pub enum Disk {
    /// The engine in memory.
    Mem(MemDisk),
    /// RocksDB in a scratch folder.
    #[cfg(feature = "rocksdb")]
    Rocks(RocksDisk),
}

impl Disk {
    /// An empty disk. `RAFTKV_ENGINE=rocksdb` chooses RocksDB, where it is built.
    pub fn new() -> Disk {
        match std::env::var("RAFTKV_ENGINE").as_deref() {
            Err(_) | Ok("" | "memory") => Disk::Mem(MemDisk::new()),
            #[cfg(feature = "rocksdb")]
            Ok("rocksdb") => Disk::Rocks(RocksDisk::new()),
            Ok(other) => panic!("RAFTKV_ENGINE={other}: it is not built, or there is no such engine"),
        }
    }

    /// Opens the two engines.
    pub fn open(&self) -> Engines {
        let open = |name: &str| -> Arc<dyn Engine> {
            match self {
                Disk::Mem(disk) => Arc::new(disk.open(name).expect("the old handles are gone")),
                #[cfg(feature = "rocksdb")]
                Disk::Rocks(disk) => disk.open(name),
            }
        };
        Engines { kv: open("kv"), raft: open("raft") }
    }

    /// Its folder of plain files.
    pub fn folder(&self) -> Arc<dyn Folder> {
        match self {
            Disk::Mem(disk) => Arc::new(disk.folder()),
            #[cfg(feature = "rocksdb")]
            Disk::Rocks(disk) => disk.plain_files(),
        }
    }

    /// How many writes it has been asked for.
    pub fn writes(&self) -> u64 {
        match self {
            Disk::Mem(disk) => disk.writes(),
            #[cfg(feature = "rocksdb")]
            Disk::Rocks(disk) => disk.writes(),
        }
    }

    /// How many planned faults have struck.
    pub fn struck(&self) -> u64 {
        match self {
            Disk::Mem(disk) => disk.struck(),
            #[cfg(feature = "rocksdb")]
            Disk::Rocks(disk) => disk.struck(),
        }
    }

    /// Plans a fault for one write, counted from 1 since the disk was made.
    pub fn plan(&self, write: u64, fault: Fault) {
        match self {
            Disk::Mem(disk) => disk.plan(write, fault),
            #[cfg(feature = "rocksdb")]
            Disk::Rocks(disk) => disk.plan(write, fault),
        }
    }

    /// Forgets every plan that has not struck.
    pub fn call_off(&self) {
        match self {
            Disk::Mem(disk) => disk.call_off(),
            #[cfg(feature = "rocksdb")]
            Disk::Rocks(disk) => disk.call_off(),
        }
    }

    /// True once a planned fault has stopped the machine.
    pub fn is_stopped(&self) -> bool {
        match self {
            Disk::Mem(disk) => disk.is_stopped(),
            #[cfg(feature = "rocksdb")]
            Disk::Rocks(disk) => disk.is_stopped(),
        }
    }

    /// What a loss of power would leave of an engine at this moment. RocksDB cannot tell.
    pub fn synced(&self, name: &str) -> Option<Box<dyn Snapshot>> {
        match self {
            Disk::Mem(disk) => Some(disk.synced(name)),
            #[cfg(feature = "rocksdb")]
            Disk::Rocks(_) => None,
        }
    }

    /// The machine goes down, if it has not already, and its disk is ready for the next start.
    pub fn restart(&self, crash: Crash) {
        match (self, crash) {
            (Disk::Mem(disk), Crash::PowerCut) => disk.restart(),
            (Disk::Mem(disk), Crash::Kill) => disk.restart_process(),
            #[cfg(feature = "rocksdb")]
            (Disk::Rocks(disk), _) => disk.restart(),
        }
    }
}

impl Default for Disk {
    fn default() -> Disk {
        Disk::new()
    }
}
