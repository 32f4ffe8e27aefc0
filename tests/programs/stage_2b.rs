//! Stage 2b: three stores that know each other from their command lines, without a scheduler.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pretty_assertions::assert_eq;
use raftkv::proto::errorpb;
use raftkv::proto::kvrpcpb::{RawGetRequest, RawPutRequest};
use raftkv::server::client::Client;
use raftkv::server::directory::Directory;
use raftkv::server::rpc::tikvpb::tikv_client::TikvClient;
use raftkv_testkit::history::{Operation, check};
use raftkv_testkit::{Rng, lab};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::transport::Channel;

use crate::calls::{connect, context};
use crate::load::Load;
use crate::process::free_addresses;
use crate::running::{PATIENCE, Programs, SERVER, run, tail};

/// What a minority has not acknowledged by then: it never would, so a longer time shows no more.
const SILENCE: Duration = Duration::from_millis(500);

/// A store that does not answer for so long does not lead.
const ANSWER: Duration = Duration::from_secs(2);

/// A port that was free may be taken by somebody else before the store has it: so often others are tried.
const TRIES: usize = 5;

struct Three {
    programs: Programs,
    stores: BTreeMap<u64, String>,
}

/// The stores' numbers. Those of other tests are others: a store of theirs may go on sending to one that was killed, whose
/// port is somebody else's by now, and a message for another store is dropped.
fn numbers() -> [u64; 3] {
    static CLUSTERS: AtomicU64 = AtomicU64::new(0);
    let cluster = u64::from(std::process::id()) + CLUSTERS.fetch_add(1, Ordering::Relaxed);
    [1, 2, 3].map(|n| cluster % 1000 * 10 + n)
}

fn name(id: u64) -> String {
    format!("store {id}")
}

impl Three {
    async fn start() -> Three {
        for _ in 0..TRIES {
            let programs = Programs::new();
            let stores: BTreeMap<u64, String> = numbers().into_iter().zip(free_addresses(3)).collect();
            match start_all(&programs, &stores).await {
                Ok(()) => return Three { programs, stores },
                Err(log) if log.contains("cannot listen at") => {}
                Err(log) => panic!("a store does not start; the end of its log:\n{}", tail(&log)),
            }
        }
        panic!("{TRIES} times a port that was free was taken before a store had it");
    }

    async fn connect(&self, id: u64) -> Result<TikvClient<Channel>, String> {
        connect(&self.stores[&id]).await.map_err(|error| format!("store {id}: {error}"))
    }

    /// One put at one store. The error within is what a store answers that does not take it.
    async fn put(&self, id: u64, key: &str, value: &str) -> Result<Result<(), errorpb::Error>, String> {
        let (key, value) = (key.to_string().into(), value.to_string().into());
        let request = RawPutRequest { context: Some(context(id)), key, value, ..Default::default() };
        let answer = self.connect(id).await?.raw_put(request).await.map_err(|error| error.to_string())?;
        let answer = answer.into_inner();
        match (answer.region_error, answer.error.as_str()) {
            (Some(error), _) => Ok(Err(error)),
            (None, "") => Ok(Ok(())),
            (None, error) => Err(format!("store {id}: {error}")),
        }
    }

    /// Who leads, as that store says: it takes a put. The error is what each says.
    async fn look_for_leader(&self) -> Result<u64, String> {
        let mut seen = Vec::new();
        for id in self.stores.keys() {
            match timeout(ANSWER, self.put(*id, "who", "leads")).await {
                Ok(Ok(Ok(()))) => return Ok(*id),
                Ok(Ok(Err(error))) => seen.push(format!("store {id} answers {}", error.message)),
                Ok(Err(error)) => seen.push(error),
                Err(_) => seen.push(format!("store {id} does not answer")),
            }
        }
        Err(seen.join("; "))
    }

    async fn leader(&self) -> u64 {
        let look = || self.look_for_leader();
        self.programs.until("one of three stores leads, and takes a put", look).await
    }

    /// A client that finds the leader by itself.
    fn client(&self) -> Client {
        Client::of(Directory::Fixed(self.stores.clone()), PATIENCE)
    }
}

/// Starts them. The error is the log of one that does not start.
async fn start_all(programs: &Programs, stores: &BTreeMap<u64, String>) -> Result<(), String> {
    let members: Vec<String> = stores.iter().map(|(id, address)| format!("{id}={address}")).collect();
    let (members, settings) = (members.join(","), programs.settings());
    for (id, address) in stores {
        let number = id.to_string();
        let mut flags = vec!["--members", &members, "--store-id", &number, "--listen", address];
        flags.extend(["--status", "none", "--config", &settings]);
        programs.try_start(&name(*id), SERVER, &flags, "serving address=").await?;
    }
    Ok(())
}

