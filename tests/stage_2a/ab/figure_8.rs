//! Figure 8 of the paper, from (a) to (e): why a leader must not commit entries of earlier terms by counting
//! copies (section 5.4.2).

use pretty_assertions::assert_eq as assert_same;
use raftkv::proto::eraftpb::{Message, MessageType};
use raftkv::raft::Role;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::{Direct, Net, Setup};

/// An append with an entry of term 4: S1's own, which (c) has not yet sent to a majority.
fn carries_term_4(m: &Message) -> bool {
    m.msg_type() == MessageType::MsgAppend && m.entries.iter().any(|e| e.term == 4)
}

/// Up to (c): S1 leads term 4. Its entry 2@2 is on S1, S2 and S3, a majority, and S1 knows it; its own 3@4 is
/// only on S1. S5 has 2@3.
fn situation_c(lab: &raftkv_testkit::Lab) -> Net<Direct> {
    let setup = Setup::of(lab, 5).log(1, &[1, 2]).log(2, &[1]).log(3, &[1]).log(4, &[1]).log(5, &[1, 3]);
    // One entry an append, so that 2@2 can travel without 3@4.
    let setup = setup.term(1, 3, 0).term(2, 3, 0).term(3, 3, 0).term(4, 3, 0);
    let mut net = setup.tune(|c| c.max_bytes_per_msg = 1).start();
    net.isolate(5);
    net.isolate(4);
    net.campaign(1);
    // Who lacks 2@2 refuses 3@4. Who has got it by now would take 3@4, so the link fails for that.
    for _ in 0..300 {
        let has_2 = [net.terms(2) == [1, 2], net.terms(3) == [1, 2]];
        net.drop_where(|m| carries_term_4(m) && [2, 3].contains(&m.to) && has_2[m.to as usize - 2]);
        if has_2 == [true, true] {
            break;
        }
        if !net.deliver_one() {
            net.tick(1);
        }
    }
    assert_eq!((net.role(1), net.term(1)), (Role::Leader, 4), "S1 wins term 4 with the votes of S2 and S3");
    for id in [2, 3] {
        assert_same!(net.terms(id), [1, 2], "S{id} gets 2@2 from S1 (section 5.3)");
    }
    net.lose(carries_term_4);
    net.deliver_all();
    for _ in 0..5 {
        net.heartbeat(1);
        assert_eq!(
            net.commit(1),
            0,
            "S1 leads term 4; 2@2 is on S1, S2 and S3, but it is of term 2: counting its copies must not commit it \
             (section 5.4.2, figure 8c)"
        );
    }
    net
}

/// (d): S1 crashes, S5 is elected by S2, S3 and S4, and replaces 2@2 by 2@3 everywhere. Had 2@2 been
/// committed, a committed entry would now be lost.
#[test]
fn d_an_entry_on_a_majority_is_overwritten() {
    let lab = lab!();
    let mut net = situation_c(&lab);
    net.crash(1);
    net.heal();
    net.drop_all();
    // S5 missed term 4: its first attempt teaches it that.
    net.campaign(5);
    net.deliver_all();
    if net.role(5) != Role::Leader {
        net.campaign(5);
        net.deliver_all();
    }
    assert_eq!(net.role(5), Role::Leader, "S5's last entry 2@3 is later than 2@2: S2, S3 and S4 vote for it");
    net.stabilise();
    for id in 2..=5 {
        assert_same!(net.terms(id)[..2], [1, 3], "S5 replaces 2@2 by 2@3 on S{id} (figure 8d)");
        assert_eq!(net.commit(id), 3, "with S5's own entry behind it, all is committed: S{id}");
    }
    net.restart(1);
    net.stabilise();
    assert_same!(net.log(1), net.log(5), "S1 comes back and gets the same");
}

/// (e): S1 gets its own entry 3@4 to a majority. That commits 2@2 as well, and S5 cannot win any more.
#[test]
fn e_the_first_entry_of_the_own_term_commits_it() {
    let lab = lab!();
    let mut net = situation_c(&lab);
    net.heal();
    net.isolate(5);
    net.isolate(4);
    net.stabilise();
    assert_eq!(net.commit(1), 3, "3@4 is on S1, S2 and S3: it is committed, and 2@2 with it (figure 8e)");
    net.heal();
    net.crash(1);
    for _ in 0..3 {
        net.campaign(5);
        net.deliver_all();
        assert_ne!(
            net.role(5),
            Role::Leader,
            "S2 and S3 have 3@4, later than S5's 2@3: S5 cannot win any more"
        );
    }
    net.run_until(300, "S2 or S3 is elected: both have all that is committed", |net| {
        [2, 3].iter().any(|id| net.role(*id) == Role::Leader)
    });
    net.run(5);
    for id in [2, 3, 4, 5] {
        assert_same!(net.terms(id)[..3], [1, 2, 4], "the committed entries are in every log: S{id}");
    }
}
