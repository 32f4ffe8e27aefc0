//! The raw calls on several keys at once. They are given.
//!
//! Look how each keeps "all or none": it checks every key before it asks the storage for anything, and then
//! asks for everything in one write, or reads everything from one reader.

use super::{Modify, Storage, check_key, pairs_answer, write_answer};
use crate::engine::{Cf, KeyRange};
use crate::error::{Error, Rejection};
use crate::proto::kvrpcpb::{
    KvPair, RawBatchDeleteRequest, RawBatchDeleteResponse, RawBatchGetRequest, RawBatchGetResponse,
    RawBatchPutRequest, RawBatchPutResponse, RawDeleteRangeRequest, RawDeleteRangeResponse,
};

/// Reads several keys at one moment. The pairs are those of the keys that exist, in the order asked. The
/// response has no error string: a failure is a single pair with `error` set.
pub fn raw_batch_get(storage: &dyn Storage, request: &RawBatchGetRequest) -> RawBatchGetResponse {
    let (region_error, pairs) = pairs_answer(batch_get(storage, request));
    RawBatchGetResponse { region_error, pairs }
}

/// Writes several keys, all or none. Where a key is given twice, the later value stays. A time to live other
/// than 0 is refused, as for a single put.
pub fn raw_batch_put(storage: &dyn Storage, request: &RawBatchPutRequest) -> RawBatchPutResponse {
    let (region_error, error) = write_answer(batch_put(storage, request));
    RawBatchPutResponse { region_error, error }
}

/// Removes several keys, all or none.
pub fn raw_batch_delete(storage: &dyn Storage, request: &RawBatchDeleteRequest) -> RawBatchDeleteResponse {
    let (region_error, error) = write_answer(batch_delete(storage, request));
    RawBatchDeleteResponse { region_error, error }
}

/// Removes every key with `start_key <= key < end_key`; an empty `end_key` is no bound. A range that ends
/// before it starts has no keys, and removing none succeeds.
pub fn raw_delete_range(storage: &dyn Storage, request: &RawDeleteRangeRequest) -> RawDeleteRangeResponse {
    let (region_error, error) = write_answer(delete_range(storage, request));
    RawDeleteRangeResponse { region_error, error }
}

fn batch_get(storage: &dyn Storage, request: &RawBatchGetRequest) -> Result<Vec<KvPair>, Error> {
    let cf = Cf::parse(&request.cf)?;
    for key in &request.keys {
        check_key(key)?;
    }
    let reader = storage.reader(request.context.as_ref())?;
    let mut pairs = Vec::new();
    for key in &request.keys {
        if let Some(value) = reader.get_cf(cf, key)? {
            pairs.push(KvPair { key: key.clone(), value, ..Default::default() });
        }
    }
    Ok(pairs)
}

fn batch_put(storage: &dyn Storage, request: &RawBatchPutRequest) -> Result<(), Error> {
    let cf = Cf::parse(&request.cf)?;
    #[expect(deprecated, reason = "old clients still set it")]
    let has_ttl = request.ttl != 0 || request.ttls.iter().any(|ttl| *ttl != 0);
    if has_ttl {
        return Err(Rejection::Ttl.into());
    }
    let mut changes = Vec::with_capacity(request.pairs.len());
    for pair in &request.pairs {
        check_key(&pair.key)?;
        changes.push(Modify::Put { cf, key: pair.key.clone(), value: pair.value.clone() });
    }
    storage.write(request.context.as_ref(), changes)
}

fn batch_delete(storage: &dyn Storage, request: &RawBatchDeleteRequest) -> Result<(), Error> {
    let cf = Cf::parse(&request.cf)?;
    let mut changes = Vec::with_capacity(request.keys.len());
    for key in &request.keys {
        check_key(key)?;
        changes.push(Modify::Delete { cf, key: key.clone() });
    }
    storage.write(request.context.as_ref(), changes)
}

fn delete_range(storage: &dyn Storage, request: &RawDeleteRangeRequest) -> Result<(), Error> {
    let cf = Cf::parse(&request.cf)?;
    let range = KeyRange::new(request.start_key.clone(), request.end_key.clone());
    storage.write(request.context.as_ref(), vec![Modify::DeleteRange { cf, range }])
}
