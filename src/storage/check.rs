//! What is checked before a request comes near the storage.

pub use crate::error::check_key;
