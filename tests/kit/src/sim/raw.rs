//! Requests and responses of clients, of all kinds that the raw handlers know.

use bytes::Bytes;
use raftkv::proto::errorpb;
use raftkv::proto::kvrpcpb::{
    Context, KvPair, RawBatchDeleteRequest, RawBatchDeleteResponse, RawBatchGetRequest, RawBatchGetResponse,
    RawBatchPutRequest, RawBatchPutResponse, RawCasRequest, RawCasResponse, RawDeleteRangeRequest,
    RawDeleteRangeResponse, RawDeleteRequest, RawDeleteResponse, RawGetRequest, RawGetResponse,
    RawPutRequest, RawPutResponse, RawScanRequest, RawScanResponse,
};
use raftkv::storage::{
    Storage, raw_batch_delete, raw_batch_get, raw_batch_put, raw_compare_and_swap, raw_delete,
    raw_delete_range, raw_get, raw_put, raw_scan,
};

/// What a client asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// RawGet.
    Get(RawGetRequest),
    /// RawPut.
    Put(RawPutRequest),
    /// RawDelete.
    Delete(RawDeleteRequest),
    /// RawScan.
    Scan(RawScanRequest),
    /// RawCompareAndSwap.
    Cas(RawCasRequest),
    /// RawBatchGet.
    BatchGet(RawBatchGetRequest),
    /// RawBatchPut.
    BatchPut(RawBatchPutRequest),
    /// RawBatchDelete.
    BatchDelete(RawBatchDeleteRequest),
    /// RawDeleteRange.
    DeleteRange(RawDeleteRangeRequest),
}

/// What it hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// RawGet.
    Get(RawGetResponse),
    /// RawPut.
    Put(RawPutResponse),
    /// RawDelete.
    Delete(RawDeleteResponse),
    /// RawScan.
    Scan(RawScanResponse),
    /// RawCompareAndSwap.
    Cas(RawCasResponse),
    /// RawBatchGet.
    BatchGet(RawBatchGetResponse),
    /// RawBatchPut.
    BatchPut(RawBatchPutResponse),
    /// RawBatchDelete.
    BatchDelete(RawBatchDeleteResponse),
    /// RawDeleteRange.
    DeleteRange(RawDeleteRangeResponse),
}

impl Request {
    /// Runs the handler.
    pub fn run(&self, storage: &dyn Storage) -> Response {
        match self {
            Request::Get(r) => Response::Get(raw_get(storage, r)),
            Request::Put(r) => Response::Put(raw_put(storage, r)),
            Request::Delete(r) => Response::Delete(raw_delete(storage, r)),
            Request::Scan(r) => Response::Scan(raw_scan(storage, r)),
            Request::Cas(r) => Response::Cas(raw_compare_and_swap(storage, r)),
            Request::BatchGet(r) => Response::BatchGet(raw_batch_get(storage, r)),
            Request::BatchPut(r) => Response::BatchPut(raw_batch_put(storage, r)),
            Request::BatchDelete(r) => Response::BatchDelete(raw_batch_delete(storage, r)),
            Request::DeleteRange(r) => Response::DeleteRange(raw_delete_range(storage, r)),
        }
    }

    /// Says for which region, peer and epoch it is.
    pub fn set_context(&mut self, context: Context) {
        let slot = match self {
            Request::Get(r) => &mut r.context,
            Request::Put(r) => &mut r.context,
            Request::Delete(r) => &mut r.context,
            Request::Scan(r) => &mut r.context,
            Request::Cas(r) => &mut r.context,
            Request::BatchGet(r) => &mut r.context,
            Request::BatchPut(r) => &mut r.context,
            Request::BatchDelete(r) => &mut r.context,
            Request::DeleteRange(r) => &mut r.context,
        };
        *slot = Some(context);
    }

    /// True if it changes nothing, so that asking twice does no harm.
    pub fn is_read(&self) -> bool {
        matches!(self, Request::Get(_) | Request::Scan(_) | Request::BatchGet(_))
    }

    /// The key that decides which region to ask.
    pub fn first_key(&self) -> &[u8] {
        match self {
            Request::Get(r) => &r.key,
            Request::Put(r) => &r.key,
            Request::Delete(r) => &r.key,
            Request::Scan(r) => &r.start_key,
            Request::Cas(r) => &r.key,
            Request::BatchGet(r) => r.keys.first().map_or(&[], |key| key),
            Request::BatchPut(r) => r.pairs.first().map_or(&[], |pair| &pair.key),
            Request::BatchDelete(r) => r.keys.first().map_or(&[], |key| key),
            Request::DeleteRange(r) => &r.start_key,
        }
    }

