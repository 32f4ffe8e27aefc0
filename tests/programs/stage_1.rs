//! Stage 1: `raftkv-server --standalone`.

use bytes::Bytes;
use nix::sys::signal::Signal;
use pretty_assertions::assert_eq;
use raftkv::proto::kvrpcpb::*;
use raftkv_testkit::lab;
use tokio::task::JoinSet;

use crate::calls::connect;
use crate::running::{Programs, SERVER, run};

const ALONE: &str = "the server";

/// A server alone, and where it listens.
async fn alone() -> (Programs, String) {
    let programs = Programs::new();
    let flags = ["--standalone", "--listen", "127.0.0.1:0", "--status", "none"];
    let address = programs.start(ALONE, SERVER, &flags, "serving address=").await;
    (programs, address)
}

fn put(key: &str, value: &str) -> RawPutRequest {
    RawPutRequest { key: bytes(key), value: bytes(value), ..Default::default() }
}

fn get(key: &str) -> RawGetRequest {
    RawGetRequest { key: bytes(key), ..Default::default() }
}

fn swap(key: &str, from: Option<&str>, to: &str) -> RawCasRequest {
    RawCasRequest {
        key: bytes(key),
        value: bytes(to),
        previous_not_exist: from.is_none(),
        previous_value: bytes(from.unwrap_or_default()),
        ..Default::default()
    }
}

fn scan(start: &str, end: &str) -> RawScanRequest {
    RawScanRequest { start_key: bytes(start), end_key: bytes(end), limit: 100, ..Default::default() }
}

