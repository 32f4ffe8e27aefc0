//! A leader sends snapshots: when, to whom, and what it takes for an answer (section 7).

use pretty_assertions::assert_eq;
use raftkv::proto::eraftpb::{Message, MessageType};
use raftkv::raft::ProgressState;
use raftkv_testkit::raft_net::letter::{append_reply, heartbeat_reply};
use raftkv_testkit::raft_net::{Direct, Net, Setup};
use raftkv_testkit::{Lab, lab};
use rstest::rstest;

/// Node 1 leads term 2; its log is compacted up to 6@1 and has 7@1 and the empty entry 8@2. Nothing is known of 2 and 3.
fn leader(lab: &Lab) -> Net<Direct> {
    let mut net = Setup::of(lab, 3).puppets(&[2, 3]).log(1, &[1; 7]).compacted(1, 6).start();
    net.elect_by_puppets(1);
    net.all_mail();
    net
}

fn snapshots(mail: &[Message]) -> Vec<(u64, u64)> {
    let snapshots = mail.iter().filter(|m| m.msg_type() == MessageType::MsgSnapshot);
    let last = |m: &Message| {
        m.snapshot.clone().expect("a MsgSnapshot has one").metadata.expect("and says where it ends")
    };
    snapshots.map(last).map(|last| (last.index, last.term)).collect()
}

fn appends(mail: &[Message]) -> Vec<u64> {
    mail.iter().filter(|m| m.msg_type() == MessageType::MsgAppend).map(|m| m.index).collect()
}

/// Follower 2 has the entries up to `has`, all of term 1, and refuses what the leader probes it with, until that is at
/// `has` or a snapshot comes. Returns what it was sent last.
fn refuses(net: &mut Net<Direct>, has: u64) -> Vec<Message> {
    let mut probe = 7;
    for _ in 0..5 {
        net.hand(append_reply(2, 1).term(2).rejected(probe, has, u64::from(has > 0)));
        let mail = net.mail(2);
        match appends(&mail).first() {
            Some(next) if *next > has => probe = *next,
            _ => return mail,
        }
    }
    panic!("five refusals, and the leader still has not gone back to where the follower is");
}

/// Follower 2 waits for the snapshot that ends at 6.
fn waits_for_snapshot(lab: &Lab) -> Net<Direct> {
    let mut net = leader(lab);
    let mail = refuses(&mut net, 0);
    assert_eq!(snapshots(&mail), [(6, 1)], "the entry that 2 needs is compacted: it gets a snapshot");
    net
}

fn state(net: &Net<Direct>, id: u64) -> ProgressState {
    net.raft(1).progress(id).expect("it is a member").state
}

/// Section 7: "the leader has already discarded the next log entry that it needs to send to a follower": then a
/// snapshot, otherwise entries.
#[rstest]
#[case::everything_is_missing(0)]
#[case::one_entry_before_the_edge(5)]
fn a_snapshot_only_where_entries_are_gone(#[case] has: u64) {
    let lab = lab!();
    let mut net = leader(&lab);
    let mail = refuses(&mut net, has);
    assert_eq!(snapshots(&mail), [(6, 1)], "follower 2 has entries up to {has}, the log begins with 7");
    assert_eq!(appends(&mail), Vec::<u64>::new(), "either a snapshot or appends");
    let mut net = leader(&lab);
    let mail = refuses(&mut net, 6);
    assert_eq!(snapshots(&mail), [], "a follower with entries up to 6 needs those from 7 on");
    assert_eq!(appends(&mail), [6]);
}

/// The message says what the follower needs to go on: the last entry, and the members of the group.
#[test]
fn the_message_says_what_it_ends_with() {
    let lab = lab!();
    let mut net = leader(&lab);
    let mail = refuses(&mut net, 0);
    let m = mail.iter().find(|m| m.msg_type() == MessageType::MsgSnapshot).expect("there is one");
    assert_eq!((m.term, m.from, m.to), (2, 1, 2));
    let last = m.snapshot.clone().unwrap().metadata.unwrap();
    assert_eq!((last.index, last.term), (6, 1));
    assert_eq!(last.conf_state.unwrap().voters, [1, 2, 3]);
}

/// Once it is on its way, nothing else is sent: no second snapshot, no appends, however often the clock ticks and the
/// follower answers heartbeats. Snapshots are large.
#[test]
fn one_snapshot_at_a_time() {
    let lab = lab!();
    let mut net = waits_for_snapshot(&lab);
    for n in 0..10 {
        net.tick(1);
        net.hand(heartbeat_reply(2, 1).term(2));
        net.propose(1, &format!("c{n}"));
    }
    let mail = net.mail(2);
    assert_eq!((snapshots(&mail), appends(&mail)), (vec![], vec![]), "2 has not answered the snapshot yet");
    assert_eq!(state(&net, 2), ProgressState::Snapshot(6));
}

