//! The open connections and the tasks that serve them: the one owner that ends them all.
//!
//! Being listed is a value ([`Listed`]) that a connection's task holds; leaving is its `Drop`.
//! Dropping [`Connections`] closes every connection, and with a connection its streams end.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slab::Slab;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::api::Peer;
use crate::config::Limits;
use crate::metrics::State;
use crate::server::origin::{Origin, Rates};

/// All connections of a server.
pub struct Connections {
    list: Arc<List>,
    tasks: TaskTracker,
}

struct List {
    open: Mutex<Open>,
    max: usize,
    max_per_address: usize,
    handshakes_per_address: usize,
    rates: Rates,
    metrics: Arc<State>,
}

#[derive(Default)]
struct Open {
    peers: Slab<Peer>,
    /// Those that come from an origin; one without any is not in it.
    by_origin: HashMap<Origin, Few>,
}

/// The connections of one origin.
struct Few {
    count: usize,
    /// Places for those that have not sent their first request.
    handshakes: Arc<Semaphore>,
}

/// A place in the list of connections; given back when dropped.
pub struct Listed {
    list: Arc<List>,
    key: usize,
    handshakes: Arc<Semaphore>,
}

/// Runs the streams of a connection on tasks that are waited for at the end.
#[derive(Clone)]
pub struct Streams {
    all: TaskTracker,
    peer: Peer,
}

/// A call that counts.
pub struct Counted {
    _all: TaskTrackerToken,
    _own: TaskTrackerToken,
}

impl Connections {
    /// Room for as many connections as the limits say.
    pub fn new(limits: &Limits, metrics: &Arc<State>) -> Self {
        let count = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        let list = List {
            open: Mutex::default(),
            max: count(limits.max_connections),
            max_per_address: count(limits.max_connections_per_address),
            handshakes_per_address: count(limits.max_handshakes_per_address).min(Semaphore::MAX_PERMITS),
            rates: Rates::new(limits.connections_per_second_per_address),
            metrics: metrics.clone(),
        };
        let (list, tasks) = (Arc::new(list), TaskTracker::new());
        let tracked = tasks.clone();
        // Each connection is a task, and so is each stream of one.
        metrics.count_streams(move |state| (tracked.len() as u64).saturating_sub(state.connections.get()));
        Connections { list, tasks }
    }

    /// Lists a connection. The error is the key of the limit that leaves no room for it.
    pub fn admit(&self, peer: Peer) -> Result<Listed, &'static str> {
        let origin = Origin::of(peer.address().ip());
        let metrics = &self.list.metrics;
        if !self.list.rates.admit(origin) {
            metrics.refused_rate.increment();
            return Err("limits.connections_per_second_per_address");
        }
        let mut open = self.list.open();
        if open.peers.len() >= self.list.max {
            metrics.refused_connections.increment();
            return Err("limits.max_connections");
        }
        if open.by_origin.get(&origin).is_some_and(|few| few.count >= self.list.max_per_address) {
            metrics.refused_address.increment();
            return Err("limits.max_connections_per_address");
        }
        let few = open.by_origin.entry(origin).or_insert_with(|| Few {
            count: 0,
            handshakes: Arc::new(Semaphore::new(self.list.handshakes_per_address)),
        });
        few.count += 1;
        let handshakes = Arc::clone(&few.handshakes);
        let key = open.peers.insert(peer);
        metrics.connections_accepted.increment();
        metrics.connections.increment();
        Ok(Listed { list: Arc::clone(&self.list), key, handshakes })
    }

    /// Runs the task of a connection.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// What runs the streams of a connection.
    pub fn streams(&self, peer: Peer) -> Streams {
        Streams { all: self.tasks.clone(), peer }
    }

    /// How many connections are open.
    pub fn len(&self) -> usize {
        self.list.open().peers.len()
    }

    /// Asks every connection to take no new calls and to end with the open ones.
    pub fn drain(&self) {
        self.list.open().peers.iter().for_each(|(_, peer)| peer.drain());
    }

    /// Ends every connection.
    pub fn close(&self) {
        self.list.open().peers.iter().for_each(|(_, peer)| peer.close());
    }

    /// Waits until the last connection and its streams have ended. To be called when no more
    /// connections come.
    pub async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.close();
    }
}

