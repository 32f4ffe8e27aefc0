//! What people see and order: a page, JSON, metrics, operators and the states of stores.
//!
//! | call | what |
//! |---|---|
//! | `GET /` | a page |
//! | `GET /status` | the same as JSON |
//! | `GET /metrics` | counters for Prometheus |
//! | `GET /operators` | the last operator of each region that had one |
//! | `POST /operators` | begins one: see `operators.rs` |
//! | `POST /stores/{id}/state` | `{"state":"offline"}`, `up` or `tombstone` |
//!
//! What is refused is answered with 4xx and `{"error":"why"}`. Bodies have to come as `application/json`, so a form on
//! some other page cannot send one.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::operators::Wish;
use super::page::page;
use super::shared::{Shared, Stopped};
use super::status::{Status, state_name};
use crate::ids::StoreId;
use crate::proto::metapb::StoreState;
use crate::scheduler::SchedulerError;

/// All of them.
pub fn pages(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(show_page))
        .route("/status", get(show_status))
        .route("/metrics", get(show_metrics))
        .route("/operators", get(show_operators).post(add_operator))
        .route("/stores/{id}/state", post(set_store_state))
        .fallback(async || refusal(StatusCode::NOT_FOUND, "there is no such page"))
        .method_not_allowed_fallback(async || refusal(StatusCode::METHOD_NOT_ALLOWED, "not with this method"))
        .with_state(shared)
}

#[derive(Serialize)]
struct ErrorBody {
    error: String,
}

fn refusal(status: StatusCode, error: impl ToString) -> Response {
    (status, Json(ErrorBody { error: error.to_string() })).into_response()
}

impl IntoResponse for Stopped {
    fn into_response(self) -> Response {
        refusal(StatusCode::SERVICE_UNAVAILABLE, "this scheduler is about to end")
    }
}

/// Not the people's fault, or a mistake of theirs.
fn refused(error: &SchedulerError) -> Response {
    let status = match error {
        SchedulerError::RegionNotFound(_) | SchedulerError::StoreNotFound(_) => StatusCode::NOT_FOUND,
        _ => StatusCode::CONFLICT,
    };
    refusal(status, error)
}

fn status(shared: &Shared) -> Result<Status, Stopped> {
    shared.call(|core| Status::of(core, &shared.address))
}

async fn show_page(State(shared): State<Arc<Shared>>) -> Result<Response, Stopped> {
    let html = Html(page(&status(&shared)?));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    Ok(([(header::CONTENT_SECURITY_POLICY, policy)], html).into_response())
}

async fn show_status(State(shared): State<Arc<Shared>>) -> Result<Json<Status>, Stopped> {
    Ok(Json(status(&shared)?))
}

async fn show_metrics(State(shared): State<Arc<Shared>>) -> Result<Response, Stopped> {
    let text = shared.metrics.text(&status(&shared)?);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

async fn show_operators(State(shared): State<Arc<Shared>>) -> Result<Response, Stopped> {
    Ok(Json(status(&shared)?.operators).into_response())
}

async fn add_operator(
    State(shared): State<Arc<Shared>>,
    body: Result<Json<Wish>, JsonRejection>,
) -> Result<Response, Stopped> {
    let wish = match body {
        Ok(Json(wish)) => wish,
        Err(rejection) => return Ok(refusal(rejection.status(), rejection.body_text())),
    };
    let operator = match wish.operator() {
        Ok(operator) => operator,
        Err(why) => return Ok(refusal(StatusCode::UNPROCESSABLE_ENTITY, why)),
    };
    Ok(match shared.call(|core| core.scheduler.add_operator(wish.region, operator))? {
        Ok(()) => {
            tracing::info!("an operator was begun: {wish:?}");
            (StatusCode::ACCEPTED, Json(wish)).into_response()
        }
        Err(error) => refused(&error),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StateBody {
    state: String,
}

async fn set_store_state(
    State(shared): State<Arc<Shared>>,
    id: Result<Path<StoreId>, PathRejection>,
    body: Result<Json<StateBody>, JsonRejection>,
) -> Result<Response, Stopped> {
    let id = match id {
        Ok(Path(id)) => id,
        Err(rejection) => return Ok(refusal(rejection.status(), rejection.body_text())),
    };
    let name = match body {
        Ok(Json(body)) => body.state,
        Err(rejection) => return Ok(refusal(rejection.status(), rejection.body_text())),
    };
    let states = [StoreState::Up, StoreState::Offline, StoreState::Tombstone];
    let Some(state) = states.into_iter().find(|state| state_name(*state) == name) else {
        return Ok(refusal(StatusCode::UNPROCESSABLE_ENTITY, "a state is `up`, `offline` or `tombstone`"));
    };
    Ok(match shared.call(|core| core.scheduler.set_store_state(id, state))? {
        Ok(()) => {
            tracing::info!("store {id} is {} now", state_name(state));
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => refused(&error),
    })
}
