//! The gRPC service `pdpb.PD`: each call goes to the core, and what the core refuses comes back in the header.
//!
//! A gRPC status is not an answer of the scheduler: it says that there is none, since the process ends.

use std::sync::Arc;
use std::time::Instant;

use tonic::{Request, Response, Status, Streaming};

use super::answer::{Answers, Headed, answer_each};
use super::shared::{Core, Shared, Stopped, now_ms};
use crate::proto::metapb::StoreState;
use crate::proto::pdpb::*;
use crate::scheduler::{RegionInfo, SchedulerError};
use crate::server::rpc::pdpb::pd_server::Pd;

/// The service; a clone is the same one.
#[derive(Clone)]
pub struct Service(pub Arc<Shared>);

impl Service {
    fn answer<A: Headed>(
        &self,
        call: &'static str,
        work: impl FnOnce(&mut Core) -> Result<A, SchedulerError>,
    ) -> Result<A, Status> {
        let (answer, error) = self.0.call(|core| match work(core) {
            Ok(mut answer) => {
                answer.set_header(core.scheduler.header());
                (answer, None)
            }
            Err(error) => {
                let mut answer = A::default();
                answer.set_header(core.scheduler.error_header(&error));
                (answer, Some(error))
            }
        })?;
        self.0.metrics.answered(call, error.is_none());
        if let Some(error) = error {
            log_refusal(call, &error);
        }
        Ok(answer)
    }

    fn reply<A: Headed>(
        &self,
        call: &'static str,
        work: impl FnOnce(&mut Core) -> Result<A, SchedulerError>,
    ) -> Result<Response<A>, Status> {
        self.answer(call, work).map(Response::new)
    }

    fn timestamp(&self, request: TsoRequest) -> Result<TsoResponse, Status> {
        let answer = self.answer("Tso", |core| {
            core.scheduler.check_header(request.header)?;
            let timestamp = Some(core.scheduler.timestamp(now_ms(), request.count)?);
            Ok(TsoResponse { count: request.count, timestamp, ..Default::default() })
        })?;
        self.0.metrics.gave_timestamps(answer.count);
        Ok(answer)
    }

    fn heartbeat(&self, request: RegionHeartbeatRequest) -> Result<RegionHeartbeatResponse, Status> {
        let mut answer = self.answer("RegionHeartbeat", |core| core.scheduler.region_heartbeat(&request))?;
        // The answers of many regions share a stream: a refusal says whose it is, too.
        answer.region_id = request.region.map_or(0, |region| region.id);
        Ok(answer)
    }
}

impl From<Stopped> for Status {
    fn from(_: Stopped) -> Status {
        Status::unavailable("this scheduler is about to end: try again, it may come back")
    }
}

/// Some refusals are everyday life; others mean that somebody has to act.
fn log_refusal(call: &str, error: &SchedulerError) {
    match error {
        SchedulerError::WrongCluster { .. }
        | SchedulerError::AddressInUse(_)
        | SchedulerError::Contradiction { .. }
        | SchedulerError::ClockOutOfRange(_) => tracing::warn!("{call}: {error}"),
        _ => tracing::debug!("{call}: {error}"),
    }
}

/// A region as clients see it. None where no region is known to have the key: they ask again.
fn route(info: Option<&RegionInfo>) -> GetRegionResponse {
    info.map_or_else(GetRegionResponse::default, |info| GetRegionResponse {
        header: None,
        region: Some(info.region.clone()),
        leader: info.leader,
        down_peers: info.down_peers.clone(),
        pending_peers: info.pending_peers.clone(),
    })
}

#[tonic::async_trait]
impl Pd for Service {
    type TsoStream = Answers<TsoResponse>;
    type RegionHeartbeatStream = Answers<RegionHeartbeatResponse>;

    /// The only call for which the asker's cluster does not matter: by its answer a client learns which one it has
    /// reached.
    async fn get_members(
        &self,
        _: Request<GetMembersRequest>,
    ) -> Result<Response<GetMembersResponse>, Status> {
        let member = Member {
            name: "scheduler".to_string(),
            member_id: 1,
            peer_urls: Vec::new(),
            client_urls: vec![format!("http://{}", self.0.address)],
        };
        self.reply("GetMembers", |_| {
            let (leader, etcd_leader) = (Some(member.clone()), Some(member.clone()));
            Ok(GetMembersResponse { header: None, members: vec![member], leader, etcd_leader })
        })
    }

    async fn tso(
        &self,
        requests: Request<Streaming<TsoRequest>>,
    ) -> Result<Response<Self::TsoStream>, Status> {
        let service = self.clone();
        Ok(answer_each(requests.into_inner(), self.0.stop(), move |request| service.timestamp(request)))
    }

