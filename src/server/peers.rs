//! The other stores: where they listen, and how they are spoken to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::directory::Directory;
use super::rpc::tikvpb::tikv_client::TikvClient;
use crate::ids::StoreId;

/// The header in which a store says to which cluster it belongs: messages of another one would meet peers of the same
/// numbers.
pub const CLUSTER: &str = "raftkv-cluster";

/// Messages and snapshots may be as large as a command, and more than one travel at once.
pub const MAX_MESSAGE: usize = 64 << 20;

const CONNECT: Duration = Duration::from_secs(2);

const NOBODY_PANICS: &str = "nobody panics while holding the list of channels";

/// The ways to the other stores of one cluster. Clones share them.
#[derive(Clone)]
pub struct Peers {
    directory: Directory,
    channels: Arc<Mutex<BTreeMap<StoreId, Channel>>>,
}

impl Peers {
    /// Of the cluster of this directory.
    pub fn new(directory: Directory) -> Peers {
        Peers { directory, channels: Arc::default() }
    }

    /// A client for a store.
    ///
    /// # Errors
    /// Nobody knows where it is, or it cannot be reached.
    pub async fn client(&self, store: StoreId) -> Result<TikvClient<Channel>, String> {
        let known = self.channels.lock().expect(NOBODY_PANICS).get(&store).cloned();
        let channel = match known {
            Some(channel) => channel,
            None => {
                let address = self.directory.store_address(store).await?;
                let endpoint = Endpoint::from_shared(format!("http://{address}"))
                    .map_err(|error| format!("store {store} has the address {address}: {error}"))?;
                let endpoint = endpoint.connect_timeout(CONNECT).tcp_nodelay(true);
                let channel = endpoint
                    .connect()
                    .await
                    .map_err(|error| format!("store {store} at {address}: {}", with_causes(&error)))?;
                self.channels.lock().expect(NOBODY_PANICS).insert(store, channel.clone());
                channel
            }
        };
        Ok(TikvClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE))
    }

    /// A store could not be reached: it may have moved.
    pub fn forget(&self, store: StoreId) {
        self.channels.lock().expect(NOBODY_PANICS).remove(&store);
    }

    /// A request that says of which cluster it comes.
    pub fn signed<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let cluster = MetadataValue::<Ascii>::from(self.directory.cluster_id());
        request.metadata_mut().insert(CLUSTER, cluster);
        request
    }
}

/// Is the request from a store of this cluster?
///
/// # Errors
/// For the sender: it is of another one.
pub fn check_cluster<T>(request: &Request<T>, ours: u64) -> Result<(), Status> {
    let theirs = request.metadata().get(CLUSTER).and_then(|value| value.to_str().ok());
    match theirs {
        Some(theirs) if theirs == ours.to_string() => Ok(()),
        Some(theirs) => Err(Status::failed_precondition(format!(
            "this is a store of cluster {ours}, and the message is from one of cluster {theirs}"
        ))),
        None => {
            Err(Status::failed_precondition(format!("the message does not name its cluster in `{CLUSTER}`")))
        }
    }
}

/// What a failed call says.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub fn into_text(status: Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}

/// An error with its causes: the first one alone says too little ("transport error").
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
