//! A server whose Monitor is a stand-in: everything else is the real one behind it.
//!
//! Publish and Subscribe pass through it by hand, so that it knows which subscriptions there are;
//! any other call goes through as it is.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bugle::proto::v1 as wire;
use bugle::proto::v1::bus_client::BusClient;
use bugle::proto::v1::bus_server::{Bus, BusServer};
use bugle::proto::v1::monitor_server::{Monitor, MonitorServer};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};
use tonic_health::ServingStatus;

use crate::support::{Running, config};

/// A server that can be looked into; ends when dropped.
pub struct Monitored {
    pub address: SocketAddr,
    _real: Running,
    front: JoinHandle<()>,
}

impl Monitored {
    /// Ends, and its connections with it.
    pub async fn vanish(mut self) {
        self.front.abort();
        let _ = (&mut self.front).await;
    }
}

impl Drop for Monitored {
    fn drop(&mut self) {
        self.front.abort();
    }
}

/// Starts one.
pub async fn monitored() -> Monitored {
    let real = Running::start(config()).await;
    let channel = real.channel().await;
    let fake = Fake(Arc::new(Known {
        bus: BusClient::new(channel.clone()),
        start: SystemTime::now(),
        opened: Mutex::default(),
        filter: Mutex::new("info".into()),
    }));
    let (address, front) = serve(move |request| pass(fake.clone(), channel.clone(), request)).await;
    Monitored { address, _real: real, front }
}

/// A server that has nothing but this to say of its health.
pub async fn health(status: ServingStatus) -> (SocketAddr, JoinHandle<()>) {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("", status).await;
    serve(move |request| {
        let mut health = health.clone();
        async move { health.call(request).await.unwrap() }
    })
    .await
}

/// Answers every request with this, until the task is aborted; the connections end with it.
async fn serve<F>(
    answer: impl Fn(http::Request<Incoming>) -> F + Clone + Send + 'static,
) -> (SocketAddr, JoinHandle<()>)
where
    F: Future<Output = http::Response<Body>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let front = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            let service = hyper::service::service_fn(move |request| {
                let answered = answer(request);
                async move { Ok::<_, Infallible>(answered.await) }
            });
            connections.spawn(
                hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(socket), service),
            );
        }
    });
    (address, front)
}

async fn pass(fake: Fake, mut channel: Channel, request: http::Request<Incoming>) -> http::Response<Body> {
    let path = request.uri().path();
    if path.starts_with("/bugle.v1.Monitor/") {
        return MonitorServer::new(fake).call(request).await.unwrap();
    }
    if path.starts_with("/bugle.v1.Bus/") {
        return BusServer::new(fake).call(request).await.unwrap();
    }
    std::future::poll_fn(|context| channel.poll_ready(context)).await.unwrap();
    channel.call(request.map(Body::new)).await.unwrap()
}

#[derive(Clone)]
struct Fake(Arc<Known>);

struct Known {
    bus: BusClient<Channel>,
    start: SystemTime,
    /// The topic and the id of each subscription that was opened.
    opened: Mutex<Vec<(String, Bytes)>>,
    filter: Mutex<String>,
}

impl Known {
    fn of_topic(&self, topic: &str) -> Vec<Bytes> {
        let opened = self.opened.lock().unwrap();
        opened.iter().filter(|(name, _)| name == topic).map(|(_, id)| id.clone()).collect()
    }
}

fn unix_nano(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64
}

#[tonic::async_trait]
impl Bus for Fake {
    async fn publish(
        &self,
        request: Request<wire::PublishRequest>,
    ) -> Result<Response<wire::PublishResponse>, Status> {
        self.0.bus.clone().publish(request.into_inner()).await
    }

    type PublishStreamStream =
        Pin<Box<dyn Stream<Item = Result<wire::PublishResponse, Status>> + Send + 'static>>;

    async fn publish_stream(
        &self,
        _: Request<Streaming<wire::PublishRequest>>,
    ) -> Result<Response<Self::PublishStreamStream>, Status> {
        Err(Status::unimplemented("no test needs it"))
    }

    type SubscribeStream =
        Pin<Box<dyn Stream<Item = Result<wire::SubscribeResponse, Status>> + Send + 'static>>;

    async fn subscribe(
        &self,
        request: Request<wire::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let (topic, known) = (request.get_ref().topic.clone(), Arc::clone(&self.0));
        let responses = known.bus.clone().subscribe(request.into_inner()).await?.into_inner();
        Ok(Response::new(Box::pin(responses.inspect(move |response| {
            if let Ok(wire::SubscribeResponse { opened: Some(opened), .. }) = response {
                known.opened.lock().unwrap().push((topic.clone(), opened.subscription_id.clone()));
            }
        }))))
    }
}

