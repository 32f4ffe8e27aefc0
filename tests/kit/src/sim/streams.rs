//! Snapshots on their way: chunk by chunk, each of which takes its time, and may be lost, damaged, or the last.

use std::collections::BTreeMap;

use bytes::Bytes;
use raftkv::ids::{PeerId, StoreId};
use raftkv::proto::raft_serverpb::{RaftMessage, SnapshotChunk};
use raftkv::raftstore::{Event, SnapKey, TaskDone};
use raftkv::worker::snap::{SnapReceiver, SnapSender};

use super::events::Happening;
use super::faults::Fault;
use super::trace::What;
use super::{Sim, millis};

/// One snapshot on its way.
pub(super) struct Stream {
    pub from: StoreId,
    pub to: StoreId,
    key: SnapKey,
    peer: PeerId,
    sender: SnapSender,
    receiver: Option<SnapReceiver>,
}

impl Stream {
    /// In a few words.
    pub fn text(&self) -> String {
        format!("{} from store {} to {}", self.key, self.from, self.to)
    }
}

/// All of them, by their number.
pub(super) type Streams = BTreeMap<u64, Stream>;

/// What happens to a chunk.
enum Luck {
    Arrives,
    Lost,
    Damaged,
    Cut,
}

impl Sim {
    /// A store wants a snapshot sent.
    pub(super) fn on_send_snapshot(&mut self, id: StoreId, message: RaftMessage) {
        if self.stores.contains_key(&id) {
            self.machines.get_mut(&id).expect("it has a store").outgoing.push_back(message);
            self.begin_streams(id);
        }
    }

    /// Begins to send what waits to be sent, as much as is allowed at once.
    fn begin_streams(&mut self, id: StoreId) {
        while let Some(permit) = self.machines[&id].sending.take() {
            let machine = self.machines.get_mut(&id).expect("it is there");
            let (Some(message), Some(files)) = (machine.outgoing.pop_front(), machine.files.clone()) else {
                return;
            };
            let (to, peer) = message.to_peer.map_or((0, 0), |peer| (peer.store_id, peer.id));
            let sender = SnapSender::new(files, message, self.chunk_size, permit);
            let sender = sender.unwrap_or_else(|error| {
                self.break_off(
                    "a message with a snapshot says which files belong to it (RaftSnapshotData)",
                    &format!("store {id} sends one that does not: {error}"),
                )
            });
            self.last_id += 1;
            let stream = self.last_id;
            let key = sender.key();
            self.counts.streams += 1;
            self.trace
                .note(self.now, What::Stream(stream, format!("{key}: store {id} begins to send it to {to}")));
            self.streams.insert(stream, Stream { from: id, to, key, peer, sender, receiver: None });
            self.next_chunk(stream);
        }
    }

    /// The sender's next chunk goes on its way.
    fn next_chunk(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let link = (stream.from, stream.to);
        let chunk = match stream.sender.next_chunk() {
            Ok(chunk) => chunk,
            Err(error) => return self.break_stream(id, &format!("the sender's disk: {error}")),
        };
        if self.network.is_cut(link) {
            self.network.strike(Fault::Cut);
            return self.schedule(millis(300), Happening::StreamBroken(id));
        }
        let Some(chunk) = chunk else {
            let time = self.network.latency(&mut self.rng);
            return self.schedule(time, Happening::StreamEnd(id));
        };
        let bytes = chunk.data.len() as u64;
        self.check_chunk(&chunk);
        self.counts.largest_chunk = self.counts.largest_chunk.max(bytes);
        let time = self.network.latency(&mut self.rng) + bytes / self.bandwidth;
        match self.luck() {
            Luck::Cut => self.schedule(time, Happening::StreamBroken(id)),
            Luck::Lost => self.schedule(time, Happening::Chunk(id, None)),
            Luck::Damaged => self.schedule(time, Happening::Chunk(id, Some(Box::new(damaged(chunk))))),
            Luck::Arrives => self.schedule(time, Happening::Chunk(id, Some(Box::new(chunk)))),
        }
    }

    fn check_chunk(&self, chunk: &SnapshotChunk) {
        let (is_first, len) = (chunk.message.is_some(), chunk.data.len());
        if is_first != (len == 0) || len > self.chunk_size {
            self.break_off(
                "the first chunk has the message and no data; every other one has data, and not more than a chunk may have \
                 (SnapSender::next_chunk)",
                &format!("a chunk has {len} bytes of data and {} message", if is_first { "a" } else { "no" }),
            );
        }
    }

    fn luck(&mut self) -> Luck {
        if !self.rng.percent(self.network.weather.stream_trouble) {
            return Luck::Arrives;
        }
        let (luck, fault) = match self.rng.below(3) {
            0 => (Luck::Cut, Fault::StreamCut),
            1 => (Luck::Lost, Fault::ChunkLost),
            _ => (Luck::Damaged, Fault::ChunkDamaged),
        };
        self.network.strike(fault);
        luck
    }

