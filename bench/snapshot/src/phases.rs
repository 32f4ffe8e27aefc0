//! The way of one snapshot, cut into phases. Each runs in a process of its own ([`crate::table`] says why), and finds
//! on disk what the one before has left.
//!
//! | in the scratch folder | what |
//! |---|---|
//! | `source/kv`, `target/kv` | the two stores' databases |
//! | `source/snap`, `target/snap` | their folders of snapshot files |
//! | `snapshot` | what [`region::generate`] returned, encoded |
//! | `sums` | what the source's data adds up to |

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prost::Message;
use raftkv::engine::{DirFolder, Engine, RocksEngine};
use raftkv::proto::eraftpb::{self, MessageType, Snapshot};
use raftkv::proto::metapb::{Peer, Region, RegionEpoch};
use raftkv::proto::raft_serverpb::RaftMessage;
use raftkv::raftstore::{Generate, SnapKey};
use raftkv::worker::region;
use raftkv::worker::snap::{CHUNK_SIZE, Permits, SnapFiles, SnapReceiver, SnapSender};

use crate::data;

/// The one snapshot that there is.
const KEY: SnapKey = SnapKey { region: 1, term: 6, index: 1000 };
const SENDER: Peer = Peer { id: 11, store_id: 1, role: 0 };
const RECEIVER: Peer = Peer { id: 12, store_id: 2, role: 0 };

/// One part of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Writes the region's data into the source. Not in the table.
    Fill,
    /// Adds the source's data up, and counts it. Not in the table. It opens the source after [`Phase::Fill`], and so
    /// RocksDB brings into files what is in the write-ahead log only: that is not [`Phase::Idle`]'s or
    /// [`Phase::Generate`]'s doing.
    Sum,
    /// Opens the source and does nothing: what an idle store needs.
    Idle,
    /// From the source's RocksDB into files.
    Generate,
    /// From files to files, chunk by chunk.
    SendReceive,
    /// From files into the target's RocksDB.
    Load,
    /// Adds the target's data up and compares. Not in the table.
    Verify,
}

impl Phase {
    /// In their order.
    pub const ALL: [Phase; 7] = [
        Phase::Fill,
        Phase::Sum,
        Phase::Idle,
        Phase::Generate,
        Phase::SendReceive,
        Phase::Load,
        Phase::Verify,
    ];

    /// For the table and the command line.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Fill => "fill",
            Phase::Sum => "sum",
            Phase::Idle => "idle",
            Phase::Generate => "generate",
            Phase::SendReceive => "send+receive",
            Phase::Load => "load",
            Phase::Verify => "verify",
        }
    }

    /// Whether the table has a row for it.
    pub fn is_measured(self) -> bool {
        matches!(self, Phase::Idle | Phase::Generate | Phase::SendReceive | Phase::Load)
    }

    /// Carries it out, and returns how long its work took: what is opened before is not in it.
    ///
    /// # Panics
    /// Where anything fails, or the target's data is not the source's: a figure for work that was not done is worth
    /// nothing.
    pub fn run(self, scratch: &Path, mib: u64) -> Duration {
        let scratch = Scratch(scratch.to_path_buf());
        match self {
            Phase::Fill => timed(|| data::fill(&scratch.kv("source"), mib).expect("the source takes data")),
            Phase::Sum => {
                let (sums, total) =
                    data::sums(&*scratch.kv("source").snapshot()).expect("the source is read");
                assert_eq!(total, data::pairs(mib), "the source has not every pair that was written");
                fs::write(scratch.path("sums"), sums).expect("the scratch folder takes a file");
                Duration::ZERO
            }
            Phase::Idle => {
                let _kv = scratch.kv("source");
                Duration::ZERO
            }
            Phase::Generate => generate(&scratch),
            Phase::SendReceive => send_and_receive(&scratch),
            Phase::Load => {
                let kv = scratch.kv("target");
                let files = scratch.files("target");
                timed(|| region::load(&kv, &files, KEY, &data::range()).expect("the snapshot is loaded"))
            }
            Phase::Verify => {
                let want = fs::read_to_string(scratch.path("sums")).expect("the source was added up");
                let (have, _) = data::sums(&*scratch.kv("target").snapshot()).expect("the target is read");
                assert_eq!(have, want, "the target's data (left) is not the source's (right)");
                Duration::ZERO
            }
        }
    }
}

