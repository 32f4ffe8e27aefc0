//! The raw calls on one key and on a range, as functions from request to response.
//!
//! Rules that hold for all of them, and for those in [`raw_batch`](super::raw_batch_get) too:
//!
//! - A handler asks its storage once: one `write` or one `reader`. [Why](super).
//! - A key is checked with [`check_key`], a column family is read with [`Cf::parse`], both before the storage
//!   is asked.
//! - A failure is part of the response, never a panic. [`Error::into_response`] says what goes into
//!   `region_error` and what into `error`; [`write_answer`] and [`pairs_answer`] are built on it. With an error
//!   set, every other field keeps its default.

use bytes::Bytes;

use super::{Modify, Storage, check_key, pairs_answer, write_answer};
use crate::engine::{Cf, KeyRange};
use crate::error::{Error, Rejection};
use crate::proto::kvrpcpb::{
    KvPair, RawDeleteRequest, RawDeleteResponse, RawGetRequest, RawGetResponse, RawPutRequest,
    RawPutResponse, RawScanRequest, RawScanResponse,
};

/// Reads one key.
///
/// - The key exists: `value` is its value, which may be empty, and `not_found` is false.
/// - It does not: `not_found` is true. That is an answer and no error.
pub fn raw_get(storage: &dyn Storage, request: &RawGetRequest) -> RawGetResponse {
    // LAB 1 BEGIN: check, open a reader, get; three outcomes, three responses
    match get(storage, request) {
        Ok(Some(value)) => RawGetResponse { value, ..Default::default() },
        Ok(None) => RawGetResponse { not_found: true, ..Default::default() },
        Err(error) => {
            let (region_error, error) = error.into_response();
            RawGetResponse { region_error, error, ..Default::default() }
        }
    }
    // LAB 1 END
}

/// Writes one key, whether it exists or not.
///
/// - The value may be empty, and is then a value like any other.
/// - A `ttl` other than 0 is refused with [`Rejection::Ttl`], and nothing is written.
/// - An empty `error` and no `region_error` mean: written, and safe from a crash.
pub fn raw_put(storage: &dyn Storage, request: &RawPutRequest) -> RawPutResponse {
    // LAB 1 BEGIN: check, then one write
    let (region_error, error) = write_answer(put(storage, request));
    RawPutResponse { region_error, error }
    // LAB 1 END
}

/// Removes one key. Removing a key that does not exist succeeds. Afterwards [`raw_get`] says `not_found`.
pub fn raw_delete(storage: &dyn Storage, request: &RawDeleteRequest) -> RawDeleteResponse {
    // LAB 1 BEGIN: check, then one write
    let (region_error, error) = write_answer(delete(storage, request));
    RawDeleteResponse { region_error, error }
    // LAB 1 END
}

/// Reads the first `limit` pairs of a range, all at one moment.
///
/// | | forward | `reverse` |
/// |---|---|---|
/// | range | `start_key <= key < end_key` | `end_key <= key < start_key` |
/// | order | smallest key first | greatest key first |
/// | empty `start_key` | from the smallest key | from the greatest key |
/// | empty `end_key` | to the greatest key | to the smallest key |
///
/// - No pairs, and no error, where `limit` is 0 or the range ends before it starts.
/// - With `key_only`, every pair's `value` is empty.
/// - The bounds may be any bytes: they are no keys, so [`check_key`] is not for them.
/// - The response has no error string. A failure is a single pair, with no key, whose `error` has the text in
///   `abort`; a region error goes into `region_error`, as everywhere.
pub fn raw_scan(storage: &dyn Storage, request: &RawScanRequest) -> RawScanResponse {
    // LAB 1 BEGIN: bounds first, then one cursor, up or down
    let (region_error, kvs) = pairs_answer(scan(storage, request));
    RawScanResponse { region_error, kvs }
    // LAB 1 END
}

// SOLUTION 1 BEGIN
fn get(storage: &dyn Storage, request: &RawGetRequest) -> Result<Option<Bytes>, Error> {
    let cf = Cf::parse(&request.cf)?;
    check_key(&request.key)?;
    storage.reader(request.context.as_ref())?.get_cf(cf, &request.key)
}

fn put(storage: &dyn Storage, request: &RawPutRequest) -> Result<(), Error> {
    let cf = Cf::parse(&request.cf)?;
    check_key(&request.key)?;
    if request.ttl != 0 {
        return Err(Rejection::Ttl.into());
    }
    let put = Modify::Put { cf, key: request.key.clone(), value: request.value.clone() };
    storage.write(request.context.as_ref(), vec![put])
}

fn delete(storage: &dyn Storage, request: &RawDeleteRequest) -> Result<(), Error> {
    let cf = Cf::parse(&request.cf)?;
    check_key(&request.key)?;
    let delete = Modify::Delete { cf, key: request.key.clone() };
    storage.write(request.context.as_ref(), vec![delete])
}

fn scan(storage: &dyn Storage, request: &RawScanRequest) -> Result<Vec<KvPair>, Error> {
    let cf = Cf::parse(&request.cf)?;
    let (low, high) = if request.reverse {
        (&request.end_key, &request.start_key)
    } else {
        (&request.start_key, &request.end_key)
    };
    let reader = storage.reader(request.context.as_ref())?;
    let mut cursor = reader.iter_cf(cf, KeyRange::new(low.clone(), high.clone()))?;
    if request.reverse {
        cursor.seek_to_last()?;
    } else {
        cursor.seek_to_first()?;
    }
    let mut pairs = Vec::new();
    while pairs.len() < request.limit as usize
        && let Some((key, value)) = cursor.entry()
    {
        let value = if request.key_only { Bytes::new() } else { Bytes::copy_from_slice(value) };
        pairs.push(KvPair { key: Bytes::copy_from_slice(key), value, ..Default::default() });
        if request.reverse {
            cursor.prev()?;
        } else {
            cursor.next()?;
        }
    }
    Ok(pairs)
}
// SOLUTION 1 END
