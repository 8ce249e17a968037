//! The memory store: orders under the topic's lock and keeps messages until retention, or the
//! memory budget, drops them. An ack means: ordered and visible.
//!
//! Nothing here ever waits, so an append is complete when its future is first polled.

mod eviction;

use std::sync::Arc;
use std::time::Duration;

use super::{History, Log, Opening, Position, Receipt, Refusal, Shared, Store, unix_nanos};
use crate::error::{Code, Error, Result};
use crate::limits::TOPIC_OVERHEAD_BYTES;
use crate::topic::{Appended, Batch, Broadcast, Budget, Charge, Log as TopicLog, NoRoom, Refused, Weight};
use eviction::{Eviction, Ticket};

/// Keeps topics in memory.
pub struct MemoryStore {
    shared: Shared,
    eviction: Arc<Eviction>,
}

/// A topic in memory.
pub struct MemoryLog {
    tail: Arc<Broadcast>,
    ticket: Ticket,
    _charge: Charge,
}

impl MemoryStore {
    /// A store that keeps within the budget.
    pub fn new(shared: Shared) -> MemoryStore {
        let eviction = Eviction::new(shared.budget.clone());
        MemoryStore { shared, eviction }
    }

    /// What the messages of a namespace weigh together, within this store's budget.
    pub fn weight(&self) -> Arc<Weight> {
        Weight::new(self.shared.budget.clone())
    }

    /// Charges the budget, for which the oldest messages of all topics go; `None` where nothing is
    /// retained any more and the rest is in use.
    pub fn charge(&self, bytes: usize) -> Option<Charge> {
        loop {
            match Budget::charge(&self.shared.budget, bytes) {
                Some(charge) => return Some(charge),
                None if self.eviction.make_room(bytes) => {}
                None => return None,
            }
        }
    }
}

impl Store for MemoryStore {
    type Log = MemoryLog;

    async fn open(&self, opening: Opening) -> Result<MemoryLog> {
        let Opening { name: _, retention, weight, past } = opening;
        let budget = &self.shared.budget;
        let charge = self.charge(TOPIC_OVERHEAD_BYTES).ok_or_else(|| no_room(budget))?;
        let log = TopicLog::new(past.next.epoch, past.next.sequence, retention, weight);
        let log = log.with_past(past.newest_time);
        let tail = Broadcast::new(log, self.shared.fanout.clone());
        let ticket = Ticket::new(&self.eviction);
        Ok(MemoryLog { tail, ticket, _charge: charge })
    }
}

impl Log for MemoryLog {
    fn tail(&self) -> &Arc<Broadcast> {
        &self.tail
    }

    async fn append(&self, batch: &Batch) -> Result<Receipt, Refusal> {
        loop {
            match Broadcast::append(&self.tail, batch, unix_nanos()) {
                Ok((epoch, appended)) => {
                    if appended.new_chunk {
                        self.ticket.list(&self.tail);
                    }
                    let Appended { first, last, bytes, .. } = appended;
                    return Ok(Receipt { epoch, first, last, bytes });
                }
                Err(Refused::Ended(end)) => return Err(Refusal::Ended(end)),
                Err(Refused::NoRoom(NoRoom(bytes))) => {
                    if !self.ticket.eviction().make_room(bytes) {
                        return Err(Refusal::Error(no_room(self.ticket.eviction().budget())));
                    }
                }
            }
        }
    }

    async fn read(&self, from: Position, _bytes_max: usize) -> Result<History> {
        // What has left memory is gone; the channel knows where delivery can go on.
        Ok(History::Gone(self.tail.with_log(|log| log.start()).max(from.sequence)))
    }
}

fn no_room(budget: &Budget) -> Error {
    budget.press();
    let message = "the memory budget is used up by open topics, subscriptions and slow readers; \
                   retry, or give the server a larger memory_budget";
    Error::new(Code::ResourceExhausted, message)
        .reason("MEMORY_BUDGET")
        .with("limit_bytes", budget.limit())
        .retry_after(Duration::from_secs(1))
}
