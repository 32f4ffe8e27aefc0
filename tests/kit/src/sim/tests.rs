//! The simulator itself: its faults are real, its runs repeat, and it notices what is wrong.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use raftkv::engine::{Cf, Fault as WriteFault, KeyRange, WriteBatch};
use raftkv::proto::kvrpcpb::RawGetResponse;

use super::*;

fn sim(seed: u64, stores: u64) -> Sim {
    Setup::seeded(seed, stores).start()
}

/// The report of a test that fails, as it must.
fn report_of(test: impl FnOnce()) -> String {
    let panic =
        catch_unwind(AssertUnwindSafe(test)).expect_err("something is wrong here, and nobody noticed");
    *panic.downcast::<String>().expect("a report is a text")
}

#[test]
fn a_value_is_read_back() {
    let mut sim = sim(1, 3);
    assert_eq!(sim.get("color"), None);
    sim.put("color", "blue");
    assert_eq!(sim.get("color"), Some("blue".into()));
    assert_eq!(sim.swap("color", Some("blue"), "red"), (true, Some("blue".into())));
    sim.batch_put(&[("a", "1"), ("b", "2"), ("c", "3")]);
    sim.delete("b");
    assert_eq!(sim.scan("a", "", 3), "a=1 c=3 color=red");
    assert_eq!(sim.batch_get(&["c", "b"]), "c=3");
    sim.delete_range("a", "c");
    sim.batch_delete(&["c"]);
    assert_eq!(sim.scan("", "", 10), "color=red");
    sim.finish();
}

#[test]
fn a_minority_serves_nobody() {
    let mut sim = sim(2, 3);
    let leader = sim.leader();
    let commit = sim.peer(leader).node().raft().commit();
    sim.isolate(leader);
    let answer = sim.ask_store(leader, put_request("", "a", "1"));
    assert_eq!(answer, None, "a leader without followers cannot commit");
    assert_eq!(sim.peer(leader).node().raft().commit(), commit, "1 of 3 has the entry");
    assert_eq!(sim.data(leader, "a"), None, "and what is not committed is not applied");
    sim.put("a", "2");
    sim.heal();
    assert_eq!(sim.get("a"), Some("2".into()));
    sim.finish();
    sim.assert_struck(&[Fault::Cut]);
}

#[test]
fn all_data_survives_a_power_cut_of_all() {
    let mut sim = sim(3, 3);
    sim.put("a", "1");
    (1..=3).for_each(|id| sim.crash(id));
    (1..=3).for_each(|id| sim.restart(id));
    assert_eq!(sim.get("a"), Some("1".into()));
    sim.finish();
    sim.assert_struck(&[Fault::Crash, Fault::Restart]);
}

#[test]
fn every_write_is_a_point_to_crash_at() {
    let mut struck = 0;
    for fault in [WriteFault::StopBefore, WriteFault::StopAfter] {
        for n in 1..=6 {
            let mut sim = sim(n, 3);
            let leader = sim.leader();
            sim.crash_at_write(leader, n, fault);
            let calls: Vec<_> = (0..4).map(|i| sim.begin(put_request("", &format!("k{i}"), "v"))).collect();
            sim.until("every call ends", secs(20), |sim| calls.iter().all(|c| sim.ending(*c).is_some()));
            struck += sim.struck(Fault::CrashAtWrite);
            assert!(
                sim.struck(Fault::CrashAtWrite) == 0 || !sim.is_up(leader),
                "a machine that stopped is down"
            );
            sim.finish();
            assert!(sim.is_up(leader), "at the end all are up");
        }
    }
    assert!(struck >= 8, "a put takes a leader at least two writes: {struck} of 12 crashes struck");
}

#[test]
fn a_full_disk_stops_the_store_and_leaves_nobody_waiting() {
    for n in 1..=4 {
        let mut sim = sim(4, 3);
        let leader = sim.leader();
        sim.crash_at_write(leader, n, WriteFault::Fail);
        let calls: Vec<_> = (0..4).map(|i| sim.begin(put_request("", &format!("k{i}"), "v"))).collect();
        sim.until("every call ends", secs(20), |sim| calls.iter().all(|c| sim.ending(*c).is_some()));
        sim.until("the planned write comes", secs(1), |sim| sim.stopped(leader).is_some());
        assert!(sim.stopped(leader).is_some_and(|why| why.contains("planned to fail")), "and says why");
        sim.put("a", "1");
        assert_eq!(sim.get("a"), Some("1".into()), "the other two go on");
        sim.finish();
        sim.assert_struck(&[Fault::DiskError, Fault::Restart]);
    }
}

