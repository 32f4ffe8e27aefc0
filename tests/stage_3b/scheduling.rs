//! What a store tells the scheduler, and what it does with its orders: one store, driven by hand.

use pretty_assertions::assert_eq;
use raftkv::proto::eraftpb::{ConfChangeType, Message, MessageType};
use raftkv::proto::metapb::{Peer as Member, Region, RegionEpoch};
use raftkv::proto::pdpb::{ChangePeer, RegionHeartbeatRequest, RegionHeartbeatResponse, TransferLeader};
use raftkv::raftstore::{Config, Event, Task, TaskDone};
use raftkv_testkit::lab;
use rstest::rstest;

use crate::alone::{Alone, entry, epoch, member, quiet, region, split};

/// Reports every 10 ticks, looks at sizes every 5, and 100 bytes are the most that a region may have.
pub fn busy() -> Config {
    Config { heartbeat_to_scheduler_ticks: 10, split_check_ticks: 5, region_max_size: 100, ..quiet() }
}

pub fn seldom() -> Config {
    Config { heartbeat_to_scheduler_ticks: 10_000, split_check_ticks: 0, ..quiet() }
}

pub fn leader_of(config: Config) -> Alone {
    Alone::leader_of(config, &region("b", "p", 1))
}

pub fn reports(alone: &mut Alone) -> Vec<RegionHeartbeatRequest> {
    alone.take(|task| if let Task::ReportRegion(report) = task { Some((**report).clone()) } else { None })
}

/// The regions that are to be looked at.
pub fn looks(alone: &mut Alone) -> Vec<u64> {
    alone.take(|task| if let Task::CheckSplit { region, .. } = task { Some(region.id) } else { None })
}

fn order_for(region: &Region) -> RegionHeartbeatResponse {
    let region_epoch = region.region_epoch;
    RegionHeartbeatResponse { region_id: region.id, region_epoch, ..Default::default() }
}

fn change_order(region: &Region, kind: ConfChangeType, peer: Member) -> RegionHeartbeatResponse {
    let change_peer = Some(ChangePeer { peer: Some(peer), change_type: kind.into() });
    RegionHeartbeatResponse { change_peer, ..order_for(region) }
}

fn give_order(alone: &mut Alone, order: RegionHeartbeatResponse) {
    alone.give(Event::TaskDone(TaskDone::Ordered(Box::new(order))));
}

/// So much time passes, and peer 72 gives its vote whenever it is asked.
pub fn win_votes(alone: &mut Alone, ticks: u64) {
    for _ in 0..ticks {
        alone.tick(1);
        for vote in alone.take_sent(7, MessageType::MsgRequestVote) {
            let msg_type = MessageType::MsgRequestVoteResponse.into();
            let answer = Message { msg_type, term: vote.term, ..Default::default() };
            if vote.to == 72 {
                alone.hear(&region("b", "p", 3), member(72, 2), answer);
            }
        }
    }
}

/// Store 1 leads a region of three: peer 72 has voted for it, and answers; peer 73 is never heard of.
pub fn leader_of_three(config: Config) -> Alone {
    let mut alone = Alone::new(config, &region("b", "p", 3));
    for _ in 0..100 {
        win_votes(&mut alone, 1);
        if alone.peer(7).is_leader() {
            acknowledge(&mut alone, 7, member(72, 2));
            return alone;
        }
    }
    panic!("with two of three votes it leads (section 5.2)");
}

/// A follower says that it has the whole log of a region, and hears what the leader makes of that.
pub fn acknowledge(alone: &mut Alone, id: u64, from: Member) {
    let peer = alone.peer(id);
    let (term, index) = (peer.term(), peer.node().raft().log().last_index());
    let msg_type = MessageType::MsgAppendResponse.into();
    let region = alone.region(id).clone();
    alone.hear(&region, from, Message { msg_type, term, index, ..Default::default() });
}

/// Somebody else leads from now on.
pub fn overthrow(alone: &mut Alone) {
    let term = alone.peer(7).term() + 1;
    let msg_type = MessageType::MsgHeartbeat.into();
    alone.hear(&region("b", "p", 3), member(72, 2), Message { msg_type, term, ..Default::default() });
    assert!(!alone.peer(7).is_leader(), "a leader of a later term is followed (section 5.1)");
}