    /// One line for people.
    pub fn text(&self) -> String {
        match self {
            Request::Get(r) => format!("get {}", in_cf(&r.cf, &r.key)),
            Request::Put(r) => format!("put {} = {}", in_cf(&r.cf, &r.key), short(&r.value)),
            Request::Delete(r) => format!("delete {}", in_cf(&r.cf, &r.key)),
            Request::Scan(r) => {
                format!("scan {}..{} limit {}", in_cf(&r.cf, &r.start_key), short(&r.end_key), r.limit)
            }
            Request::Cas(r) if r.previous_not_exist => {
                format!("swap {} from nothing to {}", in_cf(&r.cf, &r.key), short(&r.value))
            }
            Request::Cas(r) => {
                let (from, to) = (short(&r.previous_value), short(&r.value));
                format!("swap {} from {from} to {to}", in_cf(&r.cf, &r.key))
            }
            Request::BatchGet(r) => format!("batch get of {}", join(&r.keys)),
            Request::BatchPut(r) => {
                let pairs = r.pairs.iter().map(|p| format!("{} = {}", short(&p.key), short(&p.value)));
                format!("batch put of {}", pairs.collect::<Vec<_>>().join(", "))
            }
            Request::BatchDelete(r) => format!("batch delete of {}", join(&r.keys)),
            Request::DeleteRange(r) => {
                format!("delete range {}..{}", in_cf(&r.cf, &r.start_key), short(&r.end_key))
            }
        }
    }
}

impl Response {
    /// Where to ask next, if that is the answer.
    pub fn region_error(&self) -> Option<&errorpb::Error> {
        match self {
            Response::Get(r) => r.region_error.as_ref(),
            Response::Put(r) => r.region_error.as_ref(),
            Response::Delete(r) => r.region_error.as_ref(),
            Response::Scan(r) => r.region_error.as_ref(),
            Response::Cas(r) => r.region_error.as_ref(),
            Response::BatchGet(r) => r.region_error.as_ref(),
            Response::BatchPut(r) => r.region_error.as_ref(),
            Response::BatchDelete(r) => r.region_error.as_ref(),
            Response::DeleteRange(r) => r.region_error.as_ref(),
        }
    }

    /// The error for the client's user; empty if there is none.
    pub fn error(&self) -> &str {
        match self {
            Response::Get(r) => &r.error,
            Response::Put(r) => &r.error,
            Response::Delete(r) => &r.error,
            Response::Scan(r) => pair_error(&r.kvs),
            Response::Cas(r) => &r.error,
            Response::BatchGet(r) => pair_error(&r.pairs),
            Response::BatchPut(r) => &r.error,
            Response::BatchDelete(r) => &r.error,
            Response::DeleteRange(r) => &r.error,
        }
    }

    /// True if nobody knows whether the request was carried out.
    pub fn is_undetermined(&self) -> bool {
        self.error().starts_with("undetermined")
    }

    /// True if it was carried out.
    pub fn is_ok(&self) -> bool {
        self.region_error().is_none() && self.error().is_empty()
    }

    /// One line for people.
    pub fn text(&self) -> String {
        if let Some(error) = self.region_error() {
            return format!("refused: {}", error.message);
        }
        match self {
            _ if !self.error().is_empty() => format!("error: {}", self.error()),
            Response::Get(r) if r.not_found => "nothing there".to_string(),
            Response::Get(r) => short(&r.value),
            Response::Cas(r) => {
                let held =
                    if r.previous_not_exist { "nothing".to_string() } else { short(&r.previous_value) };
                format!("{}, it held {held}", if r.succeed { "swapped" } else { "not swapped" })
            }
            Response::Scan(r) => pairs_text(&r.kvs),
            Response::BatchGet(r) => pairs_text(&r.pairs),
            _ => "done".to_string(),
        }
    }
}

fn pair_error(pairs: &[KvPair]) -> &str {
    pairs.first().and_then(|pair| pair.error.as_ref()).map_or("", |error| &error.abort)
}

fn pairs_text(pairs: &[KvPair]) -> String {
    let pairs = pairs.iter().map(|p| format!("{} = {}", short(&p.key), short(&p.value)));
    format!("[{}]", pairs.collect::<Vec<_>>().join(", "))
}

fn join(keys: &[Bytes]) -> String {
    keys.iter().map(short).collect::<Vec<_>>().join(" ")
}

fn in_cf(cf: &str, key: &Bytes) -> String {
    if cf.is_empty() || cf == "default" { short(key) } else { format!("{cf}:{}", short(key)) }
}

/// Bytes as text, cut to a readable length.
pub(super) fn short(bytes: &Bytes) -> String {
    const WHOLE: usize = 40;
    if bytes.len() <= WHOLE {
        return bytes.escape_ascii().to_string();
    }
    format!("{}... ({} bytes)", bytes[..16].escape_ascii(), bytes.len())
}
