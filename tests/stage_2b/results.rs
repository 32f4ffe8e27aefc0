//! What a command is answered with: one response for each request, of its type, in its order.

use pretty_assertions::assert_eq;
use raftkv::engine::Cf;
use raftkv::proto::raft_cmdpb::{AdminRequest, CmdType, RaftCmdRequest, Request, Response};
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Setup, Sim, millis, secs};
use rstest::rstest;

use crate::commands::{command, delete, delete_range, done, family, get, put, refused, snap, swap};

fn start(lab: &raftkv_testkit::Lab) -> (Sim, u64) {
    let mut sim = Setup::of(lab, 3).start();
    let leader = sim.leader();
    (sim, leader)
}

fn types(responses: &[Response]) -> Vec<CmdType> {
    responses.iter().map(|response| response.cmd_type()).collect()
}

fn value(response: &Response) -> Option<&str> {
    response.get.as_ref().map(|get| std::str::from_utf8(&get.value).expect("the test's own text"))
}

/// All requests of a command are carried out, and each sees what those before it did.
#[test]
fn every_request_of_a_command_is_carried_out() {
    let lab = lab!();
    let (mut sim, leader) = start(&lab);
    let requests = vec![
        get("a"),
        put("a", "1"),
        get("a"),
        put("a", "2"),
        swap("a", Some("2"), "3"),
        get("a"),
        delete("a"),
        get("a"),
        put("b", "1"),
        put("c", "1"),
        delete_range("b", "c"),
        get("b"),
        get("c"),
    ];
    let request = command(&sim, leader, requests);
    let answer = done(sim.command(leader, request));
    let responses = answer.response.responses;
    use CmdType::{CompareAndSwap, Delete, DeleteRange, Get, Put};
    let expected = [Get, Put, Get, Put, CompareAndSwap, Get, Delete, Get, Put, Put, DeleteRange, Get, Get];
    assert_eq!(
        types(&responses),
        expected,
        "one response for each request, in the same order and of the same type"
    );
    let values: Vec<_> = responses.iter().filter(|r| r.cmd_type() == Get).map(value).collect();
    assert_eq!(
        values,
        [None, Some("1"), Some("3"), None, None, Some("1")],
        "each Get sees what the requests before it did; a key that does not exist has no `get`"
    );
    assert_eq!(sim.scan("", "", 10), "c=1", "after all of them");
    sim.finish();
}

/// Every operation works in the column family that it names, and in no other.
#[rstest]
#[case::default("default")]
#[case::write("write")]
#[case::lock("lock")]
fn operations_stay_in_their_family(#[case] cf: &str) {
    let lab = lab!();
    let (mut sim, leader) = start(&lab);
    for family in ["default", "write", "lock"] {
        for key in ["a", "b", "c", "d"] {
            sim.put_cf(family, key, family);
        }
    }
    let requests = [
        get("a"),
        put("a", "new"),
        get("a"),
        delete("b"),
        get("b"),
        swap("c", Some(cf), "swapped"),
        get("c"),
        delete_range("d", "e"),
        get("d"),
    ];
    let request = command(&sim, leader, requests.map(|request| in_family(request, cf)).into());
    let responses = done(sim.command(leader, request)).response.responses;
    let values: Vec<_> = responses.iter().filter(|r| r.cmd_type() == CmdType::Get).map(value).collect();
    assert_eq!(values, [Some(cf), Some("new"), None, Some("swapped"), None], "in {cf}");
    for family in ["default", "write", "lock"].into_iter().filter(|family| *family != cf) {
        for key in ["a", "b", "c", "d"] {
            assert_eq!(
                sim.get_cf(family, key),
                Some(family.to_string().into()),
                "{key} in {family}, not in {cf}"
            );
        }
    }
    sim.finish();
}

fn in_family(mut request: Request, cf: &str) -> Request {
    *family(&mut request).expect("an operation on keys has a family") = cf.to_string();
    request
}

/// The content of a response is in the field of its type, and in no other.
#[test]
fn a_response_has_the_content_of_its_type() {
    let lab = lab!();
    let (mut sim, leader) = start(&lab);
    sim.put("a", "1");
    for (request, name) in [
        (get("a"), "get"),
        (put("a", "1"), "put"),
        (delete("x"), "delete"),
        (delete_range("x", "y"), "delte_range"),
        (swap("a", None, "2"), "compare_and_swap"),
        (snap(), "snap"),
    ] {
        let kind = request.cmd_type();
        let request = command(&sim, leader, vec![request]);
        let answer = done(sim.command(leader, request));
        let [response] = &answer.response.responses[..] else {
            panic!("{name}: one request, one response; here {:?}", answer.response.responses);
        };
        assert_eq!(response.cmd_type(), kind, "{name}");
        let set: Vec<&str> = [
            ("get", response.get.is_some()),
            ("put", response.put.is_some()),
            ("delete", response.delete.is_some()),
            ("delte_range", response.delte_range.is_some()),
            ("compare_and_swap", response.compare_and_swap.is_some()),
            ("snap", response.snap.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_set)| is_set.then_some(name))
        .collect();
        assert_eq!(set, [name], "the field that goes with the type, and no other");
        assert_eq!(
            answer.snapshot.is_some(),
            name == "snap",
            "{name}: the data comes with a Snap and with nothing else"
        );
    }
    sim.finish();
}

