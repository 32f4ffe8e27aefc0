//! Snapshots on their way between two stores: one stream each, past all other messages.

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::node::StoreHandle;
use super::peers::{Peers, into_text};
use crate::ids::PeerId;
use crate::proto::raft_serverpb::{Done, RaftMessage, SnapshotChunk};
use crate::raftstore::{Event, SnapKey, TaskDone};
use crate::worker::snap::{CHUNK_SIZE, Permits, SnapError, SnapFiles, SnapReceiver, SnapSender};

/// So many are sent at once, and so many received.
pub const AT_ONCE: usize = 4;

/// So many chunks wait for the network, or for the disk. It bounds the memory of a stream.
const CHUNKS: usize = 2;

/// Sends snapshots.
pub struct SnapshotSender {
    peers: Peers,
    files: SnapFiles,
    store: StoreHandle,
    runtime: Handle,
    /// Who wants to send waits here; what the sender itself takes, is then free.
    turns: std::sync::Arc<Semaphore>,
    permits: Permits,
}

impl SnapshotSender {
    /// Sends the files of this store; what comes of it, the store hears.
    pub fn new(peers: Peers, files: SnapFiles, store: StoreHandle, runtime: Handle) -> SnapshotSender {
        let (turns, permits) = (Semaphore::new(AT_ONCE).into(), Permits::new(AT_ONCE));
        SnapshotSender { peers, files, store, runtime, turns, permits }
    }

    /// Begins to send the snapshot in this message, or waits for its turn.
    pub fn send(&self, message: RaftMessage) {
        let snapshot = message.message.as_ref().and_then(|message| message.snapshot.as_ref());
        let key = snapshot.and_then(|snapshot| SnapKey::of(message.region_id, snapshot));
        let (Some(key), Some(to)) = (key, message.to_peer) else { return };
        let (peers, files, store) = (self.peers.clone(), self.files.clone(), self.store.clone());
        let (turns, permits) = (self.turns.clone(), self.permits.clone());
        self.runtime.spawn(async move {
            let _turn = turns.acquire().await;
            let result = match permits.take() {
                Some(permit) => {
                    let sender = SnapSender::new(files, message, CHUNK_SIZE, permit);
                    send(&peers, to.store_id, sender).await
                }
                None => Err("too many snapshots are being sent".to_string()),
            };
            match &result {
                Ok(()) => tracing::info!(%key, to = to.store_id, "sent"),
                Err(error) => tracing::warn!(%key, to = to.store_id, %error, "not sent"),
            }
            store.task_done(TaskDone::Sent { key, to: PeerId::from(to.id), result });
        });
    }
}

async fn send(peers: &Peers, to: u64, sender: Result<SnapSender, SnapError>) -> Result<(), String> {
    let mut sender = sender.map_err(|error| error.to_string())?;
    let mut client = peers.client(to).await?;
    let (chunks, outgoing) = mpsc::channel(CHUNKS);
    let read = tokio::task::spawn_blocking(move || {
        while let Some(chunk) = sender.next_chunk()? {
            if chunks.blocking_send(chunk).is_err() {
                // The stream has broken: its end says why.
                break;
            }
        }
        Ok::<(), crate::engine::EngineError>(())
    });
    // A file that cannot be read ends the stream early, and the receiver finds that something is missing.
    let sent = client.snapshot(peers.signed(ReceiverStream::new(outgoing))).await;
    let read = read.await.map_err(|error| error.to_string())?;
    read.map_err(|error| error.to_string())?;
    sent.map(|_| ()).map_err(|status| {
        peers.forget(to);
        into_text(status)
    })
}

/// Receives a snapshot, and hands it to the store when all of it is here.
pub async fn receive(
    files: SnapFiles,
    permits: &Permits,
    store: &StoreHandle,
    mut chunks: Streaming<SnapshotChunk>,
) -> Result<Done, Status> {
    let Some(first) = chunks.next().await else { return Err(refuse(&SnapError::BadMessage("it is empty"))) };
    let first = first?;
    let Some(permit) = permits.take() else {
        return Err(Status::resource_exhausted(SnapError::Busy(permits.limit()).to_string()));
    };
    let receiver = SnapReceiver::new(files, first, permit).map_err(|error| refuse(&error))?;
    let (queue, incoming) = mpsc::channel(CHUNKS);
    let write = tokio::task::spawn_blocking(move || write(receiver, incoming));
    let mut broken = None;
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(chunk) => {
                if queue.send(Some(chunk)).await.is_err() {
                    // The disk has failed: the outcome below says how.
                    break;
                }
            }
            Err(status) => {
                broken = Some(status);
                break;
            }
        }
    }
    if broken.is_none() {
        // Full or closed, the outcome tells.
        let _ = queue.send(None).await;
    }
    drop(queue);
    let outcome = write.await.map_err(|error| Status::internal(error.to_string()))?;
    if let Some(status) = broken {
        return Err(status);
    }
    match outcome {
        Ok(Some(Event::Snapshot { message, copy })) => {
            store.snapshot(message, copy);
            Ok(Done {})
        }
        Ok(_) => Err(Status::cancelled("the stream has broken")),
        Err(error) => Err(refuse(&error)),
    }
}

/// Writes chunks until `None` says that the stream has ended well. If it has not, nothing stays.
fn write(
    mut receiver: SnapReceiver,
    mut chunks: mpsc::Receiver<Option<SnapshotChunk>>,
) -> Result<Option<Event>, SnapError> {
    while let Some(chunk) = chunks.blocking_recv() {
        match chunk {
            Some(chunk) => receiver.take(chunk)?,
            None => return receiver.finish().map(Some),
        }
    }
    Ok(None)
}

fn refuse(error: &SnapError) -> Status {
    tracing::warn!(%error, "a snapshot is not received");
    match error {
        SnapError::Engine(_) => Status::internal(error.to_string()),
        SnapError::Busy(_) => Status::resource_exhausted(error.to_string()),
        SnapError::BadMessage(_) | SnapError::Size { .. } | SnapError::Checksum { .. } => {
            Status::data_loss(error.to_string())
        }
    }
}
