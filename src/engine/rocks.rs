//! An engine on RocksDB.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rocksdb::{
    ColumnFamily, DB, DBRawIterator, IngestExternalFileOptions, Options, ReadOptions, SstFileWriter,
    WriteOptions,
};
use self_cell::self_cell;

use super::pairs::sorted;
use super::{Cf, Cursor, Engine, EngineError, KeyRange, MAX_KEY_LEN, Pairs, Snapshot, WriteBatch, WriteOp};

/// How the names of files begin that are on their way into the database.
const INGEST_PREFIX: &str = "ingest-";

/// So many bytes of pairs go into one file that the database takes over.
const INGEST_FILE: usize = 64 << 20;

/// What a store runs on: a folder on a real disk.
pub struct RocksEngine {
    db: Arc<DB>,
}

impl RocksEngine {
    /// Opens the database in the folder and makes what is missing of it. Fails while it is open elsewhere.
    pub fn open(path: impl AsRef<Path>) -> Result<RocksEngine, EngineError> {
        let path = path.as_ref();
        remove_leftovers(path);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        // RocksDB's own diary: one small file, not one for every start.
        options.set_keep_log_file_num(1);
        let db = DB::open_cf(&options, path, Cf::ALL.map(Cf::name))
            .map_err(|error| EngineError::Open { path: PathBuf::from(path), reason: error.to_string() })?;
        Ok(RocksEngine { db: Arc::new(db) })
    }
}

impl RocksEngine {
    /// Writes the pairs into as many files as they need, whose names are in `paths` afterwards.
    fn write_files(
        &self,
        cf: Cf,
        pairs: &mut Pairs<'_>,
        paths: &mut Vec<PathBuf>,
    ) -> Result<(), EngineError> {
        let options = Options::default();
        let mut pairs = pairs.fuse().peekable();
        while pairs.peek().is_some() {
            let path = self.db.path().join(format!("{INGEST_PREFIX}{cf}-{}.sst", paths.len()));
            remove_name(&path);
            let mut file = SstFileWriter::create(&options);
            file.open(&path).map_err(io)?;
            paths.push(path);
            let mut bytes = 0;
            while bytes < INGEST_FILE
                && let Some(pair) = pairs.next()
            {
                let (key, value) = pair?;
                bytes += key.len() + value.len();
                file.put(key, value).map_err(io)?;
            }
            file.finish().map_err(io)?;
        }
        Ok(())
    }
}

