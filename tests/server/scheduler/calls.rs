//! The unary calls.

use raftkv::proto::metapb::Store;
use raftkv::proto::pdpb::*;

use super::{
    bootstrap, bootstrapped, bounded, client, header, kind, put_store, refusal, region, running, store,
};

/// A client finds the scheduler by an address that it can call, without knowing the cluster.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_members_are_told_to_everybody() {
    bounded(async {
        let running = running().await;
        let mut client = client(&running).await;
        let stranger = Some(RequestHeader { cluster_id: 99, sender_id: 0 });
        let request = GetMembersRequest { header: stranger };
        let answer = client.get_members(request).await.expect("an answer").into_inner();
        assert_eq!(refusal(&answer.header), None);
        let leader = answer.leader.expect("this one leads");
        assert_eq!(leader.client_urls, [format!("http://{}", running.address())]);
        assert_eq!(answer.members, [leader]);
        running.stop().await.expect("nothing has failed");
    })
    .await;
}

/// Of two stores that begin the cluster at the same time one does, and the other hears that it came late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_begins_once() {
    bounded(async {
        let running = running().await;
        let (mut one, mut two) = (client(&running).await, client(&running).await);
        let before =
            one.is_bootstrapped(IsBootstrappedRequest { header: header() }).await.expect("an answer");
        assert!(!before.into_inner().bootstrapped);
        let (first, second) = tokio::join!(one.bootstrap(bootstrap(1)), two.bootstrap(bootstrap(2)));
        let kinds = [first, second].map(|answer| kind(&answer.expect("an answer").into_inner().header));
        let late = Some(ErrorType::AlreadyBootstrapped);
        assert!(kinds == [None, late] || kinds == [late, None], "exactly one is first: {kinds:?}");
        let after = one.is_bootstrapped(IsBootstrappedRequest { header: header() }).await.expect("an answer");
        assert!(after.into_inner().bootstrapped);
        let winner = if kinds[0].is_none() { 1 } else { 2 };
        let stores = one.get_all_stores(GetAllStoresRequest { header: header(), ..Default::default() }).await;
        let ids: Vec<u64> =
            stores.expect("an answer").into_inner().stores.iter().map(|store| store.id).collect();
        assert_eq!(ids, [winner], "the other one was not taken in");
    })
    .await;
}

/// Before the bootstrap there are ids, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_the_bootstrap_only_ids_are_given() {
    bounded(async {
        let running = running().await;
        let mut client = client(&running).await;
        let id = client.alloc_id(AllocIdRequest { header: header() }).await.expect("an answer").into_inner();
        assert!(refusal(&id.header).is_none() && id.id > 0, "the first store needs one: {id:?}");
        let put = client.put_store(put_store(1)).await.expect("an answer").into_inner();
        let get = client.get_store(GetStoreRequest { header: header(), store_id: 1 }).await;
        let route = client.get_region(GetRegionRequest { header: header(), ..Default::default() }).await;
        let all = client.get_all_stores(GetAllStoresRequest { header: header(), ..Default::default() }).await;
        let headers = [
            put.header,
            get.expect("an answer").into_inner().header,
            route.expect("an answer").into_inner().header,
            all.expect("an answer").into_inner().header,
        ];
        for header in headers {
            assert_eq!(kind(&header), Some(ErrorType::NotBootstrapped));
        }
    })
    .await;
}

/// A store is known by what it said of itself; one that is unknown, and an address that is taken, are refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_are_known() {
    bounded(async {
        let (_running, mut client) = bootstrapped(&[1, 2]).await;
        let mut get = async |store_id| {
            let request = GetStoreRequest { header: header(), store_id };
            client.get_store(request).await.expect("an answer").into_inner()
        };
        assert_eq!(get(2).await.store, store(2));
        let unknown = get(3).await;
        assert!(
            refusal(&unknown.header).is_some_and(|error| error.message.contains("store 3")),
            "{unknown:?}"
        );
        assert_eq!(unknown.store, None);
        let same_address = Some(Store { id: 4, ..store(2).expect("it has one") });
        let clash = PutStoreRequest { header: header(), store: same_address };
        let answer = client.put_store(clash).await.expect("an answer").into_inner();
        assert!(refusal(&answer.header).is_some_and(|error| error.message.contains("store 2")), "{answer:?}");
        let unknown = StoreStats { store_id: 9, ..Default::default() };
        let beat = StoreHeartbeatRequest { header: header(), stats: Some(unknown) };
        let answer = client.store_heartbeat(beat).await.expect("an answer").into_inner();
        assert!(refusal(&answer.header).is_some(), "it has to announce itself first");
    })
    .await;
}

