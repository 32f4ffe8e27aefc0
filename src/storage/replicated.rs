//! A storage whose every answer comes through Raft.
//!
//! The handlers are plain functions that ask their storage once and wait for nobody, but here an answer takes messages
//! to other stores and back. So a handler runs twice ([why it can](super)):
//!
//! ```text
//!   request                                                           response
//!      |                                                                  ^
//!      v                                                                  |
//!   ask: the handler runs on `Noting`              answer: it runs again, on `Playback`
//!      |                                                                  ^
//!      |  RaftCmdRequest                                                  |  CommandResult
//!      v                                                                  |
//!   Event::Command ----> propose ---> log ---> majority ---> apply ---> Effect::Reply
//! ```
//!
//! Nothing is kept between the two runs but the request, so whoever drives this may forget a caller that went away.

use std::cell::RefCell;

use bytes::Bytes;

use super::{CompareAndSwap, Modify, Storage, StorageReader, Swapped};
use crate::engine::{Cf, Cursor, KeyRange};
use crate::error::Error;
use crate::proto::kvrpcpb::Context;
use crate::proto::raft_cmdpb::{
    CmdType, CompareAndSwapRequest, DeleteRangeRequest, DeleteRequest, PutRequest, RaftCmdRequest,
    RaftRequestHeader, Request, SnapRequest,
};
use crate::raftstore::{Answer, CommandResult, RegionSnapshot};

/// What a handler does with a request.
#[derive(Debug)]
pub enum Asked<R> {
    /// It needs no storage for its answer: the request makes no sense.
    Answered(R),
    /// It needs this command carried out.
    Command(Box<RaftCmdRequest>),
}

/// Runs a handler to learn what it wants from the storage.
pub fn ask<R>(handler: impl Fn(&dyn Storage) -> R) -> Asked<R> {
    let noting = Noting::default();
    let response = handler(&noting);
    match noting.command.into_inner() {
        Some(command) => Asked::Command(Box::new(command)),
        None => Asked::Answered(response),
    }
}

/// Runs a handler with what came of its command. Its response is for the client.
pub fn answer<R>(handler: impl Fn(&dyn Storage) -> R, result: CommandResult) -> R {
    handler(&Playback { result: RefCell::new(Some(result)) })
}

/// Notes what it is asked for.
#[derive(Default)]
struct Noting {
    command: RefCell<Option<RaftCmdRequest>>,
}

impl Noting {
    /// Takes the note. The handler gets an error, so that it ends; nobody sees the response that it makes of that.
    fn note(&self, context: Option<&Context>, requests: Vec<Request>) -> Error {
        let header = Some(header(context));
        self.command.replace(Some(RaftCmdRequest { header, requests, admin_request: None }));
        Error::Undetermined("the command has only been noted".to_string())
    }
}

impl Storage for Noting {
    fn write(&self, context: Option<&Context>, changes: Vec<Modify>) -> Result<(), Error> {
        // LAB 2b BEGIN: one request for each change, in one command; then `note`
        let requests = changes.into_iter().map(request_of).collect();
        Err(self.note(context, requests))
        // LAB 2b END
    }

    fn reader(&self, context: Option<&Context>) -> Result<Box<dyn StorageReader>, Error> {
        // LAB 2b BEGIN: which command asks for the data as of its place in the log?
        let snap =
            Request { cmd_type: CmdType::Snap.into(), snap: Some(SnapRequest {}), ..Default::default() };
        Err(self.note(context, vec![snap]))
        // LAB 2b END
    }

    fn compare_and_swap(&self, context: Option<&Context>, swap: CompareAndSwap) -> Result<Swapped, Error> {
        // LAB 2b BEGIN: it must not be made of a read and a write: another command could come between them
        let request = CompareAndSwapRequest {
            cf: swap.cf.name().to_string(),
            key: swap.key,
            previous_not_exist: swap.expected.is_none(),
            previous_value: swap.expected.unwrap_or_default(),
            value: swap.value,
        };
        let cmd_type = CmdType::CompareAndSwap.into();
        let request = Request { cmd_type, compare_and_swap: Some(request), ..Default::default() };
        Err(self.note(context, vec![request]))
        // LAB 2b END
    }
}