    /// A chunk arrives, or would have. The next one leaves.
    pub(super) fn on_chunk(&mut self, id: u64, chunk: Option<SnapshotChunk>) {
        let Some(to) = self.streams.get(&id).map(|stream| stream.to) else { return };
        if self.network.is_held((self.streams[&id].from, to)) {
            return self.schedule(millis(5), Happening::Chunk(id, chunk.map(Box::new)));
        }
        if !self.is_up(to) {
            return self.break_stream(id, "the store is down");
        }
        if let Some(chunk) = chunk {
            let struck = self.machines[&to].disk.struck();
            let outcome = self.take_chunk(id, to, chunk);
            if self.machines[&to].disk.is_stopped() {
                return self.on_failure(to, "it stopped while it received a snapshot".to_string());
            }
            if self.machines[&to].disk.struck() > struck {
                self.network.strike(Fault::WorkerDiskError);
            }
            if let Err(why) = outcome {
                return self.break_stream(id, &why);
            }
        }
        self.next_chunk(id);
    }

    fn take_chunk(&mut self, id: u64, to: StoreId, chunk: SnapshotChunk) -> Result<(), String> {
        let stream = self.streams.get_mut(&id).expect("it was there a moment ago");
        if let Some(receiver) = &mut stream.receiver {
            return receiver.take(chunk).map_err(|error| error.to_string());
        }
        let machine = &self.machines[&to];
        let Some(permit) = machine.receiving.take() else {
            self.network.strike(Fault::StreamRefused);
            return Err("the receiver has enough to do".to_string());
        };
        let files = machine.files.clone().expect("a store that runs has its files");
        let receiver = SnapReceiver::new(files, chunk, permit).map_err(|error| error.to_string())?;
        stream.receiver = Some(receiver);
        Ok(())
    }

    /// All chunks have been sent.
    pub(super) fn on_stream_end(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let (from, to) = (stream.from, stream.to);
        let Some(receiver) = stream.receiver.take() else {
            return self.break_stream(id, "the first chunk never came");
        };
        if !self.is_up(to) {
            return self.break_stream(id, "the store is down");
        }
        let finished = receiver.finish();
        if self.machines[&to].disk.is_stopped() {
            return self.on_failure(to, "it stopped while it received a snapshot".to_string());
        }
        let event = match finished {
            Ok(event) => event,
            Err(error) => return self.break_stream(id, &error.to_string()),
        };
        self.counts.received += 1;
        let boot = self.machines[&to].boot;
        self.trace.note(
            self.now,
            What::Stream(id, format!("{}: all of it is on store {to}", self.streams[&id].key)),
        );
        self.schedule(0, Happening::Snapshot(to, boot, Box::new(event)));
        if self.network.is_cut((to, from)) {
            // The sender never learns of it.
            self.network.strike(Fault::Cut);
            return self.schedule(millis(300), Happening::StreamBroken(id));
        }
        let time = self.network.latency(&mut self.rng);
        self.schedule(time, Happening::StreamDone(id));
    }

    /// A received snapshot comes to its store.
    pub(super) fn on_snapshot(&mut self, id: StoreId, boot: u64, event: Event) -> Option<StoreId> {
        if self.machines[&id].boot != boot {
            return None;
        }
        if let Event::Snapshot { message, .. } = &event {
            self.trace.arrived(self.now, message);
        }
        self.hand(id, event)
    }

    /// The sender hears that all is well.
    pub(super) fn on_stream_done(&mut self, id: u64) {
        if let Some(stream) = self.streams.remove(&id) {
            self.tell_sender(&stream, Ok(()));
        }
    }

    /// A stream ends before its end: what has come is thrown away, and the sender learns of it.
    pub(super) fn break_stream(&mut self, id: u64, why: &str) {
        let Some(mut stream) = self.streams.remove(&id) else { return };
        self.trace.note(self.now, What::Stream(id, format!("{}: the stream breaks: {why}", stream.key)));
        self.counts.broken += 1;
        drop(stream.receiver.take());
        if self.stores.contains_key(&stream.to) && self.machines[&stream.to].disk.is_stopped() {
            self.on_failure(stream.to, "it stopped while it received a snapshot".to_string());
        }
        self.tell_sender(&stream, Err(why.to_string()));
    }

    fn tell_sender(&mut self, stream: &Stream, result: Result<(), String>) {
        let (from, boot) = (stream.from, self.machines[&stream.from].boot);
        if self.stores.contains_key(&from) {
            let done = TaskDone::Sent { key: stream.key, to: stream.peer, result };
            self.schedule(0, Happening::TaskDone(from, boot, Box::new(done)));
            self.schedule(0, Happening::Resend(from));
        }
    }

    /// A permit may be free.
    pub(super) fn on_resend(&mut self, id: StoreId) {
        if self.stores.contains_key(&id) {
            self.begin_streams(id);
        }
    }

    /// A store goes down, and with it what it sends and receives. Its receivers' files stay as they are.
    pub(super) fn drop_streams(&mut self, id: StoreId) {
        let gone: Vec<u64> =
            self.streams.iter().filter(|(_, s)| s.from == id || s.to == id).map(|(n, _)| *n).collect();
        for number in gone {
            if self.streams[&number].to == id {
                let receiver = self.streams.get_mut(&number).and_then(|stream| stream.receiver.take());
                let machine = self.machines.get_mut(&id).expect("it is there");
                machine.graveyard.extend(receiver);
            }
            self.break_stream(number, "a store goes down");
        }
    }
}

fn damaged(chunk: SnapshotChunk) -> SnapshotChunk {
    let mut data = chunk.data.to_vec();
    if let Some(byte) = data.last_mut() {
        *byte ^= 0x40;
    }
    SnapshotChunk { data: Bytes::from(data), ..chunk }
}
