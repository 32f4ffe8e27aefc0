//! Three stores without a scheduler: what stage 2b can do.

use std::time::Duration;

use pretty_assertions::assert_eq;
use raftkv::proto::errorpb;
use raftkv::proto::kvrpcpb::{RawGetRequest, RawPutRequest, SplitRegionRequest};
use raftkv::server::disk::EngineKind;
use raftkv::server::rpc::tikvpb::tikv_client::TikvClient;
use raftkv::server::settings::Settings;
use raftkv::server::start::{Running, start};
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::Channel;

use crate::calls::{connect, context};
use crate::cluster::{fast, run, until};
use crate::process::free_addresses;

struct Three {
    stores: Vec<(u64, Running)>,
}

impl Three {
    async fn start() -> Three {
        let addresses = free_addresses(3);
        let members: Vec<String> =
            addresses.iter().zip(1..).map(|(address, id)| format!("{id}={address}")).collect();
        let mut stores = Vec::new();
        for (listen, store_id) in addresses.into_iter().zip(1..) {
            let settings = Settings {
                listen,
                status: "none".to_string(),
                members: members.join(","),
                store_id,
                engine: EngineKind::Memory,
                store: fast(),
                ..Settings::default()
            };
            stores.push((store_id, start(&settings).await.expect("it starts")));
        }
        Three { stores }
    }

    async fn client(&self, id: u64) -> TikvClient<Channel> {
        let (_, running) = self.stores.iter().find(|(store, _)| *store == id).expect("it runs");
        connect(running.address).await.expect("it listens")
    }

    /// One put at one store; the error if it is refused.
    async fn put(&self, id: u64, key: &'static str, value: &'static str) -> Option<errorpb::Error> {
        let request = RawPutRequest {
            context: Some(context(id)),
            key: key.into(),
            value: value.into(),
            ..Default::default()
        };
        let answer = self.client(id).await.raw_put(request).await.expect("an answer").into_inner();
        assert_eq!(answer.error, "");
        answer.region_error
    }

    /// Who leads: it takes a put.
    async fn leader(&self) -> u64 {
        until("one of the stores leads", || async {
            for (id, _) in &self.stores {
                if self.put(*id, "who", "leads").await.is_none() {
                    return Some(*id);
                }
            }
            None
        })
        .await
    }
}

fn get(id: u64, key: &'static str) -> RawGetRequest {
    RawGetRequest { context: Some(context(id)), key: key.into(), ..Default::default() }
}

/// The leader serves, a follower says who leads, and when the leader has ended, another one serves what was written.
#[test]
fn one_leads() {
    run(async {
        let mut three = Three::start().await;
        let leader = three.leader().await;
        assert_eq!(three.put(leader, "k", "1").await, None);
        let follower = 1 + leader % 3;
        let refused =
            three.put(follower, "k", "2").await.and_then(|error| error.not_leader).expect("NotLeader");
        assert_eq!(refused.leader.map(|peer| peer.store_id), Some(leader));
        let place = three.stores.iter().position(|(id, _)| *id == leader).expect("it runs");
        three.stores.remove(place).1.stop().await.expect("it ends in order");
        let next = three.leader().await;
        let read = three.client(next).await.raw_get(get(next, "k")).await.expect("an answer").into_inner();
        assert_eq!((read.region_error, &read.value[..]), (None, &b"1"[..]));
    });
}

/// A leader without a majority acknowledges nothing.
#[test]
fn a_minority_commits_nothing() {
    run(async {
        let mut three = Three::start().await;
        let leader = three.leader().await;
        for id in (1..=3).filter(|id| *id != leader) {
            let place = three.stores.iter().position(|(store, _)| *store == id).expect("it runs");
            three.stores.remove(place).1.stop().await.expect("it ends in order");
        }
        let put = three.put(leader, "k", "1");
        if let Ok(answer) = timeout(Duration::from_millis(500), put).await {
            panic!("one of three is no majority: {answer:?}");
        }
    });
}

/// What needs a scheduler is refused.
#[test]
fn no_splits() {
    run(async {
        let three = Three::start().await;
        let leader = three.leader().await;
        let split = SplitRegionRequest {
            context: Some(context(leader)),
            split_keys: vec!["k".into()],
            is_raw_kv: true,
        };
        let status = three.client(leader).await.split_region(split).await.expect_err("there is no scheduler");
        assert_eq!(status.code(), Code::FailedPrecondition);
    });
}
