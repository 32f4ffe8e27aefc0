//! Answers, one at a time or as a stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_stream::{Stream, StreamExt};
use tonic::{Response, Status, Streaming};

use crate::proto::pdpb::{
    AllocIdResponse, AskBatchSplitResponse, BootstrapResponse, GetAllStoresResponse, GetMembersResponse,
    GetRegionResponse, GetStoreResponse, IsBootstrappedResponse, PutStoreResponse, RegionHeartbeatResponse,
    ReportBatchSplitResponse, ResponseHeader, StoreHeartbeatResponse, TsoResponse,
};
use crate::server::process::Stop;

/// Every response of the scheduler: it has a header, and nothing else where the call was refused.
pub trait Headed: Default {
    /// Clients unwrap it without looking.
    fn set_header(&mut self, header: ResponseHeader);
}

macro_rules! headed {
    ($($response:ty),* $(,)?) => {
        $(impl Headed for $response {
            fn set_header(&mut self, header: ResponseHeader) {
                self.header = Some(header);
            }
        })*
    };
}

headed!(
    AllocIdResponse,
    AskBatchSplitResponse,
    BootstrapResponse,
    GetAllStoresResponse,
    GetMembersResponse,
    GetRegionResponse,
    GetStoreResponse,
    IsBootstrappedResponse,
    PutStoreResponse,
    RegionHeartbeatResponse,
    ReportBatchSplitResponse,
    StoreHeartbeatResponse,
    TsoResponse,
);

/// A stream of answers, as the generated code wants it.
pub type Answers<A> = Pin<Box<dyn Stream<Item = Result<A, Status>> + Send>>;

/// Answers each request of a stream when the client is ready for the answer, so nothing piles up here. It ends when the
/// client's stream ends, or the process.
pub fn answer_each<Q, A>(
    requests: Streaming<Q>,
    stop: Stop,
    mut answer: impl FnMut(Q) -> Result<A, Status> + Send + 'static,
) -> Response<Answers<A>>
where
    Q: Send + 'static,
    A: 'static,
{
    let answers = requests.map(move |request| answer(request?));
    Response::new(Box::pin(UntilStop { answers, stop: Box::pin(stop.wait()), is_over: false }))
}

/// Ends a stream when the process ends: an open stream would keep its connection, and that the process.
struct UntilStop<S> {
    answers: S,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    is_over: bool,
}

impl<S: Stream + Unpin> Stream for UntilStop<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.is_over = self.is_over || self.stop.as_mut().poll(context).is_ready();
        if self.is_over {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.answers).poll_next(context)
    }
}
