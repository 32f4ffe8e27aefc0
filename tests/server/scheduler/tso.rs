//! Timestamps.

use raftkv::engine::MemDisk;

use super::{Tso, bounded, client, refusal, running, start_at};

/// As many as were asked for, and each larger than all before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_is_larger_than_all_before() {
    bounded(async {
        let running = running().await;
        let mut tso = Tso::begin(&mut client(&running).await).await;
        let mut last = 0;
        for count in [1, 2, 100, 1 << 18, 1, 1 << 18, 3] {
            let given = tso.get(count).await;
            assert!(*given.start() > last, "{given:?} after {last}");
            last = *given.end();
        }
    })
    .await;
}

/// What cannot be given is refused, and the stream goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_impossible_count_is_refused_and_the_stream_goes_on() {
    bounded(async {
        let running = running().await;
        let mut tso = Tso::begin(&mut client(&running).await).await;
        for count in [0, (1 << 18) + 1, u32::MAX] {
            let refused = tso.ask(count).await;
            assert!(refusal(&refused.header).is_some(), "{count} at once: {refused:?}");
            assert_eq!((refused.timestamp, refused.count), (None, 0));
        }
        tso.get(1).await;
    })
    .await;
}

/// Two clients at the same time never get the same one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_streams_share_one_order() {
    bounded(async {
        let running = running().await;
        let mut one = Tso::begin(&mut client(&running).await).await;
        let mut two = Tso::begin(&mut client(&running).await).await;
        let mut all = Vec::new();
        for count in 1..200 {
            let (first, second) = tokio::join!(one.get(count), two.get(count));
            let before =
                all.iter().map(|given: &std::ops::RangeInclusive<u64>| *given.end()).max().unwrap_or(0);
            assert!(*first.start() > before && *second.start() > before, "asked later, given later");
            all.extend([first, second]);
        }
        all.sort_unstable_by_key(|given| *given.start());
        for pair in all.windows(2) {
            assert!(pair[0].end() < pair[1].start(), "{pair:?} have one in common");
        }
    })
    .await;
}

/// A restart goes on above all that were given.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_above() {
    bounded(async {
        let (disk, mut last) = (MemDisk::new(), 0);
        for restart in 0..5 {
            let running = start_at(&disk).await;
            let mut tso = Tso::begin(&mut client(&running).await).await;
            for _ in 0..3 {
                let given = tso.get(1000).await;
                assert!(*given.start() > last, "restart {restart}: {given:?} after {last}");
                last = *given.end();
            }
            running.stop().await.expect("nothing has failed, and an open stream does not keep it");
            assert_eq!(tso.answers.message().await.expect("the stream ends in order"), None);
        }
    })
    .await;
}
