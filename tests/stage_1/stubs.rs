//! Storages that do nothing but take notes, or break.

use std::cell::RefCell;

use bytes::Bytes;
use raftkv::engine::{Cf, Cursor, EngineError, KeyRange};
use raftkv::error::Error;
use raftkv::proto::errorpb::{self, NotLeader};
use raftkv::proto::kvrpcpb::Context;
use raftkv::proto::metapb::Peer;
use raftkv::storage::{CompareAndSwap, Modify, Storage, StorageReader, Swapped};

const REASON: &str = "the disk is gone";

/// What a storage was asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    Write(Option<Context>, Vec<Modify>),
    Reader(Option<Context>),
    Swap(Option<Context>, CompareAndSwap),
}

/// A storage that notes what it is asked, and refuses it.
pub struct Refusing {
    error: fn() -> Error,
    pub asked: RefCell<Vec<Asked>>,
}

impl Refusing {
    /// As a peer does that does not lead its region.
    pub fn as_follower() -> Refusing {
        Refusing { error: || not_leader().into(), asked: RefCell::default() }
    }

    /// As a server does whose disk is gone.
    pub fn without_disk() -> Refusing {
        Refusing { error: disk_failed, asked: RefCell::default() }
    }

    fn refuse<T>(&self, asked: Asked) -> Result<T, Error> {
        self.asked.borrow_mut().push(asked);
        Err((self.error)())
    }
}

impl Storage for Refusing {
    fn write(&self, context: Option<&Context>, changes: Vec<Modify>) -> Result<(), Error> {
        self.refuse(Asked::Write(context.cloned(), changes))
    }

    fn reader(&self, context: Option<&Context>) -> Result<Box<dyn StorageReader>, Error> {
        self.refuse(Asked::Reader(context.cloned()))
    }

    fn compare_and_swap(&self, context: Option<&Context>, swap: CompareAndSwap) -> Result<Swapped, Error> {
        self.refuse(Asked::Swap(context.cloned(), swap))
    }
}

/// What a storage without a disk answers.
pub fn disk_failed() -> Error {
    EngineError::Io(REASON.into()).into()
}

/// What a follower answers: who leads.
pub fn not_leader() -> errorpb::Error {
    let leader = Some(Peer { id: 7, store_id: 3, ..Default::default() });
    let not_leader = Some(NotLeader { region_id: 2, leader });
    errorpb::Error { message: "peer 5 does not lead region 2".into(), not_leader, ..Default::default() }
}

/// A storage whose disk fails at the second look.
pub struct Breaking;

impl Storage for Breaking {
    fn write(&self, _: Option<&Context>, _: Vec<Modify>) -> Result<(), Error> {
        Err(disk_failed())
    }

    fn reader(&self, _: Option<&Context>) -> Result<Box<dyn StorageReader>, Error> {
        Ok(Box::new(Breaking))
    }

    fn compare_and_swap(&self, _: Option<&Context>, _: CompareAndSwap) -> Result<Swapped, Error> {
        Err(disk_failed())
    }
}

impl StorageReader for Breaking {
    fn get_cf(&self, _: Cf, _: &[u8]) -> Result<Option<Bytes>, Error> {
        Err(disk_failed())
    }

    fn iter_cf(&self, _: Cf, _: KeyRange) -> Result<Box<dyn Cursor + '_>, Error> {
        Ok(Box::new(BreakingCursor { on_first: false }))
    }
}

/// A cursor that finds one key, and fails at the next.
struct BreakingCursor {
    on_first: bool,
}

impl BreakingCursor {
    fn find(&mut self) -> Result<(), EngineError> {
        self.on_first = true;
        Ok(())
    }

    fn fail(&mut self) -> Result<(), EngineError> {
        self.on_first = false;
        Err(EngineError::Io(REASON.into()))
    }
}

impl Cursor for BreakingCursor {
    fn seek(&mut self, _: &[u8]) -> Result<(), EngineError> {
        self.find()
    }

    fn seek_for_prev(&mut self, _: &[u8]) -> Result<(), EngineError> {
        self.find()
    }

    fn seek_to_first(&mut self) -> Result<(), EngineError> {
        self.find()
    }

    fn seek_to_last(&mut self) -> Result<(), EngineError> {
        self.find()
    }

    fn next(&mut self) -> Result<(), EngineError> {
        self.fail()
    }

    fn prev(&mut self) -> Result<(), EngineError> {
        self.fail()
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.on_first.then_some((&b"key"[..], &b"value"[..]))
    }
}
