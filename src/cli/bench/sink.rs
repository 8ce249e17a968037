//! A receiver of OTLP for the bench: it answers each export with success, counts its spans, and keeps
//! nothing.
//!
//! It stands in for a collector on another machine, so it has to cost this one little: a request's
//! body is walked as it arrives, neither gathered nor decoded. `bugle bench compare` runs it as a
//! child. It prints its port first, and what it has received when its standard input ends; so it
//! never outlives who asked for it.

use std::convert::Infallible;
use std::future::ready;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tracing::debug;

use super::walk::{Carry, Item, Walk, varint};
use crate::error::{Code, Error, Result};
use crate::telemetry::yield_to_everybody;

/// The call that brings spans; others, such as that of metrics, are answered and not looked at.
const SPANS_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// The head of a gRPC message: whether it is compressed, and its length.
const GRPC_HEAD_BYTES: usize = 5;

/// What a sink was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Requests that brought spans.
    pub requests: u64,
    /// The spans in them.
    pub spans: u64,
}

impl Received {
    /// As a line that a sink prints.
    fn line(self) -> String {
        format!("{} {}", self.requests, self.spans)
    }

    /// What a sink has printed; `None` when it is no such line.
    pub fn parse(line: &str) -> Option<Self> {
        let (requests, spans) = line.trim().split_once(' ')?;
        Some(Received { requests: requests.parse().ok()?, spans: spans.parse().ok()? })
    }
}

#[derive(Default)]
struct Totals {
    requests: AtomicU64,
    spans: AtomicU64,
}

/// Takes what is exported until standard input ends. See the module for what is printed.
///
/// # Errors
/// Unavailable, when no port can be bound or nobody reads what it prints.
pub async fn serve() -> Result<()> {
    let (done, outcome) = oneshot::channel();
    let work = move || {
        // It stands in for another machine, whose work would not take the processor from the bus.
        yield_to_everybody();
        let runtime = Builder::new_current_thread().enable_all().build();
        let outcome = match runtime {
            Ok(runtime) => runtime.block_on(receive()),
            Err(error) => Err(Error::new(Code::Internal, "the sink cannot start").because(error)),
        };
        // Nobody asks any more when the bench is interrupted.
        let _ = done.send(outcome);
    };
    std::thread::spawn(work);
    outcome.await.unwrap_or_else(|_| Err(Error::new(Code::Internal, "the sink has failed")))
}

async fn receive() -> Result<()> {
    let io_error = |e: io::Error| Error::new(Code::Unavailable, "the sink cannot listen").because(e);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(io_error)?;
    let port = listener.local_addr().map_err(io_error)?.port();
    writeln!(io::stdout(), "{port}").map_err(io_error)?;
    let (totals, mut input) = (Arc::new(Totals::default()), tokio::io::stdin());
    tokio::select! {
        accepted = accept(&listener, &totals) => accepted.map_err(io_error)?,
        // Nothing is expected: a byte ends it like the end does.
        _ = input.read_u8() => {}
    }
    let spans = totals.spans.load(Ordering::Relaxed);
    let received = Received { requests: totals.requests.load(Ordering::Relaxed), spans };
    writeln!(io::stdout(), "{}", received.line()).map_err(io_error)
}

/// Returns only when it fails; its connections end with it.
async fn accept(listener: &TcpListener, totals: &Arc<Totals>) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await?;
        while connections.try_join_next().is_some() {}
        connections.spawn(answer(socket, Arc::clone(totals)));
    }
}

async fn answer(socket: TcpStream, totals: Arc<Totals>) {
    let service = service_fn(move |request| export(request, Arc::clone(&totals)));
    let connection =
        http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service);
    if let Err(error) = connection.await {
        debug!(%error, "an exporter's connection broke");
    }
}

/// One call: counted when the whole of it has come.
async fn export(
    request: Request<Incoming>,
    totals: Arc<Totals>,
) -> Result<Response<impl Body<Data = Bytes, Error = Infallible>>> {
    let has_spans = request.uri().path() == SPANS_PATH;
    let (mut body, mut carry, mut spans) = (request.into_body(), Carry::default(), Spans::default());
    let broke = |e| Error::new(Code::Unavailable, "an export did not come whole").because(e);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(broke)?.into_data()
            && has_spans
        {
            carry.feed(&data, &mut spans)?;
        }
    }
    totals.requests.fetch_add(u64::from(has_spans), Ordering::Relaxed);
    totals.spans.fetch_add(spans.count, Ordering::Relaxed);
    let status = (HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"));
    let success = HeaderMap::from_iter([status]);
    // An answer that says nothing is an empty message.
    let empty = Full::new(Bytes::from_static(&[0; GRPC_HEAD_BYTES]));
    let mut response = Response::new(empty.with_trailers(ready(Some(Ok(success)))));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(response)
}

