//! Which call is served by which handler.

use tonic::{Request, Response, Status, Streaming};

use super::{Reads, Service};
use crate::proto::kvrpcpb::{
    RawBatchDeleteRequest, RawBatchDeleteResponse, RawBatchGetRequest, RawBatchGetResponse,
    RawBatchPutRequest, RawBatchPutResponse, RawBatchScanRequest, RawBatchScanResponse, RawCasRequest,
    RawCasResponse, RawDeleteRangeRequest, RawDeleteRangeResponse, RawDeleteRequest, RawDeleteResponse,
    RawGetRequest, RawGetResponse, RawPutRequest, RawPutResponse, RawScanRequest, RawScanResponse,
    SplitRegionRequest, SplitRegionResponse,
};
use crate::proto::raft_serverpb::{Done, RaftMessage, SnapshotChunk};
use crate::proto::tikvpb::BatchRaftMessage;
use crate::server::rpc::tikvpb::tikv_server::Tikv;
use crate::storage;

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Tikv for Service {
    async fn raw_get(&self, request: Request<RawGetRequest>) -> Answer<RawGetResponse> {
        self.serve("RawGet", Reads::Little, request, storage::raw_get).await
    }

    async fn raw_batch_get(&self, request: Request<RawBatchGetRequest>) -> Answer<RawBatchGetResponse> {
        self.serve("RawBatchGet", Reads::Much, request, storage::raw_batch_get).await
    }

    async fn raw_put(&self, request: Request<RawPutRequest>) -> Answer<RawPutResponse> {
        self.serve("RawPut", Reads::Little, request, storage::raw_put).await
    }

    async fn raw_batch_put(&self, request: Request<RawBatchPutRequest>) -> Answer<RawBatchPutResponse> {
        self.serve("RawBatchPut", Reads::Little, request, storage::raw_batch_put).await
    }

    async fn raw_delete(&self, request: Request<RawDeleteRequest>) -> Answer<RawDeleteResponse> {
        self.serve("RawDelete", Reads::Little, request, storage::raw_delete).await
    }

    async fn raw_batch_delete(
        &self,
        request: Request<RawBatchDeleteRequest>,
    ) -> Answer<RawBatchDeleteResponse> {
        self.serve("RawBatchDelete", Reads::Little, request, storage::raw_batch_delete).await
    }

    async fn raw_scan(&self, request: Request<RawScanRequest>) -> Answer<RawScanResponse> {
        self.serve("RawScan", Reads::Much, request, storage::raw_scan).await
    }

    async fn raw_batch_scan(&self, request: Request<RawBatchScanRequest>) -> Answer<RawBatchScanResponse> {
        self.serve("RawBatchScan", Reads::Much, request, storage::raw_batch_scan).await
    }

    async fn raw_delete_range(
        &self,
        request: Request<RawDeleteRangeRequest>,
    ) -> Answer<RawDeleteRangeResponse> {
        self.serve("RawDeleteRange", Reads::Little, request, storage::raw_delete_range).await
    }

    async fn raw_compare_and_swap(&self, request: Request<RawCasRequest>) -> Answer<RawCasResponse> {
        self.serve("RawCompareAndSwap", Reads::Little, request, storage::raw_compare_and_swap).await
    }

    async fn split_region(&self, request: Request<SplitRegionRequest>) -> Answer<SplitRegionResponse> {
        self.split(request.into_inner()).await
    }

    async fn raft(&self, request: Request<Streaming<RaftMessage>>) -> Answer<Done> {
        self.take_raft(request).await
    }

    async fn batch_raft(&self, request: Request<Streaming<BatchRaftMessage>>) -> Answer<Done> {
        self.take_batches(request).await
    }

    async fn snapshot(&self, request: Request<Streaming<SnapshotChunk>>) -> Answer<Done> {
        self.take_snapshot(request).await
    }
}
