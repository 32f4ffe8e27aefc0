//! Calls of one store. The tests of the programs take this file in, too.

use std::fmt::Display;

use raftkv::proto::kvrpcpb::Context;
use raftkv::proto::metapb::{Peer, RegionEpoch};
use raftkv::server::rpc::tikvpb::tikv_client::TikvClient;
use tonic::transport::{Channel, Endpoint};

/// A connection to what listens there. The error names the place.
pub async fn connect(address: impl Display) -> Result<TikvClient<Channel>, String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    endpoint.connect().await.map(TikvClient::new).map_err(|error| format!("{address}: {error}"))
}

/// For a store of a cluster without a scheduler: the one region, as it began, and the store's peer.
pub fn context(store_id: u64) -> Context {
    Context {
        region_id: 1,
        region_epoch: Some(RegionEpoch { conf_ver: 1, version: 1 }),
        peer: Some(Peer { id: store_id, store_id, ..Default::default() }),
        ..Default::default()
    }
}
