//! The data directory: kept over a restart, and used by one process at a time.

use std::path::Path;

use raftkv::proto::pdpb::*;
use raftkv::server::disk::{DirError, EngineKind};
use raftkv::server::scheduler::{Running, ServeError, Settings, start};

use super::{Tso, bootstrap, bounded, client, header, kind, settings};

fn on(dir: &Path) -> Settings {
    Settings { engine: EngineKind::Rocksdb, data_dir: dir.join("data"), ..settings() }
}

async fn begin(dir: &Path) -> Running {
    start(on(dir)).await.expect("the directory is free")
}

/// Ids, timestamps and the cluster survive on a real disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_where_it_was() {
    bounded(async {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (mut last_id, mut last_timestamp) = (0, 0);
        for life in 0..3 {
            let running = begin(dir.path()).await;
            let mut client = client(&running).await;
            let answer = client.bootstrap(bootstrap(1)).await.expect("an answer").into_inner();
            assert_eq!(kind(&answer.header).is_none(), life == 0, "the cluster begins once");
            let id = client
                .alloc_id(AllocIdRequest { header: header() })
                .await
                .expect("an answer")
                .into_inner()
                .id;
            assert!(id > last_id, "life {life}: {id} after {last_id}");
            let given = Tso::begin(&mut client).await.get(100).await;
            assert!(*given.start() > last_timestamp, "life {life}: {given:?} after {last_timestamp}");
            (last_id, last_timestamp) = (id, *given.end());
            running.stop().await.expect("nothing has failed");
        }
    })
    .await;
}

/// A second scheduler on the same directory is refused, and the first one goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_one_on_the_same_directory_is_refused() {
    bounded(async {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let running = begin(dir.path()).await;
        let refused = start(on(dir.path())).await.err().expect("the directory is in use");
        assert!(matches!(refused, ServeError::Dir(DirError::InUse(_))), "{refused}");
        client(&running).await.alloc_id(AllocIdRequest { header: header() }).await.expect("an answer");
        running.stop().await.expect("nothing has failed");
        begin(dir.path()).await.stop().await.expect("the directory is free");
    })
    .await;
}

/// The data of one cluster is not taken for another one's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_data_of_another_cluster_is_refused() {
    bounded(async {
        let dir = tempfile::tempdir().expect("a temporary folder");
        begin(dir.path()).await.stop().await.expect("nothing has failed");
        let refused = start(Settings { cluster_id: Some(8), ..on(dir.path()) }).await.err().expect("it is 7");
        assert!(refused.to_string().contains("cluster 7"), "{refused}");
        begin(dir.path()).await.stop().await.expect("the refused one has let go of the directory");
    })
    .await;
}
