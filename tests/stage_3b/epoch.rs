//! Editions of a region: what each change raises, and which command minds (`src/raftstore/epoch.rs`).

use pretty_assertions::assert_eq;
use raftkv::error::Error;
use raftkv::proto::metapb::{Region, RegionEpoch};
use raftkv::proto::raft_cmdpb::RaftCmdRequest;
use raftkv::raftstore::CommandResult;
use raftkv_testkit::lab;
use raftkv_testkit::requests::put;
use raftkv_testkit::sim::{Setup, Sim, batch_split, put_request};
use rstest::rstest;

use crate::lone::Lone;
use crate::messages::{
    BEGIN, ID, Vary, add, append, as_of, at, change, change_entry, entry, epoch, next_region, peer, put_in,
    region, remove,
};

fn current_regions(result: &CommandResult) -> Option<&[Region]> {
    let Err(Error::Region(error)) = result else { return None };
    error.epoch_not_match.as_ref().map(|error| &error.current_regions[..])
}

fn edition(lone: &Lone) -> (Option<RegionEpoch>, Vec<u64>) {
    let region = lone.region(ID);
    (region.region_epoch, region.peers.iter().map(|peer| peer.id).collect())
}

/// Each change of members raises `conf_ver` by one, and leaves `version`; it is on the disk, synced, with the new
/// members; StoreMeta says the same.
#[test]
fn each_change_counts_once() {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    let add = change(&region(), add(peer(4)));
    lone.tell(append(&region(), BEGIN, vec![change_entry(6, &add)]));
    assert_eq!(edition(&lone), (epoch(6, 30), vec![1, 2, 3, 4]));
    let remove = change(&as_of(6), remove(peer(2)));
    lone.tell(append(&as_of(6), 6, vec![change_entry(7, &remove)]));
    assert_eq!(edition(&lone), (epoch(7, 30), vec![1, 3, 4]));
    let now = lone.region(ID).clone();
    assert_eq!(lone.store().meta().region(ID), Some(&now));
    assert_eq!(lone.safe_region_state(ID).and_then(|state| state.region), Some(now.clone()));
    let voters: Vec<u64> = lone.peer(ID).node().raft().voters().collect();
    assert_eq!(voters, [1, 3, 4], "Raft counts the same members");
    lone.power_cut();
    assert_eq!(edition(&lone), (epoch(7, 30), vec![1, 3, 4]), "and so it does after a power cut");
    assert_eq!(lone.store().meta().region(ID), Some(&now));
}

/// The same change twice in the log: the second was made for an edition that is not there any more. It changes nothing,
/// on any peer. (Leaders that keep the rules of stage 3a do not bring it about; peers do not rely on that.)
#[rstest]
#[case::added_twice(change(&region(), add(peer(4))), vec![1, 2, 3, 4])]
#[case::removed_twice(change(&region(), remove(peer(3))), vec![1, 2])]
fn twice_is_once(#[case] command: RaftCmdRequest, #[case] members: Vec<u64>) {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    lone.tell(append(&region(), BEGIN, vec![change_entry(6, &command), change_entry(7, &command)]));
    assert_eq!(
        edition(&lone),
        (epoch(6, 30), members.clone()),
        "the epoch makes a change that comes twice happen once"
    );
    assert_eq!(lone.peer(ID).apply_state().applied_index, 7);
    let voters: Vec<u64> = lone.peer(ID).node().raft().voters().collect();
    assert_eq!(voters, members);
}

/// A change that was made for another edition does not happen when it is applied, be it another `conf_ver` or another
/// `version`, older or newer; nor does one that makes no sense for the members of now.
#[rstest]
#[case::of_an_older_conf_ver(change(&as_of(4), add(peer(4))))]
#[case::of_a_newer_conf_ver(change(&as_of(6), add(peer(4))))]
#[case::of_an_older_version(change(&region().edition(5, 29), add(peer(4))))]
#[case::of_a_newer_version(change(&region().edition(5, 31), remove(peer(3))))]
#[case::adds_who_is_there(change(&region(), add(peer(3))))]
#[case::adds_a_second_one_on_a_store(change(&region(), add(at(4, 3))))]
#[case::removes_a_stranger(change(&region(), remove(peer(4))))]
fn refused_when_applied(#[case] command: RaftCmdRequest) {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    let good = change(&region(), add(peer(5)));
    let entries = vec![change_entry(6, &command), entry(7, &put_in(&region(), "c")), change_entry(8, &good)];
    lone.tell(append(&region(), BEGIN, entries));
    assert_eq!(
        edition(&lone),
        (epoch(6, 30), vec![1, 2, 3, 5]),
        "the first changes nothing, the one behind it does"
    );
    assert_eq!(lone.peer(ID).apply_state().applied_index, 8, "the peer goes on");
}

