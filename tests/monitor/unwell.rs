//! A server that answers nothing but health checks, and those as a test wants: what a server says
//! while it starts or ends is over too soon to be seen.

use std::convert::Infallible;
use std::net::SocketAddr;

use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tonic::codegen::Service;
use tonic_health::ServingStatus;

/// Serves until the task is aborted.
pub async fn health(status: ServingStatus) -> (SocketAddr, JoinHandle<Infallible>) {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("", status).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let health = health.clone();
            let service = hyper::service::service_fn(move |request| {
                let mut health = health.clone();
                async move { health.call(request).await }
            });
            connections.spawn(
                hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(socket), service),
            );
        }
    });
    (address, server)
}
