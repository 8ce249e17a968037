//! One connection, from accept to its end.
//!
//! Its task drives HTTP/2 and watches two things: what the [`Peer`] is asked to do, and the
//! deadline by which the first request has to be there. A connection that never gets that far, not
//! even to the preface, is closed; hyper alone would wait for it for ever (hyper#4170).

use std::convert::Infallible;
use std::future::{Future, poll_fn};
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
use crate::server::pace::Paced;
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

    fn open(&self) {
        if !self.open.swap(true, Ordering::Relaxed) {
            self.handshake.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    fn is_open(&self) -> bool {
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
    let (stream, certificate) = match timeout_at(deadline, socket::establish(stream, greeting.tls.as_deref()))
        .await
    {
        Ok(Ok(established)) => established,
        Ok(Err(error)) => return tracing::debug!(%peer, %error, "the connection could not be established"),
        Err(_) => return tracing::debug!(%peer, "the connection was not established in time"),
    };
    if let Some(principal) = certificate {
        peer.has_proved(principal);
    }
    let service = Connected { api, peer: peer.clone(), gate: Arc::clone(&gate) };
    let connection = http2(greeting, streams).serve_connection(TokioIo::new(Paced::new(stream)), service);
    drive(pin!(connection), &peer, &gate, deadline).await;
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

type Connection = http2::Connection<TokioIo<Paced<Wire>>, Connected, Streams>;

async fn drive(mut connection: Pin<&mut Connection>, peer: &Peer, gate: &Gate, deadline: Instant) {
    // Boxed, so that it costs nothing once the first request is there.
    let mut deadline: Option<Pin<Box<Sleep>>> = Some(Box::pin(sleep_until(deadline)));
    let mut leaving = false;
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                if let Err(error) = result {
                    tracing::debug!(%peer, %error, "the connection failed");
                }
                return Poll::Ready(());
            }
            let asked = peer.poll_asked(cx);
            if asked == Asked::Close {
                return Poll::Ready(());
            }
            if gate.is_open() {
                deadline = None;
            }
            let late = deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready());
            if late && leaving {
                tracing::debug!(%peer, "closed: there was no request in time");
                return Poll::Ready(());
            }
            if leaving || !(late || asked == Asked::Drain) {
                return Poll::Pending;
            }
            leaving = true;
            connection.as_mut().graceful_shutdown();
            deadline = (!gate.is_open()).then(|| Box::pin(sleep(LINGER)));
        }
    })
    .await;
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
