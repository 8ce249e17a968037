//! grpc.health.v1: whether the bus takes work, as a whole (the empty name) and per service.
//!
//! All services live and drain together, so health is the server's [`Phase`] and nothing is kept
//! beside it. A watcher hears every change, and its stream ends after NOT_SERVING, so that it does
//! not keep a draining connection open.

use std::pin::Pin;

use futures::stream::{self, Stream};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// The services whose health can be asked for.
const SERVICES: &[&str] = &["", "bugle.v1.Bus", "bugle.v1.Admin", "bugle.v1.Monitor"];

/// The path of the method that answers at once.
pub(super) const CHECK: &str = "/grpc.health.v1.Health/Check";

/// Largest health request, bytes: a service's name.
const REQUEST_BYTES_MAX: usize = 1024;

/// Where the server is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Takes work.
    Serving,
    /// Takes no new work and is about to end.
    Draining,
}

/// The health service.
pub(super) type Service = HealthServer<Probe>;

/// The health service that follows the phase.
pub(super) fn service(phase: watch::Receiver<Phase>) -> Service {
    HealthServer::new(Probe(phase)).max_decoding_message_size(REQUEST_BYTES_MAX)
}

pub(super) struct Probe(watch::Receiver<Phase>);

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

fn status(phase: Phase) -> ServingStatus {
    match phase {
        Phase::Serving => ServingStatus::Serving,
        Phase::Draining => ServingStatus::NotServing,
    }
}

#[tonic::async_trait]
impl Health for Probe {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        if !SERVICES.contains(&service.as_str()) {
            let message = format!("there is no service {service:?} here; \"\" asks for the whole server");
            return Err(Status::not_found(message));
        }
        let phase = *self.0.borrow();
        Ok(Response::new(response(status(phase))))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let known = SERVICES.contains(&request.get_ref().service.as_str());
        let mut phase = self.0.clone();
        phase.mark_changed();
        let changes = stream::unfold(Some(phase), move |phase| async move {
            let mut phase = phase?;
            phase.changed().await.ok()?;
            let now = *phase.borrow_and_update();
            let status = if known { status(now) } else { ServingStatus::ServiceUnknown };
            let last = now == Phase::Draining;
            Some((Ok(response(status)), (!last).then_some(phase)))
        });
        Ok(Response::new(Box::pin(changes)))
    }
}
