//! A server as its client sees it: requests in, responses out.

use std::sync::Arc;

use bytes::Bytes;
use raftkv::engine::Engine;
use raftkv::proto::kvrpcpb::{
    KvPair, RawDeleteRequest, RawGetRequest, RawPutRequest, RawScanRequest, RawScanResponse,
};
use raftkv::storage::{StandaloneStorage, raw_delete, raw_get, raw_put, raw_scan};

use crate::machine::{Machine, on_each_machine};

/// A storage on one engine. Where a request names no column family, it means `default`.
pub struct Server {
    pub storage: StandaloneStorage,
}

/// Runs a test against a server that has just started, once on each engine.
pub fn on_each_engine(test: impl Fn(&Server)) {
    on_each_machine(|machine| test(&Server::start(machine)));
}

impl Server {
    /// Starts on what is on the machine's disk.
    pub fn start(machine: &dyn Machine) -> Server {
        Server::on(machine.open().expect("the engine is closed, so it can be opened"))
    }

    /// Starts on an engine.
    pub fn on(engine: Arc<dyn Engine>) -> Server {
        Server { storage: StandaloneStorage::new(engine) }
    }

    /// Puts a pair, which has to succeed.
    pub fn put(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.put_cf("", key, value);
    }

    /// Puts a pair into a column family, which has to succeed.
    pub fn put_cf(&self, cf: &str, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        let (key, value) = (key.into(), value.into());
        let request = RawPutRequest { key: key.clone(), value, cf: cf.into(), ..Default::default() };
        let response = raw_put(&self.storage, &request);
        assert_eq!(response.region_error, None, "RawPut of {key:?} must succeed");
        assert_eq!(response.error, "", "RawPut of {key:?} into cf {cf:?} must succeed");
    }

    /// Puts every one of these keys, with its own name as value.
    pub fn put_keys(&self, keys: &str) {
        for key in keys.split(' ') {
            self.put(key.to_string(), key.to_string());
        }
    }

    /// Deletes a key, which has to succeed whether it exists or not.
    pub fn delete(&self, key: impl Into<Bytes>) {
        self.delete_cf("", key);
    }

    /// Deletes a key in a column family, which has to succeed whether it exists or not.
    pub fn delete_cf(&self, cf: &str, key: impl Into<Bytes>) {
        let key = key.into();
        let request = RawDeleteRequest { key: key.clone(), cf: cf.into(), ..Default::default() };
        let response = raw_delete(&self.storage, &request);
        assert_eq!(response.region_error, None, "RawDelete of {key:?} must succeed");
        assert_eq!(response.error, "", "RawDelete of {key:?} in cf {cf:?} must succeed");
    }

    /// Gets a key, which has to succeed: `None` where the response says `not_found`.
    pub fn get(&self, key: impl Into<Bytes>) -> Option<Bytes> {
        self.get_cf("", key)
    }

    /// Gets a key in a column family, which has to succeed: `None` where the response says `not_found`.
    pub fn get_cf(&self, cf: &str, key: impl Into<Bytes>) -> Option<Bytes> {
        let key = key.into();
        let request = RawGetRequest { key: key.clone(), cf: cf.into(), ..Default::default() };
        let response = raw_get(&self.storage, &request);
        assert_eq!(response.region_error, None, "RawGet of {key:?} must succeed");
        assert_eq!(
            response.error, "",
            "RawGet of {key:?} in cf {cf:?} must succeed: that a key is missing is an answer, not an error"
        );
        if response.not_found {
            assert_eq!(response.value, Bytes::new(), "RawGet of {key:?}: a key that is missing has no value");
        }
        (!response.not_found).then_some(response.value)
    }

    /// Scans, which has to succeed.
    pub fn scan(&self, request: RawScanRequest) -> Vec<KvPair> {
        pairs_of(raw_scan(&self.storage, &request))
    }

    /// The keys of a scan, joined with blanks: easy to read in a failure.
    pub fn scan_keys(&self, request: RawScanRequest) -> String {
        keys_of(&self.scan(request))
    }

    /// All keys of a column family, joined with blanks.
    pub fn all_keys(&self, cf: &str) -> String {
        self.scan_keys(RawScanRequest { cf: cf.into(), limit: 1000, ..Default::default() })
    }
}

/// The pairs of a scan that has to have succeeded.
pub fn pairs_of(response: RawScanResponse) -> Vec<KvPair> {
    assert_eq!(response.region_error, None, "RawScan must succeed");
    for pair in &response.kvs {
        assert_eq!(pair.error, None, "RawScan must succeed, so no pair carries an error");
    }
    response.kvs
}

/// The keys of these pairs, joined with blanks.
pub fn keys_of(pairs: &[KvPair]) -> String {
    pairs.iter().map(|pair| String::from_utf8_lossy(&pair.key).into_owned()).collect::<Vec<_>>().join(" ")
}

/// A scan of `default` with a limit that no test reaches.
pub fn scan(start: &str, end: &str) -> RawScanRequest {
    RawScanRequest {
        start_key: start.to_string().into(),
        end_key: end.to_string().into(),
        limit: 1000,
        ..Default::default()
    }
}
