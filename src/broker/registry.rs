//! The open topics by name: found in a short read lock, opened on first use, closed when idle.
//!
//! Ordered maps, so that listings are stable and a page is a range.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::closed::Closed;
use super::{Options, draining};
use crate::error::{Code, Error, Result};
use crate::limits::NAMESPACES_MAX;
use crate::metrics::{State, Traffic};
use crate::quota::{Account, Held, Quotas, TOPICS};
use crate::store::{Log, MemoryLog, MemoryStore, Opening, Store, unix_nanos};
use crate::topic::{Charge, Namespace, Past, Position, Retention, TopicName, Weight};

/// An open topic.
pub struct Topic {
    pub name: TopicName,
    pub log: MemoryLog,
    pub traffic: Arc<Traffic>,
    /// Somebody created it: it stays open while idle.
    pub kept: AtomicBool,
    used: AtomicU64,
    /// Its place among the topics of its namespace.
    held: Held<TOPICS>,
    /// Its place among those of whoever opened it.
    _opened: Option<Held<TOPICS>>,
}

impl Topic {
    /// The topic is in use at this tick.
    pub fn note_used(&self, now: u64) {
        self.used.store(now, Relaxed);
    }

    /// The account of its namespace.
    pub fn account(&self) -> &Arc<Account> {
        self.held.account()
    }
}

/// A namespace and its open topics.
struct Space {
    account: Arc<Account>,
    weight: crate::sync::Arc<Weight>,
    topics: RwLock<BTreeMap<Arc<str>, Arc<Topic>>>,
}

/// All namespaces.
pub struct Registry {
    store: MemoryStore,
    metrics: Arc<State>,
    quotas: Arc<Quotas>,
    spaces: RwLock<BTreeMap<Namespace, Arc<Space>>>,
    closed: Mutex<Closed>,
    count: AtomicUsize,
    /// The newest epoch given out; each is larger than all before.
    epoch: AtomicU64,
    draining: AtomicBool,
    /// Opening happens one topic at a time, so that no topic is opened twice.
    opening: tokio::sync::Mutex<()>,
}

impl Registry {
    pub fn new(store: MemoryStore, options: &Options, metrics: Arc<State>) -> Registry {
        let names = options.namespaces.iter().cloned().chain([Namespace::default()]);
        let quotas = options.quotas.clone();
        let space = |name: Namespace| (name.clone(), Space::new(&quotas, &name, store.weight()));
        let spaces = names.map(space).collect();
        Registry {
            store,
            metrics,
            spaces: RwLock::new(spaces),
            quotas,
            closed: Mutex::default(),
            count: AtomicUsize::new(0),
            epoch: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            opening: tokio::sync::Mutex::default(),
        }
    }

    /// The open topic of this name, if there is one; an unknown namespace is an error.
    pub fn find(&self, name: &TopicName) -> Result<Option<Arc<Topic>>> {
        let space = self.space(name.namespace())?;
        Ok(read(&space.topics).get(name.topic()).cloned())
    }

    /// Opens a topic for whoever this is, or gives the one that was opened in the meantime; whether it
    /// is new.
    pub async fn open(
        &self,
        name: &TopicName,
        retention: Retention,
        kept: bool,
        by: Option<&Arc<Account>>,
    ) -> Result<(Arc<Topic>, bool)> {
        let _turn = self.opening.lock().await;
        let space = self.space(name.namespace())?;
        if let Some(topic) = read(&space.topics).get(name.topic()) {
            return Ok((topic.clone(), false));
        }
        // One after the other, so that no two are the last that fits.
        let held = space.account.hold()?;
        let opened = by.map(Account::hold).transpose()?;
        let weight = space.weight.clone();
        let past = lock(&self.closed).take(name).unwrap_or_else(|| self.no_past());
        let log = self.store.open(Opening { name: name.clone(), retention, weight, past }).await?;
        let (kept, used) = (AtomicBool::new(kept), AtomicU64::new(log.tail().fanout().now()));
        let traffic = self.metrics.topic(name);
        let topic = Arc::new(Topic { name: name.clone(), log, traffic, kept, used, held, _opened: opened });
        let mut topics = write(&space.topics);
        // Under the lock that `drain` and `delete_namespace` take: they see it or are seen.
        if self.draining.load(Relaxed) {
            return Err(draining());
        }
        self.space(name.namespace())?;
        topics.insert(name.topic_shared(), topic.clone());
        self.count.fetch_add(1, Relaxed);
        drop(topics);
        tracing::debug!(topic = %topic.name, "opened a topic");
        Ok((topic, true))
    }

    /// Takes a topic out; its channel still has to be ended.
    pub fn remove(&self, name: &TopicName) -> Result<Option<Arc<Topic>>> {
        let space = self.space(name.namespace())?;
        let removed = write(&space.topics).remove(name.topic());
        self.count.fetch_sub(usize::from(removed.is_some()), Relaxed);
        Ok(removed)
    }

    /// Closes topics made on first use that have been empty and unused for `idle_ticks`, among
    /// those given.
    pub fn close_idle(&self, topics: &[Arc<Topic>], now: u64, idle_ticks: u64) {
        for topic in topics {
            if topic.kept.load(Relaxed) || now.saturating_sub(topic.used.load(Relaxed)) < idle_ticks {
                continue;
            }
            let Ok(space) = self.space(topic.name.namespace()) else { continue };
            let mut open = write(&space.topics);
            if let Some(past) = topic.log.tail().close_if_idle() {
                open.remove(topic.name.topic());
                self.count.fetch_sub(1, Relaxed);
                // Before the name is free again, so that whoever opens it finds this.
                lock(&self.closed).put(topic.name.clone(), past);
                drop(open);
                tracing::debug!(topic = %topic.name, "closed a topic that was empty and unused");
            }
        }
    }

