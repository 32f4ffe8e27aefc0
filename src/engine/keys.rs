//! Where the store keeps what, beside the data.
//!
//! | key | format | value | engine, column family |
//! |---|---|---|---|
//! | raft log | `0x01 0x02 region_id 0x01 index` | `eraftpb::Entry` | raft, default |
//! | raft state | `0x01 0x02 region_id 0x02` | `raft_serverpb::RaftLocalState` | raft, default |
//! | apply state | `0x01 0x02 region_id 0x03` | `raft_serverpb::RaftApplyState` | kv, raft |
//! | store ident | `0x01 0x01` | `raft_serverpb::StoreIdent` | kv, raft |
//! | region state | `0x01 0x03 region_id 0x01` | `raft_serverpb::RegionLocalState` | kv, raft |
//! | unnamed peer | `0x01 0x03 region_id 0x02` | `metapb::Peer` | kv, raft |
//!
//! Numbers are eight bytes, big-endian: byte order, which is what an engine sorts by, is then numeric order.
//! So a region's log entries lie side by side, in the order of the log.
//!
//! The data itself lies in the kv engine under the client's own keys, in the column families `default`, `write`
//! and `lock`. The records in the kv engine have the column family `raft` to themselves: a client can write
//! any key, but only in the other three.

use bytes::{BufMut, Bytes, BytesMut};

use super::KeyRange;
use crate::ids::{Index, RegionId};

const LOCAL: u8 = 0x01;

const STORE_IDENT: u8 = 0x01;

const REGION_RAFT: u8 = 0x02;
const LOG: u8 = 0x01;
const RAFT_STATE: u8 = 0x02;
const APPLY_STATE: u8 = 0x03;

const REGION_META: u8 = 0x03;
const REGION_STATE: u8 = 0x01;
const UNNAMED_PEER: u8 = 0x02;

/// The key of the record that says whose disk this is.
pub fn store_ident() -> Bytes {
    Bytes::from_static(&[LOCAL, STORE_IDENT])
}

/// The key of one log entry.
pub fn raft_log(region: RegionId, index: Index) -> Bytes {
    let mut key = prefix(REGION_RAFT, region);
    key.put_u8(LOG);
    key.put_u64(index);
    key.freeze()
}

/// The log entries with `low <= index < high`.
pub fn raft_log_range(region: RegionId, low: Index, high: Index) -> KeyRange {
    KeyRange::new(raft_log(region, low), raft_log(region, high))
}

/// The index in a key that [`raft_log`] made for this region, or `None` for any other key.
pub fn raft_log_index(region: RegionId, key: &[u8]) -> Option<Index> {
    let rest = key.strip_prefix(&prefix(REGION_RAFT, region)[..])?.strip_prefix(&[LOG])?;
    Some(u64::from_be_bytes(rest.try_into().ok()?))
}

/// The key of the Raft state.
pub fn raft_state(region: RegionId) -> Bytes {
    suffixed(REGION_RAFT, region, RAFT_STATE)
}

/// The key of the apply state.
pub fn apply_state(region: RegionId) -> Bytes {
    suffixed(REGION_RAFT, region, APPLY_STATE)
}

/// The key of the region state.
pub fn region_state(region: RegionId) -> Bytes {
    suffixed(REGION_META, region, REGION_STATE)
}

/// The key of the record that says who the peer here is while its region does not name it: not any more, or, where a
/// message has created it, not yet.
pub fn unnamed_peer(region: RegionId) -> Bytes {
    suffixed(REGION_META, region, UNNAMED_PEER)
}

/// The region states of all regions, and the peers that they do not name: what a store reads when it starts.
pub fn all_region_meta() -> KeyRange {
    KeyRange::new(vec![LOCAL, REGION_META], vec![LOCAL, REGION_META + 1])
}

/// The region in a key that [`unnamed_peer`] made, or `None` for any other key.
pub fn region_of_unnamed(key: &[u8]) -> Option<RegionId> {
    region_of_meta(key, UNNAMED_PEER)
}

