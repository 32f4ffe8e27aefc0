//! Whom a command is for: checked before it costs anybody a write, and each refusal tells the client what to do next.
//!
//! A region error promises that the command was not carried out and never will be.

use pretty_assertions::assert_eq;
use raftkv::proto::errorpb;
use raftkv::proto::metapb::{Peer, RegionEpoch};
use raftkv::proto::raft_cmdpb::{RaftCmdRequest, RaftRequestHeader, Request};
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Setup, Sim, get_request};

use crate::commands::{command, delete, delete_range, done, get, put, refused, swap};

/// Two regions, cut at `m`; the leader of region 1 gets a command for it whose header has been changed. It must be
/// refused, and leave nothing behind.
fn refuse(requests: Vec<Request>, change: impl Fn(&mut RaftRequestHeader)) -> (errorpb::Error, Sim) {
    let mut sim = Setup::seeded(1, 3).regions(&["", "m"]).start();
    let leader = sim.leader();
    sim.settle();
    let last = |sim: &Sim| sim.peer(leader).node().raft().log().last_index();
    let before = last(&sim);
    let mut request = command(&sim, leader, requests);
    change(request.header.as_mut().expect("it has one"));
    let error = refused(sim.command(leader, request));
    assert_eq!(last(&sim), before, "a refused command is not in the log");
    assert!(!error.message.is_empty(), "a few words for those who read logs");
    (error, sim)
}

fn one_put() -> Vec<Request> {
    vec![put("a", "1")]
}

/// Another store is named: an address was reused.
#[test]
fn another_store() {
    let _lab = lab!();
    let other = |header: &mut RaftRequestHeader| {
        header.peer = Some(Peer { id: 9, store_id: 9, ..Default::default() })
    };
    let (error, sim) = refuse(one_put(), other);
    let store = error.store_not_match.expect("StoreNotMatch, so that the client looks up the address again");
    assert_eq!(store.request_store_id, 9, "the store that the client believes to have reached");
    assert!(sim.is_up(store.actual_store_id), "the store that it has reached");
}

/// A region that this store does not have.
#[test]
fn another_region() {
    let _lab = lab!();
    let (error, _) = refuse(one_put(), |header| header.region_id = 77);
    let region =
        error.region_not_found.expect("RegionNotFound, so that the client looks up the region again");
    assert_eq!(region.region_id, 77);
}

/// Another peer of the region is named: the client knows an old edition of it.
#[test]
fn another_peer() {
    let _lab = lab!();
    let (error, _) = refuse(one_put(), |header| {
        if let Some(peer) = &mut header.peer {
            peer.id = 55;
        }
    });
    assert!(error.region_not_found.is_some(), "RegionNotFound, as for a peer that is not here: {error:?}");
}

/// Another term: there may have been another leader in between, of whose writes the sender knows nothing.
#[test]
fn another_term() {
    let _lab = lab!();
    for term in [1, 1000] {
        let (error, _) = refuse(one_put(), |header| header.term = term);
        assert!(error.stale_command.is_some(), "StaleCommand for a command of term {term}: {error:?}");
    }
}

/// The term at hand is accepted, and so is 0: not known.
#[test]
fn the_right_term() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    let leader = sim.leader();
    for term in [0, sim.peer(leader).term()] {
        let mut request = command(&sim, leader, one_put());
        if let Some(header) = &mut request.header {
            header.term = term;
        }
        done(sim.command(leader, request));
    }
}

/// A header that names no peer does not say whom it means: whoever leads the region will do.
#[test]
fn no_peer() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    let leader = sim.leader();
    sim.settle();
    let mut request = command(&sim, leader, one_put());
    if let Some(header) = &mut request.header {
        header.peer = None;
    }
    for follower in sim.others(leader) {
        let error = refused(sim.command(follower, request.clone()));
        assert!(error.not_leader.is_some(), "a follower still refuses: {error:?}");
    }
    done(sim.command(leader, request));
    sim.finish();
}

/// Another edition of the region: older or newer, the answer has the current one.
#[test]
fn another_epoch() {
    let _lab = lab!();
    for version in [0, 2] {
        let epoch = Some(RegionEpoch { conf_ver: 1, version });
        let (error, sim) = refuse(one_put(), |header| header.region_epoch = epoch);
        let epoch = error.epoch_not_match.expect("EpochNotMatch");
        assert_eq!(
            epoch.current_regions.first(),
            Some(sim.region(1)),
            "version {version}: the client learns the region as it is"
        );
    }
    let (error, _) = refuse(one_put(), |header| header.region_epoch = None);
    assert!(error.epoch_not_match.is_some(), "no epoch is not the right epoch: {error:?}");
}

/// A change of the members is no reason to refuse reads and writes: the range is the same.
#[test]
fn another_conf_ver() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    let leader = sim.leader();
    let mut request = command(&sim, leader, one_put());
    if let Some(header) = &mut request.header {
        header.region_epoch = Some(RegionEpoch { conf_ver: 7, version: 1 });
    }
    done(sim.command(leader, request));
}

