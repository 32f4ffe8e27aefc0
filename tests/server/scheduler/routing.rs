//! Heartbeats of regions, and the routes that clients get from them.

use raftkv::ids::RegionId;
use raftkv::proto::pdpb::*;
use raftkv::server::rpc::pdpb::pd_client::PdClient;
use tonic::transport::Channel;

use super::{Heartbeats, bootstrapped, bounded, header, kind, peer, refusal, region};

async fn by_key(client: &mut PdClient<Channel>, key: &'static str) -> GetRegionResponse {
    let request = GetRegionRequest { header: header(), region_key: key.into() };
    client.get_region(request).await.expect("an answer").into_inner()
}

async fn by_id(client: &mut PdClient<Channel>, region_id: RegionId) -> GetRegionResponse {
    let request = GetRegionByIdRequest { header: header(), region_id };
    client.get_region_by_id(request).await.expect("an answer").into_inner()
}

/// A heartbeat makes a leader known; by key and by id clients get the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_find_what_leaders_report() {
    bounded(async {
        let (_running, mut client) = bootstrapped(&[1, 2]).await;
        let first = by_key(&mut client, "k").await;
        assert_eq!(first.region, Some(region(10, ["", ""], [1, 1], &[1])), "as it was bootstrapped");
        assert_eq!(first.leader, None, "no leader has reported itself");
        let mut heartbeats = Heartbeats::begin(&mut client).await;
        let parts = [region(10, ["", "m"], [2, 2], &[2, 1]), region(20, ["m", ""], [2, 2], &[1, 2])];
        for part in &parts {
            let answer = heartbeats.send(part.clone()).await;
            assert_eq!(refusal(&answer.header), None);
            assert_eq!((answer.region_id, answer.region_epoch), (part.id, part.region_epoch));
        }
        for (key, part, leader) in [("a", &parts[0], peer(10, 2)), ("m", &parts[1], peer(20, 1))] {
            let route = by_key(&mut client, key).await;
            assert_eq!(refusal(&route.header), None);
            assert_eq!((route.region.as_ref(), route.leader), (Some(part), Some(leader)), "{key}");
            assert_eq!(by_id(&mut client, part.id).await, route);
        }
    })
    .await;
}

/// Clients hear which peers are down, and which wait for their first snapshot.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_hear_who_is_down() {
    bounded(async {
        let (_running, mut client) = bootstrapped(&[1, 2, 3]).await;
        let mut heartbeats = Heartbeats::begin(&mut client).await;
        let down_peers = vec![PeerStats { peer: Some(peer(10, 2)), down_seconds: 9 }];
        heartbeats
            .exchange(RegionHeartbeatRequest {
                header: header(),
                region: Some(region(10, ["", ""], [1, 3], &[1, 2, 3])),
                leader: Some(peer(10, 1)),
                term: 6,
                down_peers: down_peers.clone(),
                pending_peers: vec![peer(10, 3)],
                ..Default::default()
            })
            .await;
        let route = by_key(&mut client, "").await;
        assert_eq!((route.down_peers, route.pending_peers), (down_peers, vec![peer(10, 3)]));
    })
    .await;
}

/// What is older than what is known changes nothing, its sender hears so, and its stream goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_heartbeat_is_refused_and_the_stream_goes_on() {
    bounded(async {
        let (_running, mut client) = bootstrapped(&[1, 2]).await;
        let mut heartbeats = Heartbeats::begin(&mut client).await;
        let newer = region(10, ["", "m"], [2, 1], &[1]);
        heartbeats.send(newer.clone()).await;
        heartbeats.send(region(20, ["m", ""], [2, 1], &[1])).await;
        let stale = heartbeats.send(region(10, ["", ""], [1, 1], &[1])).await;
        assert!(refusal(&stale.header).is_some_and(|error| error.message.contains("stale")), "{stale:?}");
        assert_eq!(stale.region_id, 10, "the answers of many regions share a stream");
        assert_eq!(by_key(&mut client, "a").await.region, Some(newer.clone()));
        let request = RegionHeartbeatRequest {
            header: header(),
            region: Some(newer.clone()),
            leader: newer.peers.first().copied(),
            term: 5,
            ..Default::default()
        };
        let old_leader = heartbeats.exchange(request.clone()).await;
        assert!(
            refusal(&old_leader.header).is_some_and(|error| error.message.contains("term 5")),
            "{old_leader:?}"
        );
        let stranger = Some(RequestHeader { cluster_id: 8, sender_id: 0 });
        let wrong = heartbeats.exchange(RegionHeartbeatRequest { header: stranger, ..request }).await;
        assert!(refusal(&wrong.header).is_some(), "{wrong:?}");
        assert_eq!(refusal(&heartbeats.send(newer).await.header), None);
    })
    .await;
}

/// A region that nobody has reported is not known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_region_is_not_found() {
    bounded(async {
        let (_running, mut client) = bootstrapped(&[1]).await;
        let unknown = by_id(&mut client, 99).await;
        assert_eq!((kind(&unknown.header), unknown.region), (Some(ErrorType::RegionNotFound), None));
        let mut heartbeats = Heartbeats::begin(&mut client).await;
        heartbeats.send(region(20, ["m", ""], [2, 1], &[1])).await;
        let gap = by_key(&mut client, "a").await;
        assert_eq!(
            (refusal(&gap.header), gap.region),
            (None, None),
            "the other part has not been reported yet"
        );
    })
    .await;
}
