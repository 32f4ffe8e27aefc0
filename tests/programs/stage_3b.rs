//! Stage 3b: a scheduler, and stores whose regions are cut, led by others, and moved.

use std::time::Duration;

use nix::sys::signal::Signal;
use pretty_assertions::assert_eq;
use raftkv::proto::pdpb::GetRegionResponse;
use raftkv::server::client::Client;
use raftkv_testkit::lab;
use serde_json::{Value, json};

use crate::running::{PATIENCE, Programs, SERVER, run};

const SCHEDULER: &str = env!("CARGO_BIN_EXE_raftkv-scheduler");

struct Cluster {
    programs: Programs,
    /// Where the scheduler is, and its page.
    scheduler: String,
    page: String,
    client: Client,
}

/// How the scheduler sees a region.
struct Seen {
    id: u64,
    leader: u64,
    stores: Vec<u64>,
}

impl Cluster {
    /// So many stores; the first region is on the first three of them.
    async fn start(stores: usize) -> Cluster {
        let programs = Programs::new();
        // Nothing is repaired: what happens to a region, is what a test orders.
        let flags = ["--listen", "127.0.0.1:0", "--status", "127.0.0.1:0", "--repair=false"];
        let scheduler = programs.start("the scheduler", SCHEDULER, &flags, "the scheduler listens at ").await;
        let page = async || {
            let log = programs.log("the scheduler");
            let place = log.split("status page: http://").nth(1).and_then(|rest| rest.split('/').next());
            place.map(str::to_string).ok_or(log)
        };
        let page = programs.until("the scheduler says where its page is", page).await;
        let connected = Client::connect(&scheduler, PATIENCE);
        let client = programs.ask("a connection to the scheduler", connected).await;
        let cluster = Cluster { programs, scheduler, page, client };
        for n in 1..=stores {
            cluster.start_store(n).await;
        }
        let all = cluster.stores().await;
        assert_eq!(all.len(), stores, "the scheduler knows each store that has joined: {all:?}");
        let first = cluster.region("").await;
        for store in all.iter().filter(|id| !first.stores.contains(id)).take(2) {
            cluster.order("add-peer", &first, *store).await;
            cluster.until_there(*store).await;
        }
        cluster
    }

    async fn start_store(&self, n: usize) {
        let settings = self.programs.settings();
        let mut flags = vec!["--listen", "127.0.0.1:0", "--status", "none", "--scheduler", &self.scheduler];
        flags.extend(["--config", &settings]);
        self.programs.start(&format!("store {n}"), SERVER, &flags, "serving address=").await;
    }

    /// The stores' numbers, in the order in which they have joined.
    async fn stores(&self) -> Vec<u64> {
        let stores = self.client.scheduler().expect("it has one").stores();
        let mut ids: Vec<u64> =
            self.programs.ask("the stores", stores).await.iter().map(|store| store.id).collect();
        ids.sort_unstable();
        ids
    }

    async fn look_up(&self, key: &str) -> Result<GetRegionResponse, String> {
        self.client.scheduler().expect("it has one").region_of_key(key.as_bytes()).await
    }

    /// The region of a key, once somebody leads it.
    async fn region(&self, key: &str) -> Seen {
        self.region_that(key, "somebody leads it", |_, _| true).await
    }

    /// The region of a key, once it is as it should be.
    async fn region_that(
        &self,
        key: &str,
        what: &str,
        is_wanted: impl Fn(&Seen, &GetRegionResponse) -> bool,
    ) -> Seen {
        let look = async || {
            let found = self.look_up(key).await?;
            let seen = match (&found.region, found.leader.filter(|leader| leader.id != 0)) {
                (Some(region), Some(leader)) => {
                    let stores = region.peers.iter().map(|peer| peer.store_id).collect();
                    Some(Seen { id: region.id, leader: leader.store_id, stores })
                }
                _ => None,
            };
            let seen = seen.filter(|seen| is_wanted(seen, &found));
            seen.ok_or_else(|| format!("the scheduler knows {found:?}"))
        };
        self.programs.until(&format!("the region of key \"{key}\": {what}"), look).await
    }

    /// Waits until the first region has a peer there, and that peer its data.
    async fn until_there(&self, store: u64) {
        let what = format!("it has a peer on store {store} that waits for nothing");
        let is_there = |seen: &Seen, found: &GetRegionResponse| {
            seen.stores.contains(&store) && found.pending_peers.is_empty()
        };
        self.region_that("", &what, is_there).await;
    }

    /// What `just ctl` does: an order for the scheduler, which it hands to the leader of the region. While one is
    /// carried out, it takes no other.
    async fn order(&self, kind: &str, region: &Seen, store: u64) {
        let body = json!({"kind": kind, "region": region.id, "store": store});
        let url = format!("http://{}/operators", self.page);
        let sent = async || {
            let (url, body) = (url.clone(), body.clone());
            let call = tokio::task::spawn_blocking(move || send(&url, &body));
            call.await.expect("nobody panics in it")
        };
        self.programs.until(&format!("the scheduler takes the order {body}"), sent).await;
    }