fn pair(key: &str, value: &str) -> KvPair {
    KvPair { key: bytes(key), value: bytes(value), ..Default::default() }
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Pairs, to be read.
fn shown(pairs: &[KvPair]) -> String {
    let pairs = pairs.iter().map(|pair| match &pair.error {
        None => format!("{}={}", pair.key.escape_ascii(), pair.value.escape_ascii()),
        Some(error) => format!("the error {error:?}"),
    });
    pairs.collect::<Vec<_>>().join(" ")
}

/// A key is put, read, compared and swapped, and deleted, over a socket.
#[test]
fn one_key() {
    let _lab = lab!();
    run(async {
        let (server, address) = alone().await;
        let mut client = server.ask("a connection", connect(&address)).await;
        let told = server.ask("put a = 1", client.raw_put(put("a", "1"))).await.into_inner();
        assert_eq!((told.error.as_str(), told.region_error), ("", None), "put a = 1");
        let told = server.ask("get a", client.raw_get(get("a"))).await.into_inner();
        assert_eq!((told.error.as_str(), told.not_found, &told.value[..]), ("", false, &b"1"[..]), "get a");
        let told = server.ask("get b", client.raw_get(get("b"))).await.into_inner();
        assert_eq!((told.error.as_str(), told.not_found), ("", true), "get b, which nobody has put");
        let call = client.raw_compare_and_swap(swap("a", Some("2"), "3"));
        let told = server.ask("swap a from 2 to 3", call).await.into_inner();
        assert_eq!((told.succeed, &told.previous_value[..]), (false, &b"1"[..]), "swap a from 2: it holds 1");
        let call = client.raw_compare_and_swap(swap("a", Some("1"), "2"));
        let told = server.ask("swap a from 1 to 2", call).await.into_inner();
        assert_eq!((told.succeed, told.error.as_str()), (true, ""), "swap a from 1 to 2: it holds 1");
        let told = server.ask("get a", client.raw_get(get("a"))).await.into_inner();
        assert_eq!(&told.value[..], b"2", "get a after the swap");
        let request = RawDeleteRequest { key: "a".into(), ..Default::default() };
        let told = server.ask("delete a", client.raw_delete(request)).await.into_inner();
        assert_eq!(told.error, "", "delete a");
        let told = server.ask("get a", client.raw_get(get("a"))).await.into_inner();
        assert!(told.not_found, "get a after its deletion: {told:?}");
    });
}

/// Scans, batches and the deletion of a range, over a socket.
#[test]
fn many_keys() {
    let _lab = lab!();
    run(async {
        let (server, address) = alone().await;
        let mut client = server.ask("a connection", connect(&address)).await;
        let pairs = ["a", "b", "c", "d", "e"].map(|key| pair(key, &key.to_uppercase())).into();
        let call = client.raw_batch_put(RawBatchPutRequest { pairs, ..Default::default() });
        assert_eq!(server.ask("put a to e in a batch", call).await.into_inner().error, "");
        let keys = vec!["c".into(), "x".into(), "a".into()];
        let call = client.raw_batch_get(RawBatchGetRequest { keys, ..Default::default() });
        let told = server.ask("get c, x and a in a batch", call).await.into_inner();
        assert_eq!(shown(&told.pairs), "c=C a=A", "get c, x and a in a batch");
        let told = server.ask("scan b to e", client.raw_scan(scan("b", "e"))).await.into_inner();
        assert_eq!(shown(&told.kvs), "b=B c=C d=D", "scan b to e: the end is not in it");
        let request = RawScanRequest { reverse: true, limit: 2, ..scan("", "") };
        let told = server.ask("scan from the end", client.raw_scan(request)).await.into_inner();
        assert_eq!(shown(&told.kvs), "e=E d=D", "the last two, from the end");
        let range = |start: &str, end: &str| KeyRange { start_key: bytes(start), end_key: bytes(end) };
        let ranges = vec![range("d", ""), range("a", "c")];
        let request = RawBatchScanRequest { ranges, each_limit: 5, ..Default::default() };
        let told = server.ask("scan two ranges", client.raw_batch_scan(request)).await.into_inner();
        assert_eq!(shown(&told.kvs), "d=D e=E a=A b=B", "scan d to the end, and a to c");
        let request = RawBatchDeleteRequest { keys: vec!["a".into(), "c".into()], ..Default::default() };
        let told = server.ask("delete a and c", client.raw_batch_delete(request)).await.into_inner();
        assert_eq!(told.error, "", "delete a and c in a batch");
        let request =
            RawDeleteRangeRequest { start_key: "d".into(), end_key: "e".into(), ..Default::default() };
        let told = server.ask("delete d to e", client.raw_delete_range(request)).await.into_inner();
        assert_eq!(told.error, "", "delete d to e");
        let told = server.ask("scan all", client.raw_scan(scan("", ""))).await.into_inner();
        assert_eq!(shown(&told.kvs), "b=B e=E", "what is left");
    });
}

/// The column families are apart, and what makes no sense is answered with an error, not with the end of the server.
#[test]
fn families_and_bad_requests() {
    let _lab = lab!();
    run(async {
        let (server, address) = alone().await;
        let mut client = server.ask("a connection", connect(&address)).await;
        for cf in ["default", "lock", "write"] {
            let request = RawPutRequest { cf: cf.to_string(), ..put("k", cf) };
            let told = server.ask(&format!("put k in {cf}"), client.raw_put(request)).await.into_inner();
            assert_eq!(told.error, "", "put k in {cf}");
        }
        for cf in ["default", "lock", "write"] {
            let request = RawGetRequest { cf: cf.to_string(), ..get("k") };
            let told = server.ask(&format!("get k in {cf}"), client.raw_get(request)).await.into_inner();
            assert_eq!(&told.value[..], cf.as_bytes(), "get k in {cf}");
        }
        let told = server.ask("put without a key", client.raw_put(put("", "v"))).await.into_inner();
        assert_ne!(told.error, "", "a key must not be empty");
        let request = RawGetRequest { cf: "nosuch".to_string(), ..get("k") };
        let told = server.ask("get in a family nosuch", client.raw_get(request)).await.into_inner();
        assert_ne!(told.error, "", "there is no such column family");
        let request = RawScanRequest { cf: "nosuch".to_string(), ..scan("", "") };
        let told = server.ask("scan a family nosuch", client.raw_scan(request)).await.into_inner();
        assert!(told.kvs.first().is_some_and(|pair| pair.error.is_some()), "a scan tells an error in a pair");
        let told = server.ask("get k", client.raw_get(get("k"))).await.into_inner();
        assert_eq!(&told.value[..], b"default", "get k after all that");
    });
}

/// One client of several: what it has written, it reads. Returns how often it took what only one can take.
async fn write_and_read(address: String, id: usize) -> Result<usize, String> {
    let mut taken = 0;
    let mut client = connect(&address).await?;
    for round in 0..20 {
        let (key, value) = (format!("client {id} key {round:02}"), format!("value {round}"));
        let to_text = |error: tonic::Status| format!("{key}: {error}");
        let told = client.raw_put(put(&key, &value)).await.map_err(to_text)?.into_inner();
        let read = client.raw_get(get(&key)).await.map_err(to_text)?.into_inner();
        if !told.error.is_empty() || read.value != value.as_bytes() {
            return Err(format!("put {key} = {value}: {told:?}; get {key}: {read:?}"));
        }
        let call = client.raw_compare_and_swap(swap("turn", None, "taken"));
        let told = call.await.map_err(to_text)?.into_inner();
        if !told.error.is_empty() {
            return Err(format!("compare and swap of turn: {told:?}"));
        }
        taken += usize::from(told.succeed);
    }
    let (start, end) = (format!("client {id} "), format!("client {id}!"));
    let found = client.raw_scan(scan(&start, &end)).await.map_err(|error| error.to_string())?.into_inner();
    if found.kvs.len() != 20 {
        return Err(format!("client {id} has put 20 keys, and a scan finds {}", shown(&found.kvs)));
    }
    Ok(taken)
}

/// Several clients at once, each with a connection of its own: each sees what it has written, and one swap of many that
/// expect the same has it.
#[test]
fn clients_see_what_they_have_written() {
    let _lab = lab!();
    run(async {
        let (server, address) = alone().await;
        let mut clients = JoinSet::new();
        for id in 0..8 {
            clients.spawn(write_and_read(address.clone(), id));
        }
        let all = async { clients.join_all().await.into_iter().sum::<Result<usize, String>>() };
        let taken = server.ask("8 clients at once", all).await;
        assert_eq!(taken, 1, "a key that was not there is set by one compare and swap of all");
    });
}

/// A server that is asked to end (SIGTERM) ends in order: with exit status 0.
#[test]
fn it_ends_in_order() {
    let _lab = lab!();
    run(async {
        let (server, address) = alone().await;
        let mut client = server.ask("a connection", connect(&address)).await;
        let told = server.ask("put a = 1", client.raw_put(put("a", "1"))).await.into_inner();
        assert_eq!(told.error, "", "put a = 1");
        let status = server.end(ALONE, Signal::SIGTERM).await;
        assert!(status.success(), "asked: to end, with SIGTERM\ncame: {status}");
    });
}
