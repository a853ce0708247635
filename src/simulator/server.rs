//! The service over HTTP.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::Response;
use axum::routing::get;

use super::app::App;
use super::control;
use super::wire::Wire;

pub(super) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/simulator", get(control::state).post(control::change))
        .route("/simulator/log", get(control::log))
        .route("/simulator/bars/{interval}", get(control::truth))
        .fallback(bars)
        .with_state(app)
}

/// Counts a request as in flight until its response is sent or given up.
struct InFlight(Arc<App>);

impl InFlight {
    fn enter(app: Arc<App>) -> Self {
        app.log().enter();
        Self(app)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.log().leave();
    }
}

/// Every address but those of the control API is the provider's.
async fn bars(
    State(app): State<Arc<App>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response<Body> {
    let request = match app.vendor.read(request.uri(), request.headers()) {
        Ok(request) => request,
        Err(reply) => return reply.send(&wire).await,
    };
    let _in_flight = InFlight::enter(app.clone());
    let received_at = tokio::time::Instant::now();
    let latency = app.latency();
    let reply = app.respond(&request);
    if !latency.is_zero() {
        // The latency includes the time that it takes to make the response.
        tokio::time::sleep_until(received_at + latency).await;
    }
    reply.send(&wire).await
}