/// Whom the command is for, as the client believes. A request without a context believes nothing, and every store
/// refuses it.
fn header(context: Option<&Context>) -> RaftRequestHeader {
    // LAB 2b BEGIN: region, peer, epoch, term
    let Some(context) = context else { return RaftRequestHeader::default() };
    RaftRequestHeader {
        region_id: context.region_id,
        peer: context.peer,
        region_epoch: context.region_epoch,
        term: context.term,
        ..Default::default()
    }
    // LAB 2b END
}

// SOLUTION 2b BEGIN
fn request_of(change: Modify) -> Request {
    match change {
        Modify::Put { cf, key, value } => {
            let put = PutRequest { cf: cf.name().to_string(), key, value };
            Request { cmd_type: CmdType::Put.into(), put: Some(put), ..Default::default() }
        }
        Modify::Delete { cf, key } => {
            let delete = DeleteRequest { cf: cf.name().to_string(), key };
            Request { cmd_type: CmdType::Delete.into(), delete: Some(delete), ..Default::default() }
        }
        Modify::DeleteRange { cf, range } => {
            let delete_range =
                DeleteRangeRequest { cf: cf.name().to_string(), start_key: range.start, end_key: range.end };
            Request {
                cmd_type: CmdType::DeleteRange.into(),
                delete_range: Some(delete_range),
                ..Default::default()
            }
        }
    }
}
// SOLUTION 2b END

/// Hands out what came of the command, once.
struct Playback {
    result: RefCell<Option<CommandResult>>,
}

impl Playback {
    fn take(&self) -> CommandResult {
        let asked_twice = || Err(Error::Undetermined("a handler asks its storage once".to_string()));
        self.result.take().unwrap_or_else(asked_twice)
    }
}

impl Storage for Playback {
    fn write(&self, _context: Option<&Context>, _changes: Vec<Modify>) -> Result<(), Error> {
        // LAB 2b BEGIN: what `take` gives, without the responses, which are empty for writes
        self.take().map(|_| ())
        // LAB 2b END
    }

    fn reader(&self, _context: Option<&Context>) -> Result<Box<dyn StorageReader>, Error> {
        // LAB 2b BEGIN: the snapshot in the answer
        let Answer { snapshot, .. } = self.take()?;
        match snapshot {
            Some(snapshot) => Ok(Box::new(RegionReader { snapshot })),
            None => Err(Error::Undetermined("the answer to a Snap has no snapshot".to_string())),
        }
        // LAB 2b END
    }

    fn compare_and_swap(&self, _context: Option<&Context>, _swap: CompareAndSwap) -> Result<Swapped, Error> {
        // LAB 2b BEGIN: from the response of the command's only request
        let Answer { response, .. } = self.take()?;
        match response.responses.into_iter().next().and_then(|response| response.compare_and_swap) {
            Some(swapped) => Ok(Swapped {
                done: swapped.succeed,
                previous: (!swapped.previous_not_exist).then_some(swapped.previous_value),
            }),
            None => Err(Error::Undetermined("the answer to a CompareAndSwap has no result".to_string())),
        }
        // LAB 2b END
    }
}

/// The region's data as of the place of the command in the log.
struct RegionReader {
    snapshot: RegionSnapshot,
}

impl StorageReader for RegionReader {
    fn get_cf(&self, cf: Cf, key: &[u8]) -> Result<Option<Bytes>, Error> {
        // LAB 2b BEGIN: from the snapshot
        self.snapshot.get(cf, key)
        // LAB 2b END
    }

    fn iter_cf(&self, cf: Cf, range: KeyRange) -> Result<Box<dyn Cursor + '_>, Error> {
        // LAB 2b BEGIN: from the snapshot
        Ok(self.snapshot.cursor(cf, range))
        // LAB 2b END
    }
}
