//! The arithmetic of elections: `majority` and `vote_result`, whose contracts stand in `src/raft/quorum.rs`.

use raftkv::raft::{VoteResult, majority, vote_result};
use raftkv_testkit::lab;
use rstest::rstest;

/// Section 5.2: a majority is more than half of the group, so that two majorities share a member; and not more
/// than that, so that the others may be down.
#[test]
fn a_majority_is_just_more_than_half() {
    let _lab = lab!();
    for voters in 1..=100 {
        let needed = majority(voters);
        assert!(
            2 * needed > voters,
            "a majority of {voters} cannot be {needed}: two candidates could have that many votes each \
             (section 5.2)"
        );
        assert!(
            2 * (needed - 1) <= voters,
            "a majority of {voters} is less than {needed}: {} are more than half already (section 5.2)",
            needed - 1
        );
    }
}

/// An election is won by a majority of the group, lost when the votes still missing cannot make one any more,
/// and open in between (section 5.2; the contract of `VoteResult`). All counts in all groups of up to nine.
#[rstest]
#[case::alone(1)]
#[case::two(2)]
#[case::three(3)]
#[case::four(4)]
#[case::five(5)]
#[case::six(6)]
#[case::seven(7)]
#[case::eight(8)]
#[case::nine(9)]
fn an_election_is_won_lost_or_open(#[case] voters: usize) {
    let _lab = lab!();
    for granted in 0..=voters {
        for rejected in 0..=voters - granted {
            let missing = voters - granted - rejected;
            let (expected, why) = if 2 * granted > voters {
                (VoteResult::Won, "more than half have granted their votes")
            } else if 2 * (granted + missing) > voters {
                (VoteResult::Pending, "the missing votes could still make it more than half")
            } else {
                (VoteResult::Lost, "not even all missing votes would make it more than half")
            };
            assert_eq!(
                vote_result(voters, granted, rejected),
                expected,
                "of {voters} voters {granted} have granted their votes, {rejected} have refused and {missing} not \
                 answered: {why} (section 5.2)"
            );
        }
    }
}
