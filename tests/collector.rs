//! A receiver of OTLP, as a real service on a port of its own: over gRPC by the generated service,
//! over HTTP by hyper. It keeps what it is sent, or hangs, or is gone.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bugle::config::Config;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, Status};

use crate::support::soon;

/// What was received.
#[derive(Default)]
struct Received {
    spans: Vec<Span>,
    metrics: Vec<Metric>,
    resource: Vec<KeyValue>,
}

/// The receiver; ends when dropped.
pub struct Collector {
    pub address: SocketAddr,
    /// As the option has it.
    pub protocol: &'static str,
    store: Store,
    _task: AbortOnDropHandle<()>,
}

#[derive(Clone)]
struct Store {
    received: Arc<Mutex<Received>>,
    changed: watch::Sender<u64>,
    hangs: bool,
}

impl Store {
    fn new(hangs: bool) -> Store {
        Store { received: Arc::default(), changed: watch::channel(0).0, hangs }
    }

    fn spans(&self, request: ExportTraceServiceRequest) {
        let mut received = self.received.lock().unwrap();
        for resource in request.resource_spans {
            received.resource = resource.resource.unwrap_or_default().attributes;
            received.spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
        drop(received);
        self.changed.send_modify(|count| *count += 1);
    }

    fn metrics(&self, request: ExportMetricsServiceRequest) {
        let mut received = self.received.lock().unwrap();
        received.metrics.clear();
        for resource in request.resource_metrics {
            received.resource = resource.resource.unwrap_or_default().attributes;
            received.metrics.extend(resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics));
        }
        drop(received);
        self.changed.send_modify(|count| *count += 1);
    }

    async fn answer<T>(&self, answer: T) -> Result<Response<T>, Status> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        Ok(Response::new(answer))
    }
}

#[tonic::async_trait]
impl TraceService for Store {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.spans(request.into_inner());
        self.answer(ExportTraceServiceResponse::default()).await
    }
}

#[tonic::async_trait]
impl MetricsService for Store {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.metrics(request.into_inner());
        self.answer(ExportMetricsServiceResponse::default()).await
    }
}

impl Collector {
    /// Takes OTLP over gRPC.
    pub async fn grpc() -> Collector {
        Collector::start_grpc(Store::new(false)).await
    }

    /// Takes OTLP over gRPC and never answers.
    pub async fn hanging() -> Collector {
        Collector::start_grpc(Store::new(true)).await
    }

    async fn start_grpc(store: Store) -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let traces = TraceServiceServer::new(store.clone());
        let metrics = MetricsServiceServer::new(store.clone());
        let router = tonic::service::Routes::new(traces).add_service(metrics);
        let task = tokio::spawn(serve_grpc(listener, router));
        Collector { address, protocol: "grpc", store, _task: AbortOnDropHandle::new(task) }
    }

    /// Takes OTLP over HTTP.
    pub async fn http() -> Collector {
        Collector::start_http(Store::new(false)).await
    }

    /// Takes OTLP over HTTP and never answers.
    pub async fn hanging_http() -> Collector {
        Collector::start_http(Store::new(true)).await
    }

    async fn start_http(store: Store) -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(serve_http(listener, store.clone()));
        Collector { address, protocol: "http/protobuf", store, _task: AbortOnDropHandle::new(task) }
    }

    /// Has a server push its traces and metrics here; nothing is sampled but what its caller samples.
    pub fn configure(&self, config: &mut Config) {
        config.otlp.endpoint = format!("http://{}", self.address);
        config.otlp.protocol = self.protocol;
        config.metrics.push_interval = std::time::Duration::from_secs(1);
        (config.traces.ratio, config.traces.topic_floor) = (0.0, 0);
    }

    /// Waits until what was received satisfies this.
    async fn until<T>(&self, check: impl Fn(&Received) -> Option<T>) -> T {
        let mut changes = self.store.changed.subscribe();
        let found = async {
            loop {
                changes.mark_unchanged();
                if let Some(found) = check(&self.store.received.lock().unwrap()) {
                    return found;
                }
                changes.changed().await.unwrap();
            }
        };
        soon(found).await
    }

    /// Waits for so many spans whose name begins so, and gives all that were received.
    pub async fn spans(&self, name: &str, count: usize) -> Vec<Span> {
        let has = |spans: &[Span]| spans.iter().filter(|span| span.name.starts_with(name)).count() >= count;
        self.until(|received| has(&received.spans).then(|| received.spans.clone())).await
    }

    /// Waits for a metric.
    pub async fn metric(&self, name: &str) -> Metric {
        self.until(|received| received.metrics.iter().find(|metric| metric.name == name).cloned()).await
    }

    /// Waits for anything to come.
    pub async fn anything(&self) {
        let mut changes = self.store.changed.subscribe();
        soon(changes.wait_for(|count| *count > 0)).await.unwrap();
    }

    /// Who sent the spans.
    pub fn resource(&self, key: &str) -> Option<String> {
        find(&self.store.received.lock().unwrap().resource, key)
    }
}

async fn serve_grpc(listener: TcpListener, routes: tonic::service::Routes) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let service = hyper_util::service::TowerToHyperService::new(routes.clone());
        connections.spawn(async move {
            let builder = hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
            let _ = builder.serve_connection(hyper_util::rt::TokioIo::new(stream), service).await;
        });
    }
}

async fn serve_http(listener: TcpListener, store: Store) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let store = store.clone();
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let store = store.clone();
            async move {
                let path = request.uri().path().to_owned();
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let status = match path.as_str() {
                    "/v1/traces" => {
                        store.spans(ExportTraceServiceRequest::decode(body).unwrap());
                        200
                    }
                    "/v1/metrics" => {
                        store.metrics(ExportMetricsServiceRequest::decode(body).unwrap());
                        200
                    }
                    _ => 404,
                };
                if store.hangs {
                    std::future::pending::<()>().await;
                }
                let response = http::Response::builder().status(status).body(Full::new(Bytes::new()));
                Ok::<_, Infallible>(response.unwrap())
            }
        });
        connections.spawn(async move {
            let builder = hyper::server::conn::http1::Builder::new();
            let _ = builder.serve_connection(hyper_util::rt::TokioIo::new(stream), service).await;
        });
    }
}

fn find(attributes: &[KeyValue], key: &str) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match attribute.value.as_ref()? {
        AnyValue { value: Some(Value::StringValue(text)) } => text.clone(),
        AnyValue { value: Some(Value::IntValue(number)) } => number.to_string(),
        other => format!("{other:?}"),
    })
}

/// The value of a span's attribute.
pub fn attribute(span: &Span, key: &str) -> Option<String> {
    find(&span.attributes, key)
}

/// The spans whose name is this.
pub fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}