/// At intervals a leader tells the scheduler its region, who leads it, and in which term.
#[test]
fn a_leader_reports() {
    let _lab = lab!();
    let mut alone = leader_of(busy());
    alone.tick(15);
    alone.tasks.clear();
    alone.tick(100);
    let reports = reports(&mut alone);
    assert!((9..=11).contains(&reports.len()), "every 10 ticks: {} in 100 ticks", reports.len());
    for report in &reports {
        assert_eq!(report.region.as_ref(), Some(alone.region(7)));
        assert_eq!(report.leader, Some(member(71, 1)));
        assert_eq!(report.term, alone.peer(7).term());
        assert_eq!(report.pending_peers, []);
    }
}

/// So does each leader here, for its own region.
#[test]
fn each_region_is_reported() {
    let _lab = lab!();
    let mut alone = leader_of(busy());
    alone.split(7, &[("d", 8, &[81]), ("h", 9, &[91])], false);
    alone.tick(2);
    alone.tasks.clear();
    alone.tick(100);
    let reports = reports(&mut alone);
    for (id, peer) in [(7, 71), (8, 81), (9, 91)] {
        let own: Vec<_> = reports.iter().filter(|r| r.region.as_ref() == Some(alone.region(id))).collect();
        assert!((9..=11).contains(&own.len()), "region {id}: {} in 100 ticks", own.len());
        assert!(own.iter().all(|report| report.leader == Some(member(peer, 1))), "region {id}");
    }
}

/// Only leaders: what a follower knows may be old.
#[test]
fn a_follower_does_not() {
    let _lab = lab!();
    let mut alone = leader_of_three(busy());
    alone.tick(20);
    assert!(!reports(&mut alone).is_empty(), "a leader does");
    overthrow(&mut alone);
    alone.tasks.clear();
    alone.tick(9);
    assert_eq!(
        alone
            .tasks
            .iter()
            .filter(|task| matches!(task, Task::ReportRegion(_) | Task::CheckSplit { .. }))
            .count(),
        0
    );
}

/// A leader names those from whom it has not heard for an election timeout or longer, and for how many seconds; not
/// those who answer, and whoever is heard of again is well again.
#[test]
fn who_is_down() {
    let _lab = lab!();
    let config = Config { ticks_per_second: 10, election_ticks: 20, ..busy() };
    let mut alone = leader_of_three(config);
    let mut seen = Vec::new();
    let answer = |alone: &mut Alone, from: Member| {
        let msg_type = MessageType::MsgHeartbeatResponse.into();
        let term = alone.peer(7).term();
        alone.hear(&region("b", "p", 3), from, Message { msg_type, term, ..Default::default() });
    };
    let down = |alone: &mut Alone| {
        let report = reports(alone).pop().expect("a leader reports every 10 ticks");
        let down: Vec<_> =
            report.down_peers.iter().map(|s| (s.peer.unwrap_or_default().id, s.down_seconds)).collect();
        down
    };
    for _ in 0..10 {
        (0..10).for_each(|_| {
            alone.tick(1);
            answer(&mut alone, member(72, 2));
        });
        seen.push(down(&mut alone));
    }
    assert_eq!(seen[0], [], "an election timeout has not passed: {seen:?}");
    assert!(seen.iter().flatten().all(|(id, _)| *id == 73), "peer 72 answers: {seen:?}");
    let seconds: Vec<u64> = seen.iter().flatten().map(|(_, seconds)| *seconds).collect();
    let first = *seconds.first().expect("peer 73 is never heard of");
    assert!((2..=3).contains(&first), "20 ticks are two seconds: {seen:?}");
    assert_eq!(seconds, (first..first + seconds.len() as u64).collect::<Vec<_>>(), "ten ticks are a second");
    answer(&mut alone, member(73, 3));
    alone.tick(10);
    assert_eq!(down(&mut alone), [], "it is back");
}

