//! A store that is asked to end.

use super::Cluster;
use crate::cluster::run;

/// It answers those whom it serves, and ends well; the others go on.
#[test]
fn it_ends_in_order() {
    run(async {
        let mut cluster = Cluster::start(3).await;
        let leader = cluster.leader("").await;
        let mut clients = tokio::task::JoinSet::new();
        for n in 0..20 {
            let client = cluster.client().await;
            clients.spawn(async move {
                for round in 0..10 {
                    let key = format!("k{n}-{round}");
                    client
                        .put("default", key.as_bytes(), b"v")
                        .await
                        .unwrap_or_else(|error| panic!("{key}: {error}"));
                }
            });
        }
        let process = cluster.stores[leader].take().expect("it leads");
        process.terminate();
        let (status, log) = process.ended().await;
        assert!(status.success(), "{log}");
        clients.join_all().await;
        let client = cluster.client().await;
        assert_eq!(client.scan("default", b"", b"", 1000).await.expect("a scan").len(), 200);
    });
}

/// Two processes on one folder would destroy it: the second one says so, and does not start.
#[test]
fn a_folder_that_is_in_use() {
    run(async {
        let cluster = Cluster::start(1).await;
        let second = cluster.command(0).output().await.expect("the program is built");
        let said = String::from_utf8_lossy(&second.stderr);
        assert!(!second.status.success());
        assert!(said.contains("is in use by another process"), "{said}");
    });
}

/// A folder of another cluster, and one of another kind of server: refused, with what to do.
#[test]
fn a_folder_of_somebody_else() {
    run(async {
        let mut one = Cluster::start(1).await;
        let two = Cluster::start(1).await;
        one.stores[0].take().expect("it runs").kill().await;
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_raftkv-server"));
        command.args(super::store_flags(&two.scheduler.address, &one.folder(0)));
        let refused = command.output().await.expect("the program is built");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success());
        assert!(said.contains("give the store its own"), "{said}");
        let alone = one.command(0).arg("--standalone").output().await.expect("the program is built");
        let said = String::from_utf8_lossy(&alone.stderr);
        assert!(!alone.status.success());
        assert!(said.contains("has the data of a Store, not of a Standalone"), "{said}");
    });
}
