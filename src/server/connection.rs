//! One connection, from accept to its end.
//!
//! Its task finds out which HTTP is spoken, drives it, and watches two things: what the [`Peer`] is asked
//! to do, and the deadline by which the first request has to be there. A connection that never gets that
//! far, not even to its first bytes, is closed; hyper alone would wait for it for ever (hyper#4170).

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout_at};

use crate::api::{Api, Asked, Body, Peer, Reply};
use crate::config::{Keepalive, Limits};
use crate::limits;
use crate::server::connections::Streams;
use crate::server::http1;
use crate::server::pace::Paced;
use crate::server::protocol::{ALPN_HTTP1, ALPN_HTTP2, Protocol, protocol};
use crate::server::socket;
use crate::server::tls::Tls;
use crate::server::wire::Wire;

/// A connection without a request that is told to go away gets this long to do so.
const LINGER: Duration = Duration::from_secs(1);

/// What all connections of a listener have in common.
pub struct Greeting {
    /// HTTP/2 within these limits.
    pub limits: Limits,
    /// How it sees that the other end is gone.
    pub keepalive: Keepalive,
    /// TLS, where that is spoken.
    pub tls: Option<Arc<Tls>>,
    /// From accept to the first request.
    pub deadline: Duration,
}

/// Opens with the first request, and gives the places among the handshakes back then.
pub struct Gate {
    open: AtomicBool,
    handshake: Mutex<Option<Places>>,
}

/// A place among the handshakes of its address, and one among all.
pub type Places = [OwnedSemaphorePermit; 2];

impl Gate {
    /// A closed gate that holds places among the handshakes.
    pub fn new(handshake: Places) -> Arc<Self> {
        Arc::new(Gate { open: AtomicBool::new(false), handshake: Mutex::new(Some(handshake)) })
    }

    /// The first request is there.
    pub fn open(&self) {
        if !self.open.swap(true, Ordering::Relaxed) {
            self.handshake.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    /// Whether it was.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }
}

/// Serves a connection until it ends or is ended; its first request has to be there at `deadline`.
/// Returns when its streams are told.
pub async fn serve(
    stream: TcpStream,
    api: Api,
    streams: Streams,
    gate: Arc<Gate>,
    greeting: &Greeting,
    deadline: Instant,
) {
    let peer = streams.peer().clone();
    let Some((stream, protocol)) = begin(stream, &peer, greeting, deadline).await else { return };
    if let Protocol::Http1(start) = protocol {
        // In a box: it is larger, and there are few.
        return Box::pin(http1::serve(stream, start, api, streams, gate, greeting, deadline)).await;
    }
    let service = Connected { api, peer: peer.clone(), gate: Arc::clone(&gate) };
    let connection = http2(greeting, streams).serve_connection(TokioIo::new(Paced::begun(stream)), service);
    drive(pin!(connection), &peer, &gate, deadline).await;
}

/// Finds out what is spoken on a connection; `None` where it does not get that far.
async fn begin(
    stream: TcpStream,
    peer: &Peer,
    greeting: &Greeting,
    deadline: Instant,
) -> Option<(Wire, Protocol)> {
    let begun = async {
        let (mut stream, certificate) = socket::establish(stream, greeting.tls.as_deref()).await?;
        if let Some(principal) = certificate {
            peer.has_proved(principal);
        }
        let protocol = protocol(&mut stream).await?;
        match (stream.agreed(), &protocol) {
            (Some(ALPN_HTTP2), Protocol::Http1(_)) | (Some(ALPN_HTTP1), Protocol::Http2) => {
                Err(io::Error::other("the client does not speak what it agreed to with TLS (ALPN)"))
            }
            _ => Ok((stream, protocol)),
        }
    };
    // In a box, so that it costs nothing once it is over.
    let mut begun = Box::pin(timeout_at(deadline, begun));
    let begun = poll_fn(|cx| match begun.as_mut().poll(cx) {
        Poll::Ready(begun) => Poll::Ready(Some(begun)),
        Poll::Pending if peer.poll_asked(cx) == Asked::Nothing => Poll::Pending,
        Poll::Pending => Poll::Ready(None),
    });
    match begun.await? {
        Ok(Ok(begun)) => return Some(begun),
        Ok(Err(error)) => tracing::debug!(%peer, %error, "the connection could not be established"),
        Err(_) => tracing::debug!(%peer, "closed: there was no request in time"),
    }
    None
}

/// HTTP/2 as the limits want it.
fn http2(greeting: &Greeting, streams: Streams) -> http2::Builder<Streams> {
    let Greeting { limits: own, keepalive, .. } = greeting;
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(u32::try_from(own.max_streams_per_connection).unwrap_or(u32::MAX))
        .max_header_list_size(own.max_header_bytes.bytes_u32())
        .initial_connection_window_size(own.connection_window.bytes_u32())
        .initial_stream_window_size(own.stream_window.bytes_u32())
        .max_frame_size(limits::FRAME_BYTES_MAX)
        .max_send_buf_size(limits::SEND_BUFFER_BYTES_MAX)
        .keep_alive_interval(keepalive.interval)
        .keep_alive_timeout(keepalive.timeout)
        .auto_date_header(false);
    builder
}

/// A connection of some HTTP, which its task drives to its end.
pub trait Driven: Future<Output = hyper::Result<()>> {
    /// Whether one whose first request is late is told to go away before it is closed.
    const IS_TOLD: bool;

    /// Takes no new requests, and ends with those that are there.
    fn leave(self: Pin<&mut Self>);
}

impl Driven for http2::Connection<TokioIo<Paced<Wire>>, Connected, Streams> {
    const IS_TOLD: bool = true;

    fn leave(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Drives a connection to its end; false where that is not its own: it failed, was asked to close, or was late.
pub async fn drive<C: Driven>(
    mut connection: Pin<&mut C>,
    peer: &Peer,
    gate: &Gate,
    deadline: Instant,
) -> bool {
    // Boxed, so that it costs nothing once the first request is there.
    let mut deadline: Option<Pin<Box<Sleep>>> = Some(Box::pin(sleep_until(deadline)));
    let mut leaving = false;
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                if let Err(error) = &result {
                    tracing::debug!(%peer, %error, "the connection failed");
                }
                return Poll::Ready(result.is_ok());
            }
            let asked = peer.poll_asked(cx);
            if asked == Asked::Close {
                return Poll::Ready(false);
            }
            if gate.is_open() {
                deadline = None;
            }
            let late = deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready());
            if late && (leaving || !C::IS_TOLD) {
                tracing::debug!(%peer, "closed: there was no request in time");
                return Poll::Ready(false);
            }
            if leaving || !(late || asked == Asked::Drain) {
                return Poll::Pending;
            }
            leaving = true;
            connection.as_mut().leave();
            deadline = (!gate.is_open()).then(|| Box::pin(sleep(LINGER)));
        }
    })
    .await
}

/// The services as one connection sees them: every request carries who sent it.
struct Connected {
    api: Api,
    peer: Peer,
    gate: Arc<Gate>,
}

impl hyper::service::Service<Request<Incoming>> for Connected {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Reply;

    fn call(&self, mut request: Request<Incoming>) -> Reply {
        self.gate.open();
        request.extensions_mut().insert(self.peer.clone());
        self.api.answer(request)
    }
}