/// Counts the spans of an export request: a request holds resources (field 1), a resource scopes
/// (field 2), a scope spans (field 2). All else is passed over.
#[derive(Default)]
struct Spans {
    count: u64,
    /// Bytes that are still to come of each message that was entered, the outermost first.
    open: Vec<usize>,
}

/// The keys of the fields that hold messages, in the order of [`Spans::open`].
const RESOURCE: u64 = 0x0a;
const SCOPE: u64 = 0x12;
const SPAN: u64 = 0x12;

impl Walk for Spans {
    fn item(&mut self, data: &[u8]) -> Result<Option<Item>> {
        while self.open.last() == Some(&0) {
            self.open.pop();
        }
        let depth = self.open.len();
        let Some(left) = self.open.last_mut() else { return self.request(data) };
        let Some(Field { key, head, length }) = Field::read(data)? else { return Ok(None) };
        let total = head.saturating_add(length);
        *left = left.checked_sub(total).ok_or_else(not_understood)?;
        if matches!((depth, key), (1, RESOURCE) | (2, SCOPE)) {
            self.open.push(length);
            return Ok(Some(Item { used: head, skip: 0 }));
        }
        self.count += u64::from((depth, key) == (3, SPAN));
        Ok(Some(Item::of(total, data.len())))
    }
}

impl Spans {
    /// The head of the gRPC message, which is the request.
    fn request(&mut self, data: &[u8]) -> Result<Option<Item>> {
        let Some(head) = data.get(..GRPC_HEAD_BYTES) else { return Ok(None) };
        let [0, a, b, c, d] = *head else { return Err(not_understood()) };
        self.open.push(u32::from_be_bytes([a, b, c, d]) as usize);
        Ok(Some(Item { used: GRPC_HEAD_BYTES, skip: 0 }))
    }
}

/// The head of a protobuf field, and how many bytes follow it.
struct Field {
    key: u64,
    head: usize,
    length: usize,
}

impl Field {
    /// The field at the front of `data`; `None` when its head is cut.
    fn read(data: &[u8]) -> Result<Option<Field>> {
        let Some((key, width)) = varint(data) else { return Ok(None) };
        let length = match key & 7 {
            1 => Some((0, 8)),
            5 => Some((0, 4)),
            0 => varint(&data[width..]).map(|(_, width)| (width, 0)),
            2 => varint(&data[width..]).map(|(length, width)| (width, length as usize)),
            _ => return Err(not_understood()),
        };
        Ok(length.map(|(more, length)| Field { key, head: width + more, length }))
    }
}

fn not_understood() -> Error {
    Error::new(Code::Internal, "what was exported is no OTLP, or is compressed")
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message;

    use super::*;

    fn scope(spans: usize) -> ScopeSpans {
        let span = |at: usize| Span {
            trace_id: vec![7; 16],
            name: "x".repeat(at * 40),
            flags: 1,
            start_time_unix_nano: 1,
            ..Default::default()
        };
        ScopeSpans {
            scope: Some(InstrumentationScope { name: "bugle".into(), ..Default::default() }),
            spans: (0..spans).map(span).collect(),
            schema_url: "https://example.org".into(),
        }
    }

    fn request(resources: &[&[usize]]) -> Vec<u8> {
        let of = |scopes: &&[usize]| ResourceSpans {
            resource: Some(Resource { dropped_attributes_count: 300, ..Default::default() }),
            scope_spans: scopes.iter().map(|spans| scope(*spans)).collect(),
            schema_url: String::new(),
        };
        let request = ExportTraceServiceRequest { resource_spans: resources.iter().map(of).collect() };
        let bytes = request.encode_to_vec();
        [&[0], &(bytes.len() as u32).to_be_bytes()[..], &bytes].concat()
    }

    fn counted(body: &[u8], size: usize) -> Result<u64> {
        let (mut carry, mut spans) = (Carry::default(), Spans::default());
        body.chunks(size).try_for_each(|part| carry.feed(part, &mut spans))?;
        Ok(spans.count)
    }

    #[test]
    fn spans_are_counted_however_a_request_is_cut() {
        let body = request(&[&[3, 0, 9], &[], &[1]]);
        for size in 1..=body.len() {
            assert_eq!(counted(&body, size).unwrap(), 13, "in parts of {size}");
        }
        assert_eq!(counted(&request(&[]), 5).unwrap(), 0);
    }

    #[test]
    fn what_is_compressed_or_no_export_is_refused() {
        let mut body = request(&[&[2]]);
        body[0] = 1;
        assert!(counted(&body, 100).is_err());
        (body[0], body[6]) = (0, 0x7f);
        assert!(counted(&body, 100).is_err());
    }

    #[test]
    fn what_a_sink_prints_is_read_again() {
        let received = Received { requests: 3, spans: 6000 };
        assert_eq!(Received::parse(&format!("{}\n", received.line())), Some(received));
        assert_eq!(Received::parse(""), None);
    }
}
