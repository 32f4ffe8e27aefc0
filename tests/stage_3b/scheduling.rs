//! What a store tells the scheduler, and what it does with its orders: one store, driven by hand.

use pretty_assertions::assert_eq;
use raftkv::proto::eraftpb::ConfChangeType::{self, AddNode, RemoveNode};
use raftkv::proto::eraftpb::MessageType::{MsgHeartbeat, MsgHeartbeatResponse, MsgTimeoutNow};
use raftkv::proto::metapb::{Peer, Region, RegionEpoch};
use raftkv::proto::pdpb::{ChangePeer, RegionHeartbeatRequest, RegionHeartbeatResponse, TransferLeader};
use raftkv::raftstore::{Config, Task, TaskDone};
use raftkv_testkit::lab;
use rstest::rstest;

use crate::lone::{Lone, Said, quiet};
use crate::messages::{BEGIN, Vary, append, change, entry, epoch, message, peer, region, split};

/// Reports every 10 ticks, looks at sizes every 5, and 100 bytes are the most that a region may have.
pub fn busy() -> Config {
    Config { heartbeat_to_scheduler_ticks: 10, split_check_ticks: 5, region_max_size: 100, ..quiet() }
}

pub fn seldom() -> Config {
    Config { heartbeat_to_scheduler_ticks: 10_000, split_check_ticks: 0, ..quiet() }
}

fn of_one() -> Region {
    region().of([peer(71)])
}

fn of_three() -> Region {
    region().of([peer(71), peer(72), peer(73)])
}

/// Store 1 with the only peer of a region, which leads in 40 ticks at the latest.
pub fn one_peer(config: Config) -> Lone {
    Lone::tuned(config, &[of_one()])
}

/// The same, and it leads.
pub fn leader_of(config: Config) -> Lone {
    Lone::leader_of(config, &of_one())
}

/// Store 1 with one of the three peers of a region.
pub fn three_peers(config: Config) -> Lone {
    Lone::tuned(config, &[of_three()])
}

/// Store 1 leads a region of three: peer 72 has voted for it, and answers; peer 73 is never heard of.
pub fn leader_of_three(config: Config) -> Lone {
    let mut lone = three_peers(config);
    lone.elect();
    lone
}

pub fn reports(said: &Said) -> Vec<RegionHeartbeatRequest> {
    said.pick(|task| if let Task::ReportRegion(report) = task { Some((**report).clone()) } else { None })
}

/// The regions that are to be looked at.
pub fn looks(said: &Said) -> Vec<u64> {
    said.pick(|task| if let Task::CheckSplit { region, .. } = task { Some(region.id) } else { None })
}

fn order_for(region: &Region) -> RegionHeartbeatResponse {
    let region_epoch = region.region_epoch;
    RegionHeartbeatResponse { region_id: region.id, region_epoch, ..Default::default() }
}

fn change_order(region: &Region, kind: ConfChangeType, peer: Peer) -> RegionHeartbeatResponse {
    let change_peer = Some(ChangePeer { peer: Some(peer), change_type: kind.into() });
    RegionHeartbeatResponse { change_peer, ..order_for(region) }
}

fn give_order(lone: &mut Lone, order: RegionHeartbeatResponse) -> Said {
    lone.done(TaskDone::Ordered(Box::new(order)))
}

/// Somebody else leads from now on.
pub fn overthrow(lone: &mut Lone) -> Said {
    let term = lone.peer(7).term() + 1;
    let said = lone.hear(&of_three(), peer(72), message(MsgHeartbeat, term));
    assert!(!lone.peer(7).is_leader(), "a leader of a later term is followed (section 5.1)");
    said
}

/// At intervals a leader tells the scheduler its region, who leads it, and in which term.
#[test]
fn a_leader_reports() {
    let _lab = lab!();
    let mut lone = leader_of(busy());
    lone.tick(15);
    let reports = reports(&lone.tick(100));
    assert!((9..=11).contains(&reports.len()), "every 10 ticks: {} in 100 ticks", reports.len());
    for report in &reports {
        assert_eq!(report.region.as_ref(), Some(lone.region(7)));
        assert_eq!(report.leader, Some(peer(71)));
        assert_eq!(report.term, lone.peer(7).term());
        assert_eq!(report.pending_peers, []);
    }
}

/// So does each leader here, for its own region.
#[test]
fn each_region_is_reported() {
    let _lab = lab!();
    let mut lone = leader_of(busy());
    lone.split(7, &[("d", 8, &[81]), ("h", 9, &[91])], false);
    lone.tick(2);
    let reports = reports(&lone.tick(100));
    for (id, leader) in [(7, 71), (8, 81), (9, 91)] {
        let own: Vec<_> = reports.iter().filter(|r| r.region.as_ref() == Some(lone.region(id))).collect();
        assert!((9..=11).contains(&own.len()), "region {id}: {} in 100 ticks", own.len());
        assert!(own.iter().all(|report| report.leader == Some(peer(leader))), "region {id}");
    }
}

