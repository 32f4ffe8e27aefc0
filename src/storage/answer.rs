//! From the outcome of a request to the fields of its response.

use crate::error::Error;
use crate::proto::errorpb;
use crate::proto::kvrpcpb::{KeyError, KvPair};

/// The fields `region_error` and `error` of a response: both empty after a success.
pub fn write_answer(outcome: Result<(), Error>) -> (Option<errorpb::Error>, String) {
    outcome.map_or_else(Error::into_response, |()| (None, String::new()))
}

/// The fields `region_error` and `kvs` (or `pairs`) of a response that has no error string: such a response
/// tells an error that is for the client's user in a single pair, which has no key.
pub fn pairs_answer(outcome: Result<Vec<KvPair>, Error>) -> (Option<errorpb::Error>, Vec<KvPair>) {
    match outcome.map_err(Error::into_response) {
        Ok(pairs) => (None, pairs),
        Err((Some(region_error), _)) => (Some(region_error), Vec::new()),
        Err((None, text)) => {
            let error = KeyError { abort: text, ..Default::default() };
            (None, vec![KvPair { error: Some(error), ..Default::default() }])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Rejection;

    fn region() -> errorpb::Error {
        errorpb::Error { message: "ask there".into(), ..Default::default() }
    }

    #[test]
    fn a_write_has_one_error_or_none() {
        assert_eq!(write_answer(Ok(())), (None, String::new()));
        assert_eq!(write_answer(Err(region().into())), (Some(region()), String::new()));
        assert_eq!(write_answer(Err(Rejection::EmptyKey.into())), (None, "the key is empty".into()));
    }

    #[test]
    fn pairs_carry_the_error_that_has_no_field() {
        assert_eq!(pairs_answer(Ok(Vec::new())), (None, Vec::new()));
        assert_eq!(pairs_answer(Err(region().into())), (Some(region()), Vec::new()));
        let (region_error, pairs) = pairs_answer(Err(Rejection::EmptyKey.into()));
        assert_eq!((region_error, pairs.len()), (None, 1));
        assert_eq!(pairs[0].error.as_ref().unwrap().abort, "the key is empty");
    }
}