/// A change is refused when it is proposed, if it was made for another edition: `EpochNotMatch`, with the region of
/// now, and nothing is in the log.
#[rstest]
#[case::older(4, 30)]
#[case::newer(6, 30)]
#[case::another_version(5, 29)]
fn refused_when_proposed(#[case] conf_ver: u64, #[case] version: u64) {
    let _lab = lab!();
    let mut lone = Lone::new(&[region(), next_region()]);
    lone.elect();
    let before = lone.last_index(ID);
    let (_, said) = lone.begin(change(&region().edition(conf_ver, version), add(peer(4))));
    let (_, result) = said.replies.first().expect("a refusal comes at once");
    let regions = current_regions(result).unwrap_or_else(|| panic!("EpochNotMatch: {result:?}"));
    assert_eq!(regions[0], region(), "first the region that was asked, as it is");
    assert_eq!(
        regions[1..],
        [next_region()],
        "then its neighbours here: what was one region may be several by now"
    );
    assert_eq!(lone.last_index(ID), before);
}

/// The neighbours on both sides, and nobody else; and the same for a put that was made for another version.
#[test]
fn the_neighbours_are_named() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).regions(&["", "d", "h", "m"]).start();
    sim.put("e", "1");
    let leader = sim.await_leader(2);
    let command = |sim: &mut Sim, request: RaftCmdRequest| {
        let result = sim.command(leader, request).expect("it is answered");
        let regions = current_regions(&result).unwrap_or_else(|| panic!("EpochNotMatch: {result:?}"));
        let mut ids: Vec<u64> = regions.iter().map(|region| region.id).collect();
        assert_eq!(ids[0], 2, "first the region that was asked");
        ids.sort_unstable();
        ids
    };
    let peer = sim.region(2).peers[0];
    let mut request = sim.admin_request(leader, 2, remove(peer));
    request.header.get_or_insert_default().region_epoch = epoch(7, 1);
    assert_eq!(command(&mut sim, request.clone()), [1, 2, 3]);
    request.header.get_or_insert_default().region_epoch = epoch(1, 9);
    request.admin_request = None;
    assert_eq!(command(&mut sim, request), [1, 2, 3]);
    sim.finish();
}

/// Reads and writes do not mind who the members are: a client's picture may be many changes old.
#[test]
fn clients_do_not_mind() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).scheduler().start();
    sim.transfer(1, 1);
    let old = sim.context(1, 1);
    for _ in 0..3 {
        sim.remove_peer(1, 3);
        sim.add_peer(1, 3);
    }
    sim.transfer(1, 1);
    assert_eq!(sim.newest(1).region_epoch, epoch(7, 1), "six changes");
    assert_eq!(sim.context(1, 1).peer, old.peer);
    let leader = sim.leader();
    let mut request = sim.admin_request_for(leader, 1, old.region_epoch, Default::default());
    request.admin_request = None;
    request.requests = vec![put("c", "new")];
    assert!(
        sim.command(leader, request).expect("it is answered").is_ok(),
        "conf_ver does not matter to a put"
    );
    assert!(sim.ask_store(leader, put_request("", "a", "2")).is_some());
    sim.finish();
}

/// The region is split while a change of its members is on its way, made for the version before: when it is applied, it
/// is refused, and its proposer hears `EpochNotMatch`, with both parts.
#[test]
fn overtaken_by_a_split() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 4).members(&[1, 2, 3]).scheduler().start();
    sim.put("a", "1");
    let leader = sim.leader();
    sim.settle();
    let ids = sim.split_ids(1);
    let new = ids.new_region_id;
    let split = sim.admin_request(leader, 1, batch_split("k", ids));
    let add = sim.admin_request(leader, 1, add(at(77, 4)));
    let split = sim.begin_command(leader, split);
    let add = sim.command(leader, add).expect("every command is answered");
    assert!(sim.take_reply(split).is_some_and(|result| result.is_ok()), "the split was first");
    let regions = current_regions(&add).unwrap_or_else(|| panic!("EpochNotMatch: {add:?}"));
    assert_eq!(regions[0], sim.newest(1), "the region of now");
    assert_eq!(sim.newest(1).peers.len(), 3, "nobody was added");
    sim.await_leader(new);
    sim.finish();
}