/// A Snap shows the region's data at its place in the log, however much is written later.
#[test]
fn a_snapshot_stands_still() {
    let lab = lab!();
    let (mut sim, leader) = start(&lab);
    sim.put("a", "1");
    let request = command(&sim, leader, vec![snap()]);
    let answer = done(sim.command(leader, request));
    sim.put("a", "2");
    let snapshot = answer.snapshot.expect("a Snap is answered with the data");
    assert_eq!(snapshot.get(Cf::Default, b"a").unwrap(), Some("1".into()), "as of the Snap, not as of now");
    assert_eq!(snapshot.region().id, 1);
    let region = answer.response.responses[0].snap.as_ref().and_then(|snap| snap.region.clone());
    assert_eq!(region.as_ref(), Some(sim.region(1)), "SnapResponse::region: the region as it was");
    drop(snapshot);
    sim.finish();
}

/// A Snap has every command before it in the log, also those that are carried out in the same round.
#[test]
fn a_snapshot_has_every_command_before_it() {
    let lab = lab!();
    let (mut sim, leader) = start(&lab);
    sim.settle();
    sim.run(millis(20));
    sim.slow_disk(leader, millis(10), millis(10));
    let mut snapshots = Vec::new();
    for n in 0..5 {
        let value = n.to_string();
        let request = command(&sim, leader, vec![put("a", &value)]);
        sim.begin_command(leader, request);
        let request = command(&sim, leader, vec![snap()]);
        snapshots.push((value, sim.begin_command(leader, request)));
    }
    sim.until("all ten commands are answered", secs(5), |sim| sim.peer(leader).pending() == 0);
    for (value, id) in snapshots {
        let snapshot = done(sim.take_reply(id)).snapshot.expect("a Snap is answered with the data");
        assert_eq!(
            snapshot.get(Cf::Default, b"a").unwrap(),
            Some(value.into()),
            "the put right before it in the log"
        );
    }
    sim.finish();
}

/// A response's header has the current term, for the next request's header, and the request's uuid.
#[test]
fn the_response_header_has_the_term() {
    let lab = lab!();
    let (mut sim, leader) = start(&lab);
    let mut request = command(&sim, leader, vec![put("a", "1")]);
    if let Some(header) = &mut request.header {
        header.uuid = "seventeen".into();
    }
    let header = done(sim.command(leader, request)).response.header.expect("a response has a header");
    assert_eq!(header.current_term, sim.peer(leader).term(), "RaftResponseHeader::current_term");
    assert_eq!(header.uuid, "seventeen", "RaftResponseHeader::uuid: that of the request");
    assert_eq!(header.error, None);
}

/// A command without requests is a command: it goes through the log and is answered with no responses.
#[test]
fn an_empty_command_is_answered() {
    let lab = lab!();
    let (mut sim, leader) = start(&lab);
    let request = command(&sim, leader, vec![]);
    let answer = done(sim.command(leader, request));
    assert_eq!(answer.response.responses, []);
    sim.finish();
}

/// What makes no sense is refused before it is in the log, on any store, and the store goes on.
#[rstest]
#[case::no_type(Request::default())]
#[case::content_of_another_type(Request { cmd_type: CmdType::Put.into(), ..get("a") })]
#[case::unknown_family(Request { get: get("a").get.map(|get| raftkv::proto::raft_cmdpb::GetRequest { cf: "nope".into(), ..get }), ..get("a") })]
#[case::empty_key(put("", "1"))]
fn a_senseless_command_is_refused(#[case] request: Request) {
    let lab = lab!();
    let (mut sim, leader) = start(&lab);
    sim.settle();
    let last = sim.peer(leader).node().raft().log().last_index();
    let request = command(&sim, leader, vec![put("b", "1"), request]);
    assert_rejected(&mut sim, leader, request);
    assert_eq!(sim.peer(leader).node().raft().log().last_index(), last, "it is not in the log");
    assert_eq!(sim.get("b"), None, "nothing of it was carried out");
    sim.finish();
}

/// A Snap beside other requests, and an admin command, are refused.
#[test]
fn what_is_not_served_is_refused() {
    let lab = lab!();
    let (mut sim, leader) = start(&lab);
    let request = command(&sim, leader, vec![put("a", "1"), snap()]);
    assert_rejected(&mut sim, leader, request);
    let request =
        RaftCmdRequest { admin_request: Some(AdminRequest::default()), ..command(&sim, leader, vec![]) };
    assert_rejected(&mut sim, leader, request);
    assert_eq!(sim.get("a"), None, "nothing was carried out");
    sim.finish();
}

fn assert_rejected(sim: &mut Sim, leader: u64, request: RaftCmdRequest) {
    match sim.command(leader, request) {
        Some(Err(error)) => {
            assert!(!error.stops_store(), "a client must not be able to stop a store: {error}")
        }
        other => panic!("a command that makes no sense is refused at once, not {other:?}"),
    }
}

/// A command larger than a log entry may be is refused with its size, and a smaller one goes through.
#[test]
fn a_large_command_is_refused() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).tune(|config| config.entry_max_size = 1000).start();
    let leader = sim.leader();
    let request = command(&sim, leader, vec![put("a", &"x".repeat(1001))]);
    let error = refused(sim.command(leader, request));
    let too_large =
        error.raft_entry_too_large.expect("RaftEntryTooLarge, so that the client does not ask again");
    assert_eq!(too_large.region_id, 1);
    assert!(too_large.entry_size > 1000, "the size: {}", too_large.entry_size);
    sim.settle();
    assert_eq!(sim.get("a"), None, "a refused command is not in the log");
    let request = command(&sim, leader, vec![put("a", &"x".repeat(800))]);
    done(sim.command(leader, request));
    sim.finish();
}
