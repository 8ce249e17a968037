//! The open connections and the tasks that serve them: the one owner that ends them all.
//!
//! Being listed is a value ([`Listed`]) that a connection's task holds; leaving is its `Drop`.
//! Dropping [`Connections`] closes every connection, and with a connection its streams end.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slab::Slab;
use tokio_util::task::TaskTracker;

use crate::api::Peer;

/// All connections of a server.
pub struct Connections {
    list: Arc<List>,
    tasks: TaskTracker,
}

struct List {
    peers: Mutex<Slab<Peer>>,
    max: usize,
}

/// A place in the list of connections; given back when dropped.
pub struct Listed {
    list: Arc<List>,
    key: usize,
}

/// Runs the streams of connections on tasks that are waited for at the end.
#[derive(Clone)]
pub struct Streams(TaskTracker);

impl Connections {
    /// Room for so many connections at once.
    pub fn new(max: u64) -> Self {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        Connections {
            list: Arc::new(List { peers: Mutex::new(Slab::new()), max }),
            tasks: TaskTracker::new(),
        }
    }

    /// Lists a connection; `None` if there is no room.
    pub fn admit(&self, peer: Peer) -> Option<Listed> {
        let mut peers = self.list.peers();
        let key = (peers.len() < self.list.max).then(|| peers.insert(peer))?;
        Some(Listed { list: Arc::clone(&self.list), key })
    }

    /// Runs the task of a connection.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// What runs the streams of connections.
    pub fn streams(&self) -> Streams {
        Streams(self.tasks.clone())
    }

    /// How many connections are open.
    pub fn len(&self) -> usize {
        self.list.peers().len()
    }

    /// Asks every connection to take no new calls and to end with the open ones.
    pub fn drain(&self) {
        self.list.peers().iter().for_each(|(_, peer)| peer.drain());
    }

    /// Ends every connection.
    pub fn close(&self) {
        self.list.peers().iter().for_each(|(_, peer)| peer.close());
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
    fn peers(&self) -> MutexGuard<'_, Slab<Peer>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.list.peers().try_remove(self.key);
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        self.0.spawn(stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Asked;

    fn peer() -> Peer {
        Peer::new(([127, 0, 0, 1], 1).into())
    }

    #[test]
    fn a_place_is_given_back_when_the_connection_leaves() {
        let connections = Connections::new(1);
        let listed = connections.admit(peer()).unwrap();
        assert!(connections.admit(peer()).is_none());
        drop(listed);
        assert_eq!(connections.len(), 0);
        assert!(connections.admit(peer()).is_some());
    }

    #[test]
    fn dropping_the_owner_closes_every_connection() {
        let connections = Connections::new(2);
        let peer = peer();
        let _listed = connections.admit(peer.clone());
        drop(connections);
        assert_eq!(peer.asked(), Asked::Close);
    }
}
