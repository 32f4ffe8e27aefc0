//! The contract of [`raftkv::engine::Engine`], on every engine that this build has.
//!
//! Whatever is built on an engine is tested on the one in memory, thousands of times, with crashes at every
//! write. That says something about a store on RocksDB only as far as the two behave alike: which is what is
//! shown here.

mod batch;
mod crash;
mod cursor;
mod folder;
mod ingest;
mod machine;
mod mem_disk;
mod model;
mod reopen;
#[cfg(feature = "rocksdb")]
mod rocks;
mod snapshot;

use bytes::Bytes;
use raftkv::engine::{Cf, Engine, KeyRange, Snapshot, WriteBatch};

/// A batch that puts these pairs into one column family.
fn puts(cf: Cf, pairs: &[(&str, &str)]) -> WriteBatch {
    let mut batch = WriteBatch::new();
    for (key, value) in pairs {
        batch.put(cf, key.to_string(), value.to_string());
    }
    batch
}

/// Puts these pairs into `default` and waits until they are safe.
fn put_all(engine: &dyn Engine, pairs: &[(&str, &str)]) {
    engine.write(puts(Cf::Default, pairs), true).expect("a healthy disk takes a write");
}

/// The value of a key in a snapshot that is taken now.
fn get(engine: &dyn Engine, cf: Cf, key: &str) -> Option<Bytes> {
    engine.snapshot().get(cf, key.as_bytes()).expect("a healthy disk can be read")
}

/// All pairs of a range from a snapshot, in key order, as text.
fn pairs_in(snapshot: &dyn Snapshot, cf: Cf, range: KeyRange) -> Vec<(String, String)> {
    let mut cursor = snapshot.cursor(cf, range);
    let mut pairs = Vec::new();
    cursor.seek_to_first().expect("a healthy disk can be read");
    while let Some((key, value)) = cursor.entry() {
        pairs.push((String::from_utf8_lossy(key).into(), String::from_utf8_lossy(value).into()));
        cursor.next().expect("a healthy disk can be read");
    }
    pairs
}

/// All keys of a column family now, joined with blanks.
fn keys(engine: &dyn Engine, cf: Cf) -> String {
    let pairs = pairs_in(engine.snapshot().as_ref(), cf, KeyRange::all());
    pairs.into_iter().map(|(key, _)| key).collect::<Vec<_>>().join(" ")
}
