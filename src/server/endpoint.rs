//! The endpoint for operators, HTTP/1 on a port of its own: `/metrics` in Prometheus' text format,
//! `/healthz` (the process lives) and `/readyz` (it takes work).
//!
//! It goes on while the server drains, so that the drain can be watched, and ends with the server.
//! One request a connection, each with little time: nobody can keep others from asking for long.
//! Reading the metrics is work for a thread beside those that serve the bus.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::api::Phase;
use crate::error::{Code, Error, Result};
use crate::limits::{ACCEPT_BACKOFF_MAX, METRICS_CONNECTION_MAX, METRICS_CONNECTIONS_MAX};
use crate::metrics::Metrics;

/// What the endpoint answers from.
#[derive(Clone)]
struct Shown {
    metrics: Arc<Metrics>,
    phase: watch::Receiver<Phase>,
}

/// Takes the address; port 0 takes a free port.
pub fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let bound = std::net::TcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .and_then(TcpListener::from_std)
        .and_then(|listener| listener.local_addr().map(|address| (listener, address)));
    bound.map_err(|error| {
        let message = format!(
            "cannot listen on {address} for metrics and health: {error}; choose another address with \
             --metrics, or none with --metrics off"
        );
        Error::new(Code::Unavailable, message).because(error)
    })
}

/// Answers for ever; its connections end when this is dropped.
pub async fn run(listener: TcpListener, metrics: Arc<Metrics>, phase: watch::Receiver<Phase>) {
    let (shown, room) = (Shown { metrics, phase }, Arc::new(Semaphore::new(METRICS_CONNECTIONS_MAX)));
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let shown = shown.clone();
                connections.spawn(async move {
                    serve(stream, shown).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection for metrics");
                tokio::time::sleep(ACCEPT_BACKOFF_MAX).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, shown: Shown) {
    let service = service_fn(move |request| {
        let shown = shown.clone();
        async move { Ok::<_, Infallible>(shown.answer(&request).await) }
    });
    let connection = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(METRICS_CONNECTION_MAX, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection for metrics ended"),
        Err(_) => tracing::debug!("a connection for metrics took too long"),
    }
}

impl Shown {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "Only GET is understood here.\n");
        }
        let is_ready = *self.phase.borrow() == Phase::Serving;
        match request.uri().path() {
            "/metrics" => self.metrics().await,
            "/healthz" => text(StatusCode::OK, "ok\n"),
            "/readyz" if is_ready => text(StatusCode::OK, "ready\n"),
            "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
            _ => text(StatusCode::NOT_FOUND, "There are /metrics, /healthz and /readyz here.\n"),
        }
    }

    async fn metrics(&self) -> Response<Full<Bytes>> {
        let metrics = self.metrics.clone();
        match tokio::task::spawn_blocking(move || metrics.encode()).await {
            Ok(Ok(encoded)) => {
                let mut response = text(StatusCode::OK, encoded);
                let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                response.headers_mut().insert(CONTENT_TYPE, format);
                response
            }
            Ok(Err(error)) => {
                tracing::error!(?error, "the metrics cannot be written");
                text(StatusCode::INTERNAL_SERVER_ERROR, "The metrics cannot be written; see the log.\n")
            }
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "The server is about to end.\n"),
        }
    }
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
