//! The other end of a connection, as the services see it.
//!
//! The server puts a [`Peer`] into the extensions of every request and polls it in the
//! connection's task; whoever holds one can ask that the connection goes away. One atomic and one
//! waker, because a connection's task looks at it every time it runs; beside them, for whom it counts.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Context;

use futures::task::AtomicWaker;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::{TaskTrackerToken, TrackedFuture};

use super::admission::Tenancy;
use super::authenticate::Known;
use crate::auth::Principal;

/// A handle on a connection. A clone is a reference.
#[derive(Clone)]
pub struct Peer(Arc<Line>);

struct Line {
    address: SocketAddr,
    certificate: OnceLock<Principal>,
    known: Known,
    asked: AtomicU8,
    task: AtomicWaker,
    tenancy: OnceLock<Tenancy>,
    streams: TaskTracker,
}

/// What a connection is asked to do; later ones outrank earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// Nothing: go on.
    Nothing,
    /// Take no new calls and end when the open ones have ended.
    Drain,
    /// End now; open calls are cut.
    Close,
}

impl Peer {
    /// A handle for the connection from this address.
    pub fn new(address: SocketAddr) -> Self {
        Peer(Arc::new(Line {
            address,
            certificate: OnceLock::new(),
            known: Known::default(),
            asked: AtomicU8::new(Asked::Nothing as u8),
            task: AtomicWaker::new(),
            tenancy: OnceLock::new(),
            streams: TaskTracker::new(),
        }))
    }

    /// Its certificate has proved that it is this one.
    pub fn has_proved(&self, principal: Principal) {
        let _ = self.0.certificate.set(principal);
    }

    /// Whom its certificate names, if it has shown one.
    pub fn certificate(&self) -> Option<&Principal> {
        self.0.certificate.get()
    }

    /// What it has proved last with the credential of a call.
    pub(super) fn known(&self) -> &Known {
        &self.0.known
    }

    /// Where the connection comes from.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// For whom it counts, once somebody has called.
    pub fn tenancy(&self) -> Option<&Tenancy> {
        self.0.tenancy.get()
    }

    /// It counts for them; the first word counts.
    pub fn counts_for(&self, tenancy: Tenancy) {
        let _ = self.0.tenancy.set(tenancy);
    }

    /// The same stream of its, counted for as long as it lives.
    pub fn counted<F: Future>(&self, stream: F) -> TrackedFuture<F> {
        self.0.streams.track_future(stream)
    }

    /// A call of its, counted until this is dropped.
    pub fn token(&self) -> TaskTrackerToken {
        self.0.streams.token()
    }

    /// Its open calls.
    pub fn streams(&self) -> u64 {
        self.0.streams.len() as u64
    }

    /// Asks the connection to take no new calls and to end when the open ones have ended.
    pub fn drain(&self) {
        self.ask(Asked::Drain);
    }

    /// Ends the connection and every call on it.
    pub fn close(&self) {
        self.ask(Asked::Close);
    }

    /// What the connection is asked to do.
    pub fn asked(&self) -> Asked {
        match self.0.asked.load(Ordering::Acquire) {
            0 => Asked::Nothing,
            1 => Asked::Drain,
            _ => Asked::Close,
        }
    }

    /// What the connection is asked to do; the task is woken when that changes. For the
    /// connection's own task only: a second task would take its place.
    pub fn poll_asked(&self, cx: &mut Context<'_>) -> Asked {
        self.0.task.register(cx.waker());
        self.asked()
    }

    fn ask(&self, asked: Asked) {
        if self.0.asked.fetch_max(asked as u8, Ordering::AcqRel) < asked as u8 {
            self.0.task.wake();
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.address)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_for_less_does_not_take_back_more() {
        let peer = Peer::new(([127, 0, 0, 1], 1).into());
        assert_eq!(peer.asked(), Asked::Nothing);
        peer.close();
        peer.drain();
        assert_eq!(peer.asked(), Asked::Close);
    }
}