/// Only leaders: what a follower knows may be old.
#[test]
fn a_follower_does_not() {
    let _lab = lab!();
    let mut lone = leader_of_three(busy());
    assert!(!reports(&lone.tick(20)).is_empty(), "a leader does");
    overthrow(&mut lone);
    let said = lone.tick(9);
    assert!(reports(&said).is_empty() && looks(&said).is_empty());
}

/// A leader names those from whom it has not heard for an election timeout or longer, and for how many seconds; not
/// those who answer, and whoever is heard of again is well again.
#[test]
fn who_is_down() {
    let _lab = lab!();
    let config = Config { ticks_per_second: 10, election_ticks: 20, ..busy() };
    let mut lone = leader_of_three(config);
    let mut seen = Vec::new();
    let answer = |lone: &mut Lone, from: u64| {
        let term = lone.peer(7).term();
        lone.hear(&of_three(), peer(from), message(MsgHeartbeatResponse, term))
    };
    let down = |said: &Said| {
        let report = reports(said).pop().expect("a leader reports every 10 ticks");
        let down: Vec<_> =
            report.down_peers.iter().map(|s| (s.peer.unwrap_or_default().id, s.down_seconds)).collect();
        down
    };
    for _ in 0..10 {
        let mut said = Said::default();
        for _ in 0..10 {
            said.extend(lone.tick(1));
            said.extend(answer(&mut lone, 72));
        }
        seen.push(down(&said));
    }
    assert_eq!(seen[0], [], "an election timeout has not passed: {seen:?}");
    assert!(seen.iter().flatten().all(|(id, _)| *id == 73), "peer 72 answers: {seen:?}");
    let seconds: Vec<u64> = seen.iter().flatten().map(|(_, seconds)| *seconds).collect();
    let first = *seconds.first().expect("peer 73 is never heard of");
    assert!((2..=3).contains(&first), "20 ticks are two seconds: {seen:?}");
    assert_eq!(seconds, (first..first + seconds.len() as u64).collect::<Vec<_>>(), "ten ticks are a second");
    answer(&mut lone, 73);
    assert_eq!(down(&lone.tick(10)), [], "it is back");
}

/// A store reports itself at intervals, whether it leads or not, and says how many regions it has.
#[test]
fn a_store_reports_itself() {
    let _lab = lab!();
    let mut lone = Lone::tuned(Config { election_ticks: 1000, ..busy() }, &[region()]);
    let said = lone.tick(100);
    let stats = said.pick(|task| if let Task::ReportStore(report) = task { report.stats } else { None });
    assert!((9..=11).contains(&stats.len()), "every 10 ticks: {} in 100 ticks", stats.len());
    assert!(stats.iter().all(|stats| (stats.store_id, stats.region_count) == (1, 1)), "{stats:?}");
}

/// Without an interval nothing is reported.
#[test]
fn no_interval_no_reports() {
    let _lab = lab!();
    let mut lone = one_peer(Config { split_check_ticks: 5, region_max_size: 100, ..quiet() });
    let said = lone.tick(90);
    let is_report = |task: &Task| matches!(task, Task::ReportRegion(_) | Task::ReportStore(_));
    assert!(!said.tasks.iter().any(is_report));
    assert!(!looks(&said).is_empty(), "sizes are looked at all the same");
}

/// A new leader says so at once, not at the next interval; and then nothing more until there is news.
#[test]
fn a_new_leader_reports_at_once() {
    let _lab = lab!();
    let mut lone = one_peer(seldom());
    assert_eq!(reports(&lone.tick(140)).len(), 1, "it leads now, and that is all");
}

/// And again, when it has lost the leadership and got it back.
#[test]
fn a_leader_again_reports_at_once() {
    let _lab = lab!();
    let mut lone = three_peers(seldom());
    let mut said = lone.elect();
    said.extend(lone.tick(3));
    said.extend(overthrow(&mut lone));
    said.extend(lone.tick(1));
    assert_eq!(reports(&said).len(), 1, "so far it has led once");
    let said = lone.win_votes(100);
    assert!(lone.peer(7).is_leader());
    assert_eq!(reports(&said).len(), 1, "it leads again, and nobody knows");
}

/// A change of the region is told at once: its keys, or its members. Of a new region the new leader tells.
#[test]
fn changes_are_reported_at_once() {
    let _lab = lab!();
    let mut lone = leader_of(seldom());
    lone.tick(2);
    let (_, mut said) = lone.begin(change(lone.region(7), split(&[("h", 8, &[81])], false)));
    said.extend(lone.tick(2));
    let mut told: Vec<Region> = reports(&said).into_iter().filter_map(|report| report.region).collect();
    told.sort_by_key(|region| region.id);
    assert_eq!(told, [lone.region(7).clone(), lone.region(8).clone()], "each once");
    let old = lone.region(7).clone();
    let mut said = give_order(&mut lone, change_order(&old, AddNode, peer(72)));
    said.extend(lone.tick(2));
    let told: Vec<Region> = reports(&said).into_iter().filter_map(|report| report.region).collect();
    assert_eq!(told, [lone.region(7).clone()]);
    assert_eq!(told[0].peers.len(), 2);
}