impl Engine for RocksEngine {
    fn write(&self, batch: WriteBatch, sync: bool) -> Result<(), EngineError> {
        batch.validate()?;
        let mut changes = rocksdb::WriteBatch::default();
        let replaced = replaced(batch.ops());
        for (at, op) in batch.into_ops().into_iter().enumerate() {
            match op {
                WriteOp::Put { .. } if replaced.contains(&at) => {}
                WriteOp::Put { cf, key, value } => changes.put_cf(handle(&self.db, cf), key, value),
                WriteOp::Delete { cf, key } => changes.delete_cf(handle(&self.db, cf), key),
                // RocksDB takes an empty range for damage.
                WriteOp::DeleteRange { range, .. } if range.is_empty() => {}
                WriteOp::DeleteRange { cf, range } => {
                    let end = if range.end.is_empty() { above_all_keys() } else { range.end };
                    changes.delete_range_cf(handle(&self.db, cf), range.start, end);
                }
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        self.db.write_opt(changes, &options).map_err(io)
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.db.flush_wal(true).map_err(io)
    }

    /// The pairs become files of the database's own format beside it, which it then takes over as they are: nothing
    /// goes through the write-ahead log. A file's index is in memory until the file is finished, so there are several,
    /// each of `INGEST_FILE` bytes.
    fn ingest(&self, cf: Cf, pairs: &mut Pairs<'_>) -> Result<(), EngineError> {
        let mut paths = Vec::new();
        let written = self.write_files(cf, &mut sorted(pairs), &mut paths);
        if written.is_err() || paths.is_empty() {
            // RocksDB takes a file without keys for damage; and what is only half there is of no use.
            paths.iter().for_each(|path| remove_name(path));
            return written;
        }
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        self.db.ingest_external_file_cf_opts(handle(&self.db, cf), &options, paths).map_err(io)
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        Box::new(RocksSnapshot::new(self.db.clone(), |db| db.snapshot()))
    }
}

/// The puts that no reader can ever see, for the batch itself puts their key again: one for each entry that a round of
/// work applies but the last, since each of them notes how far it has come. RocksDB would write and keep them all. Only
/// the column family of those notes is looked at.
fn replaced(ops: &[WriteOp]) -> BTreeSet<usize> {
    let mut later = BTreeSet::new();
    let notes = ops.iter().enumerate().rev().filter_map(|(at, op)| match op {
        WriteOp::Put { cf: Cf::Raft, key, .. } => Some((at, key)),
        _ => None,
    });
    notes.filter(|(_, key)| !later.insert(*key)).map(|(at, _)| at).collect()
}

type DbSnapshot<'a> = rocksdb::Snapshot<'a>;

self_cell!(
    /// RocksDB's snapshot borrows the database. This one keeps it open instead, so that a reader can go to
    /// another thread.
    struct RocksSnapshot {
        owner: Arc<DB>,
        #[not_covariant]
        dependent: DbSnapshot,
    }
);

impl Snapshot for RocksSnapshot {
    fn get(&self, cf: Cf, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let value = self.with_dependent(|db, snapshot| snapshot.get_cf(handle(db, cf), key));
        Ok(value.map_err(io)?.map(Bytes::from))
    }

    fn cursor(&self, cf: Cf, range: KeyRange) -> Box<dyn Cursor + '_> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(range.start.to_vec());
        if !range.end.is_empty() {
            options.set_iterate_upper_bound(range.end.to_vec());
        }
        self.with_dependent(|db, snapshot| {
            let iter = snapshot.raw_iterator_cf_opt(handle(db, cf), options);
            Box::new(RocksCursor { iter }) as Box<dyn Cursor>
        })
    }
}

struct RocksCursor<'a> {
    iter: DBRawIterator<'a>,
}

impl RocksCursor<'_> {
    /// RocksDB's iterator is on no key both at the end and after an error.
    fn status(&self) -> Result<(), EngineError> {
        self.iter.status().map_err(io)
    }
}

impl Cursor for RocksCursor<'_> {
    fn seek(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.iter.seek(key);
        self.status()
    }

    fn seek_for_prev(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.iter.seek_for_prev(key);
        self.status()
    }

    fn seek_to_first(&mut self) -> Result<(), EngineError> {
        self.iter.seek_to_first();
        self.status()
    }

    fn seek_to_last(&mut self) -> Result<(), EngineError> {
        self.iter.seek_to_last();
        self.status()
    }

    fn next(&mut self) -> Result<(), EngineError> {
        if self.iter.valid() {
            self.iter.next();
        }
        self.status()
    }

    fn prev(&mut self) -> Result<(), EngineError> {
        if self.iter.valid() {
            self.iter.prev();
        }
        self.status()
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.iter.item()
    }
}

/// A process that was killed while the database took a file over may leave a second name for a file that is in use.
/// Writing to it again would damage the database; so such names go before anything else happens.
fn remove_leftovers(path: &Path) {
    let Ok(entries) = std::fs::read_dir(path) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(INGEST_PREFIX) {
            remove_name(&entry.path());
        }
    }
}

/// The file itself stays where it has another name.
fn remove_name(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove");
    }
}

fn handle(db: &DB, cf: Cf) -> &ColumnFamily {
    db.cf_handle(cf.name()).expect("every column family was opened")
}

/// One byte longer than any key can be, and all of them 0xff.
fn above_all_keys() -> Bytes {
    Bytes::from_static(&[0xff; MAX_KEY_LEN + 1])
}

fn io(error: rocksdb::Error) -> EngineError {
    EngineError::Io(error.to_string())
}
