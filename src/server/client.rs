//! A client of a cluster: finds the region of a key, asks its leader, and goes elsewhere when it is sent there.
//!
//! | the answer | what the client does |
//! |---|---|
//! | NotLeader, with the leader | asks that one, at once |
//! | EpochNotMatch, with the regions | forgets what it knew of these keys, and asks the scheduler |
//! | any other region error | asks the scheduler, after a pause |
//! | no answer: the connection broke | asks again, if doing it twice is as good as once; otherwise it says that nobody knows |

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::directory::{Directory, fixed_region};
use super::peers::{Peers, into_text};
use super::rpc::tikvpb::tikv_client::TikvClient;
use super::scheduler_client::SchedulerClient;
use crate::proto::errorpb;
use crate::proto::kvrpcpb::{
    Context, KvPair, RawCasRequest, RawDeleteRequest, RawGetRequest, RawPutRequest, RawScanRequest,
    SplitRegionRequest,
};
use crate::proto::metapb::{Peer, Region};

/// A region that answers with an error is asked again so often.
const RETRY: Duration = Duration::from_millis(20);

/// So many hints are followed at once; after that there is a pause.
const HINTS: u32 = 3;

/// A call that takes longer is given up, and perhaps tried again.
const CALL: Duration = Duration::from_secs(2);

const NOBODY_PANICS: &str = "nobody panics while holding the map of regions";

/// Why a request failed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// It can never work.
    #[error("{0}")]
    Rejected(String),
    /// It was carried out, or it will be, or never.
    #[error("nobody knows whether it was carried out: {0}")]
    Undetermined(String),
    /// It was not carried out: the cluster could not serve it in time.
    #[error("not served in time: {0}")]
    Unserved(String),
}

/// Who leads a region, as far as is known.
#[derive(Clone, Debug)]
struct Route {
    region: Region,
    leader: Peer,
}

/// A client. Clones share what they know.
#[derive(Clone)]
pub struct Client {
    directory: Directory,
    peers: Peers,
    /// By start key.
    routes: Arc<Mutex<BTreeMap<Bytes, Route>>>,
    /// Who is asked next where nobody knows who leads.
    next_member: Arc<AtomicUsize>,
    /// How long a request may take in all.
    patience: Duration,
    /// Whether a request is repeated whose outcome nobody knows, where twice is as good as once.
    repeats: bool,
}

/// What one attempt came to.
enum Attempt<T> {
    Done(T),
    /// Not carried out: somewhere else, or later.
    Elsewhere(Box<errorpb::Error>),
    /// Nobody knows.
    Broken(String),
    Refused(String),
}

impl Client {
    /// A client of the cluster of this scheduler: `host:port`.
    ///
    /// # Errors
    /// The scheduler cannot be reached.
    pub async fn connect(scheduler: &str, patience: Duration) -> Result<Client, String> {
        let scheduler = SchedulerClient::connect(scheduler).await?;
        Ok(Client::of(Directory::Scheduler(scheduler), patience))
    }

    /// A client of a cluster that this directory knows.
    pub fn of(directory: Directory, patience: Duration) -> Client {
        let peers = Peers::new(directory.clone());
        Client {
            directory,
            peers,
            routes: Arc::default(),
            next_member: Arc::default(),
            patience,
            repeats: true,
        }
    }

    /// The same client, but nothing is ever carried out twice: for whoever looks at the order in which things happen.
    #[must_use]
    pub fn without_repeats(self) -> Client {
        Client { repeats: false, ..self }
    }

    /// The scheduler, if the cluster has one.
    pub fn scheduler(&self) -> Option<&SchedulerClient> {
        self.directory.scheduler()
    }

    /// A key's value.
    ///
    /// # Errors
    /// [`ClientError::Rejected`] and [`ClientError::Unserved`].
    pub async fn get(&self, cf: &str, key: &[u8]) -> Result<Option<Bytes>, ClientError> {
        let (cf, key) = (cf.to_string(), Bytes::copy_from_slice(key));
        self.request(&key, true, |mut store, context| {
            let request = RawGetRequest { context, key: key.clone(), cf: cf.clone() };
            async move {
                let answer = store.raw_get(request).await?.into_inner();
                let value = (!answer.not_found).then_some(answer.value);
                Ok(attempt(answer.region_error, answer.error, value))
            }
        })
        .await
    }

