//! A second client, who comes in at the worst moment: when the first has looked and not yet written.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "two clients of one server are two threads"
)]

use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use raftkv::engine::{Cf, Engine, EngineError, Pairs, Snapshot, WriteBatch};

/// What the rival does.
type Call = Box<dyn FnOnce() + Send>;

/// How often the first client steps back for the rival. A rival who may write is through long before. One who has to
/// wait, waits for the first client: then this is how long the test takes, some milliseconds.
const STEPS_BACK: usize = 20_000;

/// An engine at which a rival waits for the next look at the data.
///
/// The rival's call begins right after the look, on a thread of its own, and has all the time it needs, if nobody
/// holds it up. So a storage that lets others write between its look and its write is caught, and one that does not
/// is never accused.
pub struct Rivalled {
    engine: Arc<dyn Engine>,
    waiting: Mutex<Option<Call>>,
    running: Mutex<Option<JoinHandle<()>>>,
}

impl Rivalled {
    /// Nobody waits yet.
    pub fn new(engine: Arc<dyn Engine>) -> Rivalled {
        Rivalled { engine, waiting: Mutex::default(), running: Mutex::default() }
    }

    /// At the next look, the rival makes this call.
    pub fn at_the_next_look(&self, call: impl FnOnce() + Send + 'static) {
        *self.waiting.lock().unwrap() = Some(Box::new(call));
    }

    /// Waits until the rival's call has returned.
    pub fn join(&self) {
        let rival = self.running.lock().unwrap().take();
        let rival = rival.expect("a swap has to look at the data: a snapshot of the engine");
        rival.join().expect("the rival's call succeeds, before the swap or after it");
    }
}

impl Engine for Rivalled {
    fn write(&self, batch: WriteBatch, sync: bool) -> Result<(), EngineError> {
        self.engine.write(batch, sync)
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.engine.sync()
    }

    fn ingest(&self, cf: Cf, pairs: &mut Pairs<'_>) -> Result<(), EngineError> {
        self.engine.ingest(cf, pairs)
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        let snapshot = self.engine.snapshot();
        // Taken out before it runs: the rival looks at the data too, and shall not meet itself.
        let call = self.waiting.lock().unwrap().take();
        if let Some(call) = call {
            let rival = thread::spawn(call);
            for _ in 0..STEPS_BACK {
                if rival.is_finished() {
                    break;
                }
                thread::yield_now();
            }
            *self.running.lock().unwrap() = Some(rival);
        }
        snapshot
    }
}
