//! From a raw request to a command, and from what came of it to the response: `storage/replicated.rs`, without any
//! store.

use pretty_assertions::assert_eq;
use raftkv::engine::{Cf, Engine, MemEngine, WriteBatch};
use raftkv::error::Error;
use raftkv::proto::kvrpcpb::{
    Context, KvPair, RawBatchDeleteRequest, RawBatchGetRequest, RawBatchPutRequest, RawCasRequest,
    RawDeleteRangeRequest, RawDeleteRequest, RawScanRequest,
};
use raftkv::proto::metapb::{Peer, Region, RegionEpoch};
use raftkv::proto::raft_cmdpb::{
    CmdType, CompareAndSwapResponse, RaftCmdRequest, RaftCmdResponse, Response as Result,
};
use raftkv::raftstore::{Answer, RegionSnapshot, region_error};
use raftkv::storage::{Asked, answer, ask};
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Request, Response, get_request, put_request, swap_request};
use rstest::rstest;

use crate::commands::{bytes, delete, delete_range, family, put, snap, swap};

fn context() -> Context {
    let region_epoch = Some(RegionEpoch { conf_ver: 3, version: 4 });
    Context {
        region_id: 2,
        region_epoch,
        peer: Some(Peer { id: 11, store_id: 12, ..Default::default() }),
        term: 9,
    }
}

/// The command that a request becomes. No column family is the default one; here it is spelled out.
fn noted(mut request: Request) -> RaftCmdRequest {
    request.set_context(context());
    match ask(|storage| request.run(storage)) {
        Asked::Command(mut command) => {
            for family in command.requests.iter_mut().filter_map(family).filter(|family| family.is_empty()) {
                *family = "default".to_string();
            }
            *command
        }
        Asked::Answered(response) => {
            panic!("{}: it needs the storage, but has a response: {response:?}", request.text())
        }
    }
}

fn delete_request(key: &str) -> Request {
    Request::Delete(RawDeleteRequest { key: bytes(key), ..Default::default() })
}

fn batch_put(keys: &[&str]) -> Request {
    let pairs =
        keys.iter().map(|key| KvPair { key: bytes(key), value: bytes("1"), ..Default::default() }).collect();
    Request::BatchPut(RawBatchPutRequest { pairs, ..Default::default() })
}

fn batch_delete(keys: &[&str]) -> Request {
    Request::BatchDelete(RawBatchDeleteRequest {
        keys: keys.iter().map(|key| bytes(key)).collect(),
        ..Default::default()
    })
}

fn scan() -> Request {
    Request::Scan(RawScanRequest { start_key: bytes("a"), limit: 10, ..Default::default() })
}

fn batch_get(keys: &[&str]) -> Request {
    Request::BatchGet(RawBatchGetRequest {
        keys: keys.iter().map(|key| bytes(key)).collect(),
        ..Default::default()
    })
}

fn range_delete(start: &str, end: &str) -> Request {
    Request::DeleteRange(RawDeleteRangeRequest {
        start_key: bytes(start),
        end_key: bytes(end),
        ..Default::default()
    })
}

/// Each raw request becomes one command: changes as they are, in their order; a read becomes a Snap, whatever it reads.
#[rstest]
#[case::put(put_request("", "a", "1"), vec![put("a", "1")])]
#[case::empty_value(put_request("", "a", ""), vec![put("a", "")])]
#[case::delete(delete_request("a"), vec![delete("a")])]
#[case::delete_range(range_delete("a", "c"), vec![delete_range("a", "c")])]
#[case::batch_put(batch_put(&["b", "a", "c"]), vec![put("b", "1"), put("a", "1"), put("c", "1")])]
#[case::batch_delete(batch_delete(&["b", "a"]), vec![delete("b"), delete("a")])]
#[case::swap(swap_request("a", Some("1"), "2"), vec![swap("a", Some("1"), "2")])]
#[case::swap_from_nothing(swap_request("a", None, "2"), vec![swap("a", None, "2")])]
#[case::swap_from_empty(swap_request("a", Some(""), "2"), vec![swap("a", Some(""), "2")])]
#[case::get(get_request("", "a"), vec![snap()])]
#[case::scan(scan(), vec![snap()])]
#[case::batch_get(batch_get(&["a", "b"]), vec![snap()])]
fn a_request_becomes_one_command(
    #[case] request: Request,
    #[case] wanted: Vec<raftkv::proto::raft_cmdpb::Request>,
) {
    let _lab = lab!();
    let command = noted(request);
    assert_eq!(command.requests, wanted);
    assert_eq!(command.admin_request, None);
}

/// The column family goes along with every change.
#[rstest]
#[case::default("default")]
#[case::write("write")]
#[case::lock("lock")]
fn a_command_names_its_family(#[case] cf: &str) {
    let _lab = lab!();
    let (key, cf_name) = (bytes("a"), cf.to_string());
    for request in [
        put_request(cf, "a", "1"),
        Request::Delete(RawDeleteRequest { key: key.clone(), cf: cf_name.clone(), ..Default::default() }),
        Request::DeleteRange(RawDeleteRangeRequest {
            start_key: key.clone(),
            cf: cf_name.clone(),
            ..Default::default()
        }),
        Request::Cas(RawCasRequest { key, cf: cf_name, previous_not_exist: true, ..Default::default() }),
    ] {
        let text = request.text();
        let mut command = noted(request);
        let families: Vec<_> = command.requests.iter_mut().map(family).collect();
        assert_eq!(families, [Some(&mut cf.to_string())], "{text}");
    }
}