#[test]
fn what_comes_while_the_disk_is_at_work_is_one_round() {
    let mut sim = sim(5, 1);
    let leader = sim.leader();
    sim.slow_disk(leader, millis(20), millis(20));
    let before = sim.writes(leader);
    let calls: Vec<_> = (0..20).map(|i| sim.begin(put_request("", &format!("k{i}"), "v"))).collect();
    sim.until("every call ends", secs(5), |sim| calls.iter().all(|c| sim.ending(*c).is_some()));
    let writes = sim.writes(leader) - before;
    assert!(writes < 10, "twenty puts come within a millisecond, and take {writes} writes");
    sim.finish();
    sim.assert_struck(&[Fault::SlowDisk]);
}

#[test]
fn a_client_may_not_hear_of_what_was_done() {
    let mut sim = sim(6, 3);
    let leader = sim.leader();
    let put = sim.begin_at(leader, put_request("", "a", "1"));
    // Long enough for the request, too short for the answer.
    sim.run(700);
    sim.cut_clients(leader);
    sim.until("the client gives up", secs(1), |sim| sim.ending(put).is_some());
    assert_eq!(sim.ending(put), Some(&Ending::Unknown));
    assert_eq!(sim.data(leader, "a"), Some("1".into()), "stores hear each other, so it was carried out");
    assert_eq!(sim.ask_store(leader, get_request("", "a")), None, "requests do not come there either");
    sim.heal();
    assert_eq!(sim.get("a"), Some("1".into()));
    sim.finish();
    sim.assert_struck(&[Fault::ClientLoss]);
}

#[test]
fn held_messages_come_late_and_cancelled_calls_are_carried_out() {
    let mut sim = sim(7, 3);
    let leader = sim.leader();
    let others = sim.others(leader);
    others.iter().for_each(|other| sim.hold(leader, *other));
    let put = sim.begin_at(leader, put_request("", "a", "1"));
    sim.run(millis(5));
    sim.cancel(put);
    assert_eq!(sim.data(leader, "a"), None, "no follower has it");
    sim.release();
    sim.run(millis(20));
    assert_eq!(sim.data(leader, "a"), Some("1".into()), "the client is gone, its command is not");
    sim.finish();
    sim.assert_struck(&[Fault::Hold, Fault::Cancel]);
}

#[test]
fn a_cut_has_a_direction() {
    let mut sim = sim(8, 3);
    let leader = sim.leader();
    let follower = sim.others(leader)[0];
    sim.cut(leader, follower);
    let term = sim.peer(leader).term();
    sim.until("the follower that hears nothing asks for votes, and is heard", secs(5), |sim| {
        sim.peer(leader).term() > term
    });
    sim.finish();
    sim.assert_struck(&[Fault::Cut]);
}

#[test]
fn a_wrong_clock_ticks_too_often_or_too_rarely() {
    let mut sim = sim(9, 3);
    let leader = sim.leader();
    let follower = sim.others(leader)[0];
    sim.drift(follower, 1000);
    let term = sim.peer(leader).term();
    sim.until(
        "a follower whose clock runs ten times too fast is the first to lose patience",
        secs(5),
        |sim| sim.peer(leader).term() > term,
    );
    sim.finish();
    sim.assert_struck(&[Fault::Drift]);
}

fn chaos(seed: u64, stores: u64) -> Sim {
    let mut sim = sim(seed, stores);
    sim.clients(Mix { cancels: 3, ..Mix::default() });
    sim.trouble(Nemesis::everything());
    sim.until_answered(200, secs(60));
    sim.finish();
    sim
}

#[test]
fn trouble_is_survived_and_every_kind_strikes() {
    let mut struck = BTreeSet::new();
    for seed in 0..20 {
        let sim = chaos(seed, 3 + 2 * (seed % 2));
        assert!(sim.answered() >= 100, "seed {seed}: only {} answers", sim.answered());
        struck.extend(sim.network.struck.keys().copied());
    }
    let all = [
        Fault::Loss,
        Fault::Duplicate,
        Fault::Delay,
        Fault::Cut,
        Fault::Crash,
        Fault::CrashAtWrite,
        Fault::Restart,
        Fault::SlowDisk,
        Fault::DiskError,
        Fault::Drift,
        Fault::ClientLoss,
        Fault::Cancel,
    ];
    assert!(all.iter().all(|fault| struck.contains(fault)), "{struck:?}");
}

#[test]
fn one_seed_one_history() {
    let run = |seed| {
        let sim = chaos(seed, 3);
        (sim.trace_hash(), sim.trace_lines(), sim.now(), sim.recorder.operations())
    };
    assert!(run(5) == run(5), "the same seed and the same script give the same run");
    assert_ne!(run(5).0, run(6).0, "another seed gives another one");
}

