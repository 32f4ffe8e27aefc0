//! The scheduler, with its gRPC service and its status page.

mod calls;
mod disk;
pub mod http;
mod operators;
mod pages;
mod program;
#[cfg(feature = "rocksdb")]
mod restart;
mod routing;
mod strangers;
mod tso;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raftkv::engine::MemDisk;
use raftkv::ids::{RegionId, StoreId};
use raftkv::proto::metapb::{Peer, Region, RegionEpoch, Store};
use raftkv::proto::pdpb::*;
use raftkv::server::disk::EngineKind;
use raftkv::server::rpc::pdpb::pd_client::PdClient;
use raftkv::server::scheduler::{Running, Settings, start_on};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

/// No test takes a tenth of it.
const LIMIT: Duration = Duration::from_secs(60);

/// The cluster of these tests.
const CLUSTER: u64 = 7;

/// Fails a test that hangs.
async fn bounded<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, test)
        .await
        .expect("the test hangs: it waits for something that does not come")
}

/// Ports that the system picks.
fn settings() -> Settings {
    Settings {
        listen: "127.0.0.1:0".to_string(),
        status: "127.0.0.1:0".to_string(),
        engine: EngineKind::Memory,
        cluster_id: Some(CLUSTER),
        repair: false,
        ..Settings::default()
    }
}

/// A scheduler on this disk.
async fn start_at(disk: &MemDisk) -> Running {
    let engine = disk.open("data").expect("nobody else has it open");
    start_on(Arc::new(engine), settings()).await.expect("the settings are good")
}

/// A scheduler on a disk of its own.
async fn running() -> Running {
    start_at(&MemDisk::new()).await
}

/// Where its status page is.
fn page_of(running: &Running) -> SocketAddr {
    running.status_address().expect("the settings say that there is one")
}

async fn client(running: &Running) -> PdClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", running.address())).expect("an address");
    PdClient::new(endpoint.connect().await.expect("it listens"))
}

/// A scheduler of a cluster with these stores. Region 10 has all keys; its only peer is on the first.
async fn bootstrapped(stores: &[StoreId]) -> (Running, PdClient<Channel>) {
    let running = running().await;
    let mut client = client(&running).await;
    let answer = client.bootstrap(bootstrap(stores[0])).await.expect("an answer").into_inner();
    assert_eq!(refusal(&answer.header), None);
    for id in &stores[1..] {
        let answer = client.put_store(put_store(*id)).await.expect("an answer").into_inner();
        assert_eq!(refusal(&answer.header), None);
    }
    (running, client)
}

fn header() -> Option<RequestHeader> {
    Some(RequestHeader { cluster_id: CLUSTER, sender_id: 0 })
}

/// Why the call was refused, if it was. Every answer says whose it is.
fn refusal(header: &Option<ResponseHeader>) -> Option<Error> {
    let header = header.as_ref().expect("every answer has a header");
    assert_eq!(header.cluster_id, CLUSTER, "every answer names its cluster");
    header.error.clone()
}

fn kind(header: &Option<ResponseHeader>) -> Option<ErrorType> {
    refusal(header).map(|error| error.r#type())
}

fn store(id: StoreId) -> Option<Store> {
    Some(Store { id, address: format!("store-{id}:20160"), ..Default::default() })
}

fn bootstrap(first: StoreId) -> BootstrapRequest {
    let region = Some(region(10, ["", ""], [1, 1], &[first]));
    BootstrapRequest { header: header(), store: store(first), region }
}

fn put_store(id: StoreId) -> PutStoreRequest {
    PutStoreRequest { header: header(), store: store(id) }
}

fn peer(region: RegionId, store_id: StoreId) -> Peer {
    Peer { id: region * 100 + store_id, store_id, ..Default::default() }
}

/// Epochs are `[version, conf_ver]`.
fn region(id: RegionId, range: [&'static str; 2], epoch: [u64; 2], stores: &[StoreId]) -> Region {
    Region {
        id,
        start_key: Bytes::from(range[0]),
        end_key: Bytes::from(range[1]),
        region_epoch: Some(RegionEpoch { version: epoch[0], conf_ver: epoch[1] }),
        peers: stores.iter().map(|store| peer(id, *store)).collect(),
    }
}

/// A stream of heartbeats, and what they are answered.
struct Heartbeats {
    requests: mpsc::Sender<RegionHeartbeatRequest>,
    answers: Streaming<RegionHeartbeatResponse>,
}

impl Heartbeats {
    async fn begin(client: &mut PdClient<Channel>) -> Heartbeats {
        let (requests, receiver) = mpsc::channel(1);
        let answers = client.region_heartbeat(ReceiverStream::new(receiver)).await.expect("a stream");
        Heartbeats { requests, answers: answers.into_inner() }
    }

    /// Its first peer leads the region, in term 6.
    async fn send(&mut self, region: Region) -> RegionHeartbeatResponse {
        let (leader, term) = (region.peers.first().copied(), 6);
        let request = RegionHeartbeatRequest {
            header: header(),
            region: Some(region),
            leader,
            term,
            ..Default::default()
        };
        self.exchange(request).await
    }

    async fn exchange(&mut self, request: RegionHeartbeatRequest) -> RegionHeartbeatResponse {
        self.requests.send(request).await.expect("the stream is open");
        self.answers.message().await.expect("no failure").expect("an answer for each heartbeat")
    }
}

/// A stream of requests for timestamps.
struct Tso {
    requests: mpsc::Sender<TsoRequest>,
    answers: Streaming<TsoResponse>,
}

impl Tso {
    async fn begin(client: &mut PdClient<Channel>) -> Tso {
        let (requests, receiver) = mpsc::channel(1);
        let answers = client.tso(ReceiverStream::new(receiver)).await.expect("a stream");
        Tso { requests, answers: answers.into_inner() }
    }

    async fn ask(&mut self, count: u32) -> TsoResponse {
        self.requests.send(TsoRequest { header: header(), count }).await.expect("the stream is open");
        self.answers.message().await.expect("no failure").expect("an answer for each request")
    }

    /// The timestamps, each as one number.
    async fn get(&mut self, count: u32) -> std::ops::RangeInclusive<u64> {
        let answer = self.ask(count).await;
        assert_eq!((refusal(&answer.header), answer.count), (None, count));
        let largest = answer.timestamp.expect("it was not refused");
        let last = ((largest.physical as u64) << 18) + largest.logical as u64;
        last - u64::from(count - 1)..=last
    }
}
