//! Commands as the store gets them from its owner, in few words.

use raftkv::ids::StoreId;
use raftkv::proto::errorpb;
use raftkv::proto::raft_cmdpb::{RaftCmdRequest, RaftRequestHeader, Request};
use raftkv::raftstore::{Answer, CommandResult};
pub use raftkv_testkit::requests::{bytes, delete, delete_range, get, put, snap, swap};
use raftkv_testkit::sim::{REGION, Sim};

/// A command for region 1 as a client knows it, at the peer on this store.
pub fn command(sim: &Sim, store: StoreId, requests: Vec<Request>) -> RaftCmdRequest {
    let context = sim.context(REGION, store);
    let header = RaftRequestHeader {
        region_id: context.region_id,
        peer: context.peer,
        region_epoch: context.region_epoch,
        ..Default::default()
    };
    RaftCmdRequest { header: Some(header), requests, admin_request: None }
}

/// The column family that a request names, if it is about keys.
pub fn family(request: &mut Request) -> Option<&mut String> {
    let fields = [
        request.get.as_mut().map(|r| &mut r.cf),
        request.put.as_mut().map(|r| &mut r.cf),
        request.delete.as_mut().map(|r| &mut r.cf),
        request.delete_range.as_mut().map(|r| &mut r.cf),
        request.compare_and_swap.as_mut().map(|r| &mut r.cf),
    ];
    fields.into_iter().flatten().next()
}

/// The answer to a command that has to be carried out.
pub fn done(result: Option<CommandResult>) -> Answer {
    match result {
        Some(Ok(answer)) => answer,
        Some(Err(error)) => panic!("the command must be carried out, but: {error}"),
        None => panic!("the command must be carried out, and there is no answer"),
    }
}

/// The region error of a command that has to be refused.
pub fn refused(result: Option<CommandResult>) -> errorpb::Error {
    match result {
        Some(Err(error)) => match error.into_response() {
            (Some(region_error), _) => region_error,
            (None, text) => panic!("the command must be refused with a region error, not with: {text}"),
        },
        Some(Ok(answer)) => panic!("the command must be refused, but it was carried out: {answer:?}"),
        None => panic!("the command must be refused, and there is no answer"),
    }
}
