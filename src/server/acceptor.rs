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

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::api::{Api, Asked, Peer};
use crate::config::Config;
use crate::limits;
use crate::server::connection::{Gate, Greeting, Places, serve};
use crate::server::connections::{Connections, Listed};
use crate::server::pace::is_behind;
use crate::server::socket;
use crate::server::throttle::Throttle;
use crate::server::tls::Tls;

/// Accepts connections for one server.
pub struct Acceptor<'a> {
    api: Api,
    connections: &'a Connections,
    greeting: Arc<Greeting>,
    handshakes: Arc<Semaphore>,
    full: Throttle,
    crowded: Throttle,
    failing: Throttle,
}

impl<'a> Acceptor<'a> {
    /// An acceptor within the limits of the configuration.
    pub fn new(config: &Config, api: Api, tls: Option<Arc<Tls>>, connections: &'a Connections) -> Self {
        let handshakes = usize::try_from(config.limits.max_handshakes).unwrap_or(usize::MAX);
        Acceptor {
            api,
            connections,
            greeting: Arc::new(Greeting {
                limits: config.limits.clone(),
                keepalive: config.keepalive.clone(),
                tls,
                deadline: config.limits.handshake_deadline,
            }),
            handshakes: Arc::new(Semaphore::new(handshakes.min(Semaphore::MAX_PERMITS))),
            full: Throttle::new(),
            crowded: Throttle::new(),
            failing: Throttle::new(),
        }
    }

    /// Accepts for ever.
    pub async fn run(&self, listener: &TcpListener) {
        let mut backoff = limits::ACCEPT_BACKOFF_MIN;
        for turn in 1u64.. {
            // Whoever is served already does not wait behind a crowd that comes; and the crowd not for ever.
            if turn.is_multiple_of(limits::ACCEPTS_PER_TURN) {
                match is_behind() {
                    true => tokio::time::sleep(limits::BEHIND_WAIT).await,
                    false => tokio::task::yield_now().await,
                }
            }
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
        if let Err(error) = socket::configure(&stream, &self.greeting.keepalive) {
            tracing::debug!(%address, %error, "cannot set the options of the socket");
        }
        let streams = self.connections.streams(peer.clone());
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
                Some(places) => serve(stream, api, streams, Gate::new(places), &greeting, deadline).await,
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
