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
/// and open in between (section 5.2; the contract of `VoteResult`).
#[rstest]
#[case::alone(1, 1, 0, VoteResult::Won)]
#[case::two_of_two(2, 2, 0, VoteResult::Won)]
#[case::one_of_two(2, 1, 0, VoteResult::Pending)]
#[case::two_refuse_once(2, 1, 1, VoteResult::Lost)]
#[case::own_vote_of_three(3, 1, 0, VoteResult::Pending)]
#[case::two_of_three(3, 2, 0, VoteResult::Won)]
#[case::three_of_three(3, 3, 0, VoteResult::Won)]
#[case::two_of_three_and_a_refusal(3, 2, 1, VoteResult::Won)]
#[case::three_with_one_missing(3, 1, 1, VoteResult::Pending)]
#[case::three_refuse_twice(3, 1, 2, VoteResult::Lost)]
#[case::half_of_four(4, 2, 0, VoteResult::Pending)]
#[case::four_refuse_once(4, 2, 1, VoteResult::Pending)]
#[case::four_split(4, 2, 2, VoteResult::Lost)]
#[case::four_refuse_twice_early(4, 1, 2, VoteResult::Lost)]
#[case::five_with_one_missing(5, 2, 2, VoteResult::Pending)]
#[case::five_refuse_three_times(5, 1, 3, VoteResult::Lost)]
#[case::half_of_six(6, 3, 2, VoteResult::Pending)]
#[case::six_split(6, 3, 3, VoteResult::Lost)]
fn an_election_is_won_lost_or_open(
    #[case] voters: usize,
    #[case] granted: usize,
    #[case] rejected: usize,
    #[case] expected: VoteResult,
) {
    let _lab = lab!();
    assert_eq!(
        vote_result(voters, granted, rejected),
        expected,
        "{voters} voters, {granted} have granted and {rejected} refused, {} have not answered yet (section 5.2)",
        voters - granted - rejected
    );
}
