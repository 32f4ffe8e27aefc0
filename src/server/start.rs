//! A server, from its settings to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::directory::{Directory, parse_members};
use super::disk::{DataDir, Kind, WriteTimes};
use super::node::{Metrics, Node, Outlets};
use super::peers::{MAX_MESSAGE, Peers};
use super::process::{Stop, Stopper, advertised, serve_http, stop_pair};
use super::rpc::tikvpb::tikv_server::TikvServer;
use super::scheduler_client::SchedulerClient;
use super::service::{Backend, Cluster, Service};
use super::settings::Settings;
use super::snapshots::{AT_ONCE, SnapshotSender};
use super::status::{Pages, pages};
use super::transport::Transport;
use super::{join, reports};
use crate::ids::StoreId;
use crate::raftstore::{Engines, StoreName};
use crate::storage::StandaloneStorage;
use crate::worker::snap::{Permits, SnapFiles};

/// How long those who are being served may still take when the server ends.
const GRACE: Duration = Duration::from_secs(3);

/// A server that serves.
pub struct Running {
    /// Where its service listens.
    pub address: SocketAddr,
    /// Where its status page is.
    pub status: Option<SocketAddr>,
    node: Option<Node>,
    /// Calls that are being served.
    calls: Arc<AtomicUsize>,
    service: JoinHandle<Result<(), String>>,
    stopper: Stopper,
    /// Kept for as long as the data is in use.
    _dir: DataDir,
}

/// Starts a server. It serves when this returns.
///
/// # Errors
/// A text for whoever runs it: what cannot be, and what to do.
pub async fn start(settings: &Settings) -> Result<Running, String> {
    settings.validate()?;
    let kind = if settings.standalone { Kind::Standalone } else { Kind::Store };
    let dir = DataDir::open(&settings.data_dir, kind, settings.engine).map_err(|error| error.to_string())?;
    let listener = bind(&settings.listen).await?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let registry = Registry::new();
    let metrics_error = |error: prometheus::Error| error.to_string();
    let times = WriteTimes::new(&registry).map_err(metrics_error)?;
    let engine =
        |name| dir.open_engine(name).map(|engine| times.of(name, engine)).map_err(|error| error.to_string());
    let (backend, node) = if settings.standalone {
        (Backend::Standalone(StandaloneStorage::new(engine("data")?)), None)
    } else {
        let metrics = Metrics::new(&registry).map_err(metrics_error)?;
        let engines = Engines { kv: engine("kv")?, raft: engine("raft")? };
        let (cluster, node) = start_store(settings, &dir, engines, address, metrics).await?;
        (Backend::Cluster(Box::new(cluster)), Some(node))
    };
    let calls = Arc::new(AtomicUsize::new(0));
    let service = Service::new(backend, calls.clone(), &registry).map_err(metrics_error)?;
    let (stopper, stop) = stop_pair();
    let status = start_pages(settings, registry, node.as_ref(), stop.clone()).await?;
    let service = tokio::spawn(serve(service, listener, stop));
    tracing::info!(%address, "serving");
    Ok(Running { address, status, node, calls, service, stopper, _dir: dir })
}

async fn bind(address: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("cannot listen at {address}: {error}"))
}

async fn serve(service: Service, listener: TcpListener, stop: Stop) -> Result<(), String> {
    let service = TikvServer::new(service)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    // Without it, an answer may wait 40 ms for the receiver to acknowledge what was sent before.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder().add_service(service);
    server.serve_with_incoming_shutdown(incoming, stop.wait()).await.map_err(|error| error.to_string())
}

async fn start_pages(
    settings: &Settings,
    registry: Registry,
    node: Option<&Node>,
    stop: Stop,
) -> Result<Option<SocketAddr>, String> {
    if settings.status == "none" {
        return Ok(None);
    }
    let listener = bind(&settings.status).await?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let store = node.map(|node| node.handle().clone());
    tokio::spawn(serve_http(listener, pages(Pages { registry, store }), stop));
    Ok(Some(address))
}

/// A store of a cluster: joins it, and starts the threads.
async fn start_store(
    settings: &Settings,
    dir: &DataDir,
    engines: Engines,
    address: SocketAddr,
    metrics: Metrics,
) -> Result<(Cluster, Node), String> {
    let config = |name: StoreName| settings.store_config(seed(name.store));
    let (directory, store) = if settings.members.is_empty() {
        let scheduler = SchedulerClient::connect(&settings.scheduler).await?;
        let given = Some(&settings.advertise).filter(|given| !given.is_empty());
        let advertise = advertised(given.map(String::as_str), address)?;
        let store = join::join(&scheduler, &engines, &advertise, config).await?;
        (Directory::Scheduler(scheduler), store)
    } else {
        let stores = parse_members(&settings.members)?;
        let store = join::join_fixed(&stores, &engines, settings.store_id, config)?;
        (Directory::Fixed(stores), store)
    };
    let folder = dir.open_folder().map_err(|error| error.to_string())?;
    let files = SnapFiles::open(folder, &store.snapshots_in_use()).map_err(|error| error.to_string())?;
    let (peers, runtime) = (Peers::new(directory.clone()), Handle::current());
    let (tasks, for_scheduler) = mpsc::unbounded_channel();
    let node = Node::start(store, &files, settings.tick(), metrics, |handle| Outlets {
        transport: Transport::new(peers.clone(), runtime.clone()),
        snapshots: SnapshotSender::new(peers, files.clone(), handle.clone(), runtime),
        scheduler: tasks,
    })
    .map_err(|error| error.to_string())?;
    // Without a scheduler nobody takes the tasks, which the store does not mind.
    if let Some(scheduler) = directory.scheduler() {
        tokio::spawn(reports::serve(scheduler.clone(), node.handle().clone(), for_scheduler));
    }
    let receiving = Permits::new(AT_ONCE);
    Ok((Cluster { store: node.handle().clone(), files, receiving, directory }, node))
}

/// Different for each store, and for each start: two stores that draw the same timeouts would disturb each other again
/// and again.
fn seed(store: StoreId) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    store.rotate_left(32) ^ u64::from(now.subsec_nanos()) ^ now.as_secs()
}

impl Running {
    /// Returns when the server cannot go on.
    ///
    /// # Errors
    /// Always: why it cannot.
    pub async fn failed(&self) -> Result<(), String> {
        match &self.node {
            Some(node) => node.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Ends the server: it takes no new calls, those that are being served have their answers, and what was
    /// acknowledged is on the disk.
    ///
    /// # Errors
    /// The store had failed.
    pub async fn stop(self) -> Result<(), String> {
        self.stopper.stop();
        let mut look = interval(Duration::from_millis(5));
        let calls = &self.calls;
        let served = async {
            while calls.load(Ordering::Acquire) > 0 {
                look.tick().await;
            }
        };
        if timeout(GRACE, served).await.is_err() {
            tracing::warn!(calls = calls.load(Ordering::Acquire), "some who wait get no answer in time");
        }
        let end = match self.node {
            Some(node) => node.stop().await,
            None => Ok(()),
        };
        // What is still open are the streams of other stores: they have no end.
        self.service.abort();
        end
    }
}
