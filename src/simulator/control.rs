//! The control API of the tests: the world's state, the request log, changes, and the truth.

use std::sync::{Arc, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::Response;
use serde::{Deserialize, Serialize};

use super::app::App;
use super::reply::Reply;
use super::request_log::Counters;
use super::wire::Wire;
use super::world::Change;

/// One change, or several at once.
#[derive(Deserialize)]
#[serde(untagged)]
enum Changes {
    Many(Vec<Change>),
    One(Change),
}

#[derive(Serialize)]
struct Summary {
    now: String,
    seed: u64,
    faults: Vec<String>,
    latency_ms: u128,
    revision: u32,
    counters: Counters,
}

pub(super) async fn state(
    State(app): State<Arc<App>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
) -> Response<Body> {
    let summary = {
        let world = app.world.read().unwrap_or_else(PoisonError::into_inner);
        Summary {
            now: world.now((app.clock)()).to_string(),
            seed: app.seed,
            faults: world.faults.iter().map(ToString::to_string).collect(),
            latency_ms: world.latency.as_millis(),
            revision: world.revision,
            counters: app.log().counters.clone(),
        }
    };
    serialised(&summary).send(&wire).await
}

pub(super) async fn log(
    State(app): State<Arc<App>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
) -> Response<Body> {
    let reply = serialised(&app.log().entries);
    reply.send(&wire).await
}

pub(super) async fn truth(
    State(app): State<Arc<App>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response<Body> {
    app.truth_reply(request.uri(), request.headers())
        .send(&wire)
        .await
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    body: Bytes,
) -> Response<Body> {
    let reply = match serde_json::from_slice(&body) {
        Ok(Changes::Many(changes)) => apply(&app, changes),
        Ok(Changes::One(change)) => apply(&app, vec![change]),
        Err(error) => Reply::misuse(format!("not a change: {error}")),
    };
    reply.send(&wire).await
}

fn apply(app: &App, changes: Vec<Change>) -> Reply {
    for change in changes {
        if let Err(error) = app.apply(change) {
            return Reply::misuse(error.to_string());
        }
    }
    Reply::json("{}")
}

fn serialised(value: &impl Serialize) -> Reply {
    match serde_json::to_vec(value) {
        Ok(body) => Reply::json(body),
        Err(error) => Reply::misuse(error.to_string()),
    }
}