impl List {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listed {
    /// The places of its origin for connections that have not sent their first request.
    pub fn handshakes(&self) -> &Arc<Semaphore> {
        &self.handshakes
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut open = self.list.open();
        let Some(peer) = open.peers.try_remove(self.key) else { return };
        self.list.metrics.connections.decrement();
        let origin = Origin::of(peer.address().ip());
        match open.by_origin.get_mut(&origin) {
            Some(few) if few.count > 1 => few.count -= 1,
            _ => drop(open.by_origin.remove(&origin)),
        }
    }
}

impl Streams {
    /// Counts one more call, until what this gives is dropped: of HTTP/1, where a call is no task.
    pub fn count(&self) -> Counted {
        Counted { _all: self.all.token(), _own: self.peer.token() }
    }

    /// Whose streams they are.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        self.all.spawn(self.peer.counted(stream));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Asked;

    fn peer(last: u8) -> Peer {
        Peer::new(([127, 0, 0, last], 1).into())
    }

    fn connections(max: u64, max_per_address: u64) -> Connections {
        let defaults = crate::config::Config::default().limits;
        let limits =
            Limits { max_connections: max, max_connections_per_address: max_per_address, ..defaults };
        Connections::new(&limits, &Arc::new(State::new(0)))
    }

    #[test]
    fn a_place_is_given_back_when_the_connection_leaves() {
        let connections = connections(1, 1);
        let listed = connections.admit(peer(1)).ok();
        assert_eq!(connections.admit(peer(2)).err(), Some("limits.max_connections"));
        drop(listed);
        assert_eq!(connections.len(), 0);
        assert!(connections.admit(peer(1)).is_ok());
        assert!(connections.list.open().by_origin.is_empty());
        let metrics = &connections.list.metrics;
        assert_eq!((metrics.connections.get(), metrics.connections_accepted.get()), (0, 2));
        assert_eq!(metrics.refused_connections.get(), 1);
    }

    #[test]
    fn one_address_does_not_take_the_room_of_the_others() {
        let connections = connections(10, 2);
        let _two = [connections.admit(peer(1)).ok(), connections.admit(peer(1)).ok()];
        assert_eq!(connections.admit(peer(1)).err(), Some("limits.max_connections_per_address"));
        assert!(connections.admit(peer(2)).is_ok());
    }

    #[test]
    fn one_address_has_its_own_places_for_handshakes_and_a_rate() {
        let defaults = crate::config::Config::default().limits;
        let (max_handshakes_per_address, connections_per_second_per_address) = (1, 1);
        let limits = Limits { max_handshakes_per_address, connections_per_second_per_address, ..defaults };
        let connections = Connections::new(&limits, &Arc::new(State::new(0)));
        let burst = crate::limits::ADDRESS_BURST_SECONDS as usize;
        let listed: Vec<_> = (0..burst).map(|_| connections.admit(peer(1)).ok().unwrap()).collect();
        let _place = listed[0].handshakes().try_acquire().unwrap();
        assert!(listed[1].handshakes().try_acquire().is_err());
        let refused = connections.admit(peer(1)).err();
        assert_eq!(refused, Some("limits.connections_per_second_per_address"));
        assert_eq!(connections.list.metrics.refused_rate.get(), 1);
        let other = connections.admit(peer(2)).ok().unwrap();
        assert!(other.handshakes().try_acquire().is_ok());
    }

    #[test]
    fn dropping_the_owner_closes_every_connection() {
        let connections = connections(2, 2);
        let peer = peer(1);
        let _listed = connections.admit(peer.clone());
        drop(connections);
        assert_eq!(peer.asked(), Asked::Close);
    }
}
