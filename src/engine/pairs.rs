//! Many pairs in one go, one at a time in memory.

use bytes::Bytes;

use super::{EngineError, MAX_KEY_LEN};

/// A key and its value.
pub type Pair = (Bytes, Bytes);

/// Pairs in ascending order of their keys, from a source that may fail.
pub type Pairs<'a> = dyn Iterator<Item = Result<Pair, EngineError>> + 'a;

/// Lets pairs through as long as each key is above the one before it, and none is too long: two pairs of one key, or
/// a file that is not sorted, would make different engines hold different things.
pub(super) fn sorted<'a>(pairs: &'a mut Pairs<'_>) -> impl Iterator<Item = Result<Pair, EngineError>> + 'a {
    let mut last: Option<Bytes> = None;
    pairs.map(move |pair| {
        let (key, value) = pair?;
        if key.len() > MAX_KEY_LEN {
            return Err(EngineError::KeyTooLong(key.len()));
        }
        if last.as_ref().is_some_and(|last| *last >= key) {
            return Err(EngineError::Io(format!("key {} is out of order", key.escape_ascii())));
        }
        last = Some(key.clone());
        Ok((key, value))
    })
}
