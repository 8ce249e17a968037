//! The store: orders messages and keeps them. This is its contract; the broker knows no more.
//!
//! A store writes the topic's [`Broadcast`] itself, whichever way a message came to it, so there is
//! one path of delivery for all stores: the broadcast channel for what is in memory, and
//! [`Log::read`] for what has left it.

mod memory;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

pub use memory::{MemoryLog, MemoryStore};

use crate::error::{Error, Result};
use crate::topic::{
    Batch, Broadcast, Budget, End, Fanout, Past, Position, Retention, Run, TopicName, Weight,
};

/// Opens the logs of topics.
pub trait Store: Send + Sync {
    /// A topic's log in this store.
    type Log: Log;

    /// Opens a topic's log, or begins it.
    fn open(&self, opening: Opening) -> impl Future<Output = Result<Self::Log>> + Send;
}

/// Orders and keeps the messages of one topic.
pub trait Log: Send + Sync {
    /// The channel this log is delivered through.
    fn tail(&self) -> &Arc<Broadcast>;

    /// Orders a batch; the answer comes when it has reached the topic's durability, and no reader
    /// sees it before.
    fn append(&self, batch: &Batch) -> impl Future<Output = Result<Receipt, Refusal>> + Send;

    /// Reads what has left the channel's memory, from this position on.
    fn read(&self, from: Position, bytes_max: usize) -> impl Future<Output = Result<History>> + Send;
}

/// What a store is told of a topic that it opens.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The topic.
    pub name: TopicName,
    /// What is kept.
    pub retention: Retention,
    /// What its messages in memory are a part of.
    pub weight: crate::sync::Arc<Weight>,
    /// Where the topic goes on, for a store that does not know it itself.
    pub past: Past,
}

/// Where a batch was placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The topic's epoch.
    pub epoch: u64,
    /// Sequence of the first message.
    pub first: u64,
    /// Sequence of the last message.
    pub last: u64,
    /// Bytes of the messages as they are kept.
    pub bytes: u64,
}

/// Why a batch was not taken.
#[derive(Debug)]
pub enum Refusal {
    /// The topic has ended under this log; the broker looks it up again.
    Ended(End),
    /// The caller is told.
    Error(Error),
}

/// What a store still has of a topic's past.
#[derive(Debug)]
pub enum History {
    /// Records.
    Run(Run),
    /// Nothing from the position on until this sequence.
    Gone(u64),
}

/// What all logs of a process share.
#[derive(Clone)]
pub struct Shared {
    /// The memory that may be used.
    pub budget: Arc<Budget>,
    /// Who wakes the readers.
    pub fanout: Arc<Fanout<Broadcast>>,
}

/// The time of the wall clock, unix nanoseconds.
pub fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
