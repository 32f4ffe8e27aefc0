//! The gRPC service of a store: the raw calls of clients, and what other stores send.
//!
//! ```text
//!   RawPut ----> ask: what does the handler want?  --- a command --->  store thread  --- its result --->  answer: the handler's response
//! ```
//!
//! The handlers are those of stage 1, run as `src/storage/mod.rs` explains. A caller may go away at any time (its
//! library gives it two seconds): then the command goes its way without anybody who waits for it.

mod raw;
mod split;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use prometheus::{HistogramOpts, HistogramVec, Registry};
use tonic::{Request, Response, Status, Streaming};

use super::directory::Directory;
use super::node::StoreHandle;
use super::peers::check_cluster;
use super::snapshots;
use crate::proto::raft_serverpb::{Done, RaftMessage, SnapshotChunk};
use crate::proto::tikvpb::BatchRaftMessage;
use crate::storage::{Asked, StandaloneStorage, Storage, answer, ask};
use crate::worker::snap::{Permits, SnapFiles};

/// What the calls are served from.
pub enum Backend {
    /// One engine, on this machine alone.
    Standalone(StandaloneStorage),
    /// A store of a cluster.
    Cluster(Box<Cluster>),
}

/// What a store of a cluster needs to serve.
pub struct Cluster {
    /// Its thread.
    pub store: StoreHandle,
    /// Where received snapshots go.
    pub files: SnapFiles,
    /// How many are received at once.
    pub receiving: Permits,
    /// Whose cluster it is, and who gives ids.
    pub directory: Directory,
}

/// The service.
#[derive(Clone)]
pub struct Service {
    backend: Arc<Backend>,
    seconds: HistogramVec,
    calls: Arc<AtomicUsize>,
}

/// How much a call reads from the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// At most one key. To hand that to another thread, so that nobody waits, would take longer than to read it.
    Little,
    /// Many keys: others must not wait for that.
    Much,
}

/// One of those who are being served, until it is dropped.
struct Served(Arc<AtomicUsize>);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Service {
    /// Serves from this backend. `calls` is how many are being served; the registry shows how long they take.
    ///
    /// # Errors
    /// It shows such figures already.
    pub fn new(
        backend: Backend,
        calls: Arc<AtomicUsize>,
        registry: &Registry,
    ) -> Result<Service, prometheus::Error> {
        let buckets = prometheus::exponential_buckets(0.0001, 2.0, 16)?;
        let seconds = HistogramVec::new(
            HistogramOpts::new("raftkv_call_seconds", "Time that a call takes").buckets(buckets),
            &["call"],
        )?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Service { backend: Arc::new(backend), seconds, calls })
    }

    /// Serves one call with its handler.
    async fn serve<Q, R>(
        &self,
        call: &str,
        reads: Reads,
        request: Request<Q>,
        handler: fn(&dyn Storage, &Q) -> R,
    ) -> Result<Response<R>, Status> {
        let begun = Instant::now();
        self.calls.fetch_add(1, Ordering::AcqRel);
        let _served = Served(self.calls.clone());
        let request = request.into_inner();
        let response = match &*self.backend {
            Backend::Standalone(storage) => tokio::task::block_in_place(|| handler(storage, &request)),
            Backend::Cluster(cluster) => match ask(|storage| handler(storage, &request)) {
                Asked::Answered(response) => response,
                Asked::Command(command) => {
                    let result = cluster.store.command(command).await;
                    let finish = || answer(|storage| handler(storage, &request), result);
                    if reads == Reads::Much { tokio::task::block_in_place(finish) } else { finish() }
                }
            },
        };
        self.seconds.with_label_values(&[call]).observe(begun.elapsed().as_secs_f64());
        Ok(Response::new(response))
    }

    fn cluster(&self) -> Result<&Cluster, Status> {
        match &*self.backend {
            Backend::Cluster(cluster) => Ok(cluster),
            Backend::Standalone(_) => {
                Err(Status::failed_precondition("this server stands alone: it has no regions"))
            }
        }
    }

    async fn take_raft(&self, request: Request<Streaming<RaftMessage>>) -> Result<Response<Done>, Status> {
        let cluster = self.cluster()?;
        check_cluster(&request, cluster.directory.cluster_id())?;
        let mut messages = request.into_inner();
        while let Some(message) = messages.message().await? {
            cluster.store.messages(vec![message]);
        }
        Ok(Response::new(Done {}))
    }

    async fn take_batches(
        &self,
        request: Request<Streaming<BatchRaftMessage>>,
    ) -> Result<Response<Done>, Status> {
        let cluster = self.cluster()?;
        check_cluster(&request, cluster.directory.cluster_id())?;
        let mut batches = request.into_inner();
        while let Some(batch) = batches.message().await? {
            cluster.store.messages(batch.msgs);
        }
        Ok(Response::new(Done {}))
    }

    async fn take_snapshot(
        &self,
        request: Request<Streaming<SnapshotChunk>>,
    ) -> Result<Response<Done>, Status> {
        let cluster = self.cluster()?;
        check_cluster(&request, cluster.directory.cluster_id())?;
        let chunks = request.into_inner();
        let done =
            snapshots::receive(cluster.files.clone(), &cluster.receiving, &cluster.store, chunks).await?;
        Ok(Response::new(done))
    }
}
