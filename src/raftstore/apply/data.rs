//! What the operations of a command do to the data.

use bytes::Bytes;

use super::ApplyRound;
use crate::engine::Cf;
use crate::proto::raft_cmdpb::{
    CmdType, CompareAndSwapResponse, DeleteRangeResponse, DeleteResponse, GetResponse, PutResponse, Response,
    SnapResponse,
};
use crate::raftstore::command::{Command, Operation};
use crate::raftstore::{Answer, Peer, RegionSnapshot, StoreError};

impl Peer {
    /// Carries out all operations of a command, in their order. Each sees what those before it did.
    ///
    /// Before: the command has been checked. After: the round has its writes, the answer one response for each
    /// operation, of the operation's type. A `Get` of a key that does not exist has a response without `get`.
    pub(super) fn execute_operations(
        &self,
        command: &Command,
        round: &mut ApplyRound,
        answer: &mut Answer,
    ) -> Result<(), StoreError> {
        // LAB 2b BEGIN: one arm an operation; `round` has what you need to read and to write
        for operation in &command.operations {
            let response = match operation {
                Operation::Get { cf, key } => {
                    let get = round.get(*cf, key)?.map(|value| GetResponse { value });
                    Response { get, ..response(CmdType::Get) }
                }
                Operation::Put { cf, key, value } => {
                    round.batch().put(*cf, key.clone(), value.clone());
                    Response { put: Some(PutResponse {}), ..response(CmdType::Put) }
                }
                Operation::Delete { cf, key } => {
                    round.batch().delete(*cf, key.clone());
                    Response { delete: Some(DeleteResponse {}), ..response(CmdType::Delete) }
                }
                Operation::DeleteRange { cf, range } => {
                    round.batch().delete_range(*cf, range.clone());
                    Response { delte_range: Some(DeleteRangeResponse {}), ..response(CmdType::DeleteRange) }
                }
                Operation::CompareAndSwap { cf, key, expected, value } => {
                    compare_and_swap(*cf, key, expected.as_ref(), value, round)?
                }
                Operation::Snap => {
                    let region = self.region().clone();
                    answer.snapshot = Some(RegionSnapshot::new(region.clone(), round.snapshot()?));
                    Response { snap: Some(SnapResponse { region: Some(region) }), ..response(CmdType::Snap) }
                }
            };
            answer.response.responses.push(response);
        }
        Ok(())
        // LAB 2b END
    }
}

// SOLUTION 2b BEGIN
fn response(cmd_type: CmdType) -> Response {
    Response { cmd_type: cmd_type.into(), ..Default::default() }
}

/// Sets the key, if it holds what the client believes.
fn compare_and_swap(
    cf: Cf,
    key: &Bytes,
    expected: Option<&Bytes>,
    value: &Bytes,
    round: &mut ApplyRound,
) -> Result<Response, StoreError> {
    let previous = round.get(cf, key)?;
    let succeed = previous.as_ref() == expected;
    if succeed {
        round.batch().put(cf, key.clone(), value.clone());
    }
    let swapped = CompareAndSwapResponse {
        succeed,
        previous_not_exist: previous.is_none(),
        previous_value: previous.unwrap_or_default(),
    };
    Ok(Response { compare_and_swap: Some(swapped), ..response(CmdType::CompareAndSwap) })
}
// SOLUTION 2b END
