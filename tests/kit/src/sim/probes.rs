//! What a test can see.

use bytes::Bytes;
use prost::Message as _;
use raftkv::engine::{Cf, KeyRange, keys};
use raftkv::ids::StoreId;
use raftkv::proto::eraftpb::Entry;
use raftkv::proto::metapb::Region;
use raftkv::proto::raft_cmdpb::RaftCmdRequest;
use raftkv::raftstore::{Engines, Peer, Store};

use super::{Counts, Micros, REGION, Sim, secs};

impl Sim {
    /// The store that leads region 1. Waits until there is one that a majority follows.
    pub fn leader(&mut self) -> StoreId {
        self.until(
            "a leader is elected as long as a majority of the stores hear each other (section 5.2)",
            secs(20),
            |sim| sim.elected().is_some(),
        );
        let leader = self.elected().expect("it has just been there");
        self.say(format!("store {leader} leads"));
        leader
    }

    /// The store whose peer of region 1 leads, if a majority follows it in its term.
    pub fn elected(&self) -> Option<StoreId> {
        self.leader_of(REGION)
    }

    /// All stores but this one.
    pub fn others(&self, id: StoreId) -> Vec<StoreId> {
        self.machines.keys().copied().filter(|other| *other != id).collect()
    }

    /// A store that runs.
    pub fn store(&self, id: StoreId) -> &Store {
        self.stores.get(&id).unwrap_or_else(|| panic!("store {id} is down"))
    }

    /// The peer of region 1 on a store that runs.
    pub fn peer(&self, id: StoreId) -> &Peer {
        self.store(id).peer(REGION).unwrap_or_else(|| panic!("store {id} has no peer of region 1"))
    }

    /// True while the store runs.
    pub fn is_up(&self, id: StoreId) -> bool {
        self.stores.contains_key(&id) && self.machines[&id].stopped.is_none()
    }

    /// Why a store has stopped by itself, if it has.
    pub fn stopped(&self, id: StoreId) -> Option<&str> {
        self.machines[&id].stopped.as_deref()
    }

    /// A region, as the clients know it.
    pub fn region(&self, id: u64) -> &Region {
        self.regions.iter().find(|region| region.id == id).expect("there is such a region")
    }

    /// What a store holds at a key, applied or not acknowledged, whoever leads.
    pub fn data(&self, id: StoreId, key: &str) -> Option<Bytes> {
        let snapshot = self.store(id).engines().kv.snapshot();
        snapshot.get(Cf::Default, key.as_bytes()).expect("the simulated disk can be read")
    }

    /// What a store holds at a key in a column family.
    pub fn data_cf(&self, id: StoreId, cf: &str, key: &str) -> Option<Bytes> {
        let cf = Cf::parse(cf).expect("the test names a column family that there is");
        let snapshot = self.store(id).engines().kv.snapshot();
        snapshot.get(cf, key.as_bytes()).expect("the simulated disk can be read")
    }

    /// Where the log of region 1 begins on a store, in memory.
    pub fn first_index(&self, id: StoreId) -> u64 {
        self.peer(id).node().raft().log().first_index()
    }

    /// True if the cluster has such a store, be it up or down.
    pub fn has_machine(&self, id: StoreId) -> bool {
        self.machines.contains_key(&id)
    }

    /// The log of region 1 on a machine's raft engine: what a power cut would leave of it.
    pub fn log_on_disk(&self, id: StoreId) -> Vec<Entry> {
        let disk = self.machines[&id].disk.synced("raft");
        let disk = disk.unwrap_or_else(|| self.store(id).engines().raft.snapshot());
        let mut cursor = disk.cursor(Cf::Default, keys::raft_log_range(REGION, 0, u64::MAX));
        let mut entries = Vec::new();
        cursor.seek_to_first().expect("the simulated disk can be read");
        while let Some((_, value)) = cursor.entry() {
            entries.push(Entry::decode(value).expect("what lies under the key of an entry is an entry"));
            cursor.next().expect("the simulated disk can be read");
        }
        entries
    }

    /// The entries of region 1's log on a store's raft engine, as written, whatever a power cut would leave.
    pub fn entries_written(&self, id: StoreId) -> Vec<u64> {
        let raft = self.store(id).engines().raft.snapshot();
        let mut cursor = raft.cursor(Cf::Default, keys::raft_log_range(REGION, 0, u64::MAX));
        let mut entries = Vec::new();
        cursor.seek_to_first().expect("the simulated disk can be read");
        while let Some((key, _)) = cursor.entry() {
            entries.extend(keys::raft_log_index(REGION, key));
            cursor.next().expect("the simulated disk can be read");
        }
        entries
    }

    /// The stores with an entry on their disks that puts this value at this key.
    pub fn holders_of_put(&self, key: &str, value: &str) -> Vec<StoreId> {
        let puts = |entry: &Entry| {
            let command = RaftCmdRequest::decode(entry.data.clone()).unwrap_or_default();
            let mut puts = command.requests.into_iter().filter_map(|request| request.put);
            puts.any(|put| put.key == key.as_bytes() && put.value == value.as_bytes())
        };
        let holds = |id: &StoreId| self.log_on_disk(*id).iter().any(puts);
        self.stores.keys().copied().filter(holds).collect()
    }

    /// How many writes a machine's disk has seen.
    pub fn writes(&self, id: StoreId) -> u64 {
        self.machines[&id].disk.writes()
    }

    /// How much was done about snapshots.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The files of snapshots on a store.
    pub fn snapshot_files(&self, id: StoreId) -> Vec<String> {
        let files = self.machines[&id].files.as_ref().expect("the store runs");
        files.list().expect("the simulated disk can be read")
    }

    /// Virtual time since the start.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// From now on the whole story is kept.
    pub fn keep_transcript(&mut self) {
        self.trace.keep();
    }

    /// What has happened since, line by line, without heartbeats.
    pub fn transcript(&self) -> String {
        self.trace.text()
    }

    /// Two runs that went the same way have the same hash.
    pub fn trace_hash(&self) -> u64 {
        self.trace.hash()
    }

    /// How many events the hash covers.
    pub fn trace_lines(&self) -> u64 {
        self.trace.lines()
    }
}

/// The data of a store's clients in a range: column family, key and value.
pub(super) fn data_in(engines: &Engines, range: &KeyRange) -> Vec<(Cf, Bytes, Bytes)> {
    let snapshot = engines.kv.snapshot();
    let mut data = Vec::new();
    for cf in Cf::DATA {
        let mut cursor = snapshot.cursor(cf, range.clone());
        cursor.seek_to_first().expect("the simulated disk can be read");
        while let Some((key, value)) = cursor.entry() {
            data.push((cf, Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
            cursor.next().expect("the simulated disk can be read");
        }
    }
    data
}