    async fn move_leader(&self, key: &str, to: u64) {
        let region = self.region(key).await;
        if region.leader != to {
            self.order("transfer-leader", &region, to).await;
        }
        let what = format!("store {to} leads it");
        self.region_that(key, &what, |seen, _| seen.leader == to).await;
    }

    async fn put(&self, key: &str, value: &str) {
        let call = self.client.put("default", key.as_bytes(), value.as_bytes());
        self.programs.ask(&format!("put {key} = {value}"), call).await;
    }

    async fn get(&self, key: &str) -> Option<String> {
        let call = self.client.get("default", key.as_bytes());
        let value = self.programs.ask(&format!("get {key}"), call).await;
        value.map(|value| value.escape_ascii().to_string())
    }

    /// All keys with their values, over all regions.
    async fn scan(&self) -> String {
        let pairs = self.programs.ask("scan all", self.client.scan("default", b"", b"", 1000)).await;
        let pairs = pairs.iter().map(|p| format!("{}={}", p.key.escape_ascii(), p.value.escape_ascii()));
        pairs.collect::<Vec<_>>().join(" ")
    }
}

/// The error is why it is not taken.
fn send(url: &str, body: &Value) -> Result<(), String> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(5)))
        .http_status_as_error(false)
        .build();
    let agent: ureq::Agent = config.into();
    let mut answer = agent.post(url).send_json(body).map_err(|error| error.to_string())?;
    if answer.status().is_success() {
        return Ok(());
    }
    Err(answer.body_mut().read_to_string().unwrap_or_else(|error| error.to_string()))
}

/// A region is cut: what was on either side is there, both parts serve, and a scan goes over both.
#[test]
fn a_split() {
    let _lab = lab!();
    run(async {
        let cluster = Cluster::start(3).await;
        for key in ["a", "c", "m", "z"] {
            cluster.put(key, &key.to_uppercase()).await;
        }
        let parts = cluster.programs.ask("split at m", cluster.client.split(b"m")).await;
        assert_eq!(parts.len(), 2, "a split at one key makes two regions: {parts:?}");
        assert_eq!(
            (&parts[0].end_key[..], &parts[1].start_key[..]),
            (&b"m"[..], &b"m"[..]),
            "they meet at that key: {parts:?}"
        );
        assert_eq!(cluster.scan().await, "a=A c=C m=M z=Z", "scan after the split");
        let (left, right) = (cluster.region("a").await, cluster.region("m").await);
        assert_ne!(left.id, right.id, "the regions of a and of m");
        for key in ["a", "c", "m", "z"] {
            assert_eq!(cluster.get(key).await, Some(key.to_uppercase()), "get {key} after the split");
            cluster.put(key, "2").await;
        }
        assert_eq!(cluster.scan().await, "a=2 c=2 m=2 z=2", "scan after puts on both sides");
    });
}

/// A leader is moved by an order: it leads on the other store, and serves there.
#[test]
fn another_leader() {
    let _lab = lab!();
    run(async {
        let cluster = Cluster::start(3).await;
        cluster.put("a", "1").await;
        let before = cluster.region("a").await;
        let to = *before.stores.iter().find(|store| **store != before.leader).expect("it is on three");
        cluster.move_leader("a", to).await;
        assert_eq!(cluster.get("a").await.as_deref(), Some("1"), "get a from store {to}");
        cluster.put("a", "2").await;
        assert_eq!(cluster.get("a").await.as_deref(), Some("2"), "get a after put a = 2");
    });
}

/// A peer is moved to a fourth store: one is added there, which gets its data as a snapshot, and one elsewhere is
/// removed. The new one can lead, and serves.
#[test]
fn another_store() {
    let _lab = lab!();
    run(async {
        let cluster = Cluster::start(4).await;
        for n in 0..30 {
            cluster.put(&format!("k{n:02}"), &n.to_string()).await;
        }
        let before = cluster.scan().await;
        let region = cluster.region("").await;
        let all = cluster.stores().await;
        let new = *all.iter().find(|store| !region.stores.contains(store)).expect("there are four stores");
        cluster.order("add-peer", &region, new).await;
        cluster.until_there(new).await;
        let old = *region.stores.iter().find(|store| **store != region.leader).expect("it is on three");
        cluster.order("remove-peer", &region, old).await;
        let what = format!("it is not on store {old} any more");
        cluster.region_that("", &what, |seen, _| !seen.stores.contains(&old)).await;
        cluster.move_leader("", new).await;
        assert_eq!(cluster.scan().await, before, "scan, led by the store that got its data as a snapshot");
        cluster.put("k00", "new").await;
        assert_eq!(cluster.get("k00").await.as_deref(), Some("new"), "get k00 after put k00 = new");
        // Whoever serves to the end, ends in order.
        let name = format!("store {}", 1 + all.iter().position(|store| *store == old).expect("it is one"));
        let status = cluster.programs.end(&name, Signal::SIGTERM).await;
        assert!(status.success(), "asked: {name} to end, with SIGTERM\ncame: {status}");
    });
}