    /// Up to `most` topics behind a name, in order; from the first one on where it is none.
    pub fn after(&self, name: Option<&TopicName>, most: usize) -> Vec<Arc<Topic>> {
        let mut found = Vec::new();
        let from = name.map_or(Bound::Unbounded, |name| Bound::Included(name.namespace().clone()));
        for (namespace, space) in read(&self.spaces).range((from, Bound::Unbounded)) {
            let behind = match name {
                Some(name) if name.namespace() == namespace => Bound::Excluded(name.topic()),
                _ => Bound::Unbounded,
            };
            let topics = read(&space.topics);
            let range = topics.range::<str, _>((behind, Bound::Unbounded));
            found.extend(range.map(|(_, topic)| topic.clone()).take(most - found.len()));
            if found.len() == most {
                break;
            }
        }
        found
    }

    /// Up to `most` topics of a namespace whose names begin with `prefix` and come behind `after`.
    pub fn list(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: &str,
        most: usize,
    ) -> Result<Vec<Arc<Topic>>> {
        let space = self.space(namespace)?;
        let topics = read(&space.topics);
        let from =
            if after.is_empty() { Bound::Included(prefix) } else { Bound::Excluded(after.max(prefix)) };
        let range = topics.range::<str, _>((from, Bound::Unbounded));
        let range = range.take_while(|(name, _)| name.starts_with(prefix));
        Ok(range.map(|(_, topic)| topic.clone()).take(most).collect())
    }

    /// Makes a namespace; `false` where it exists.
    pub fn create_namespace(&self, namespace: Namespace) -> Result<bool> {
        let mut spaces = write(&self.spaces);
        if spaces.contains_key(&namespace) {
            return Ok(false);
        }
        if spaces.len() >= NAMESPACES_MAX {
            let message = format!("there are {NAMESPACES_MAX} namespaces already; delete one first");
            return Err(Error::new(Code::ResourceExhausted, message).reason("NAMESPACES"));
        }
        let space = Space::new(&self.quotas, &namespace, self.store.weight());
        spaces.insert(namespace, space);
        Ok(true)
    }

    /// Takes a namespace out; the channels of its topics still have to be ended.
    pub fn remove_namespace(&self, namespace: &Namespace) -> Result<Vec<Arc<Topic>>> {
        let mut spaces = write(&self.spaces);
        let space = spaces.remove(namespace).ok_or_else(|| namespace_not_found(namespace))?;
        // Before the name is free again, so that whoever creates it gets an account of its own.
        self.quotas.close(namespace);
        drop(spaces);
        let topics: Vec<_> = std::mem::take(&mut *write(&space.topics)).into_values().collect();
        self.count.fetch_sub(topics.len(), Relaxed);
        lock(&self.closed).forget(namespace);
        Ok(topics)
    }

    /// Up to `most` namespaces behind a name, each with its number of open topics.
    pub fn namespaces(&self, after: &str, most: usize) -> Vec<(Namespace, usize)> {
        let spaces = read(&self.spaces);
        let behind = spaces.iter().filter(|(name, _)| after.is_empty() || name.as_str() > after);
        behind.map(|(name, space)| (name.clone(), read(&space.topics).len())).take(most).collect()
    }

    /// Refuses new topics from now on; those that are open.
    pub fn drain(&self) -> Vec<Arc<Topic>> {
        self.draining.store(true, Relaxed);
        let spaces: Vec<_> = read(&self.spaces).values().cloned().collect();
        // A write lock: whoever was opening a topic has inserted it or will see the flag.
        spaces.iter().flat_map(|space| write(&space.topics).values().cloned().collect::<Vec<_>>()).collect()
    }

    /// Charges the memory budget; the oldest messages go for it.
    pub fn charge(&self, bytes: usize) -> Option<Charge> {
        self.store.charge(bytes)
    }

    /// Number of open topics.
    pub fn topics(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// Number of namespaces.
    pub fn namespace_count(&self) -> usize {
        read(&self.spaces).len()
    }

    fn space(&self, namespace: &Namespace) -> Result<Arc<Space>> {
        let found = read(&self.spaces).get(namespace).cloned();
        found.ok_or_else(|| namespace_not_found(namespace))
    }

    /// The past of a topic that has none: a new epoch.
    fn no_past(&self) -> Past {
        Past { next: Position::new(self.next_epoch(), 1), newest_time: None }
    }

    /// Unix milliseconds, and larger than every epoch before.
    fn next_epoch(&self) -> u64 {
        let now = unix_nanos() / 1_000_000;
        let later = |last: u64| Some(now.max(last + 1));
        self.epoch.fetch_update(Relaxed, Relaxed, later).map_or(now, |last| now.max(last + 1))
    }
}

impl Space {
    fn new(quotas: &Quotas, name: &Namespace, weight: crate::sync::Arc<Weight>) -> Arc<Space> {
        let account = quotas.open(name, weight.clone());
        Arc::new(Space { account, weight, topics: RwLock::default() })
    }
}

fn namespace_not_found(namespace: &Namespace) -> Error {
    let message =
        format!("namespace {namespace:?} does not exist; create it first (`bugle namespaces create`)");
    Error::new(Code::NotFound, message).reason("NAMESPACE_NOT_FOUND")
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