    /// Sets a key. It may be carried out twice, which is as good as once.
    ///
    /// # Errors
    /// All of [`ClientError`].
    pub async fn put(&self, cf: &str, key: &[u8], value: &[u8]) -> Result<(), ClientError> {
        let (cf, key, value) = (cf.to_string(), Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        self.request(&key, true, |mut store, context| {
            let (key, value, cf) = (key.clone(), value.clone(), cf.clone());
            let request = RawPutRequest { context, key, value, cf, ..Default::default() };
            async move {
                let answer = store.raw_put(request).await?.into_inner();
                Ok(attempt(answer.region_error, answer.error, ()))
            }
        })
        .await
    }

    /// Removes a key. It may be carried out twice, which is as good as once.
    ///
    /// # Errors
    /// All of [`ClientError`].
    pub async fn delete(&self, cf: &str, key: &[u8]) -> Result<(), ClientError> {
        let (cf, key) = (cf.to_string(), Bytes::copy_from_slice(key));
        self.request(&key, true, |mut store, context| {
            let request =
                RawDeleteRequest { context, key: key.clone(), cf: cf.clone(), ..Default::default() };
            async move {
                let answer = store.raw_delete(request).await?.into_inner();
                Ok(attempt(answer.region_error, answer.error, ()))
            }
        })
        .await
    }

    /// Sets a key if it holds what is expected. Returns whether it did, and what it held.
    ///
    /// # Errors
    /// All of [`ClientError`]: it is never carried out twice.
    pub async fn compare_and_swap(
        &self,
        cf: &str,
        key: &[u8],
        expected: Option<&[u8]>,
        value: &[u8],
    ) -> Result<(bool, Option<Bytes>), ClientError> {
        let (cf, key, value) = (cf.to_string(), Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        let expected = expected.map(Bytes::copy_from_slice);
        self.request(&key, false, |mut store, context| {
            let request = RawCasRequest {
                context,
                key: key.clone(),
                value: value.clone(),
                previous_not_exist: expected.is_none(),
                previous_value: expected.clone().unwrap_or_default(),
                cf: cf.clone(),
                ..Default::default()
            };
            async move {
                let answer = store.raw_compare_and_swap(request).await?.into_inner();
                let held = (!answer.previous_not_exist).then_some(answer.previous_value);
                Ok(attempt(answer.region_error, answer.error, (answer.succeed, held)))
            }
        })
        .await
    }

    /// The pairs with `start <= key < end`, at most so many, over as many regions as it takes. An empty `end` is no
    /// bound.
    ///
    /// # Errors
    /// [`ClientError::Rejected`] and [`ClientError::Unserved`].
    pub async fn scan(
        &self,
        cf: &str,
        start: &[u8],
        end: &[u8],
        limit: u32,
    ) -> Result<Vec<KvPair>, ClientError> {
        let (mut start, end) = (Bytes::copy_from_slice(start), Bytes::copy_from_slice(end));
        let mut pairs: Vec<KvPair> = Vec::new();
        loop {
            let limit = limit - u32::try_from(pairs.len()).unwrap_or(limit);
            let (found, next) = self.scan_region(cf, start, end.clone(), limit).await?;
            pairs.extend(found);
            let is_done = next.is_empty() || (!end.is_empty() && next >= end);
            if is_done || pairs.len() as u64 >= u64::from(limit) {
                return Ok(pairs);
            }
            start = next;
        }
    }

    /// Of one region. Also returns where the next one begins.
    async fn scan_region(
        &self,
        cf: &str,
        start_key: Bytes,
        end_key: Bytes,
        limit: u32,
    ) -> Result<(Vec<KvPair>, Bytes), ClientError> {
        let from = start_key.clone();
        self.request_with_route(&from, true, |mut store, context, region| {
            let (start_key, end_key, cf) = (start_key.clone(), end_key.clone(), cf.to_string());
            let request = RawScanRequest { context, start_key, end_key, limit, cf, ..Default::default() };
            async move {
                let answer = store.raw_scan(request).await?.into_inner();
                let failed = answer.kvs.first().and_then(|pair| pair.error.as_ref());
                let error = failed.map(|error| error.abort.clone()).unwrap_or_default();
                Ok(attempt(answer.region_error, error, (answer.kvs, region.end_key)))
            }
        })
        .await
    }

    /// Cuts the region of a key there. Returns the parts.
    ///
    /// # Errors
    /// All of [`ClientError`].
    pub async fn split(&self, key: &[u8]) -> Result<Vec<Region>, ClientError> {
        let key = Bytes::copy_from_slice(key);
        let parts = self
            .request(&key, false, |mut store, context| {
                let split_keys = vec![key.clone()];
                let request = SplitRegionRequest { context, split_keys, is_raw_kv: true };
                async move {
                    let answer = store.split_region(request).await?.into_inner();
                    Ok(attempt(answer.region_error, String::new(), answer.regions))
                }
            })
            .await?;
        self.forget(&key);
        Ok(parts)
    }

    async fn request<T, F>(
        &self,
        key: &[u8],
        is_repeatable: bool,
        call: impl Fn(TikvClient<Channel>, Option<Context>) -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<Attempt<T>, Status>>,
    {
        self.request_with_route(key, is_repeatable, |store, context, _| call(store, context)).await
    }

    /// Tries until somebody serves it, or patience ends.
    async fn request_with_route<T, F>(
        &self,
        key: &[u8],
        is_repeatable: bool,
        call: impl Fn(TikvClient<Channel>, Option<Context>, Region) -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<Attempt<T>, Status>>,
    {
        let end = Instant::now() + self.patience;
        // The first attempt waits for nothing: a timer, even one of no time, costs a millisecond.
        let mut pause: Option<Interval> = None;
        let (mut last, mut unknown) = ("it was not tried".to_string(), None);
        let mut hints = 0;
        while Instant::now() < end {
            match &mut pause {
                None => pause = Some(retry_timer()),
                Some(pause) => drop(pause.tick().await),
            }
            let route = match self.route(key).await {
                Ok(route) => route,
                Err(error) => {
                    last = error;
                    continue;
                }
            };
            let store = match self.peers.client(route.leader.store_id).await {
                Ok(store) => store,
                Err(error) => {
                    self.forget(key);
                    last = error;
                    continue;
                }
            };
            let context = Some(context(&route));
            let called = tokio::time::timeout(CALL, call(store, context, route.region.clone())).await;
            match outcome(called) {
                Attempt::Done(value) => return Ok(value),
                Attempt::Refused(why) => return Err(ClientError::Rejected(why)),
                Attempt::Elsewhere(error) => {
                    last.clone_from(&error.message);
                    // Two that take each other for the leader must not keep a client running between them.
                    hints += 1;
                    if self.learn(key, &route, &error) && hints <= HINTS {
                        pause = None;
                    }
                }
                Attempt::Broken(why) => {
                    self.peers.forget(route.leader.store_id);
                    self.forget(key);
                    if !is_repeatable || !self.repeats {
                        return Err(ClientError::Undetermined(why));
                    }
                    unknown = Some(why);
                }
            }
        }
        Err(match unknown {
            Some(why) => ClientError::Undetermined(why),
            None => ClientError::Unserved(last),
        })
    }

    /// Who has the key.
    async fn route(&self, key: &[u8]) -> Result<Route, String> {
        if let Some(route) = self.known(key) {
            return Ok(route);
        }
        let (region, leader) = match &self.directory {
            Directory::Scheduler(scheduler) => {
                let found = scheduler.region_of_key(key).await?;
                let region = found.region.ok_or_else(|| "no region has this key yet".to_string())?;
                (region, found.leader.filter(|leader| leader.id != 0))
            }
            Directory::Fixed(stores) => (fixed_region(stores), None),
        };
        let next = self.next_member.fetch_add(1, Ordering::Relaxed);
        let leader =
            leader.or_else(|| region.peers.iter().cycle().nth(next % region.peers.len().max(1)).copied());
        let leader = leader.ok_or_else(|| format!("region {} has no peers", region.id))?;
        let route = Route { region, leader };
        self.routes.lock().expect(NOBODY_PANICS).insert(route.region.start_key.clone(), route.clone());
        Ok(route)
    }

    fn known(&self, key: &[u8]) -> Option<Route> {
        let routes = self.routes.lock().expect(NOBODY_PANICS);
        let below = std::ops::Bound::Included(key);
        let (_, route) = routes.range::<[u8], _>((std::ops::Bound::Unbounded, below)).next_back()?;
        route.region.range().contains(key).then(|| route.clone())
    }

    fn forget(&self, key: &[u8]) {
        if let Some(route) = self.known(key) {
            self.routes.lock().expect(NOBODY_PANICS).remove(&route.region.start_key);
        }
    }

    /// What a region error says. True if it is known now whom to ask.
    fn learn(&self, key: &[u8], route: &Route, error: &errorpb::Error) -> bool {
        let leader = error.not_leader.as_ref().and_then(|error| error.leader);
        match leader.filter(|leader| leader.id != 0 && leader.id != route.leader.id) {
            Some(leader) => {
                let route = Route { region: route.region.clone(), leader };
                self.routes.lock().expect(NOBODY_PANICS).insert(route.region.start_key.clone(), route);
                true
            }
            None => {
                self.forget(key);
                false
            }
        }
    }
}

/// Ticks whenever it is time to try again.
fn retry_timer() -> Interval {
    let mut timer = interval_at(Instant::now() + RETRY, RETRY);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    timer
}

fn context(route: &Route) -> Context {
    let Route { region, leader } = route;
    Context {
        region_id: region.id,
        region_epoch: region.region_epoch,
        peer: Some(*leader),
        ..Default::default()
    }
}

fn attempt<T>(region_error: Option<errorpb::Error>, error: String, value: T) -> Attempt<T> {
    match region_error {
        Some(region_error) => Attempt::Elsewhere(Box::new(region_error)),
        None if error.starts_with("undetermined") => Attempt::Broken(error),
        None if !error.is_empty() => Attempt::Refused(error),
        None => Attempt::Done(value),
    }
}

fn outcome<T>(called: Result<Result<Attempt<T>, Status>, tokio::time::error::Elapsed>) -> Attempt<T> {
    match called {
        Ok(Ok(attempt)) => attempt,
        Ok(Err(status)) if status.code() == Code::InvalidArgument => Attempt::Refused(into_text(status)),
        Ok(Err(status)) => Attempt::Broken(into_text(status)),
        Err(_) => Attempt::Broken(format!("no answer within {} s", CALL.as_secs())),
    }
}
