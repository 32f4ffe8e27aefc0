//! What the scheduler keeps on its disk: one engine, one column family, one key for each record.
//!
//! | key | value |
//! |---|---|
//! | `0x01` | the cluster's id, eight bytes, big-endian like all numbers here |
//! | `0x02` | `metapb::Cluster`, once the cluster has begun |
//! | `0x03` | no id up to this one is given any more |
//! | `0x04` | no timestamp of a millisecond below this one is given any more |
//! | `0x05 store_id` | `metapb::Store` |
//! | `0x06 region_id` | `metapb::Region` |
//!
//! The cluster's id is written before anything else, so where there are records, there is an id.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use thiserror::Error;

use crate::engine::{Cf, Engine, EngineError, KeyRange, WriteBatch};
use crate::proto::metapb::{Cluster, Region, Store};
use crate::scheduler::{Record, RecordKey};

const CLUSTER_ID: u8 = 0x01;
const CLUSTER: u8 = 0x02;
const IDS: u8 = 0x03;
const TIMESTAMPS: u8 = 0x04;
const STORE: u8 = 0x05;
const REGION: u8 = 0x06;

/// Why the records cannot be used. All of it is for whoever starts the program.
#[derive(Debug, Error)]
pub enum RecordsError {
    /// The disk fails.
    #[error(transparent)]
    Engine(#[from] EngineError),

    /// These records are not those of the wanted cluster.
    #[error(
        "the data is of cluster {saved}, not of cluster {wanted}: leave out --cluster-id, or give another --data-dir"
    )]
    OtherCluster {
        /// Whose data it is.
        saved: u64,
        /// What was asked for.
        wanted: u64,
    },

    /// No scheduler wrote this, or not this version of it.
    #[error("the data is damaged: the record {} {why}", key.escape_ascii())]
    Damaged {
        /// Under which key.
        key: Bytes,
        /// What is wrong with it.
        why: String,
    },
}

/// The records of one scheduler.
pub struct Records {
    engine: Arc<dyn Engine>,
}

/// What was on the disk.
pub struct Saved {
    /// Whose records these are. Of a new cluster it is on the disk by now, too.
    pub cluster_id: u64,
    /// All but the cluster's id, by key.
    pub records: Vec<Record>,
}

impl Records {
    /// Reads all records. On an empty disk a new cluster begins: the wanted one, or the one with this new id.
    ///
    /// # Errors
    /// See [`RecordsError`].
    pub fn open(
        engine: Arc<dyn Engine>,
        wanted: Option<u64>,
        new_id: impl FnOnce() -> u64,
    ) -> Result<(Records, Saved), RecordsError> {
        let (saved_id, records) = load(&*engine)?;
        let cluster_id = match (saved_id, wanted) {
            (Some(saved), Some(wanted)) if saved != wanted => {
                return Err(RecordsError::OtherCluster { saved, wanted });
            }
            (Some(saved), _) => saved,
            (None, _) if !records.is_empty() => {
                return Err(damaged(&[CLUSTER_ID], "is missing: nobody knows whose data this is"));
            }
            (None, wanted) => {
                let id = wanted.unwrap_or_else(new_id);
                let mut batch = WriteBatch::new();
                batch.put(Cf::Default, vec![CLUSTER_ID], id.to_be_bytes().to_vec());
                engine.write(batch, true)?;
                id
            }
        };
        Ok((Records { engine }, Saved { cluster_id, records }))
    }

    /// Writes changes, all or none. When it returns, they are safe.
    ///
    /// # Errors
    /// The disk fails. Then it is open what a restart would find: nothing that depends on the changes may be told to
    /// anybody.
    pub fn save(&self, changes: &[Record]) -> Result<(), EngineError> {
        let mut batch = WriteBatch::new();
        for change in changes {
            let key = key(change.key());
            match value(change) {
                Some(value) => batch.put(Cf::Default, key, value),
                None => batch.delete(Cf::Default, key),
            }
        }
        self.engine.write(batch, true)
    }
}

fn load(engine: &dyn Engine) -> Result<(Option<u64>, Vec<Record>), RecordsError> {
    let snapshot = engine.snapshot();
    let mut cursor = snapshot.cursor(Cf::Default, KeyRange::all());
    let (mut cluster_id, mut records) = (None, Vec::new());
    cursor.seek_to_first()?;
    while let Some((key, value)) = cursor.entry() {
        if key == [CLUSTER_ID] {
            cluster_id = Some(number(key, value)?);
        } else {
            records.push(record(key, value)?);
        }
        cursor.next()?;
    }
    Ok((cluster_id, records))
}

fn key(of: RecordKey) -> Bytes {
    let (kind, id) = match of {
        RecordKey::Cluster => (CLUSTER, None),
        RecordKey::Ids => (IDS, None),
        RecordKey::Timestamps => (TIMESTAMPS, None),
        RecordKey::Store(id) => (STORE, Some(id)),
        RecordKey::Region(id) => (REGION, Some(id)),
    };
    let mut key = BytesMut::new();
    key.put_u8(kind);
    if let Some(id) = id {
        key.put_u64(id);
    }
    key.freeze()
}

/// None for what is gone.
fn value(record: &Record) -> Option<Vec<u8>> {
    match record {
        Record::Cluster(cluster) => Some(cluster.encode_to_vec()),
        Record::IdsUpTo(bound) | Record::TimestampsBelow(bound) => Some(bound.to_be_bytes().to_vec()),
        Record::Store(store) => Some(store.encode_to_vec()),
        Record::Region(region) => Some(region.encode_to_vec()),
        Record::RegionGone(_) => None,
    }
}

