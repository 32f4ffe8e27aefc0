//! Raft's messages on their way to other stores.
//!
//! ```text
//!   store thread --send--> one queue for each store --> one task for each store: rpc BatchRaft, one stream
//! ```
//!
//! - A message may be lost: a queue that is full drops, and so does one whose store cannot be reached. Raft sends again
//!   what matters; to keep old messages for later would only make later worse.
//! - Messages to one store keep their order as long as the stream lives, and whatever has piled up goes in one.
//! - The store thread never waits here.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::peers::{Peers, into_text};
use super::retry::Retry;
use crate::ids::StoreId;
use crate::proto::raft_serverpb::RaftMessage;
use crate::proto::tikvpb::BatchRaftMessage;

/// So many messages wait for one store.
const QUEUE: usize = 8192;

/// At most so many travel in one piece.
const BATCH: usize = 256;

/// So many pieces wait for the network.
const IN_FLIGHT: usize = 4;

/// A store that cannot be reached is tried again so often.
const RETRY: Duration = Duration::from_millis(200);

/// The ways to all other stores.
pub struct Transport {
    peers: Peers,
    runtime: Handle,
    queues: BTreeMap<StoreId, mpsc::Sender<RaftMessage>>,
}

impl Transport {
    /// With no connection yet. `runtime` is where the tasks run.
    pub fn new(peers: Peers, runtime: Handle) -> Transport {
        Transport { peers, runtime, queues: BTreeMap::new() }
    }

    /// Sends a message to the store of its receiver.
    pub fn send(&mut self, message: RaftMessage) {
        let to = message.to_peer.unwrap_or_default().store_id;
        let queue = self.queues.entry(to).or_insert_with(|| {
            let (queue, messages) = mpsc::channel(QUEUE);
            self.runtime.spawn(deliver(self.peers.clone(), to, messages));
            queue
        });
        if queue.try_send(message).is_err() {
            tracing::debug!(store = to, "a message is dropped: too many wait for this store");
        }
    }
}

/// Takes messages to one store until nobody sends any more.
async fn deliver(peers: Peers, to: StoreId, mut messages: mpsc::Receiver<RaftMessage>) {
    let mut retry = Retry::new(format!("store {to}"), RETRY);
    while !messages.is_closed() {
        retry.turn().await;
        retry.ended(stream(&peers, to, &mut messages).await);
        peers.forget(to);
        // What has waited for a store that could not be reached is old by now.
        while messages.try_recv().is_ok() {}
    }
}

/// One stream, until it breaks.
async fn stream(
    peers: &Peers,
    to: StoreId,
    messages: &mut mpsc::Receiver<RaftMessage>,
) -> Result<(), String> {
    let mut batch = Vec::with_capacity(BATCH);
    // Whoever has nothing to say needs no connection.
    if messages.recv_many(&mut batch, BATCH).await == 0 {
        return Ok(());
    }
    let mut client = peers.client(to).await?;
    let (pieces, outgoing) = mpsc::channel(IN_FLIGHT);
    let request = peers.signed(ReceiverStream::new(outgoing));
    let call = client.batch_raft(request);
    tokio::pin!(call);
    loop {
        let piece = BatchRaftMessage { msgs: std::mem::take(&mut batch) };
        tokio::select! {
            sent = pieces.send(piece) => sent.map_err(|_| "the stream has ended".to_string())?,
            end = &mut call => return end.map(|_| ()).map_err(into_text),
        }
        tokio::select! {
            count = messages.recv_many(&mut batch, BATCH) => if count == 0 {
                return Ok(());
            },
            end = &mut call => return end.map(|_| ()).map_err(into_text),
        }
    }
}
