//! What a store tells the scheduler, and the orders that come back.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::node::StoreHandle;
use super::peers::into_text;
use super::retry::Retry;
use super::scheduler_client::SchedulerClient;
use crate::proto::pdpb::{RegionHeartbeatRequest, RegionHeartbeatResponse};
use crate::raftstore::{Task, TaskDone};

/// So many reports of regions wait for the network. What does not fit is dropped: the next one says the same, and
/// newer.
const QUEUE: usize = 1024;

/// A scheduler that cannot be reached is tried again so often.
const RETRY: Duration = Duration::from_millis(500);

/// Carries out the tasks of a store that are for the scheduler, until the store is gone. None of them is kept for
/// later: what still matters is reported again.
pub async fn serve(scheduler: SchedulerClient, store: StoreHandle, mut tasks: mpsc::UnboundedReceiver<Task>) {
    let (regions, reports) = mpsc::channel(QUEUE);
    tokio::spawn(heartbeats(scheduler.clone(), store.clone(), reports));
    while let Some(task) = tasks.recv().await {
        match task {
            Task::ReportRegion(report) => {
                if regions.try_send(*report).is_err() {
                    tracing::debug!("a report of a region is dropped: the scheduler is slow");
                }
            }
            other => drop(tokio::spawn(carry_out(scheduler.clone(), store.clone(), other))),
        }
    }
}

async fn carry_out(scheduler: SchedulerClient, store: StoreHandle, task: Task) {
    let outcome = match task {
        Task::ReportStore(report) => scheduler.store_heartbeat(*report).await,
        Task::ReportSplit(regions) => scheduler.report_split(regions).await,
        Task::AskSplit { region, key } => {
            let answer = scheduler.ask_split((*region).clone(), 1).await;
            let (ids, outcome) = match answer {
                Ok(ids) => (ids.into_iter().next(), Ok(())),
                Err(error) => (None, Err(error)),
            };
            store.task_done(TaskDone::SplitIds { region, key, ids });
            outcome
        }
        _ => Ok(()),
    };
    if let Err(error) = outcome {
        tracing::warn!(%error, "the scheduler does not take a report");
    }
}

/// Keeps a stream of regions' heartbeats open. In its answers are the orders.
async fn heartbeats(
    scheduler: SchedulerClient,
    store: StoreHandle,
    mut reports: mpsc::Receiver<RegionHeartbeatRequest>,
) {
    let mut retry = Retry::new("the scheduler".to_string(), RETRY);
    while !reports.is_closed() {
        retry.turn().await;
        retry.ended(stream(&scheduler, &store, &mut reports).await);
    }
}

async fn stream(
    scheduler: &SchedulerClient,
    store: &StoreHandle,
    reports: &mut mpsc::Receiver<RegionHeartbeatRequest>,
) -> Result<(), String> {
    let Some(first) = reports.recv().await else { return Ok(()) };
    let (outgoing, requests) = mpsc::channel(QUEUE);
    let send = |report: RegionHeartbeatRequest| {
        let report = RegionHeartbeatRequest { header: scheduler.header(), ..report };
        outgoing.try_send(report).map_err(|_| "the stream of heartbeats has ended, or is full".to_string())
    };
    send(first)?;
    let mut client = scheduler.raw();
    let call = client.region_heartbeat(ReceiverStream::new(requests)).await;
    let mut answers = call.map_err(into_text)?.into_inner();
    loop {
        tokio::select! {
            report = reports.recv() => match report {
                Some(report) => send(report)?,
                None => return Ok(()),
            },
            answer = answers.message() => match answer.map_err(into_text)? {
                Some(answer) => take_order(store, answer),
                None => return Err("the scheduler has ended the stream of heartbeats".to_string()),
            },
        }
    }
}

fn take_order(store: &StoreHandle, answer: RegionHeartbeatResponse) {
    if let Some(error) = answer.header.as_ref().and_then(|header| header.error.as_ref()) {
        tracing::debug!(region = answer.region_id, error = error.message, "the scheduler refuses a report");
        return;
    }
    if answer.change_peer.is_some() || answer.transfer_leader.is_some() {
        store.task_done(TaskDone::Ordered(Box::new(answer)));
    }
}
