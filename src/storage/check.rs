//! What is checked before a request comes near the storage.

use crate::engine::MAX_KEY_LEN;
use crate::error::Rejection;

/// Refuses a key that no storage takes: an empty one, or one that is too long.
pub fn check_key(key: &[u8]) -> Result<(), Rejection> {
    match key.len() {
        0 => Err(Rejection::EmptyKey),
        1..=MAX_KEY_LEN => Ok(()),
        len => Err(Rejection::KeyTooLong(len)),
    }
}
