//! What is written together.

use bytes::Bytes;

use super::{Cf, EngineError, KeyRange, MAX_KEY_LEN};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteOp {
    /// Sets a key, whether it exists or not.
    Put {
        /// Column family.
        cf: Cf,
        /// Key.
        key: Bytes,
        /// May be empty.
        value: Bytes,
    },
    /// Removes a key, whether it exists or not.
    Delete {
        /// Column family.
        cf: Cf,
        /// Key.
        key: Bytes,
    },
    /// Removes every key of a range.
    DeleteRange {
        /// Column family.
        cf: Cf,
        /// Which keys.
        range: KeyRange,
    },
}

/// Changes that become visible together and survive a crash together.
///
/// They take effect in the order in which they were added: of two that touch the same key, the later one wins.
#[derive(Clone, Debug, Default)]
pub struct WriteBatch {
    ops: Vec<WriteOp>,
}

impl WriteBatch {
    /// An empty batch.
    pub fn new() -> WriteBatch {
        WriteBatch::default()
    }

    /// Adds a [`WriteOp::Put`].
    pub fn put(&mut self, cf: Cf, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.ops.push(WriteOp::Put { cf, key: key.into(), value: value.into() });
    }

    /// Adds a [`WriteOp::Delete`].
    pub fn delete(&mut self, cf: Cf, key: impl Into<Bytes>) {
        self.ops.push(WriteOp::Delete { cf, key: key.into() });
    }

    /// Adds a [`WriteOp::DeleteRange`].
    pub fn delete_range(&mut self, cf: Cf, range: KeyRange) {
        self.ops.push(WriteOp::DeleteRange { cf, range });
    }

    /// The changes, in order.
    pub fn ops(&self) -> &[WriteOp] {
        &self.ops
    }

    /// The changes, in order.
    pub fn into_ops(self) -> Vec<WriteOp> {
        self.ops
    }

    /// True where there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Refuses what no engine takes, before anything of the batch is written. The bounds of a range are no
    /// keys and may have any length.
    pub(super) fn validate(&self) -> Result<(), EngineError> {
        for op in &self.ops {
            match op {
                WriteOp::Put { key, .. } | WriteOp::Delete { key, .. } if key.len() > MAX_KEY_LEN => {
                    return Err(EngineError::KeyTooLong(key.len()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