/// Whoever belongs to another cluster is refused by every call that does something.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_cluster_is_refused() {
    bounded(async {
        let (_running, mut client) = bootstrapped(&[1]).await;
        let header = Some(RequestHeader { cluster_id: 8, sender_id: 0 });
        let region = Some(region(10, ["", ""], [1, 1], &[1]));
        let stats = Some(StoreStats { store_id: 1, ..Default::default() });
        macro_rules! header_of {
            ($call:ident, $request:expr) => {
                client.$call($request).await.expect("an answer").into_inner().header
            };
        }
        let headers = [
            header_of!(get_store, GetStoreRequest { header, store_id: 1 }),
            header_of!(get_all_stores, GetAllStoresRequest { header, ..Default::default() }),
            header_of!(get_region, GetRegionRequest { header, ..Default::default() }),
            header_of!(get_region_by_id, GetRegionByIdRequest { header, region_id: 10 }),
            header_of!(bootstrap, BootstrapRequest { header, ..bootstrap(1) }),
            header_of!(is_bootstrapped, IsBootstrappedRequest { header }),
            header_of!(alloc_id, AllocIdRequest { header }),
            header_of!(put_store, PutStoreRequest { header, ..put_store(2) }),
            header_of!(store_heartbeat, StoreHeartbeatRequest { header, stats }),
            header_of!(ask_batch_split, AskBatchSplitRequest { header, region, split_count: 1 }),
            header_of!(report_batch_split, ReportBatchSplitRequest { header, ..Default::default() }),
        ];
        for (call, header) in headers.iter().enumerate() {
            let error = refusal(header).unwrap_or_else(|| panic!("call {call} was not refused"));
            assert!(error.message.contains("not of cluster 8"), "{}", error.message);
        }
    })
    .await;
}

/// The ids for a split are new, and its report makes the parts known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_gets_ids_and_is_reported() {
    bounded(async {
        let (_running, mut client) = bootstrapped(&[1, 2]).await;
        let whole = region(10, ["", ""], [1, 1], &[1]);
        let ask = AskBatchSplitRequest { header: header(), region: Some(whole), split_count: 2 };
        let answer = client.ask_batch_split(ask).await.expect("an answer").into_inner();
        assert_eq!(refusal(&answer.header), None);
        let mut ids: Vec<u64> = answer
            .ids
            .iter()
            .flat_map(|ids| ids.new_peer_ids.iter().copied().chain([ids.new_region_id]))
            .chain([1, 2, 10, 1001])
            .collect();
        ids.sort_unstable();
        let all = ids.len();
        ids.dedup();
        assert_eq!((ids.len(), all), (8, 8), "two new regions with one peer each: {answer:?}");
        let parts = vec![region(10, ["", "m"], [2, 1], &[1]), region(20, ["m", ""], [2, 1], &[1])];
        let report = ReportBatchSplitRequest { header: header(), regions: parts.clone() };
        let answer = client.report_batch_split(report).await.expect("an answer").into_inner();
        assert_eq!(refusal(&answer.header), None);
        for (key, part) in [("a", &parts[0]), ("z", &parts[1])] {
            let request = GetRegionRequest { header: header(), region_key: key.into() };
            let route = client.get_region(request).await.expect("an answer").into_inner();
            assert_eq!(route.region.as_ref(), Some(part), "{key}");
        }
    })
    .await;
}