    async fn get_store(
        &self,
        request: Request<GetStoreRequest>,
    ) -> Result<Response<GetStoreResponse>, Status> {
        let request = request.into_inner();
        self.reply("GetStore", |core| {
            core.scheduler.check_call(request.header)?;
            let id = request.store_id;
            let info = core.scheduler.store(id).ok_or(SchedulerError::StoreNotFound(id))?;
            Ok(GetStoreResponse { store: Some(info.store.clone()), ..Default::default() })
        })
    }

    async fn get_all_stores(
        &self,
        request: Request<GetAllStoresRequest>,
    ) -> Result<Response<GetAllStoresResponse>, Status> {
        let request = request.into_inner();
        self.reply("GetAllStores", |core| {
            core.scheduler.check_call(request.header)?;
            let stores = core.scheduler.stores().map(|info| &info.store);
            let wanted = stores.filter(|store| {
                !(request.exclude_tombstone_stores && store.state() == StoreState::Tombstone)
            });
            Ok(GetAllStoresResponse { stores: wanted.cloned().collect(), ..Default::default() })
        })
    }

    async fn get_region(
        &self,
        request: Request<GetRegionRequest>,
    ) -> Result<Response<GetRegionResponse>, Status> {
        let request = request.into_inner();
        self.reply("GetRegion", |core| {
            core.scheduler.check_call(request.header)?;
            Ok(route(core.scheduler.region_by_key(&request.region_key)))
        })
    }

    async fn get_region_by_id(
        &self,
        request: Request<GetRegionByIdRequest>,
    ) -> Result<Response<GetRegionResponse>, Status> {
        let request = request.into_inner();
        self.reply("GetRegionByID", |core| {
            core.scheduler.check_call(request.header)?;
            let id = request.region_id;
            let info = core.scheduler.region_by_id(id).ok_or(SchedulerError::RegionNotFound(id))?;
            Ok(route(Some(info)))
        })
    }

    async fn bootstrap(
        &self,
        request: Request<BootstrapRequest>,
    ) -> Result<Response<BootstrapResponse>, Status> {
        let request = request.into_inner();
        self.reply("Bootstrap", |core| {
            core.scheduler.bootstrap(&request)?;
            let first = request.store.as_ref().map_or(0, |store| store.id);
            tracing::info!("the cluster begins, with store {first}");
            Ok(BootstrapResponse::default())
        })
    }

    async fn is_bootstrapped(
        &self,
        request: Request<IsBootstrappedRequest>,
    ) -> Result<Response<IsBootstrappedResponse>, Status> {
        let request = request.into_inner();
        self.reply("IsBootstrapped", |core| {
            core.scheduler.check_header(request.header)?;
            let bootstrapped = core.scheduler.is_bootstrapped();
            Ok(IsBootstrappedResponse { bootstrapped, ..Default::default() })
        })
    }

    async fn alloc_id(&self, request: Request<AllocIdRequest>) -> Result<Response<AllocIdResponse>, Status> {
        let request = request.into_inner();
        self.reply("AllocID", |core| {
            core.scheduler.check_header(request.header)?;
            Ok(AllocIdResponse { id: core.scheduler.alloc_id(), ..Default::default() })
        })
    }

    async fn put_store(
        &self,
        request: Request<PutStoreRequest>,
    ) -> Result<Response<PutStoreResponse>, Status> {
        let request = request.into_inner();
        self.reply("PutStore", |core| {
            core.scheduler.put_store(&request)?;
            Ok(PutStoreResponse::default())
        })
    }

    async fn store_heartbeat(
        &self,
        request: Request<StoreHeartbeatRequest>,
    ) -> Result<Response<StoreHeartbeatResponse>, Status> {
        let request = request.into_inner();
        self.reply("StoreHeartbeat", |core| {
            core.scheduler.store_heartbeat(&request)?;
            if let Some(stats) = request.stats {
                core.heard.insert(stats.store_id, Instant::now());
            }
            Ok(StoreHeartbeatResponse::default())
        })
    }

    async fn region_heartbeat(
        &self,
        requests: Request<Streaming<RegionHeartbeatRequest>>,
    ) -> Result<Response<Self::RegionHeartbeatStream>, Status> {
        let service = self.clone();
        Ok(answer_each(requests.into_inner(), self.0.stop(), move |request| service.heartbeat(request)))
    }

    async fn ask_batch_split(
        &self,
        request: Request<AskBatchSplitRequest>,
    ) -> Result<Response<AskBatchSplitResponse>, Status> {
        let request = request.into_inner();
        self.reply("AskBatchSplit", |core| core.scheduler.ask_batch_split(&request))
    }

    async fn report_batch_split(
        &self,
        request: Request<ReportBatchSplitRequest>,
    ) -> Result<Response<ReportBatchSplitResponse>, Status> {
        let request = request.into_inner();
        self.reply("ReportBatchSplit", |core| {
            core.scheduler.report_batch_split(&request)?;
            Ok(ReportBatchSplitResponse::default())
        })
    }
}
