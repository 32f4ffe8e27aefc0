//! What a restart remembers, and a disk that fails.

use std::sync::Arc;

use raftkv::engine::{Fault, MemDisk};
use raftkv::proto::pdpb::*;
use raftkv::server::rpc::pdpb::pd_client::PdClient;
use raftkv::server::scheduler::{ServeError, Settings, start_on};
use tonic::Code;
use tonic::transport::Channel;

use super::{
    Heartbeats, Tso, bootstrap, bounded, client, header, kind, put_store, region, settings, start_at,
};

async fn id(client: &mut PdClient<Channel>) -> Option<u64> {
    let answer = client.alloc_id(AllocIdRequest { header: header() }).await.ok()?.into_inner();
    assert_eq!(kind(&answer.header), None);
    Some(answer.id)
}

/// Stores, regions and the bootstrap are there after a restart, and no id comes twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_remembers() {
    bounded(async {
        let disk = MemDisk::new();
        let running = start_at(&disk).await;
        let mut before = client(&running).await;
        before.bootstrap(bootstrap(1)).await.expect("an answer");
        before.put_store(put_store(2)).await.expect("an answer");
        let group = region(10, ["", ""], [1, 2], &[1, 2]);
        Heartbeats::begin(&mut before).await.send(group.clone()).await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(id(&mut before).await.expect("an id"));
        }
        running.stop().await.expect("nothing has failed");
        before.alloc_id(AllocIdRequest { header: header() }).await.expect_err("nobody listens any more");

        let running = start_at(&disk).await;
        let mut after = client(&running).await;
        let again = after.bootstrap(bootstrap(3)).await.expect("an answer").into_inner();
        assert_eq!(kind(&again.header), Some(ErrorType::AlreadyBootstrapped));
        let stores =
            after.get_all_stores(GetAllStoresRequest::default()).await.expect("an answer").into_inner();
        assert_eq!(stores.stores.len(), 2);
        let route = after.get_region(GetRegionRequest::default()).await.expect("an answer").into_inner();
        assert_eq!((route.region, route.leader), (Some(group), None), "who leads is told by heartbeats");
        for _ in 0..5 {
            ids.push(id(&mut after).await.expect("an id"));
        }
        assert!(ids.is_sorted_by(|a, b| a < b), "no id twice: {ids:?}");
    })
    .await;
}

/// Without a wish the cluster's id is made up once, and stays; with another one the data is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_id_of_the_cluster_stays() {
    bounded(async {
        let disk = MemDisk::new();
        let begin = async |cluster_id| {
            let engine = disk.open("data").expect("nobody else has it open");
            start_on(Arc::new(engine), Settings { cluster_id, ..settings() }).await
        };
        let running = begin(None).await.expect("a new cluster");
        let id = running.cluster_id();
        assert!(id > 0 && id < 1 << 53, "{id}: every reader of JSON can read it");
        running.stop().await.expect("nothing has failed");
        for wish in [None, Some(id)] {
            let running = begin(wish).await.expect("its own data");
            assert_eq!(running.cluster_id(), id);
            running.stop().await.expect("nothing has failed");
        }
        let refused = begin(Some(id + 1)).await.err().expect("these are the data of another cluster");
        assert!(matches!(refused, ServeError::Records(_)), "{refused}");
        assert!(refused.to_string().contains(&id.to_string()), "{refused}");
    })
    .await;
}

/// Where a write fails nobody gets an answer any more, and the process has to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_saved_is_not_answered() {
    bounded(async {
        let disk = MemDisk::new();
        let running = start_at(&disk).await;
        let mut client = client(&running).await;
        id(&mut client).await.expect("an id");
        disk.plan(disk.writes() + 1, Fault::Fail);
        let refused = client.bootstrap(bootstrap(1)).await.expect_err("it could not be saved");
        assert_eq!(refused.code(), Code::Unavailable, "{refused}");
        running.failed().await;
        let question = IsBootstrappedRequest { header: header() };
        client.is_bootstrapped(question).await.expect_err("it knows more than its disk: it says nothing");
        let end = running.stop().await.expect_err("it has failed");
        assert!(matches!(end, ServeError::Failed(_)), "{end}");
        assert_eq!(disk.struck(), 1);

        let running = start_at(&disk).await;
        let mut client = super::client(&running).await;
        let question = IsBootstrappedRequest { header: header() };
        let answer = client.is_bootstrapped(question).await.expect("an answer").into_inner();
        assert!(!answer.bootstrapped, "what was not answered did not happen");
    })
    .await;
}

/// What one life of the process has told.
#[derive(Default)]
struct Told {
    ids: Vec<u64>,
    timestamps: Vec<u64>,
    bootstrapped: bool,
    stores: Vec<u64>,
}

/// Asks for everything, until there is no answer.
async fn live(disk: &MemDisk, told: &mut Told) -> Option<()> {
    let Ok(engine) = disk.open("data") else { panic!("the disk is open") };
    let running = start_on(Arc::new(engine), settings()).await.ok()?;
    let ended = talk(&mut client(&running).await, told).await;
    // It has failed where the machine has stopped.
    let _ = running.stop().await;
    ended
}

async fn talk(client: &mut PdClient<Channel>, told: &mut Told) -> Option<()> {
    told.ids.push(id(client).await?);
    let first = client.bootstrap(bootstrap(1)).await.ok()?.into_inner();
    let late = kind(&first.header).is_some();
    assert!(late || !told.bootstrapped, "the cluster begins twice");
    told.bootstrapped = true;
    let stores = client.get_all_stores(GetAllStoresRequest::default()).await.ok()?.into_inner().stores;
    for known in &told.stores {
        assert!(stores.iter().any(|store| store.id == *known), "store {known} is forgotten");
    }
    let next = 2 + told.stores.len() as u64;
    client.put_store(put_store(next)).await.ok()?;
    told.stores.push(next);
    let mut tso = Tso::begin(client).await;
    tso.requests.send(TsoRequest { header: header(), count: 1 }).await.ok()?;
    let given = tso.answers.message().await.ok()??.timestamp?;
    told.timestamps.push(((given.physical as u64) << 18) + given.logical as u64);
    Some(())
}

/// Wherever the machine stops: what was told holds after the restart, and nothing is told twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_told_survives_a_stop_at_every_write() {
    bounded(async {
        let mut strikes = 0;
        for fault in [Fault::StopBefore, Fault::StopAfter] {
            for write in 1..=10 {
                let (disk, mut told) = (MemDisk::new(), Told::default());
                disk.plan(write, fault);
                for _ in 0..4 {
                    if live(&disk, &mut told).await.is_none() {
                        assert!(disk.is_stopped(), "only a stopped machine gives no answer");
                        disk.restart();
                    }
                }
                strikes += disk.struck();
                assert!(told.ids.is_sorted_by(|a, b| a < b), "no id twice: {:?}", told.ids);
                assert!(told.timestamps.is_sorted_by(|a, b| a < b), "{:?}", told.timestamps);
                assert!(told.stores.len() >= 3, "three of four lives are whole");
            }
        }
        assert_eq!(strikes, 20, "every planned stop came");
    })
    .await;
}
