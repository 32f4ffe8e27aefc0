//! A disk that is full.

use tokio::process::Command;

use super::Cluster;
use crate::cluster::run;
use crate::process::start;

/// The store of a small disk stops, says why, and loses nothing: with room, it goes on. (The system limits the size of
/// its files, which a program cannot tell from a disk that is full.)
#[test]
fn it_is_full() {
    run(async {
        let mut cluster = Cluster::start(1).await;
        cluster.stores[0].take().expect("it runs").kill().await;
        let server = cluster.command(0);
        let mut limited = Command::new("sh");
        // In blocks of 512 bytes: 2 MiB. Without the trap, the first write too many would be a signal.
        limited.args(["-c", "trap '' XFSZ; ulimit -f 4096; exec \"$@\"", "sh"]);
        limited.arg(server.as_std().get_program()).args(server.as_std().get_args());
        cluster.stores[0] = Some(start(limited, "serving address=").await);
        let client = cluster.client().await;
        let quick = client.clone().without_repeats();
        let mut acknowledged = 0;
        while quick.put("default", format!("k{acknowledged:04}").as_bytes(), &[b'v'; 50_000]).await.is_ok() {
            acknowledged += 1;
            assert!(acknowledged < 1000, "50 MB do not fit into 2 MiB");
        }
        assert!(acknowledged > 5, "some do fit: {acknowledged}");
        let (status, log) = cluster.stores[0].take().expect("it ran").ended().await;
        assert!(!status.success(), "whoever watches over it must see that it is not well: {log}");
        assert!(log.contains("File too large"), "it says why: {log}");
        cluster.start_store(0).await;
        let there = client.scan("default", b"", b"", 2000).await.expect("a scan").len();
        assert!(there >= acknowledged, "{acknowledged} were acknowledged, and {there} are there");
    });
}