/// Region, peer, epoch and term of the context are in the header, of reads and of writes: the store checks them.
#[rstest]
#[case::of_a_write(put_request("", "a", "1"))]
#[case::of_a_read(get_request("", "a"))]
#[case::of_a_swap(swap_request("a", None, "1"))]
fn the_header_is_the_context(#[case] request: Request) {
    let _lab = lab!();
    let header = noted(request).header.expect("a command has a header");
    let context = context();
    assert_eq!(header.region_id, context.region_id, "region_id");
    assert_eq!(header.peer, context.peer, "peer");
    assert_eq!(header.region_epoch, context.region_epoch, "region_epoch");
    assert_eq!(header.term, context.term, "term");
}

/// A request that makes no sense is answered at once, without a command.
#[rstest]
#[case::no_key(put_request("", "", "1"))]
#[case::no_family(get_request("nope", "a"))]
fn a_senseless_request_is_no_command(#[case] request: Request) {
    let _lab = lab!();
    assert_eq!(noted(put_request("", "a", "1")).requests.len(), 1, "one that makes sense is");
    match ask(|storage| request.run(storage)) {
        Asked::Answered(response) => {
            assert!(!response.error().is_empty(), "it says what is wrong: {response:?}")
        }
        Asked::Command(command) => panic!("nobody can carry that out: {command:?}"),
    }
}

fn play(request: &Request, result: std::result::Result<Answer, Error>) -> Response {
    answer(|storage| request.run(storage), result)
}

fn answer_of(responses: Vec<Result>) -> Answer {
    Answer { response: RaftCmdResponse { header: None, responses, ..Default::default() }, snapshot: None }
}

/// A snapshot of the region from b to d, on an engine that has more.
fn snapshot() -> Answer {
    let engine = MemEngine::new();
    let mut batch = WriteBatch::new();
    for key in ["a", "b", "c", "d"] {
        batch.put(Cf::Default, key, format!("value of {key}"));
    }
    batch.put(Cf::Lock, "b", "locked");
    engine.write(batch, false).expect("an engine in memory");
    let region = Region { id: 2, start_key: bytes("b"), end_key: bytes("d"), ..Default::default() };
    Answer { snapshot: Some(RegionSnapshot::new(region, engine.snapshot())), ..answer_of(vec![]) }
}

/// A read is answered from the snapshot that came with the answer: the keys of the region, in the family asked for.
#[test]
fn a_read_is_answered_from_the_snapshot() {
    let _lab = lab!();
    let value = |request: Request| match play(&request, Ok(snapshot())) {
        Response::Get(r) if r.not_found => "nothing".to_string(),
        response => response.text(),
    };
    assert_eq!(value(get_request("", "b")), "value of b");
    assert_eq!(value(get_request("lock", "b")), "locked");
    assert_eq!(value(get_request("", "bb")), "nothing");
    assert_eq!(value(scan()), "[b = value of b, c = value of c]", "a and d are in other regions");
    assert_eq!(value(batch_get(&["c", "b"])), "[c = value of c, b = value of b]");
    let outside = play(&get_request("", "a"), Ok(snapshot()));
    let error = outside.region_error().and_then(|error| error.key_not_in_region.as_ref());
    assert!(error.is_some(), "a is in another region, so \"not found\" would be wrong: {outside:?}");
}

/// A swap is answered with what the command's response says: whether it was done, and what the key held before.
#[rstest]
#[case::done(true, Some("1"))]
#[case::not_done(false, Some("7"))]
#[case::from_nothing(true, None)]
#[case::empty_before(false, Some(""))]
fn a_swap_is_answered_from_the_response(#[case] succeed: bool, #[case] previous: Option<&str>) {
    let _lab = lab!();
    let swapped = CompareAndSwapResponse {
        succeed,
        previous_not_exist: previous.is_none(),
        previous_value: bytes(previous.unwrap_or_default()),
    };
    let result = Result {
        cmd_type: CmdType::CompareAndSwap.into(),
        compare_and_swap: Some(swapped),
        ..Default::default()
    };
    match play(&swap_request("a", Some("1"), "2"), Ok(answer_of(vec![result]))) {
        Response::Cas(r) => {
            assert_eq!((r.succeed, r.previous_not_exist), (succeed, previous.is_none()));
            assert_eq!(&r.previous_value[..], previous.unwrap_or_default().as_bytes());
        }
        other => panic!("a RawCompareAndSwap is answered by a RawCasResponse, not by {other:?}"),
    }
}

/// What went wrong is told: a region error as such, so that the client asks elsewhere; anything else as text.
#[rstest]
#[case::a_write(put_request("", "a", "1"))]
#[case::a_read(get_request("", "b"))]
#[case::a_scan(scan())]
#[case::a_swap(swap_request("a", None, "1"))]
#[case::a_batch(batch_put(&["a", "b"]))]
fn errors_are_passed_on(#[case] request: Request) {
    let _lab = lab!();
    let refused = play(&request, Err(region_error::not_leader(2, None)));
    assert!(refused.region_error().is_some_and(|error| error.not_leader.is_some()), "NotLeader: {refused:?}");
    let unknown = play(&request, Err(Error::Undetermined("the store went down".to_string())));
    assert!(
        unknown.region_error().is_none(),
        "a region error would say that it was not carried out: {unknown:?}"
    );
    assert!(unknown.is_undetermined(), "nobody knows, and the client must hear that: {unknown:?}");
}

/// An answer that lacks what the request needs is no success: it must not become "not found", or "done".
#[rstest]
#[case::a_read_without_data(get_request("", "b"))]
#[case::a_swap_without_a_result(swap_request("a", None, "1"))]
fn half_an_answer_is_no_success(#[case] request: Request) {
    let _lab = lab!();
    let response = play(&request, Ok(answer_of(vec![])));
    assert!(!response.is_ok(), "there is no result in the answer: {response:?}");
}
