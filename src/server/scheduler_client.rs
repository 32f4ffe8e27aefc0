//! The scheduler, as a store and its tools speak to it.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use super::peers::{into_text, with_causes};
use super::rpc::pdpb::pd_client::PdClient;
use crate::ids::{RegionId, StoreId};
use crate::proto::metapb::{Region, Store};
use crate::proto::pdpb::{
    AllocIdRequest, AskBatchSplitRequest, BootstrapRequest, ErrorType, GetAllStoresRequest,
    GetMembersRequest, GetRegionByIdRequest, GetRegionRequest, GetRegionResponse, GetStoreRequest,
    IsBootstrappedRequest, PutStoreRequest, ReportBatchSplitRequest, RequestHeader, ResponseHeader, SplitId,
    StoreHeartbeatRequest,
};

/// A call that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Speaks to one scheduler. Clones share the connection, which is made again when it breaks.
#[derive(Clone)]
pub struct SchedulerClient {
    client: PdClient<Channel>,
    address: String,
    cluster: u64,
}

impl SchedulerClient {
    /// Finds out of which cluster the scheduler at this address is: `host:port`.
    ///
    /// # Errors
    /// It cannot be reached, or is none.
    pub async fn connect(address: &str) -> Result<SchedulerClient, String> {
        let bad = |why: String| format!("the scheduler at {address}: {why}");
        let endpoint =
            Endpoint::from_shared(format!("http://{address}")).map_err(|error| bad(error.to_string()))?;
        let channel = endpoint
            .connect_timeout(TIMEOUT)
            .timeout(TIMEOUT)
            .connect()
            .await
            .map_err(|error| bad(with_causes(&error)))?;
        let mut client = PdClient::new(channel);
        let members = client.get_members(GetMembersRequest::default()).await;
        let members = members.map_err(|status| bad(into_text(status)))?.into_inner();
        let cluster = members.header.as_ref().map_or(0, |header| header.cluster_id);
        check(members.header.as_ref()).map_err(|(_, why)| bad(why))?;
        Ok(SchedulerClient { client, address: address.to_string(), cluster })
    }

    /// Which cluster it is.
    pub fn cluster_id(&self) -> u64 {
        self.cluster
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The client itself, for a stream.
    pub fn raw(&self) -> PdClient<Channel> {
        self.client.clone()
    }

    /// What every request begins with.
    pub fn header(&self) -> Option<RequestHeader> {
        Some(RequestHeader { cluster_id: self.cluster, ..Default::default() })
    }

    /// A number that nothing in the cluster has.
    ///
    /// # Errors
    /// As a text for a person: this holds for all calls below.
    pub async fn alloc_id(&self) -> Result<u64, String> {
        let request = AllocIdRequest { header: self.header() };
        let answer = self.client.clone().alloc_id(request).await.map_err(into_text)?.into_inner();
        checked(answer.header.as_ref())?;
        Ok(answer.id)
    }

    /// Has the cluster begun?
    pub async fn is_bootstrapped(&self) -> Result<bool, String> {
        let request = IsBootstrappedRequest { header: self.header() };
        let answer = self.client.clone().is_bootstrapped(request).await.map_err(into_text)?.into_inner();
        checked(answer.header.as_ref())?;
        Ok(answer.bootstrapped)
    }

    /// Begins the cluster. False if another store was first.
    pub async fn bootstrap(&self, store: Store, region: Region) -> Result<bool, String> {
        let request = BootstrapRequest { header: self.header(), store: Some(store), region: Some(region) };
        let answer = self.client.clone().bootstrap(request).await.map_err(into_text)?.into_inner();
        match check(answer.header.as_ref()) {
            Ok(()) => Ok(true),
            Err((ErrorType::AlreadyBootstrapped, _)) => Ok(false),
            Err((_, why)) => Err(why),
        }
    }

    /// A store says where it listens.
    pub async fn put_store(&self, store: Store) -> Result<(), String> {
        let request = PutStoreRequest { header: self.header(), store: Some(store) };
        let answer = self.client.clone().put_store(request).await.map_err(into_text)?.into_inner();
        checked(answer.header.as_ref())
    }

    /// Where a store listens.
    pub async fn store_address(&self, store_id: StoreId) -> Result<String, String> {
        let request = GetStoreRequest { header: self.header(), store_id };
        let answer = self.client.clone().get_store(request).await.map_err(into_text)?.into_inner();
        checked(answer.header.as_ref())?;
        answer.store.map(|store| store.address).ok_or_else(|| format!("nobody knows store {store_id}"))
    }

    /// All stores that are not gone for good.
    pub async fn stores(&self) -> Result<Vec<Store>, String> {
        let request = GetAllStoresRequest { header: self.header(), exclude_tombstone_stores: true };
        let answer = self.client.clone().get_all_stores(request).await.map_err(into_text)?.into_inner();
        checked(answer.header.as_ref())?;
        Ok(answer.stores)
    }

    /// The region that has a key, and who leads it, as far as is known.
    pub async fn region_of_key(&self, key: &[u8]) -> Result<GetRegionResponse, String> {
        let region_key = bytes::Bytes::copy_from_slice(key);
        let request = GetRegionRequest { header: self.header(), region_key };
        let answer = self.client.clone().get_region(request).await.map_err(into_text)?.into_inner();
        checked(answer.header.as_ref())?;
        Ok(answer)
    }

    /// One region, and who leads it.
    pub async fn region(&self, region_id: RegionId) -> Result<GetRegionResponse, String> {
        let request = GetRegionByIdRequest { header: self.header(), region_id };
        let answer = self.client.clone().get_region_by_id(request).await.map_err(into_text)?.into_inner();
        checked(answer.header.as_ref())?;
        Ok(answer)
    }

    /// How a store is doing.
    pub async fn store_heartbeat(&self, request: StoreHeartbeatRequest) -> Result<(), String> {
        let request = StoreHeartbeatRequest { header: self.header(), ..request };
        let answer = self.client.clone().store_heartbeat(request).await.map_err(into_text)?.into_inner();
        checked(answer.header.as_ref())
    }

    /// Ids to cut a region into `count` + 1 parts.
    pub async fn ask_split(&self, region: Region, count: u32) -> Result<Vec<SplitId>, String> {
        let request =
            AskBatchSplitRequest { header: self.header(), region: Some(region), split_count: count };
        let answer = self.client.clone().ask_batch_split(request).await.map_err(into_text)?.into_inner();
        checked(answer.header.as_ref())?;
        Ok(answer.ids)
    }

    /// One region has become several.
    pub async fn report_split(&self, regions: Vec<Region>) -> Result<(), String> {
        let request = ReportBatchSplitRequest { header: self.header(), regions };
        let answer = self.client.clone().report_batch_split(request).await.map_err(into_text)?.into_inner();
        checked(answer.header.as_ref())
    }
}

/// Does the answer say that all is well?
fn check(header: Option<&ResponseHeader>) -> Result<(), (ErrorType, String)> {
    let error = header.and_then(|header| header.error.as_ref());
    match error.filter(|error| error.r#type() != ErrorType::Ok) {
        None => Ok(()),
        Some(error) => Err((error.r#type(), error.message.clone())),
    }
}

fn checked(header: Option<&ResponseHeader>) -> Result<(), String> {
    check(header).map_err(|(_, why)| why)
}