/// The others are served meanwhile.
#[test]
fn other_followers_are_served_meanwhile() {
    let lab = lab!();
    let mut net = waits_for_snapshot(&lab);
    net.hand(append_reply(3, 1).term(2).accepted(8));
    assert_eq!(net.commit(1), 8, "1 and 3 are a majority");
    net.propose(1, "x");
    assert_eq!(appends(&net.mail(3)), [8, 8], "3 hears that 8 is committed, and gets x");
}

/// What is on its way is not there: nothing is committed by a snapshot that is not acknowledged (section 5.3).
#[test]
fn sending_is_not_having() {
    let lab = lab!();
    let mut net = waits_for_snapshot(&lab);
    let commit = net.commit(1);
    net.report_snapshot(1, 2, true);
    assert_eq!(net.raft(1).progress(2).unwrap().matched, 0, "2 has acknowledged nothing");
    assert_eq!(net.commit(1), commit);
}

/// The acknowledgement: the follower has what the snapshot has; entries follow at once.
#[rstest]
#[case::before_the_owner_reports(false)]
#[case::after_the_owner_reports(true)]
fn entries_follow_the_acknowledgement(#[case] reported: bool) {
    let lab = lab!();
    let mut net = waits_for_snapshot(&lab);
    if reported {
        net.report_snapshot(1, 2, true);
    }
    net.hand(append_reply(2, 1).term(2).accepted(6));
    assert_eq!(appends(&net.mail(2)), [6], "entries 7 and 8 follow");
    assert_eq!(net.raft(1).progress(2).unwrap().matched, 6);
    assert_eq!(state(&net, 2), ProgressState::Replicate);
    net.hand(append_reply(2, 1).term(2).accepted(8));
    assert_eq!(net.commit(1), 8);
}

/// A follower that has more than the snapshot by now (it came from another leader, say) needs no snapshot.
#[test]
fn an_answer_beyond_the_snapshot_ends_the_waiting() {
    let lab = lab!();
    let mut net = waits_for_snapshot(&lab);
    net.hand(append_reply(2, 1).term(2).accepted(7));
    assert_eq!((state(&net, 2), appends(&net.mail(2))), (ProgressState::Replicate, vec![7]));
}

/// An answer to an append from before says nothing about the snapshot.
#[test]
fn an_old_answer_does_not_end_the_waiting() {
    let lab = lab!();
    let mut net = waits_for_snapshot(&lab);
    net.hand(append_reply(2, 1).term(2).accepted(3));
    net.hand(append_reply(2, 1).term(2).rejected(7, 2, 1));
    let mail = net.mail(2);
    assert_eq!((snapshots(&mail), appends(&mail)), (vec![], vec![]));
    assert_eq!(state(&net, 2), ProgressState::Snapshot(6));
}

/// Lost on the way: the owner says so, and the follower gets another one as soon as it is heard of.
#[test]
fn a_lost_snapshot_is_sent_again() {
    let lab = lab!();
    let mut net = waits_for_snapshot(&lab);
    for round in 0..3 {
        net.report_snapshot(1, 2, false);
        net.ticks(1, 3);
        assert_eq!(snapshots(&net.mail(2)), [], "2 may be down: nothing is sent before it is heard of");
        net.hand(heartbeat_reply(2, 1).term(2));
        let mail = net.mail(2);
        assert_eq!(snapshots(&mail), [(6, 1)], "round {round}: a lost snapshot is sent again");
        assert_eq!(appends(&mail), Vec::<u64>::new());
    }
}

/// Arrived, but the acknowledgement is lost: the follower is asked where it is, with an append behind the snapshot.
#[test]
fn a_lost_acknowledgement_is_found_out() {
    let lab = lab!();
    let mut net = waits_for_snapshot(&lab);
    net.report_snapshot(1, 2, true);
    assert_eq!(appends(&net.mail(2)), Vec::<u64>::new(), "the acknowledgement may be on its way");
    net.hand(heartbeat_reply(2, 1).term(2));
    let mail = net.mail(2);
    assert_eq!(
        (snapshots(&mail), appends(&mail)),
        (vec![], vec![6]),
        "an append behind the snapshot, and no second one"
    );
    net.hand(append_reply(2, 1).term(2).accepted(8));
    assert_eq!((state(&net, 2), net.commit(1)), (ProgressState::Replicate, 8));
}

/// A report about a follower that has gone on, or about nobody, changes nothing.
#[test]
fn a_late_report_changes_nothing() {
    let lab = lab!();
    let mut net = waits_for_snapshot(&lab);
    net.hand(append_reply(2, 1).term(2).accepted(6));
    net.mail(2);
    let before = net.raft(1).progress(2).cloned();
    net.report_snapshot(1, 2, false);
    net.report_snapshot(1, 9, false);
    net.report_snapshot(1, 3, true);
    assert_eq!(net.raft(1).progress(2).cloned(), before);
    assert_eq!(state(&net, 3), ProgressState::Probe);
}

