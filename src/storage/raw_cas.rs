//! The raw call that changes a key only if it holds what the client expects. It is given.

use super::{CompareAndSwap, Storage, Swapped, check_key};
use crate::engine::Cf;
use crate::error::{Error, Rejection};
use crate::proto::kvrpcpb::{RawCasRequest, RawCasResponse};

/// Sets a key if it holds the expected value, or does not exist where that is expected.
///
/// - `succeed` says whether it was set.
/// - `previous_value` and `previous_not_exist` say what it held before, in both cases: a client whose guess was
///   wrong knows what to try next.
/// - A `ttl` other than 0 is refused with [`Rejection::Ttl`], as for a put.
pub fn raw_compare_and_swap(storage: &dyn Storage, request: &RawCasRequest) -> RawCasResponse {
    match compare_and_swap(storage, request) {
        Ok(Swapped { done, previous }) => RawCasResponse {
            succeed: done,
            previous_not_exist: previous.is_none(),
            previous_value: previous.unwrap_or_default(),
            ..Default::default()
        },
        Err(error) => {
            let (region_error, error) = error.into_response();
            RawCasResponse { region_error, error, ..Default::default() }
        }
    }
}

fn compare_and_swap(storage: &dyn Storage, request: &RawCasRequest) -> Result<Swapped, Error> {
    let cf = Cf::parse(&request.cf)?;
    check_key(&request.key)?;
    if request.ttl != 0 {
        return Err(Rejection::Ttl.into());
    }
    let expected = (!request.previous_not_exist).then(|| request.previous_value.clone());
    let swap = CompareAndSwap { cf, key: request.key.clone(), expected, value: request.value.clone() };
    storage.compare_and_swap(request.context.as_ref(), swap)
}
