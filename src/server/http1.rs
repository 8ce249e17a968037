//! A connection of HTTP/1, from its first byte to its end: browsers, curl, and whoever has no HTTP/2.
//!
//! One request at a time, each with a deadline for its head and bounded buffers; what a flood of pipelined
//! requests makes wait are these alone. Where a request asks for another protocol (WebSocket), its service
//! leaves the work in [`Takeover`], and this same task goes on with it: so a connection stays in the list,
//! counts, and ends with the server, whatever is spoken on it.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::Instant;

use super::connection::{Driven, Gate, Greeting, drive};
use super::connections::Streams;
use super::protocol::Begun;
use super::wire::Wire;
use crate::api::{Api, Asked, Body, Peer, Takeover};
use crate::limits;

/// Serves a connection that began with this.
pub async fn serve(
    stream: Wire,
    start: Vec<u8>,
    api: Api,
    streams: Streams,
    gate: Arc<Gate>,
    greeting: &Greeting,
    deadline: Instant,
) {
    let own = streams.clone();
    let (peer, takeover) = (streams.peer().clone(), Takeover::default());
    let service = Connected { api, streams, gate: gate.clone(), takeover: takeover.clone() };
    let connection = builder(greeting).serve_connection(TokioIo::new(Begun::new(start, stream)), service);
    if drive(pin!(connection.with_upgrades()), &peer, &gate, deadline).await
        && let Some(work) = takeover.take()
    {
        let _counted = own.count();
        until_closed(work, &peer).await;
    }
}

/// HTTP/1 as the limits want it.
fn builder(greeting: &Greeting) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HTTP1_HEAD_DEADLINE)
        .max_buf_size(limits::HTTP1_BUFFER_BYTES_MAX)
        .max_headers(limits::HTTP1_HEADERS_MAX)
        .max_header_size(greeting.limits.max_header_bytes.bytes())
        .keep_alive(true);
    builder
}

impl Driven for http1::UpgradeableConnection<TokioIo<Begun<Wire>>, Connected> {
    const IS_TOLD: bool = false;

    fn leave(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Does this work until it is done, or the connection is to be closed.
async fn until_closed(mut work: Pin<Box<dyn Future<Output = ()> + Send>>, peer: &Peer) {
    poll_fn(|cx| match peer.poll_asked(cx) {
        Asked::Close => Poll::Ready(()),
        Asked::Nothing | Asked::Drain => work.as_mut().poll(cx),
    })
    .await;
}

/// The services as one connection sees them: every request carries who sent it, and counts as a call for
/// as long as its answer lasts.
struct Connected {
    api: Api,
    streams: Streams,
    gate: Arc<Gate>,
    takeover: Takeover,
}

impl hyper::service::Service<Request<Incoming>> for Connected {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        self.gate.open();
        request.extensions_mut().insert(self.streams.peer().clone());
        request.extensions_mut().insert(self.takeover.clone());
        let (reply, counted) = (self.api.answer(request), self.streams.count());
        Box::pin(async move {
            let response = reply.await?;
            // hyper knows from these how to frame them; wrapping would take that away.
            Ok(match response.body() {
                Body::Boxed(_) | Body::Tonic(_) | Body::Deliveries(_) => response.map(|body| {
                    Body::boxed(body.map_frame(move |frame| {
                        let _ = &counted;
                        frame
                    }))
                }),
                Body::Empty | Body::Text(_) => response,
            })
        })
    }
}
