//! What is applied together.

use std::sync::Arc;

use bytes::Bytes;

use crate::engine::{Cf, Engine, Snapshot, WriteBatch, WriteOp};
use crate::error::Error;
use crate::raftstore::{CommandId, CommandResult, Effect, StoreError, Task};

/// The kv engine's part of one round of work, for all peers.
///
/// Many entries share a write; [`ApplyRound::get`] sees what is not written yet. Answers are held back until everything
/// is written.
pub struct ApplyRound {
    kv: Arc<dyn Engine>,
    batch: WriteBatch,
    replies: Vec<(CommandId, CommandResult)>,
    tasks: Vec<Task>,
    /// The write must reach the disk.
    sync: bool,
}

impl ApplyRound {
    /// Nothing applied yet.
    pub fn new(kv: Arc<dyn Engine>) -> ApplyRound {
        ApplyRound { kv, batch: WriteBatch::new(), replies: Vec::new(), tasks: Vec::new(), sync: false }
    }

    /// What will be written next.
    pub fn batch(&mut self) -> &mut WriteBatch {
        &mut self.batch
    }

    /// A key's value, as of here: with everything that is in the batch.
    pub fn get(&self, cf: Cf, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        for op in self.batch.ops().iter().rev() {
            match op {
                WriteOp::Put { cf: c, key: k, value } if (*c, &k[..]) == (cf, key) => {
                    return Ok(Some(value.clone()));
                }
                WriteOp::Delete { cf: c, key: k } if (*c, &k[..]) == (cf, key) => return Ok(None),
                WriteOp::DeleteRange { cf: c, range } if *c == cf && range.contains(key) => return Ok(None),
                _ => {}
            }
        }
        Ok(self.kv.snapshot().get(cf, key)?)
    }

    /// All data, as of here. Writes what is in the batch; so not in the middle of a command, or a crash could leave
    /// half of it behind.
    pub fn snapshot(&mut self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.flush()?;
        Ok(self.kv.snapshot())
    }

    /// What is in the batch must be safe before anything that follows from it is told to others. Asked for where the
    /// region changes: who tells a removed peer to go must not forget that it was removed.
    pub fn must_sync(&mut self) {
        self.sync = true;
    }

    /// It is not synced, unless that was asked for. What a crash takes away is still in the log, which is; and it takes
    /// data and applied index together.
    fn flush(&mut self) -> Result<(), StoreError> {
        if !self.batch.is_empty() {
            self.kv.write(std::mem::take(&mut self.batch), std::mem::take(&mut self.sync))?;
        }
        Ok(())
    }

    /// Answers a command, once the round is written.
    pub fn reply(&mut self, id: CommandId, result: CommandResult) {
        self.replies.push((id, result));
    }

    /// Schedules a task, once the round is written. If that fails, the store stops, and the task is not needed.
    pub fn schedule(&mut self, task: Task) {
        self.tasks.push(task);
    }

    /// Writes the rest, then answers. `applied` is how applying went: where that or the write has failed, nobody knows
    /// whether a command is carried out, and those who would have had its result are told so. They wait nowhere else
    /// any more.
    pub fn finish(
        mut self,
        applied: Result<(), StoreError>,
        out: &mut dyn FnMut(Effect),
    ) -> Result<(), StoreError> {
        let outcome = applied.and_then(|()| self.flush());
        for (id, result) in self.replies {
            let result = match &outcome {
                Err(error) => result.and_then(|_| Err(Error::Undetermined(error.to_string()))),
                Ok(()) => result,
            };
            out(Effect::Reply { id, result });
        }
        if outcome.is_ok() {
            self.tasks.into_iter().map(Effect::Schedule).for_each(out);
        }
        outcome
    }
}
