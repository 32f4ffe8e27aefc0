//! Several scans in one call. It is given.

use bytes::Bytes;

use super::{Storage, StorageReader, pairs_answer};
use crate::engine::{Cf, KeyRange};
use crate::error::Error;
use crate::proto::kvrpcpb::{KvPair, RawBatchScanRequest, RawBatchScanResponse};

/// Reads the pairs of several ranges at one moment: of each, in the order asked, the first `each_limit`. Bounds,
/// `reverse` and `key_only` are those of [`raw_scan`](super::raw_scan), and so is the way in which a failure is told.
pub fn raw_batch_scan(storage: &dyn Storage, request: &RawBatchScanRequest) -> RawBatchScanResponse {
    let (region_error, kvs) = pairs_answer(batch_scan(storage, request));
    RawBatchScanResponse { region_error, kvs }
}

fn batch_scan(storage: &dyn Storage, request: &RawBatchScanRequest) -> Result<Vec<KvPair>, Error> {
    let cf = Cf::parse(&request.cf)?;
    let reader = storage.reader(request.context.as_ref())?;
    let mut pairs = Vec::new();
    for range in &request.ranges {
        let (start, end) = (range.start_key.clone(), range.end_key.clone());
        let range = if request.reverse { KeyRange::new(end, start) } else { KeyRange::new(start, end) };
        scan_one(&*reader, cf, range, request, &mut pairs)?;
    }
    Ok(pairs)
}

fn scan_one(
    reader: &dyn StorageReader,
    cf: Cf,
    range: KeyRange,
    request: &RawBatchScanRequest,
    pairs: &mut Vec<KvPair>,
) -> Result<(), Error> {
    let mut cursor = reader.iter_cf(cf, range)?;
    if request.reverse {
        cursor.seek_to_last()?;
    } else {
        cursor.seek_to_first()?;
    }
    for _ in 0..request.each_limit {
        let Some((key, value)) = cursor.entry() else { break };
        let value = if request.key_only { Bytes::new() } else { Bytes::copy_from_slice(value) };
        pairs.push(KvPair { key: Bytes::copy_from_slice(key), value, ..Default::default() });
        if request.reverse {
            cursor.prev()?;
        } else {
            cursor.next()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::kvrpcpb::{self, RawPutRequest};
    use crate::storage::{MemStorage, raw_put};

    fn request(ranges: &[(&'static str, &'static str)]) -> RawBatchScanRequest {
        let range = |&(start, end): &(&'static str, &'static str)| kvrpcpb::KeyRange {
            start_key: start.into(),
            end_key: end.into(),
        };
        RawBatchScanRequest {
            ranges: ranges.iter().map(range).collect(),
            each_limit: 2,
            ..Default::default()
        }
    }

    #[test]
    fn of_each_range_the_first_pairs() {
        let storage = MemStorage::default();
        for key in ["a", "b", "c", "d", "e"] {
            let put =
                RawPutRequest { key: key.into(), value: key.to_uppercase().into(), ..Default::default() };
            assert_eq!(raw_put(&storage, &put).error, "");
        }
        let read = |request: &RawBatchScanRequest| {
            let pairs = raw_batch_scan(&storage, request).kvs;
            let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
            pairs.iter().map(|pair| text(&pair.key) + &text(&pair.value)).collect::<Vec<_>>()
        };
        assert_eq!(read(&request(&[("d", ""), ("a", "b"), ("a", "")])), ["dD", "eE", "aA", "aA", "bB"]);
        let reverse =
            RawBatchScanRequest { reverse: true, key_only: true, ..request(&[("c", ""), ("", "d")]) };
        assert_eq!(read(&reverse), ["b", "a", "e", "d"]);
        let unknown = RawBatchScanRequest { cf: "no".into(), ..request(&[("a", "b")]) };
        let answer = raw_batch_scan(&storage, &unknown);
        assert!(answer.kvs[0].error.is_some(), "there is no such column family");
    }
}