/// A store reports itself at intervals, whether it leads or not, and says how many regions it has.
#[test]
fn a_store_reports_itself() {
    let _lab = lab!();
    let mut alone = Alone::new(Config { election_ticks: 1000, ..busy() }, &region("b", "p", 3));
    alone.tick(100);
    let stats = alone.take(|task| if let Task::ReportStore(report) = task { report.stats } else { None });
    assert!((9..=11).contains(&stats.len()), "every 10 ticks: {} in 100 ticks", stats.len());
    assert!(stats.iter().all(|stats| (stats.store_id, stats.region_count) == (1, 1)), "{stats:?}");
}

/// Without an interval nothing is reported.
#[test]
fn no_interval_no_reports() {
    let _lab = lab!();
    let mut alone = leader_of(Config { split_check_ticks: 5, region_max_size: 100, ..quiet() });
    alone.tick(50);
    let is_report = |task: &Task| matches!(task, Task::ReportRegion(_) | Task::ReportStore(_));
    assert!(!alone.tasks.iter().any(is_report));
    assert!(!looks(&mut alone).is_empty(), "sizes are looked at all the same");
}

/// A new leader says so at once, not at the next interval; and then nothing more until there is news.
#[test]
fn a_new_leader_reports_at_once() {
    let _lab = lab!();
    let mut alone = leader_of(seldom());
    alone.tick(100);
    assert_eq!(reports(&mut alone).len(), 1, "it leads now, and that is all");
}

/// And again, when it has lost the leadership and got it back.
#[test]
fn a_leader_again_reports_at_once() {
    let _lab = lab!();
    let mut alone = leader_of_three(seldom());
    alone.tick(3);
    overthrow(&mut alone);
    alone.tick(1);
    assert_eq!(reports(&mut alone).len(), 1, "so far it has led once");
    win_votes(&mut alone, 100);
    assert!(alone.peer(7).is_leader());
    assert_eq!(reports(&mut alone).len(), 1, "it leads again, and nobody knows");
}

/// A change of the region is told at once: its keys, or its members. Of a new region the new leader tells.
#[test]
fn changes_are_reported_at_once() {
    let _lab = lab!();
    let mut alone = leader_of(seldom());
    alone.tick(2);
    alone.tasks.clear();
    alone.split(7, &[("h", 8, &[81])], false);
    alone.tick(2);
    let mut told: Vec<Region> = reports(&mut alone).into_iter().filter_map(|report| report.region).collect();
    told.sort_by_key(|region| region.id);
    assert_eq!(told, [alone.region(7).clone(), alone.region(8).clone()], "each once");
    let old = alone.region(7).clone();
    give_order(&mut alone, change_order(&old, ConfChangeType::AddNode, member(72, 2)));
    alone.tick(2);
    let told: Vec<Region> = reports(&mut alone).into_iter().filter_map(|report| report.region).collect();
    assert_eq!(told, [alone.region(7).clone()]);
    assert_eq!(told[0].peers.len(), 2);
}

/// A member that has nothing yet is pending: the scheduler must not count on it. As soon as it has the log, it is not.
#[test]
fn who_has_nothing_is_pending() {
    let _lab = lab!();
    let mut alone = leader_of_three(busy());
    alone.tasks.clear();
    alone.tick(11);
    let report = reports(&mut alone).pop().expect("a report in 11 ticks");
    assert_eq!(report.pending_peers, [member(73, 3)], "peer 73 has never answered");
    acknowledge(&mut alone, 7, member(73, 3));
    alone.tick(11);
    let report = reports(&mut alone).pop().expect("a report in 11 ticks");
    assert_eq!(report.pending_peers, []);
}

/// The leader tells the scheduler of a split: all parts, from left to right. Followers do not.
#[rstest]
#[case::left(false, [7, 8])]
#[case::right(true, [8, 7])]
fn a_split_is_reported(#[case] right_derive: bool, #[case] order: [u64; 2]) {
    let _lab = lab!();
    let told = |alone: &mut Alone| {
        alone.take(|task| if let Task::ReportSplit(regions) = task { Some(regions.clone()) } else { None })
    };
    let mut alone = leader_of(seldom());
    alone.split(7, &[("h", 8, &[81])], right_derive);
    let parts = order.map(|id| alone.region(id).clone()).to_vec();
    assert_eq!(told(&mut alone), [parts]);
    let old = region("b", "p", 3);
    let mut follower = Alone::new(seldom(), &old);
    let request = follower.change(7, split(&[("h", 8, &[81, 82, 83])], right_derive));
    follower.append(&old, member(72, 2), (5, 5), vec![entry(6, &request)]);
    assert!(follower.has_peer(8));
    assert_eq!(told(&mut follower), Vec::<Vec<Region>>::new());
}

