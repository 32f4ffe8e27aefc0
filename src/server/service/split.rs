//! A person, or a tool, wants a region cut: ids from the scheduler, then a command like any other.

use tonic::{Response, Status};

use super::Service;
use crate::error::Error;
use crate::proto::kvrpcpb::{SplitRegionRequest, SplitRegionResponse};
use crate::proto::raft_cmdpb::{
    AdminCmdType, AdminRequest, BatchSplitRequest, RaftCmdRequest, RaftRequestHeader, SplitRequest,
};
use crate::raftstore::{CommandResult, region_error};

/// At most so many cuts at once.
const MAX_CUTS: usize = 256;

impl Service {
    pub(super) async fn split(
        &self,
        request: SplitRegionRequest,
    ) -> Result<Response<SplitRegionResponse>, Status> {
        let cluster = self.cluster()?;
        let SplitRegionRequest { context, split_keys, .. } = request;
        let count = split_keys.len();
        if count == 0 || count > MAX_CUTS {
            return Err(Status::invalid_argument(format!(
                "1 to {MAX_CUTS} keys in split_keys are needed: {count}"
            )));
        }
        let context = context.unwrap_or_default();
        let id = context.region_id;
        let found = cluster.store.look(move |store| store.peer(id).map(|peer| peer.region().clone())).await;
        let Some(region) = found.flatten() else {
            return Ok(answer(Err(region_error::region_not_found(id))));
        };
        let Some(scheduler) = cluster.directory.scheduler() else {
            return Err(Status::failed_precondition("a cluster without a scheduler has one region"));
        };
        let ids = scheduler.ask_split(region, count as u32).await;
        let ids = ids.map_err(|error| Status::unavailable(format!("no ids for a split: {error}")))?;
        let cut = |(split_key, ids): (_, crate::proto::pdpb::SplitId)| SplitRequest {
            split_key,
            new_region_id: ids.new_region_id,
            new_peer_ids: ids.new_peer_ids,
        };
        let requests = split_keys.into_iter().zip(ids).map(cut).collect();
        let splits = Some(BatchSplitRequest { requests, right_derive: false });
        let header = RaftRequestHeader {
            region_id: id,
            peer: context.peer,
            region_epoch: context.region_epoch,
            term: context.term,
            ..Default::default()
        };
        let command = RaftCmdRequest {
            header: Some(header),
            requests: Vec::new(),
            admin_request: Some(AdminRequest {
                cmd_type: AdminCmdType::BatchSplit.into(),
                splits,
                ..Default::default()
            }),
        };
        let result = cluster.store.command(Box::new(command)).await;
        if let Err(Error::Rejected(rejection)) = &result {
            return Err(Status::invalid_argument(rejection.to_string()));
        }
        if let Err(error @ (Error::Undetermined(_) | Error::Engine(_))) = &result {
            return Err(Status::unknown(error.to_string()));
        }
        Ok(answer(result))
    }
}

fn answer(result: CommandResult) -> Response<SplitRegionResponse> {
    let response = match result {
        Ok(answer) => {
            let admin = answer.response.admin_response.unwrap_or_default();
            let regions = admin.splits.unwrap_or_default().regions;
            SplitRegionResponse { regions, ..Default::default() }
        }
        Err(error) => SplitRegionResponse { region_error: error.into_response().0, ..Default::default() },
    };
    Response::new(response)
}
