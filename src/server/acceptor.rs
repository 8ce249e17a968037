//! The accept loop: takes connections, within limits, and starts their tasks.
//!
//! It survives everything a listener can meet. Out of file descriptors it backs off, from 50 ms
//! doubling to 1 s, instead of spinning; a flood is refused without work; a crowd that comes at
//! once, as after a restart, waits in the kernel's queue until there is room to greet it; and one
//! address that takes all of its own room waits behind itself.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::TokioTimer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::api::{Api, Asked, Peer};
use crate::config::{Config, Keepalive};
use crate::limits;
use crate::server::connection::{Gate, Greeting, Places, serve};
use crate::server::connections::{Connections, Listed, Streams};
use crate::server::socket;
use crate::server::throttle::Throttle;

/// Accepts connections for one server.
pub struct Acceptor<'a> {
    api: Api,
    connections: &'a Connections,
    greeting: Arc<Greeting>,
    handshakes: Arc<Semaphore>,
    keepalive: Keepalive,
    full: Throttle,
    crowded: Throttle,
    failing: Throttle,
}

impl<'a> Acceptor<'a> {
    /// An acceptor within the limits of the configuration.
    pub fn new(config: &Config, api: Api, connections: &'a Connections) -> Self {
        let handshakes = usize::try_from(config.limits.max_handshakes).unwrap_or(usize::MAX);
        Acceptor {
            api,
            connections,
            greeting: Arc::new(Greeting {
                http2: http2(config, connections.streams()),
                deadline: config.limits.handshake_deadline,
            }),
            handshakes: Arc::new(Semaphore::new(handshakes.min(Semaphore::MAX_PERMITS))),
            keepalive: config.keepalive.clone(),
            full: Throttle::new(),
            crowded: Throttle::new(),
            failing: Throttle::new(),
        }
    }

    /// Accepts for ever.
    pub async fn run(&self, listener: &TcpListener) {
        let mut backoff = limits::ACCEPT_BACKOFF_MIN;
        loop {
            let Some(handshake) = self.handshake().await else { return };
            match listener.accept().await {
                Ok((stream, address)) => {
                    backoff = limits::ACCEPT_BACKOFF_MIN;
                    self.admit(stream, address, handshake);
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    if let Some(times) = self.failing.hit() {
                        tracing::warn!(%error, times, "cannot accept connections; trying again");
                    }
                    tokio::time::sleep(backoff).await;
                    backoff = longer(backoff);
                }
            }
        }
    }

    /// Waits until one more connection may be in its handshake.
    async fn handshake(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.handshakes).try_acquire_owned() {
            return Some(permit);
        }
        if let Some(times) = self.crowded.hit() {
            tracing::warn!(
                times,
                "as many connections as limits.max_handshakes allows have not sent a request yet; more wait"
            );
        }
        Arc::clone(&self.handshakes).acquire_owned().await.ok()
    }

    fn admit(&self, stream: TcpStream, address: SocketAddr, handshake: OwnedSemaphorePermit) {
        let peer = Peer::new(address);
        let listed = match self.connections.admit(peer.clone()) {
            Ok(listed) => listed,
            Err(limit) => {
                if let Some(times) = self.full.hit() {
                    tracing::warn!(%address, times, limit, "refused a connection: this limit is reached");
                }
                return;
            }
        };
        if let Err(error) = socket::configure(&stream, &self.keepalive) {
            tracing::debug!(%address, %error, "cannot set the options of the socket");
        }
        let (api, greeting) = (self.api.clone(), Arc::clone(&self.greeting));
        let deadline = Instant::now() + greeting.deadline;
        let own = Arc::clone(listed.handshakes()).try_acquire_owned();
        let (all, places) = match own {
            Ok(own) => (Arc::clone(&self.handshakes), Some([own, handshake])),
            // Others may have the place while it waits behind those of its own address.
            Err(_) => (Arc::clone(&self.handshakes), None),
        };
        self.connections.spawn(async move {
            let places = match places {
                Some(places) => Some(places),
                None => greeted(&listed, &peer, all, deadline).await,
            };
            match places {
                Some(places) => serve(stream, api, peer, Gate::new(places), &greeting, deadline).await,
                None => tracing::debug!(%peer, "closed: too many of its address have not sent a request"),
            }
            drop(listed);
        });
    }
}

/// Waits for the places of a handshake; `None` where they are not there in time, or the connection is
/// asked to go away.
async fn greeted(listed: &Listed, peer: &Peer, all: Arc<Semaphore>, deadline: Instant) -> Option<Places> {
    let places = async {
        let own = Arc::clone(listed.handshakes()).acquire_owned().await.ok()?;
        Some([own, all.acquire_owned().await.ok()?])
    };
    let asked = poll_fn(|cx| match peer.poll_asked(cx) {
        Asked::Nothing => Poll::Pending,
        Asked::Drain | Asked::Close => Poll::Ready(()),
    });
    tokio::select! {
        places = timeout_at(deadline, places) => places.ok().flatten(),
        () = asked => None,
    }
}

/// HTTP/2 as the limits want it.
fn http2(config: &Config, streams: Streams) -> http2::Builder<Streams> {
    let own = &config.limits;
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(u32::try_from(own.max_streams_per_connection).unwrap_or(u32::MAX))
        .max_header_list_size(own.max_header_bytes.bytes_u32())
        .initial_connection_window_size(own.connection_window.bytes_u32())
        .initial_stream_window_size(own.stream_window.bytes_u32())
        .max_frame_size(limits::FRAME_BYTES_MAX)
        .max_send_buf_size(limits::SEND_BUFFER_BYTES_MAX)
        .keep_alive_interval(config.keepalive.interval)
        .keep_alive_timeout(config.keepalive.timeout)
        .auto_date_header(false);
    builder
}

fn longer(backoff: Duration) -> Duration {
    (backoff * 2).min(limits::ACCEPT_BACKOFF_MAX)
}

/// Whether the error is about the connection that was to be accepted, and not about the listener
/// or the process: then the next one may be fine.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_back_off_doubles_up_to_a_second() {
        let mut backoff = limits::ACCEPT_BACKOFF_MIN;
        let mut waits = Vec::new();
        for _ in 0..6 {
            waits.push(backoff.as_millis());
            backoff = longer(backoff);
        }
        assert_eq!(waits, [50, 100, 200, 400, 800, 1000]);
    }

    #[test]
    fn running_out_of_descriptors_concerns_the_process() {
        let emfile = io::Error::from_raw_os_error(24);
        assert!(!concerns_one_connection(&emfile));
        assert!(concerns_one_connection(&io::ErrorKind::ConnectionAborted.into()));
    }
}