/// The scheduler orders a new member, and it comes; an order that comes twice is carried out once, since the region is
/// another edition by then.
#[test]
fn an_order_to_add() {
    let _lab = lab!();
    let mut alone = leader_of(seldom());
    let old = alone.region(7).clone();
    for _ in 0..3 {
        give_order(&mut alone, change_order(&old, ConfChangeType::AddNode, member(72, 2)));
        assert_eq!(alone.region(7).peers, [member(71, 1), member(72, 2)]);
        assert_eq!(alone.region(7).region_epoch, Some(epoch(5, 6)));
    }
    give_order(&mut alone, change_order(&old, ConfChangeType::AddNode, member(73, 3)));
    acknowledge(&mut alone, 7, member(72, 2));
    assert_eq!(alone.region(7).peers.len(), 2, "an order for an old edition is not carried out");
}

/// It orders a member to go, and that goes.
#[test]
fn an_order_to_remove() {
    let _lab = lab!();
    let mut alone = leader_of_three(seldom());
    let old = alone.region(7).clone();
    for _ in 0..2 {
        give_order(&mut alone, change_order(&old, ConfChangeType::RemoveNode, member(73, 3)));
        acknowledge(&mut alone, 7, member(72, 2));
        assert_eq!(alone.region(7).peers, [member(71, 1), member(72, 2)]);
        assert_eq!(alone.region(7).region_epoch, Some(epoch(5, 6)));
    }
}

/// It orders the leadership handed over: the successor, which has all, is told to stand at once (thesis, section 3.10).
/// Not so for an old edition of the region.
#[rstest]
#[case::for_now(epoch(4, 6), true)]
#[case::other_members(epoch(3, 6), false)]
#[case::other_keys(epoch(4, 5), false)]
fn an_order_to_hand_over(#[case] edition: RegionEpoch, #[case] carried_out: bool) {
    let _lab = lab!();
    let mut alone = leader_of_three(seldom());
    alone.sent.clear();
    let transfer_leader = Some(TransferLeader { peer: Some(member(72, 2)) });
    let order = order_for(&region("b", "p", 3));
    let region_epoch = Some(edition);
    give_order(&mut alone, RegionHeartbeatResponse { transfer_leader, region_epoch, ..order });
    let told = alone.take_sent(7, MessageType::MsgTimeoutNow);
    assert_eq!(told.iter().map(|m| m.to).collect::<Vec<_>>(), if carried_out { vec![72] } else { vec![] });
    let change = change_order(&region("b", "p", 3), ConfChangeType::RemoveNode, member(73, 3));
    if !carried_out {
        give_order(&mut alone, change);
        acknowledge(&mut alone, 7, member(72, 2));
        assert_eq!(alone.region(7).peers.len(), 2, "an order for the edition at hand is");
    }
}

/// An order for a region that is not here, for a peer that does not lead, or that orders nothing, does nothing.
#[test]
fn orders_for_nobody() {
    let _lab = lab!();
    let mut alone = leader_of_three(seldom());
    let old = alone.region(7).clone();
    let log = |alone: &Alone| alone.peer(7).node().raft().log().last_index();
    let before = log(&alone);
    let elsewhere = Region { id: 99, ..old.clone() };
    give_order(&mut alone, change_order(&elsewhere, ConfChangeType::AddNode, member(74, 4)));
    give_order(&mut alone, order_for(&old));
    assert_eq!((log(&alone), alone.failure.clone()), (before, None));
    give_order(&mut alone, change_order(&old, ConfChangeType::AddNode, member(74, 4)));
    assert_eq!(log(&alone), before + 1, "this one is for the leader");
    overthrow(&mut alone);
    give_order(&mut alone, change_order(&old, ConfChangeType::AddNode, member(74, 4)));
    assert_eq!((log(&alone), alone.failure.clone()), (before + 1, None));
}