/// A member that has nothing yet is pending: the scheduler must not count on it. As soon as it has the log, it is not.
#[test]
fn who_has_nothing_is_pending() {
    let _lab = lab!();
    let mut lone = leader_of_three(busy());
    let report = reports(&lone.tick(11)).pop().expect("a report in 11 ticks");
    assert_eq!(report.pending_peers, [peer(73)], "peer 73 has never answered");
    lone.acknowledge(3);
    let report = reports(&lone.tick(11)).pop().expect("a report in 11 ticks");
    assert_eq!(report.pending_peers, []);
}

/// The leader tells the scheduler of a split: all parts, from left to right. Followers do not.
#[rstest]
#[case::left(false, [7, 8])]
#[case::right(true, [8, 7])]
fn a_split_is_reported(#[case] right_derive: bool, #[case] order: [u64; 2]) {
    let _lab = lab!();
    let told = |said: Said| {
        said.pick(|task| if let Task::ReportSplit(regions) = task { Some(regions.clone()) } else { None })
    };
    let mut lone = leader_of(seldom());
    let (_, said) = lone.begin(change(lone.region(7), split(&[("h", 8, &[81])], right_derive)));
    let parts = order.map(|id| lone.region(id).clone()).to_vec();
    assert_eq!(told(said), [parts]);
    let mut follower = Lone::tuned(seldom(), &[region()]);
    let request = change(&region(), split(&[("h", 8, &[81, 82, 83])], right_derive));
    let said = follower.tell(append(&region(), BEGIN, vec![entry(6, &request)]));
    assert!(follower.has_peer(8));
    assert_eq!(told(said), Vec::<Vec<Region>>::new());
}

/// The scheduler orders a new member, and it comes; an order that comes twice is carried out once, since the region is
/// another edition by then.
#[test]
fn an_order_to_add() {
    let _lab = lab!();
    let mut lone = leader_of(seldom());
    let old = lone.region(7).clone();
    for _ in 0..3 {
        give_order(&mut lone, change_order(&old, AddNode, peer(72)));
        assert_eq!(lone.region(7).peers, [peer(71), peer(72)]);
        assert_eq!(lone.region(7).region_epoch, epoch(6, 30));
    }
    give_order(&mut lone, change_order(&old, AddNode, peer(73)));
    lone.acknowledge(2);
    assert_eq!(lone.region(7).peers.len(), 2, "an order for an old edition is not carried out");
}

/// It orders a member to go, and that goes.
#[test]
fn an_order_to_remove() {
    let _lab = lab!();
    let mut lone = leader_of_three(seldom());
    let old = lone.region(7).clone();
    for _ in 0..2 {
        give_order(&mut lone, change_order(&old, RemoveNode, peer(73)));
        lone.acknowledge(2);
        assert_eq!(lone.region(7).peers, [peer(71), peer(72)]);
        assert_eq!(lone.region(7).region_epoch, epoch(6, 30));
    }
}

/// It orders the leadership handed over: the successor, which has all, is told to stand at once (thesis, section 3.10).
/// Not so for an old edition of the region.
#[rstest]
#[case::for_now(epoch(5, 30), true)]
#[case::other_members(epoch(4, 30), false)]
#[case::other_keys(epoch(5, 29), false)]
fn an_order_to_hand_over(#[case] region_epoch: Option<RegionEpoch>, #[case] carried_out: bool) {
    let _lab = lab!();
    let mut lone = leader_of_three(seldom());
    let transfer_leader = Some(TransferLeader { peer: Some(peer(72)) });
    let order = RegionHeartbeatResponse { transfer_leader, region_epoch, ..order_for(&of_three()) };
    let said = give_order(&mut lone, order);
    let told = said.in_region(7, MsgTimeoutNow);
    assert_eq!(told.iter().map(|m| m.to).collect::<Vec<_>>(), if carried_out { vec![72] } else { vec![] });
    let change = change_order(&of_three(), RemoveNode, peer(73));
    if !carried_out {
        give_order(&mut lone, change);
        lone.acknowledge(2);
        assert_eq!(lone.region(7).peers.len(), 2, "an order for the edition at hand is");
    }
}

/// An order for a region that is not here, for a peer that does not lead, or that orders nothing, does nothing.
#[test]
fn orders_for_nobody() {
    let _lab = lab!();
    let mut lone = leader_of_three(seldom());
    let old = lone.region(7).clone();
    let before = lone.last_index(7);
    let elsewhere = Region { id: 99, ..old.clone() };
    give_order(&mut lone, change_order(&elsewhere, AddNode, peer(74)));
    give_order(&mut lone, order_for(&old));
    assert_eq!((lone.last_index(7), lone.failure.clone()), (before, None));
    give_order(&mut lone, change_order(&old, AddNode, peer(74)));
    assert_eq!(lone.last_index(7), before + 1, "this one is for the leader");
    overthrow(&mut lone);
    give_order(&mut lone, change_order(&old, AddNode, peer(74)));
    assert_eq!((lone.last_index(7), lone.failure.clone()), (before + 1, None));
}