fn generate(scratch: &Scratch) -> Duration {
    let kv = scratch.kv("source");
    let files = scratch.files("source");
    let bounds = data::range();
    let region = Region {
        id: KEY.region,
        start_key: bounds.start,
        end_key: bounds.end,
        region_epoch: Some(RegionEpoch { conf_ver: 1, version: 1 }),
        peers: vec![SENDER, RECEIVER],
    };
    let task = Generate { key: KEY, region, data: kv.snapshot() };
    let mut snapshot = Snapshot::default();
    let took = timed(|| snapshot = region::generate(&files, &task).expect("the snapshot is made"));
    fs::write(scratch.path("snapshot"), snapshot.encode_to_vec()).expect("the scratch folder takes a file");
    took
}

/// Both ends of a stream. The network between them is left out: a chunk is handed over as it is, and it is gone before
/// the next one is asked for, as with a network that takes one at a time.
fn send_and_receive(scratch: &Scratch) -> Duration {
    let encoded = fs::read(scratch.path("snapshot")).expect("the snapshot was made");
    let snapshot = Snapshot::decode(&encoded[..]).expect("it is what was written");
    let message = eraftpb::Message {
        msg_type: MessageType::MsgSnapshot as i32,
        from: SENDER.id,
        to: RECEIVER.id,
        term: KEY.term,
        snapshot: Some(snapshot),
        ..Default::default()
    };
    let message = RaftMessage {
        region_id: KEY.region,
        from_peer: Some(SENDER),
        to_peer: Some(RECEIVER),
        message: Some(message),
        ..Default::default()
    };
    let (sending, receiving) = (Permits::new(1), Permits::new(1));
    let permits = (sending.take().expect("nobody sends"), receiving.take().expect("nobody receives"));
    let sender = SnapSender::new(scratch.made_files(), message, CHUNK_SIZE, permits.0);
    let mut sender = sender.expect("the message has a snapshot");
    let files = scratch.files("target");
    timed(|| {
        let first = sender.next_chunk().expect("the files are read").expect("the message is a chunk");
        let mut receiver = SnapReceiver::new(files, first, permits.1).expect("the snapshot is announced");
        while let Some(chunk) = sender.next_chunk().expect("the files are read") {
            assert!(chunk.data.len() <= CHUNK_SIZE, "a chunk of {} bytes", chunk.data.len());
            receiver.take(chunk).expect("the chunk is what was announced");
        }
        receiver.finish().expect("everything has come");
    })
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// The scratch folder of one region.
struct Scratch(PathBuf);

impl Scratch {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn kv(&self, store: &str) -> RocksEngine {
        let folder = self.path(store).join("kv");
        fs::create_dir_all(&folder).expect("the scratch folder takes a folder");
        RocksEngine::open(folder).expect("the database opens")
    }

    /// What a store that starts finds: a snapshot that it has received stays.
    fn files(&self, store: &str) -> SnapFiles {
        let folder = DirFolder::open(self.path(store).join("snap")).expect("the folder opens");
        SnapFiles::open(Arc::new(folder), &[KEY]).expect("the folder is read")
    }

    /// A store that starts removes what it made to be sent before. Here it was another process only because of the
    /// measuring, so the files step aside for that moment.
    fn made_files(&self) -> SnapFiles {
        let (folder, aside) = (self.path("source").join("snap"), self.path("aside"));
        fs::rename(&folder, &aside).expect("the files step aside");
        let files = self.files("source");
        fs::remove_dir(&folder).expect("the folder is empty");
        fs::rename(&aside, &folder).expect("the files come back");
        files
    }
}
