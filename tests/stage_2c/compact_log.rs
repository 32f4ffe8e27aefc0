//! The command CompactLog, as the log brings it: what it may do, and what not.

use pretty_assertions::assert_eq;
use raftkv::proto::raft_cmdpb::{
    AdminCmdType, AdminRequest, CmdType, CompactLogRequest, PutRequest, RaftCmdRequest, RaftRequestHeader,
    Request,
};
use raftkv::raftstore::Answer;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{REGION, Setup, Sim, millis};
use rstest::rstest;

fn header(sim: &Sim, store: u64) -> Option<RaftRequestHeader> {
    let context = sim.context(REGION, store);
    let (region_id, peer, region_epoch) = (context.region_id, context.peer, context.region_epoch);
    Some(RaftRequestHeader { region_id, peer, region_epoch, ..Default::default() })
}

/// CompactLog up to `index`, at the leader.
fn compact(sim: &mut Sim, index: u64) -> Result<Answer, raftkv::error::Error> {
    let leader = sim.leader();
    let compact_term = sim.peer(leader).node().raft().log().term(index).unwrap_or_default();
    let compact_log = Some(CompactLogRequest { compact_index: index, compact_term });
    let cmd_type = AdminCmdType::CompactLog.into();
    let admin = AdminRequest { cmd_type, compact_log, ..Default::default() };
    let request =
        RaftCmdRequest { header: header(sim, leader), requests: Vec::new(), admin_request: Some(admin) };
    sim.command(leader, request).expect("without faults a command is answered")
}

/// Three stores with twenty puts, and logs that nobody compacts but the test.
fn cluster(lab: &raftkv_testkit::Lab) -> Sim {
    let mut sim = Setup::of(lab, 3).start();
    for n in 0..20 {
        sim.put(&format!("k{}", n % 4), &n.to_string());
    }
    sim.settle();
    sim
}

fn truncated(sim: &Sim) -> Vec<u64> {
    (1..=3).map(|id| sim.peer(id).node().storage().truncated_state().index).collect()
}

/// Every peer comes to the same truncated state, and each drops its entries.
#[test]
fn all_peers_truncate_alike() {
    let lab = lab!();
    let mut sim = cluster(&lab);
    let answer = compact(&mut sim, 15).expect("15 is applied").response;
    let admin = answer.admin_response.expect("an admin command has an admin response");
    assert_eq!(admin.cmd_type(), AdminCmdType::CompactLog);
    sim.settle();
    assert_eq!(truncated(&sim), [15; 3]);
    let terms = (1..=3).map(|id| sim.peer(id).node().storage().truncated_state().term);
    let term = sim.peer(1).node().raft().log().term(15).expect("of the last dropped entry the term is known");
    assert_eq!(terms.collect::<Vec<_>>(), [term; 3]);
    sim.run(millis(50));
    for id in 1..=3 {
        assert_eq!(sim.first_index(id), 16);
        assert_eq!(sim.entries_written(id).first(), Some(&16), "store {id}: the disk");
    }
    sim.finish();
}

/// Only the truncated state changes: not the data, and not the applied index but for the command's own entry.
#[test]
fn nothing_else_changes() {
    let lab = lab!();
    let mut sim = cluster(&lab);
    let before = sim.scan("", "", 100);
    sim.settle();
    let applied = sim.peer(1).apply_state().applied_index;
    compact(&mut sim, 15).expect("15 is applied");
    sim.settle();
    assert_eq!(sim.peer(1).apply_state().applied_index, applied + 1);
    assert_eq!(sim.scan("", "", 100), before);
    sim.finish();
}

/// An older CompactLog that comes late, or the same one again, does not bring entries back that are gone.
#[rstest]
#[case::older(10)]
#[case::the_same(15)]
fn the_beginning_does_not_move_back(#[case] index: u64) {
    let lab = lab!();
    let mut sim = cluster(&lab);
    compact(&mut sim, 15).expect("15 is applied");
    compact(&mut sim, index).expect("there is nothing to do, and that is no error");
    sim.settle();
    assert_eq!(truncated(&sim), [15; 3]);
    sim.crash(2);
    sim.restart(2);
    sim.finish();
}

/// What is not applied is not dropped, whoever asks for it.
#[rstest]
#[case::the_next_entry(1)]
#[case::far_beyond(1_000_000)]
fn only_what_is_applied_goes(#[case] beyond: u64) {
    let lab = lab!();
    let mut sim = cluster(&lab);
    let leader = sim.leader();
    let applied = sim.peer(leader).apply_state().applied_index;
    let _refused_or_nothing_to_do = compact(&mut sim, applied + beyond);
    sim.settle();
    for (store, truncated) in (1..=3).zip(truncated(&sim)) {
        assert!(truncated <= applied, "store {store} is truncated up to {truncated}; {applied} was applied");
    }
    compact(&mut sim, 10).expect("10 is applied");
    sim.settle();
    assert!(truncated(&sim).into_iter().all(|index| index >= 10), "what is applied may go");
    sim.finish();
}

/// A follower refuses it like any other command, and so does a store for a region that it does not have.
#[test]
fn it_is_for_the_leader() {
    let lab = lab!();
    let mut sim = cluster(&lab);
    let leader = sim.leader();
    let follower = sim.others(leader)[0];
    let admin = AdminRequest {
        cmd_type: AdminCmdType::CompactLog.into(),
        compact_log: Some(CompactLogRequest { compact_index: 10, compact_term: 5 }),
        ..Default::default()
    };
    let request =
        RaftCmdRequest { header: header(&sim, follower), requests: Vec::new(), admin_request: Some(admin) };
    let error = sim.command(follower, request).expect("it is answered").expect_err("it does not lead");
    assert!(error.into_response().0.is_some_and(|error| error.not_leader.is_some()));
    compact(&mut sim, 10).expect("and the leader takes it");
    sim.finish();
}

/// An admin command that is none, or one with data beside it, is refused before it is in anybody's log.
#[rstest]
#[case::of_no_type(AdminRequest::default(), false)]
#[case::without_content(AdminRequest { cmd_type: AdminCmdType::CompactLog.into(), ..Default::default() }, false)]
#[case::with_data(
    AdminRequest {
        cmd_type: AdminCmdType::CompactLog.into(),
        compact_log: Some(CompactLogRequest { compact_index: 10, compact_term: 5 }),
        ..Default::default()
    },
    true
)]
fn nonsense_is_refused(#[case] admin: AdminRequest, #[case] with_data: bool) {
    let lab = lab!();
    let mut sim = cluster(&lab);
    let leader = sim.leader();
    let put = PutRequest { cf: "default".into(), key: "k0".into(), value: "x".into() };
    let put = Request { cmd_type: CmdType::Put.into(), put: Some(put), ..Default::default() };
    let requests = if with_data { vec![put] } else { Vec::new() };
    let last = sim.peer(leader).node().raft().log().last_index();
    let request = RaftCmdRequest { header: header(&sim, leader), requests, admin_request: Some(admin) };
    assert!(sim.command(leader, request).expect("it is answered").is_err());
    assert_eq!(sim.peer(leader).node().raft().log().last_index(), last, "nothing of it is in the log");
    compact(&mut sim, 10).expect("one that makes sense is taken");
    sim.finish();
}