/// One store leads and serves; the others answer `NotLeader`, and name it.
#[test]
fn one_leads_and_the_others_name_it() {
    let _lab = lab!();
    run(async {
        let three = Three::start().await;
        let they_agree = async || {
            let leader = three.look_for_leader().await?;
            for id in three.stores.keys().filter(|id| **id != leader) {
                let answer = three.put(*id, "k", "from a follower").await?;
                let error = answer.err().ok_or(format!("store {id} takes a put as store {leader} does"))?;
                let named = error.not_leader.as_ref().and_then(|error| error.leader.as_ref());
                if named.is_none_or(|named| named.store_id != leader) {
                    return Err(format!("store {leader} takes puts, but store {id} answers {error:?}"));
                }
            }
            Ok(())
        };
        let what = "the two that do not lead answer NotLeader, with the store that does";
        three.programs.until(what, they_agree).await;
        let client = three.client();
        three.programs.ask("put k = 1", client.put("default", b"k", b"1")).await;
        let read = three.programs.ask("get k", client.get("default", b"k")).await;
        assert_eq!(read.as_deref(), Some(&b"1"[..]), "get k after put k = 1");
        let pairs = three.programs.ask("scan k", client.scan("default", b"k", b"l", 10)).await;
        assert_eq!(pairs.len(), 1, "scan k to l: {pairs:?}");
    });
}

/// The leader is killed while clients write: another store takes over, and what was acknowledged is there. What the
/// clients heard has an order (linearizability, section 8).
#[test]
fn another_one_takes_over() {
    let lab = lab!();
    let seed = lab.seed();
    run(async {
        let three = Three::start().await;
        let leader = three.leader().await;
        let first = three.client();
        for n in 0..20 {
            let key = format!("before {n:02}");
            three.programs.ask(&format!("put {key}"), first.put("default", key.as_bytes(), b"v")).await;
        }
        let load = Load::new();
        let mut clients = JoinSet::new();
        for id in 0..3 {
            clients.spawn(load.clone().work(
                id,
                three.client().without_repeats(),
                Rng::new(seed.wrapping_add(id)),
            ));
        }
        until_answered(&three, &load, "three clients are served").await;
        three.programs.kill(&name(leader)).await;
        until_answered(&three, &load, "they are served after the leader was killed: two of three are left")
            .await;
        load.end();
        let ended = async { Ok::<_, String>(clients.join_all().await) };
        let history = three.programs.ask("the last answers", ended).await;
        let history: Vec<Operation> = history.into_iter().flatten().collect();
        if let Err(violation) = check(&history) {
            panic!("what the clients heard has no order: {violation}");
        }
        let client = three.client();
        let pairs = three.programs.ask("scan", client.scan("default", b"before ", b"before!", 100)).await;
        assert_eq!(pairs.len(), 20, "20 puts were acknowledged before the leader was killed: {pairs:?}");
    });
}

async fn until_answered(three: &Three, load: &Load, what: &str) {
    let goal = load.answered() + 100;
    let look = async || match load.answered() {
        now if now >= goal => Ok(()),
        now => Err(format!("{} of 100 calls are answered", now + 100 - goal)),
    };
    three.programs.until(what, look).await;
}

/// One of three is no majority: it acknowledges no put, and answers no get, for it cannot know whether its data is the
/// latest (section 8).
#[test]
fn a_minority_commits_nothing() {
    let _lab = lab!();
    run(async {
        let three = Three::start().await;
        let leader = three.leader().await;
        for id in three.stores.keys().filter(|id| **id != leader) {
            three.programs.kill(&name(*id)).await;
        }
        if let Ok(Ok(Ok(()))) = timeout(SILENCE, three.put(leader, "k", "1")).await {
            panic!(
                "asked: put k = 1, of one of three stores, the other two killed\ncame: an acknowledgement"
            );
        }
        let key = "who".into();
        let request = RawGetRequest { context: Some(context(leader)), key, ..Default::default() };
        let mut store = three.programs.ask("a connection", three.connect(leader)).await;
        if let Ok(Ok(answer)) = timeout(SILENCE, store.raw_get(request)).await {
            let answer = answer.into_inner();
            let is_refused = answer.region_error.is_some() || !answer.error.is_empty();
            assert!(
                is_refused,
                "asked: get who, of one of three stores, the other two killed\ncame: {answer:?}"
            );
        }
        // It is there, and waits.
        let still = async || three.connect(leader).await.map(drop);
        three.programs.until("the one that is left goes on", still).await;
    });
}
