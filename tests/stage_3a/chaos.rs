//! Groups that change all the time, in random trouble, and then in peace.

use raftkv::ids::PeerId;
use raftkv_testkit::Rng;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::{Chaos, Direct, Driver, Fault, Net, Readied, Setup};
use rstest::rstest;

/// A leader of a group of which all members know that they are it, and follow.
fn leader_in_peace<D: Driver>(net: &Net<D>) -> Option<PeerId> {
    let members = net.group(net.leader()?);
    let leader = net.leader_among(members)?;
    members
        .iter()
        .all(|id| net.group(*id) == members && net.commit(*id) == net.commit(leader))
        .then_some(leader)
}

/// Who was removed and has not heard of it asks for votes for ever, and nobody gets to lead for long (thesis, section 4.2.3). The others
/// would tell its owner, and it would be gone, until it is added again. Those who hold the change stay: their votes may be needed.
fn tell_the_removed<D: Driver>(net: &mut Net<D>) {
    let newest = net.up().into_iter().max_by_key(|id| net.node(*id).group_since).expect("some are up");
    let (since, members) = (net.node(newest).group_since, net.group(newest).to_vec());
    for id in net.everybody() {
        let stays = members.contains(&id) || net.last(id) >= since;
        match (net.node(id).up, stays) {
            (true, false) => net.crash(id),
            (false, true) => net.restart(id),
            _ => {}
        }
    }
}

fn trouble_and_peace<D: Driver>(seed: u64, nodes: u64, all: u64, blank: bool) {
    let mut rng = Rng::new(seed);
    let mut setup = Setup::seeded(seed, nodes);
    for id in 1..=nodes {
        setup = setup.log(id, &[1; 5]).compacted(id, 5);
    }
    let mut net: Net<D> = setup.start_as();
    (nodes + 1..=all).for_each(|id| if blank { net.join_blank(id) } else { net.join(id) });
    net.chaos(&mut rng, 5000, Chaos::with_changes());
    net.calm();
    for _ in 0..30 {
        tell_the_removed(&mut net);
        net.up().into_iter().for_each(|id| net.compact_applied(id));
        net.run(20);
        if leader_in_peace(&net).is_some() {
            break;
        }
    }
    let leader = leader_in_peace(&net).expect("a group in peace elects a leader (section 5.2)");
    let members = net.group(leader).to_vec();
    net.up().into_iter().filter(|id| !members.contains(id)).for_each(|id| net.crash(id));
    net.run_until(300, "the members elect one of them", |net| net.leader_among(&members).is_some());
    let leader = net.leader_among(&members).expect("so it is");
    net.propose(leader, "the end");
    for _ in 0..20 {
        members.iter().for_each(|id| net.compact_applied(*id));
        net.run(10);
    }
    for &id in &members {
        assert_eq!(net.group(id), members, "node {id} knows who is in the group");
        assert!(
            net.node(id).applied.iter().any(|e| e.data.as_ref() == b"the end")
                || net.node(id).applied_base > 5,
            "node {id} has applied what all have"
        );
        assert_eq!(net.commit(id), net.commit(leader), "node {id} has all that is committed");
    }
    net.assert_struck(&[
        Fault::Transfer,
        Fault::Joined,
        Fault::Left,
        Fault::SlowApply,
        Fault::Loss,
        Fault::Cut,
        Fault::Crash,
    ]);
}

/// Members come and go, leaders hand over, messages get lost, nodes crash, logs are compacted. The invariants watch; in
/// the end there is one group, of which all have all.
#[rstest]
#[case::one_of_four(1, 4)]
#[case::two_of_four(2, 4)]
#[case::three_of_five(3, 5)]
#[case::five_of_seven(5, 7)]
fn groups_that_change_are_safe_in_trouble_and_go_on_after_it(#[case] nodes: u64, #[case] all: u64) {
    let lab = lab!();
    for seed in lab.seeds(3) {
        trouble_and_peace::<Direct>(seed, nodes, all, true);
        trouble_and_peace::<Readied>(seed, nodes, all, true);
    }
}