#[tonic::async_trait]
impl Monitor for Fake {
    async fn get_server(&self, _: Request<wire::GetServerRequest>) -> Result<Response<wire::Server>, Status> {
        let now = SystemTime::now();
        let up = now.duration_since(self.0.start).unwrap();
        Ok(Response::new(wire::Server {
            version: "0.1.0".into(),
            start_time_unix_nano: unix_nano(self.0.start),
            time_unix_nano: unix_nano(now),
            memory_budget_bytes: 64 << 20,
            memory_used_bytes: 16 << 20,
            resident_bytes: 90 << 20,
            cpu_time: prost_types::Duration::try_from(up / 4).ok(),
            subscriptions: self.0.opened.lock().unwrap().len() as u64,
            traffic: Some(wire::Traffic {
                published_messages: up.as_millis() as u64,
                published_bytes: 100 * up.as_millis() as u64,
                delivered_messages: 3 * up.as_millis() as u64,
                delivered_bytes: 300 * up.as_millis() as u64,
            }),
            refusals: 3,
            ..Default::default()
        }))
    }

    async fn list_subscriptions(
        &self,
        request: Request<wire::ListSubscriptionsRequest>,
    ) -> Result<Response<wire::ListSubscriptionsResponse>, Status> {
        let topic = request.into_inner().topic;
        let state = |(place, subscription_id): (usize, Bytes)| wire::SubscriptionState {
            subscription_id,
            peer: format!("127.0.0.1:{}", 50_000 + place),
            next_sequence: 1,
            lag_messages: 5,
            silent_for: prost_types::Duration::try_from(Duration::from_secs(2)).ok(),
            open_time_unix_nano: unix_nano(self.0.start),
        };
        let subscriptions: Vec<_> = self.0.of_topic(&topic).into_iter().enumerate().map(state).collect();
        let total = subscriptions.len() as u64;
        Ok(Response::new(wire::ListSubscriptionsResponse { subscriptions, total }))
    }

    async fn trace_topic(
        &self,
        request: Request<wire::TraceTopicRequest>,
    ) -> Result<Response<wire::TraceTopicResponse>, Status> {
        let accepted = unix_nano(SystemTime::now());
        let wire::TraceTopicRequest { namespace, topic, .. } = request.into_inner();
        let attributes = [("bugle.probe".to_owned(), "true".to_owned())].into();
        let message = wire::Message { attributes, ..Default::default() };
        let publish = wire::PublishRequest { namespace, topic: topic.clone(), messages: vec![message] };
        let receipt = self.0.bus.clone().publish(publish).await?.into_inner();
        let ordered = unix_nano(SystemTime::now());
        let ids = self.0.of_topic(&topic);
        let delivery = |(place, subscription_id): (usize, &Bytes)| wire::ProbeDelivery {
            subscription_id: subscription_id.clone(),
            peer: format!("127.0.0.1:{}", 50_000 + place),
            read_unix_nano: ordered + 20_000,
            written_unix_nano: ordered + 35_000,
        };
        Ok(Response::new(wire::TraceTopicResponse {
            position: Some(wire::Position { epoch: receipt.epoch, sequence: receipt.first_sequence }),
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into(),
            accepted_unix_nano: accepted,
            ordered_unix_nano: ordered,
            fanned_out_unix_nano: ordered + 10_000,
            woken: ids.len() as u32,
            deliveries: ids.iter().enumerate().map(delivery).collect(),
            subscriptions: ids.len() as u64,
            answered_unix_nano: unix_nano(SystemTime::now()),
        }))
    }

    async fn get_logging(
        &self,
        _: Request<wire::GetLoggingRequest>,
    ) -> Result<Response<wire::Logging>, Status> {
        Ok(Response::new(wire::Logging { filter: self.0.filter.lock().unwrap().clone() }))
    }

    async fn update_logging(
        &self,
        request: Request<wire::UpdateLoggingRequest>,
    ) -> Result<Response<wire::Logging>, Status> {
        let filter = request.into_inner().logging.unwrap_or_default().filter;
        if filter.contains("loud") {
            return Err(Status::invalid_argument("logging.filter: loud is no level"));
        }
        self.0.filter.lock().unwrap().clone_from(&filter);
        Ok(Response::new(wire::Logging { filter }))
    }
}