fn record(at: &[u8], value: &[u8]) -> Result<Record, RecordsError> {
    let record = match at.first() {
        Some(&CLUSTER) => Record::Cluster(message::<Cluster>(at, value)?),
        Some(&IDS) => Record::IdsUpTo(number(at, value)?),
        Some(&TIMESTAMPS) => Record::TimestampsBelow(number(at, value)?),
        Some(&STORE) => Record::Store(message::<Store>(at, value)?),
        Some(&REGION) => Record::Region(message::<Region>(at, value)?),
        _ => return Err(damaged(at, "is of a kind that this program does not know")),
    };
    if key(record.key()) != at {
        return Err(damaged(at, "lies under the key of another one"));
    }
    Ok(record)
}

fn message<M: Message + Default>(key: &[u8], value: &[u8]) -> Result<M, RecordsError> {
    M::decode(value).map_err(|error| damaged(key, &format!("cannot be read: {error}")))
}

fn number(key: &[u8], value: &[u8]) -> Result<u64, RecordsError> {
    let bytes = value.try_into().map_err(|_| damaged(key, "is not eight bytes long"))?;
    Ok(u64::from_be_bytes(bytes))
}

fn damaged(key: &[u8], why: &str) -> RecordsError {
    RecordsError::Damaged { key: Bytes::copy_from_slice(key), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Fault, MemDisk};
    use crate::proto::metapb::{Peer, RegionEpoch};

    fn open(disk: &MemDisk, wanted: Option<u64>) -> Result<(Records, Saved), RecordsError> {
        Records::open(Arc::new(disk.open("data").expect("nobody else has it open")), wanted, || 77)
    }

    fn samples() -> Vec<Record> {
        let region = Region {
            id: 300,
            end_key: Bytes::from_static(b"\xffz"),
            region_epoch: Some(RegionEpoch { conf_ver: 1, version: 2 }),
            peers: vec![Peer { id: 3, store_id: 4, ..Default::default() }],
            ..Default::default()
        };
        vec![
            Record::Cluster(Cluster { id: 77, max_peer_count: 3 }),
            Record::IdsUpTo(1000),
            Record::TimestampsBelow(u64::MAX),
            Record::Store(Store { id: 4, address: "a:1".to_string(), ..Default::default() }),
            Record::Region(region),
        ]
    }

    #[test]
    fn what_was_saved_is_read_again() {
        let disk = MemDisk::new();
        let (records, new) = open(&disk, None).expect("an empty disk");
        assert_eq!((new.cluster_id, new.records), (77, Vec::new()));
        records.save(&samples()).expect("a healthy disk");
        drop(records);
        let (records, saved) = open(&disk, Some(77)).expect("its own data");
        assert_eq!((saved.cluster_id, saved.records), (77, samples()));
        records.save(&[Record::RegionGone(300), Record::IdsUpTo(2000)]).expect("a healthy disk");
        drop(records);
        let saved = open(&disk, None).expect("its own data").1.records;
        assert!(saved.contains(&Record::IdsUpTo(2000)), "a later record replaces the one before: {saved:?}");
        assert_eq!(saved.len(), samples().len() - 1, "the region is gone: {saved:?}");
    }

    #[test]
    fn a_crash_leaves_what_was_saved() {
        let disk = MemDisk::new();
        let (records, _) = open(&disk, Some(5)).expect("an empty disk");
        disk.plan(disk.writes() + 1, Fault::StopBefore);
        records.save(&samples()).expect_err("the machine stops");
        disk.restart();
        drop(records);
        let (records, saved) = open(&disk, None).expect("its own data");
        assert_eq!(
            (saved.cluster_id, saved.records),
            (5, Vec::new()),
            "whose data it is, is known from the beginning"
        );
        records.save(&samples()).expect("a healthy disk");
        disk.plan(disk.writes() + 1, Fault::StopBefore);
        records.save(&[Record::RegionGone(300)]).expect_err("the machine stops");
        disk.restart();
        drop(records);
        let saved = open(&disk, None).expect("its own data").1;
        assert_eq!((saved.cluster_id, saved.records), (5, samples()));
    }

    #[test]
    fn another_cluster_is_refused() {
        let disk = MemDisk::new();
        open(&disk, Some(5)).expect("an empty disk");
        let refused = open(&disk, Some(6)).err().expect("it is 5");
        assert!(refused.to_string().contains("cluster 5"), "{refused}");
    }

    #[test]
    fn damage_is_found_and_named() {
        for (key, value, what) in [
            (vec![9], vec![], "does not know"),
            (vec![CLUSTER_ID], vec![1], "eight bytes"),
            (vec![IDS], vec![1, 2, 3], "eight bytes"),
            (vec![STORE, 1], vec![], "another one"),
            (key(RecordKey::Store(1)).to_vec(), vec![0xff], "cannot be read"),
            (key(RecordKey::Ids).to_vec(), 5u64.to_be_bytes().to_vec(), "whose data"),
        ] {
            let disk = MemDisk::new();
            let engine = disk.open("data").expect("a new disk");
            let mut batch = WriteBatch::new();
            batch.put(Cf::Default, key.clone(), value);
            engine.write(batch, true).expect("a healthy disk");
            drop(engine);
            let refused = open(&disk, None).err().unwrap_or_else(|| panic!("{key:?} is damage"));
            assert!(refused.to_string().contains(what), "{key:?}: {refused}");
        }
    }
}