/// The region in a key that [`region_state`] made, or `None` for any other key.
pub fn region_of_state(key: &[u8]) -> Option<RegionId> {
    region_of_meta(key, REGION_STATE)
}

fn region_of_meta(key: &[u8], suffix: u8) -> Option<RegionId> {
    let rest = key.strip_prefix(&[LOCAL, REGION_META])?.strip_suffix(&[suffix])?;
    Some(u64::from_be_bytes(rest.try_into().ok()?))
}

fn prefix(kind: u8, region: RegionId) -> BytesMut {
    let mut key = BytesMut::with_capacity(19);
    key.put_u8(LOCAL);
    key.put_u8(kind);
    key.put_u64(region);
    key
}

fn suffixed(kind: u8, region: RegionId, suffix: u8) -> Bytes {
    let mut key = prefix(kind, region);
    key.put_u8(suffix);
    key.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formats_are_those_of_the_table() {
        assert_eq!(
            raft_log(0x0102, 0x0a0b)[..],
            [1, 2, 0, 0, 0, 0, 0, 0, 1, 2, 1, 0, 0, 0, 0, 0, 0, 0x0a, 0x0b]
        );
        assert_eq!(store_ident()[..], [1, 1]);
        assert_eq!(raft_state(7)[..], [1, 2, 0, 0, 0, 0, 0, 0, 0, 7, 2]);
        assert_eq!(apply_state(7)[..], [1, 2, 0, 0, 0, 0, 0, 0, 0, 7, 3]);
        assert_eq!(region_state(7)[..], [1, 3, 0, 0, 0, 0, 0, 0, 0, 7, 1]);
        assert_eq!(unnamed_peer(7)[..], [1, 3, 0, 0, 0, 0, 0, 0, 0, 7, 2]);
        assert_eq!(region_of_state(&unnamed_peer(7)), None);
    }

    #[test]
    fn byte_order_is_numeric_order() {
        let numbers = [0, 1, 255, 256, 65_535, 65_536, u64::MAX - 1, u64::MAX];
        assert!(numbers.map(|index| raft_log(1, index)).is_sorted());
        assert!(numbers.map(region_state).is_sorted());
        assert!(raft_log(1, u64::MAX) < raft_log(2, 0), "the logs of two regions do not interleave");
    }

    #[test]
    fn a_log_range_has_the_entries_of_one_region() {
        let range = raft_log_range(7, 5, 300);
        let inside = [(7, 5), (7, 299), (7, 4), (7, 300), (6, 10), (8, 10)]
            .map(|(region, index)| range.contains(&raft_log(region, index)));
        assert_eq!(inside, [true, true, false, false, false, false]);
        assert!(!range.contains(&raft_state(7)));
    }

    #[test]
    fn keys_are_read_back() {
        assert_eq!(raft_log_index(7, &raft_log(7, u64::MAX)), Some(u64::MAX));
        assert_eq!(raft_log_index(8, &raft_log(7, 1)), None, "another region's");
        assert_eq!(raft_log_index(7, &raft_state(7)), None);
        assert_eq!(raft_log_index(7, &raft_log(7, 1)[..18]), None, "cut short");
        assert_eq!(region_of_state(&region_state(9)), Some(9));
        assert_eq!(region_of_state(&apply_state(9)), None);
        assert_eq!(region_of_state(b""), None);
        assert_eq!(region_of_unnamed(&unnamed_peer(9)), Some(9));
        assert_eq!(region_of_unnamed(&region_state(9)), None);
    }

    #[test]
    fn the_meta_of_all_regions_is_found_and_nothing_else() {
        let range = all_region_meta();
        assert!(range.contains(&region_state(0)) && range.contains(&region_state(u64::MAX)));
        assert!(!range.contains(&apply_state(u64::MAX)) && !range.contains(&raft_log(u64::MAX, u64::MAX)));
    }
}
