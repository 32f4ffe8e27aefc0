//! The scheduler as a program: the core of [`crate::scheduler`], with sockets, a clock and a disk.
//!
//! ```text
//!   clients, stores --gRPC-->  service.rs --+                     +--> metrics.rs
//!                              answer.rs    |                     |
//!                                           +-->  shared.rs  -----+
//!                                           |     one lock        |
//!   people  -------HTTP----->  http.rs   ---+     the core        +--> records.rs --> an engine
//!                              page.rs            a clock
//!                              status.rs
//!                              operators.rs
//! ```
//!
//! Threads: tokio's. Each connection is a task of its own, so one that sends rubbish, or nothing, disturbs no other. A
//! call has no await in it: a client that goes away in its middle leaves nothing half done.
//!
//! What is left out: a second scheduler that takes over (the stores and clients ask again until this one is back), and
//! protection against strangers. Who reaches the ports, may use them: keep the status page on the loopback address.

mod answer;
mod http;
mod metrics;
mod operators;
mod page;
mod records;
mod service;
mod settings;
mod shared;
mod status;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::engine::{Engine, EngineError};
use crate::scheduler::{Scheduler, SchedulerError};
use crate::server::disk::{DataDir, DirError, Kind};
use crate::server::process;
use crate::server::rpc::pdpb::pd_server::PdServer;
use records::Records;
use service::Service;
use shared::{Core, Shared};

pub use records::RecordsError;
pub use settings::{Args, Settings};

/// A connection that is silent for so long is asked whether somebody is there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// So long may connections take to end when the process does.
const GRACE: Duration = Duration::from_secs(2);

/// Why a scheduler does not start, or had to stop. All of it is for whoever runs the program.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Something is set that cannot work.
    #[error("{0}")]
    Settings(String),

    /// Its directory cannot be used.
    #[error(transparent)]
    Dir(#[from] DirError),

    /// Its engine cannot be used.
    #[error(transparent)]
    Engine(#[from] EngineError),

    /// What is in it cannot be used.
    #[error(transparent)]
    Records(#[from] RecordsError),

    /// The records contradict each other.
    #[error("the data is damaged: {0}")]
    Restore(#[from] SchedulerError),

    /// It cannot be listened there.
    #[error("cannot listen at {address}: {error}: free the address, or give another with --{flag}")]
    Listen {
        /// Where.
        address: String,
        /// Which setting says so.
        flag: &'static str,
        /// Why.
        error: std::io::Error,
    },

    /// It ran, and could not go on.
    #[error("the scheduler had to stop: {0}")]
    Failed(String),

    /// The system refuses what every program needs.
    #[error("the system refuses a runtime or signals: {0}")]
    System(std::io::Error),
}

/// A scheduler at work. One that is dropped stops, too, but nobody learns when it is done.
pub struct Running {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    address: SocketAddr,
    status_address: Option<SocketAddr>,
    cluster_id: u64,
}

/// Starts a scheduler on its data directory. When this returns, it listens. It needs a runtime with several threads.
///
/// # Errors
/// See [`ServeError`].
pub async fn start(settings: Settings) -> Result<Running, ServeError> {
    settings.check().map_err(ServeError::Settings)?;
    let dir = DataDir::open(&settings.data_dir, Kind::Scheduler, settings.engine)?;
    let engine = dir.open_engine("data")?;
    begin(engine, Some(dir), settings).await
}

/// The same on an engine that is there already. It is closed when the scheduler has stopped, if nobody else has it.
///
/// # Errors
/// See [`ServeError`].
pub async fn start_on(engine: Arc<dyn Engine>, settings: Settings) -> Result<Running, ServeError> {
    settings.check().map_err(ServeError::Settings)?;
    begin(engine, None, settings).await
}

async fn begin(
    engine: Arc<dyn Engine>,
    dir: Option<DataDir>,
    settings: Settings,
) -> Result<Running, ServeError> {
    let (records, saved) = Records::open(engine, settings.cluster_id, shared::new_cluster_id)?;
    let cluster_id = saved.cluster_id;
    let scheduler = Scheduler::restore(cluster_id, settings.core(), saved.records)?;
    let (listener, address) = listen("listen", &settings.listen).await?;
    let status = match settings.status.as_str() {
        "none" => None,
        address => Some(listen("status", address).await?),
    };
    let advertised =
        process::advertised(settings.advertise.as_deref(), address).map_err(ServeError::Settings)?;
    let shared = Arc::new(Shared::new(Core::new(scheduler, records, dir), advertised));
    let mut tasks = JoinSet::new();
    tasks.spawn(serve_grpc(listener, shared.clone()));
    let status_address = status.as_ref().map(|(_, address)| *address);
    if let Some((listener, _)) = status {
        tasks.spawn(serve_status(listener, shared.clone()));
    }
    Ok(Running { shared, tasks, address, status_address, cluster_id })
}

async fn listen(flag: &'static str, address: &str) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |error| ServeError::Listen { address: address.to_string(), flag, error };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

async fn serve_grpc(listener: TcpListener, shared: Arc<Shared>) {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let served = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .add_service(PdServer::new(Service(shared.clone())))
        .serve_with_incoming_shutdown(incoming, shared.stop().wait())
        .await;
    if let Err(error) = served {
        shared.fail(format!("clients and stores cannot be listened to any more: {error}"));
    }
}

async fn serve_status(listener: TcpListener, shared: Arc<Shared>) {
    if let Err(error) = process::serve_http(listener, http::pages(shared.clone()), shared.stop()).await {
        shared.fail(format!("the status page cannot be served any more: {error}"));
    }
}

impl Running {
    /// Where clients and stores are listened to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the status page is, if there is one.
    pub fn status_address(&self) -> Option<SocketAddr> {
        self.status_address
    }

    /// Which cluster this is.
    pub fn cluster_id(&self) -> u64 {
        self.cluster_id
    }

    /// Returns when it cannot go on: a write has failed. From then on it answers nobody.
    pub async fn failed(&self) {
        self.shared.stop().wait().await;
    }

    /// Ends it: connections first, then the disk. When this returns, the data directory is free.
    ///
    /// # Errors
    /// [`ServeError::Failed`]: it had ended before.
    pub async fn stop(mut self) -> Result<(), ServeError> {
        self.shared.begin_stop();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(GRACE, ended).await.is_err() {
            tracing::info!("some connections did not end in time: they are cut");
        }
        self.shared.close();
        match self.shared.failure() {
            None => Ok(()),
            Some(why) => Err(ServeError::Failed(why.to_string())),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.begin_stop();
    }
}

/// The whole program: 0 if it was asked to end, 1 if it could not start or go on.
pub fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("raftkv-scheduler: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<(), ServeError> {
    let settings = args.settings().map_err(ServeError::Settings)?;
    process::init_log().map_err(ServeError::Settings)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ServeError::System)?;
    let result = runtime.block_on(serve(settings));
    // A thread that waits for a broken disk does not keep the process.
    runtime.shutdown_background();
    result
}

async fn serve(settings: Settings) -> Result<(), ServeError> {
    let mut asked = std::pin::pin!(process::asked_to_stop().map_err(ServeError::System)?);
    let running = tokio::select! {
        () = &mut asked => return Ok(()),
        running = start(settings) => running?,
    };
    tracing::info!("cluster {}: the scheduler listens at {}", running.cluster_id(), running.address());
    if let Some(address) = running.status_address() {
        tracing::info!("status page: http://{address}/");
    }
    tokio::select! {
        () = asked => {}
        () = running.failed() => {}
    }
    running.stop().await
}