/// There may be no snapshot yet: the leader goes on, does not spin, and sends it when there is one.
#[test]
fn a_snapshot_may_have_to_be_made_first() {
    let lab = lab!();
    let storage = slow::SlowStorage::new();
    let mut node = slow::node(&lab, storage.clone());
    let answer = |node: &mut raftkv::raft::RawNode<slow::SlowStorage>, m: Message| -> Vec<Message> {
        node.step(m).expect("a message that correct peers send");
        let mut sent = Vec::new();
        for round in 0.. {
            if !node.has_ready() {
                break;
            }
            assert!(round < 5, "the snapshot is not ready, and the peer has work again and again: it spins");
            let ready = node.ready();
            sent.extend(ready.messages.iter().chain(&ready.persisted_messages).cloned());
            node.advance(ready);
        }
        sent
    };
    for probe in [7, 6] {
        let sent = answer(&mut node, append_reply(2, 1).term(2).rejected(probe, 0, 0).into());
        assert_eq!(snapshots(&sent), [], "there is none yet");
    }
    let asked = storage.asked();
    assert!(
        (1..=2).contains(&asked),
        "it is asked for when it is needed, and not again and again: {asked} times"
    );
    for _ in 0..3 {
        node.tick();
        assert_eq!(snapshots(&answer(&mut node, heartbeat_reply(2, 1).term(2).into())), []);
    }
    assert!((asked + 1..=asked + 3).contains(&storage.asked()), "and again when 2 answers a heartbeat");
    storage.finish();
    let sent = answer(&mut node, heartbeat_reply(2, 1).term(2).into());
    assert_eq!(snapshots(&sent), [(6, 1)], "now there is one");
}

/// A storage that needs time for its snapshot.
mod slow {
    use std::cell::Cell;
    use std::rc::Rc;

    use raftkv::ids::{Index, Term};
    use raftkv::proto::eraftpb::{ConfState, Entry, HardState, Snapshot};
    use raftkv::raft::{Config, LogStorage, MemLogStorage, RawNode, Role, StorageError};
    use raftkv_testkit::Lab;
    use raftkv_testkit::raft_net::letter::{entries, vote_reply};

    #[derive(Clone)]
    pub struct SlowStorage {
        disk: MemLogStorage,
        asked: Rc<Cell<u64>>,
        finished: Rc<Cell<bool>>,
    }

    impl SlowStorage {
        /// Seven entries of term 1, of which six are compacted.
        pub fn new() -> SlowStorage {
            let mut disk = MemLogStorage::new_with_voters(&[1, 2, 3]);
            disk.append(&entries(1, &[1; 7]));
            disk.set_hard_state(HardState { term: 1, vote: 0, commit: 6 });
            disk.compact(6).expect("the log reaches that far");
            SlowStorage { disk, asked: Rc::default(), finished: Rc::default() }
        }

        pub fn asked(&self) -> u64 {
            self.asked.get()
        }

        pub fn finish(&self) {
            self.finished.set(true);
        }
    }

    impl LogStorage for SlowStorage {
        fn initial_state(&self) -> Result<(HardState, ConfState), StorageError> {
            self.disk.initial_state()
        }

        fn entries(&self, low: Index, high: Index) -> Result<Vec<Entry>, StorageError> {
            self.disk.entries(low, high)
        }

        fn term(&self, index: Index) -> Result<Term, StorageError> {
            self.disk.term(index)
        }

        fn first_index(&self) -> Result<Index, StorageError> {
            self.disk.first_index()
        }

        fn last_index(&self) -> Result<Index, StorageError> {
            self.disk.last_index()
        }

        fn snapshot(&self) -> Result<Snapshot, StorageError> {
            self.asked.set(self.asked.get() + 1);
            if self.finished.get() {
                return self.disk.snapshot();
            }
            Err(StorageError::SnapshotTemporarilyUnavailable)
        }
    }

    /// Peer 1 leads term 2, and has done all its work.
    pub fn node(lab: &Lab, storage: SlowStorage) -> RawNode<SlowStorage> {
        let config = Config { seed: lab.seed(), applied: 6, ..Config::new(1) };
        let mut node = RawNode::new(&config, storage).expect("it starts from its disk");
        node.campaign();
        node.step(vote_reply(2, 1).term(2).into()).expect("a vote is no error");
        while node.has_ready() {
            let ready = node.ready();
            node.advance(ready);
        }
        assert_eq!(node.raft().role(), Role::Leader);
        node
    }
}