#[test]
fn a_fault_that_never_struck_is_noticed() {
    let mut sim = sim(10, 3);
    sim.crash_at_write(1, 10_000, WriteFault::StopBefore);
    sim.finish();
    let report = report_of(|| sim.assert_struck(&[Fault::CrashAtWrite]));
    assert!(report.contains("CrashAtWrite never struck"), "{report}");
}

#[test]
fn a_stale_read_is_noticed() {
    let mut sim = sim(11, 3);
    sim.put("a", "1");
    sim.put("a", "2");
    // As if another client had been told the value of before.
    let get = get_request("", "a");
    let call = sim.recorder.invoke(7, &get, KeyRange::all(), sim.now() + 1);
    let stale = Response::Get(RawGetResponse { value: "1".into(), ..Default::default() });
    sim.recorder.complete(call, Some(&stale), sim.now() + 2);
    let report = report_of(|| sim.finish());
    assert!(report.contains("linearizability"), "{report}");
    assert!(report.contains("client 7"), "it names the read that cannot be explained:\n{report}");
}

#[test]
fn data_that_did_not_come_through_the_log_is_noticed() {
    let mut sim = sim(12, 3);
    sim.put("a", "1");
    sim.settle();
    let mut batch = WriteBatch::new();
    batch.put(Cf::Default, "b".to_string(), "not agreed upon".to_string());
    sim.store(2).engines().kv.write(batch, false).expect("the disk is good");
    let report = report_of(|| sim.finish());
    assert!(
        report.contains("have applied the same entries, and key b (default) holds nothing on store 1"),
        "{report}"
    );
    assert!(report.contains("not agreed upon"), "it names a key that differs:\n{report}");
}

#[test]
fn a_report_says_who_waits_and_what_each_store_does() {
    let mut sim = sim(13, 3);
    sim.put("a", "1");
    let leader = sim.leader();
    let others = sim.others(leader);
    others.iter().for_each(|id| sim.crash(*id));
    sim.begin(put_request("", "a", "2"));
    let report = report_of(|| sim.until("a put is answered", millis(300), |_| false));
    for part in [
        "expected: a put is answered",
        "happened: not within 300 ms",
        &format!("{:<5} is down", others[0]),
        "client 2 waits: put a = 2 (try 1, 300 ms): sent to store",
        "=a:=2",
        "goes down: power cut",
    ] {
        assert!(report.contains(part), "the report says `{part}`:\n{report}");
    }
}

/// The report of a put that nobody answers, after this has happened to a cluster whose regions change.
fn report_of_a_wait(setup: Setup, key: &str, trouble: impl FnOnce(&mut Sim)) -> String {
    let mut sim = setup.scheduler().start();
    sim.put("a", "1");
    sim.run(millis(300));
    trouble(&mut sim);
    sim.begin(put_request("", key, "2"));
    report_of(|| sim.until("a put is answered", millis(350), |_| false))
}

#[test]
fn a_report_says_why_somebody_waits() {
    let setup = || Setup::seeded(14, 3);
    let report = report_of_a_wait(setup(), "a", |sim| [1, 2].into_iter().for_each(|id| sim.crash(id)));
    assert!(
        report.contains("region 1 has no leader that a majority follows: no majority is there; "),
        "{report}"
    );
    assert!(report.contains("peer 1 on store 1 is down; peer 2 on store 2 is down"), "{report}");
    let report = report_of_a_wait(setup(), "a", |sim| {
        sim.partition(&[&[1], &[2], &[3]]);
        sim.run(millis(300));
    });
    assert!(report.contains("peer 1 on store 1 is cut off from store 2 and 3"), "{report}");
    let report = report_of_a_wait(setup(), "a", |sim| {
        let leader = sim.leader();
        sim.cut_clients(leader);
    });
    assert!(report.contains("does not hear clients"), "{report}");
}

#[test]
fn a_report_says_what_is_under_way() {
    let mut sim = Setup::seeded(15, 3).scheduler().start();
    sim.put("a", "1");
    let leader = sim.leader();
    let to = sim.others(leader)[0];
    sim.isolate(to);
    let member = *sim.newest(1).peer_on(to).expect("it is a member");
    let request = sim.admin_request(leader, 1, super::transfer_leader(member));
    sim.begin_command(leader, request);
    sim.begin(put_request("", "a", "2"));
    let report = report_of(|| sim.until("a put is answered", millis(30), |_| false));
    assert!(report.contains(&format!("is handing over to peer {}", member.id)), "{report}");
}
