//! The status page of a store: what it has, for people, for programs, and for Prometheus.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use axum::{Json, Router};
use prometheus::{Registry, TextEncoder};
use serde::Serialize;

use super::html::Text;
use super::latencies;
use super::node::StoreHandle;
use crate::raftstore::{Peer, Store};

/// What the pages show.
#[derive(Clone)]
pub struct Pages {
    /// The counters.
    pub registry: Registry,
    /// The store, where there is one.
    pub store: Option<StoreHandle>,
}

/// A store, as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct StoreView {
    /// Of which cluster.
    pub cluster: u64,
    /// Its id.
    pub store: u64,
    /// Its peers, by region.
    pub peers: Vec<PeerView>,
}

/// One peer, as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct PeerView {
    /// Its region.
    pub region: u64,
    /// Its id.
    pub peer: u64,
    /// `leader`, `follower` or `candidate`.
    pub role: String,
    /// The latest term it has seen.
    pub term: u64,
    /// Who leads, as far as it knows: the peer's id, or 0.
    pub leader: u64,
    /// The region's first key; bytes that are not printable are escaped.
    pub start: String,
    /// The first key behind it; empty for none.
    pub end: String,
    /// How often members have come and gone.
    pub conf_ver: u64,
    /// How often the keys have changed.
    pub version: u64,
    /// The stores of its members.
    pub stores: Vec<u64>,
    /// The log's first and last entry.
    pub log: (u64, u64),
    /// Committed and applied up to here.
    pub committed: u64,
    /// See `committed`.
    pub applied: u64,
    /// Commands that wait for their answer.
    pub waiting: usize,
}

/// The pages.
pub fn pages(pages: Pages) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .with_state(pages)
}

async fn view(pages: &Pages) -> Option<StoreView> {
    pages.store.as_ref()?.look(store_view).await
}

fn store_view(store: &Store) -> StoreView {
    let name = store.name();
    StoreView { cluster: name.cluster, store: name.store, peers: store.peers().map(peer_view).collect() }
}

fn peer_view(peer: &Peer) -> PeerView {
    let (region, raft) = (peer.region(), peer.node().raft());
    let epoch = region.region_epoch.unwrap_or_default();
    PeerView {
        region: region.id,
        peer: peer.id(),
        role: format!("{:?}", raft.role()).to_lowercase(),
        term: peer.term(),
        leader: raft.leader_id(),
        start: region.start_key.escape_ascii().to_string(),
        end: region.end_key.escape_ascii().to_string(),
        conf_ver: epoch.conf_ver,
        version: epoch.version,
        stores: region.peers.iter().map(|peer| peer.store_id).collect(),
        log: (raft.log().first_index(), raft.log().last_index()),
        committed: raft.log().committed(),
        applied: peer.apply_state().applied_index,
        waiting: peer.pending(),
    }
}

/// Whether it serves at all: for whoever restarts what does not.
async fn health(State(pages): State<Pages>) -> impl IntoResponse {
    if pages.store.is_some() && view(&pages).await.is_none() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the store has stopped\n");
    }
    (StatusCode::OK, "ok\n")
}

async fn status(State(pages): State<Pages>) -> impl IntoResponse {
    match view(&pages).await {
        Some(view) => Json(view).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "there is no store\n").into_response(),
    }
}

async fn metrics(State(pages): State<Pages>) -> impl IntoResponse {
    match TextEncoder::new().encode_to_string(&pages.registry.gather()) {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn page(State(pages): State<Pages>) -> Html<String> {
    let times = latencies::table(&pages.registry);
    let view = view(&pages).await;
    let title = match &view {
        Some(view) => format!("Store {} of cluster {}", view.store, view.cluster),
        None => "A server alone".to_string(),
    };
    let peers = view.map(|view| view.peers).unwrap_or_default();
    let rows: String = peers.iter().map(row).collect();
    Html(format!(
        "<!doctype html><meta charset=utf-8><title>{title}</title>\
         <style>body{{font-family:sans-serif;margin:2em}}td,th{{padding:.2em .8em;text-align:right}}\
         td.text,th.text{{text-align:left}}tr.leader{{font-weight:bold}}</style>\
         <h1>{title}</h1><p><a href=/status>status</a> <a href=/metrics>metrics</a>\
         <table><tr><th>region<th class=text>keys<th>edition<th>peer<th class=text>role<th>term<th>leader<th>log\
         <th>committed<th>applied<th>waiting<th class=text>stores</tr>{rows}</table>{times}"
    ))
}

fn row(peer: &PeerView) -> String {
    let end = if peer.end.is_empty() { "end" } else { &peer.end };
    let keys = format!("[{} .. {})", Text(&peer.start), Text(end));
    let PeerView { region, version, conf_ver, role, term, leader, committed, applied, waiting, .. } = peer;
    let (id, (first, last), stores) = (peer.peer, peer.log, &peer.stores);
    format!(
        "<tr class={role}><td>{region}<td class=text>{keys}<td>v{version} c{conf_ver}<td>{id}<td class=text>{role}\
         <td>{term}<td>{leader}<td>{first}..{last}<td>{committed}<td>{applied}<td>{waiting}<td class=text>{stores:?}</tr>"
    )
}
