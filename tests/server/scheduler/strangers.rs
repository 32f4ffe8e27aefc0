//! Connections that do not speak the protocol disturb nobody.

use raftkv::proto::pdpb::*;
use tokio::net::TcpStream;
use tonic::Request;

use super::http::{get, read_to_end, write_all};
use super::{Tso, bootstrapped, bounded, client, header, page_of, running};

/// Rubbish ends its own connection, and silence only keeps one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rubbish_and_silence_disturb_nobody() {
    bounded(async {
        let (running, mut client) = bootstrapped(&[1]).await;
        let mut tso = Tso::begin(&mut client).await;
        tso.get(1).await;
        let connect = || TcpStream::connect(running.address());
        let mut silent = Vec::new();
        for _ in 0..50 {
            silent.push(connect().await.expect("it listens"));
            silent.push(TcpStream::connect(page_of(&running)).await.expect("it listens"));
        }
        // The last one begins as the protocol does, and goes on with a frame that is no frame.
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec();
        for rubbish in [b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0; 10_000], vec![0xff; 10_000], preface] {
            let stream = connect().await.expect("it listens");
            // It may close the connection before all is sent.
            let _ = write_all(&stream, &rubbish).await;
            read_to_end(&stream).await;
        }
        tso.get(1).await;
        assert_eq!(get(page_of(&running), "/status").await.0, 200);
        client.alloc_id(AllocIdRequest { header: header() }).await.expect("an answer");
    })
    .await;
}

/// A message that is not one of the protocol is refused, and its connection goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_rubbish_is_refused() {
    bounded(async {
        let running = running().await;
        let mut client = client(&running).await;
        let nothing = client.bootstrap(BootstrapRequest::default()).await.expect("an answer").into_inner();
        assert!(nothing.header.is_some_and(|header| header.error.is_some()), "there is no store in it");
        let huge =
            Request::new(GetRegionRequest { header: header(), region_key: vec![b'k'; 8 << 20].into() });
        client.get_region(huge).await.expect_err("more than a message may have");
        client.alloc_id(AllocIdRequest { header: header() }).await.expect("an answer");
    })
    .await;
}

/// Who says nothing does not keep a process that is to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_does_not_keep_the_process() {
    bounded(async {
        let running = running().await;
        let silent = TcpStream::connect(running.address()).await.expect("it listens");
        let also = TcpStream::connect(page_of(&running)).await.expect("it listens");
        get(page_of(&running), "/status").await;
        running.stop().await.expect("nothing has failed");
        drop((silent, also));
    })
    .await;
}