/// Keys outside the region's range, in any request of the command.
#[test]
fn a_key_of_another_region() {
    let _lab = lab!();
    for (request, key) in [
        (put("m", "1"), "m"),
        (get("z"), "z"),
        (delete("n"), "n"),
        (swap("n", None, "1"), "n"),
        (delete_range("n", "p"), "n"),
        (delete_range("a", "n"), "n"),
        (delete_range("a", ""), ""),
    ] {
        let (error, mut sim) = refuse(vec![put("b", "1"), request], |_| ());
        let outside = error.key_not_in_region.expect("KeyNotInRegion");
        assert_eq!((&outside.key[..], outside.region_id), (key.as_bytes(), 1), "which key, of which region");
        assert_eq!(
            (&outside.start_key[..], &outside.end_key[..]),
            (&b""[..], &b"m"[..]),
            "the region's range"
        );
        assert_eq!(sim.get("b"), None, "nothing of the command was carried out");
    }
}

/// A range to delete may end where the region ends; the end is not part of it.
#[test]
fn the_whole_region_may_be_deleted() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).regions(&["", "m"]).start();
    sim.put("a", "1");
    sim.put("m", "1");
    let leader = sim.leader();
    let request = command(&sim, leader, vec![delete_range("", "m")]);
    done(sim.command(leader, request));
    assert_eq!((sim.get("a"), sim.get("m")), (None, Some("1".into())), "region 1 only");
    sim.finish();
}

/// A read of a key that belongs to another region is refused, not answered with "not found".
#[test]
fn a_read_of_another_region() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).regions(&["", "m"]).start();
    sim.put("z", "1");
    let leader = sim.leader();
    let mut get = get_request("", "z");
    get.set_context(sim.context(1, leader));
    let answer = match raftkv::storage::ask(|storage| get.run(storage)) {
        raftkv::storage::Asked::Command(command) => sim.command(leader, *command).expect("it is answered"),
        raftkv::storage::Asked::Answered(response) => panic!("a get needs the storage: {response:?}"),
    };
    let response = raftkv::storage::answer(|storage| get.run(storage), answer);
    let error = response.region_error().expect("z is not in region 1: a region error");
    assert!(error.key_not_in_region.is_some(), "KeyNotInRegion: {error:?}");
}

/// A follower refuses, and names the leader: the client goes there at once.
#[test]
fn a_follower_names_the_leader() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    let leader = sim.leader();
    sim.settle();
    for follower in sim.others(leader) {
        let request = command(&sim, follower, one_put());
        let error = refused(sim.command(follower, request)).not_leader.expect("NotLeader");
        assert_eq!(
            (error.region_id, error.leader.map(|p| p.store_id)),
            (1, Some(leader)),
            "the leader's peer"
        );
    }
    assert_eq!(sim.get("a"), None, "a follower does not pass a command on behind the client's back");
    sim.finish();
}

/// Who knows no leader says so, and names nobody.
#[test]
fn nobody_leads() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    let request = command(&sim, 1, one_put());
    let error = refused(sim.command(1, request)).not_leader.expect("NotLeader");
    assert_eq!(error.leader, None, "no election yet: nobody is known to lead");
}

/// A command that is wrong in several ways is refused for the first of them, in the order of the table in
/// docs/journey-of-a-put.md: what the client has to mend first.
#[test]
fn the_first_reason_counts() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).regions(&["", "m"]).start();
    let leader = sim.leader();
    sim.settle();
    let follower = sim.others(leader)[0];
    let [follower_peer, leader_peer] = [follower, leader].map(|store| sim.context(1, store).peer);
    let epoch = sim.region(1).region_epoch;
    let mut request = command(&sim, follower, vec![put("z", "1")]);
    request.header = Some(RaftRequestHeader {
        region_id: 77,
        peer: Some(Peer { id: 9, store_id: 9, ..Default::default() }),
        region_epoch: Some(RegionEpoch { conf_ver: 1, version: 9 }),
        term: 1,
        ..Default::default()
    });
    let mut ask = |store: u64, mend: &dyn Fn(&mut RaftRequestHeader)| {
        mend(request.header.as_mut().expect("it has one"));
        refused(sim.command(store, request.clone()))
    };
    assert!(ask(follower, &|_| ()).store_not_match.is_some(), "another store");
    assert!(ask(follower, &|h| h.peer = follower_peer).region_not_found.is_some(), "then: no such region");
    let another = Some(Peer { id: 55, store_id: follower, ..Default::default() });
    let wrong_peer = ask(follower, &|h| (h.region_id, h.peer) = (1, another));
    assert!(wrong_peer.region_not_found.is_some(), "then: another peer of it");
    assert!(ask(follower, &|h| h.peer = follower_peer).not_leader.is_some(), "then: this one does not lead");
    assert!(ask(leader, &|h| h.peer = leader_peer).stale_command.is_some(), "then: another term");
    assert!(ask(leader, &|h| h.term = 0).epoch_not_match.is_some(), "then: another edition of the region");
    assert!(ask(leader, &|h| h.region_epoch = epoch).key_not_in_region.is_some(), "then: a key outside");
}

/// A request without a header, or a context, is for no region.
#[test]
fn no_header() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    let leader = sim.leader();
    let request = RaftCmdRequest { header: None, ..command(&sim, leader, one_put()) };
    assert!(refused(sim.command(leader, request)).region_not_found.is_some(), "RegionNotFound");
    let put = raftkv_testkit::sim::put_request("", "a", "1");
    let raftkv::storage::Asked::Command(request) = raftkv::storage::ask(|storage| put.run(storage)) else {
        panic!("a put needs the storage");
    };
    assert!(refused(sim.command(leader, *request)).region_not_found.is_some(), "a request without a context");
    assert_eq!(sim.get("a"), None);
    sim.finish();
}
