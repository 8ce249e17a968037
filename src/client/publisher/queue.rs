//! What a publisher has to send and what it waits for: batches by topic, in order, bounded.
//!
//! No network and no clock of its own: messages and the time go in, batches and answers come out.
//! A batch is *open* while it can grow, *ready* when it is full, *in flight* once it was handed to
//! the stream. Batches go out in the order they were opened, so those of a topic keep its order.
//! Bytes are bounded by the caller, whose permits each batch holds until it is answered.

use std::collections::{HashMap, VecDeque};
use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::Shared;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use crate::client::trace::SendSpan;
use crate::error::{Code, Error, Result};
use crate::proto::v1 as wire;

/// What a batch became: the place of its first message.
pub(super) type Answer = Result<First>;
/// Where the answer to a batch will be; every receipt of the batch has one.
pub(super) type Awaited = Shared<oneshot::Receiver<Answer>>;

#[derive(Debug, Clone, Copy)]
pub(super) struct First {
    pub(super) epoch: u64,
    pub(super) sequence: u64,
}

/// How batches are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) linger: Duration,
    pub(super) batch_bytes_max: usize,
    pub(super) batch_messages_max: usize,
    pub(super) batches_in_flight_max: usize,
    /// A batch that is refused takes all behind it along.
    pub(super) ends_with_refusal: bool,
}

pub(super) struct Queue {
    shape: Shape,
    open: HashMap<Arc<str>, Batch>,
    /// The open batches, oldest first, among names whose batch became full since.
    lingering: VecDeque<(u64, Instant, Arc<str>)>,
    ready: VecDeque<Batch>,
    in_flight: VecDeque<Batch>,
    /// Batches whose spans have to end before their receipts are known.
    settled: Vec<(Batch, Answer)>,
    batches: u64,
    hurry: bool,
    /// What ended it.
    refusal: Option<Error>,
}

struct Batch {
    id: u64,
    since: Instant,
    topic: Arc<str>,
    messages: Vec<wire::Message>,
    bytes: usize,
    /// The spans of the messages, as far as they are traced, with their places.
    spans: Vec<(u64, SendSpan)>,
    answer: oneshot::Sender<Answer>,
    awaited: Awaited,
    /// Room in the publisher's byte limit, given back when the batch is dropped.
    room: OwnedSemaphorePermit,
}

/// The spans of a batch that was answered or has failed.
pub(super) struct Ended {
    spans: Vec<(u64, SendSpan)>,
    answer: Answer,
}

/// What there is to send.
#[derive(Debug)]
pub(super) enum Take {
    Batch {
        topic: Arc<str>,
        messages: Vec<wire::Message>,
    },
    /// Nothing now; look again at this time, or when something changes.
    Wait(Option<Instant>),
}

impl Queue {
    pub(super) fn new(shape: Shape) -> Self {
        Queue {
            shape,
            open: HashMap::new(),
            lingering: VecDeque::new(),
            ready: VecDeque::new(),
            in_flight: VecDeque::new(),
            settled: Vec::new(),
            batches: 0,
            hurry: false,
            refusal: None,
        }
    }

    /// Adds a message of so many bytes. Gives the batch it is in and its place there.
    pub(super) fn push(
        &mut self,
        topic: &str,
        message: wire::Message,
        bytes: usize,
        room: OwnedSemaphorePermit,
        span: Option<SendSpan>,
    ) -> (Awaited, u64) {
        let fits = |batch: &Batch| batch.bytes + bytes <= self.shape.batch_bytes_max;
        if self.open.get(topic).is_some_and(|batch| !fits(batch)) {
            self.seal(topic);
        }
        let Some(batch) = self.open.get_mut(topic) else {
            return self.begin(topic, message, bytes, room, span);
        };
        let place = batch.messages.len() as u64;
        batch.messages.push(message);
        batch.bytes += bytes;
        if let Some(span) = span {
            batch.spans.push((place, span));
        }
        batch.room.merge(room);
        let awaited = batch.awaited.clone();
        if batch.bytes >= self.shape.batch_bytes_max || batch.messages.len() >= self.shape.batch_messages_max
        {
            self.seal(topic);
        }
        (awaited, place)
    }

    fn begin(
        &mut self,
        topic: &str,
        message: wire::Message,
        bytes: usize,
        room: OwnedSemaphorePermit,
        span: Option<SendSpan>,
    ) -> (Awaited, u64) {
        let (answer, awaited) = oneshot::channel();
        let awaited = awaited.shared();
        let (id, since, topic) = (self.batches, Instant::now(), Arc::<str>::from(topic));
        self.batches += 1;
        self.lingering.push_back((id, since, Arc::clone(&topic)));
        let messages = vec![message];
        let spans = span.into_iter().map(|span| (0, span)).collect();
        let (name, first) = (Arc::clone(&topic), awaited.clone());
        let batch = Batch { id, since, topic: name, messages, bytes, spans, answer, awaited, room };
        self.open.insert(Arc::clone(&topic), batch);
        if bytes >= self.shape.batch_bytes_max || self.shape.batch_messages_max <= 1 {
            self.seal(&topic);
        }
        (first, 0)
    }

    fn seal(&mut self, topic: &str) {
        if let Some(batch) = self.open.remove(topic) {
            self.ready.push_back(batch);
        }
    }

    /// The next batch to send, if there is one and the line is not full; it is in flight then.
    pub(super) fn take(&mut self, now: Instant) -> Take {
        if self.in_flight.len() >= self.shape.batches_in_flight_max {
            return Take::Wait(None);
        }
        let stale = |open: &HashMap<Arc<str>, Batch>, id, topic: &Arc<str>| {
            open.get(topic).is_none_or(|batch| batch.id != id)
        };
        while self.lingering.front().is_some_and(|(id, _, topic)| stale(&self.open, *id, topic)) {
            self.lingering.pop_front();
        }
        let ready = self.ready.front().map(|batch| batch.id);
        if let Some((id, since, topic)) = self.lingering.front() {
            let due = *since + self.shape.linger;
            if (self.hurry || due <= now) && ready.is_none_or(|ready| *id < ready) {
                let topic = Arc::clone(topic);
                self.lingering.pop_front();
                return self.open.remove(&topic).map_or(Take::Wait(None), |batch| self.depart(batch));
            }
            if ready.is_none() {
                return Take::Wait(Some(due));
            }
        }
        match self.ready.pop_front() {
            Some(batch) => self.depart(batch),
            None => Take::Wait(None),
        }
    }

    fn depart(&mut self, mut batch: Batch) -> Take {
        let (topic, messages) = (Arc::clone(&batch.topic), take(&mut batch.messages));
        self.in_flight.push_back(batch);
        Take::Batch { topic, messages }
    }

    /// The answer to the oldest batch in flight. False when none is.
    pub(super) fn answer(&mut self, answer: Answer) -> bool {
        match self.in_flight.pop_front() {
            Some(batch) => {
                let refusal = answer.as_ref().err().filter(|_| self.shape.ends_with_refusal).cloned();
                self.settle(batch, answer);
                if let Some(refusal) = refusal {
                    self.fail_in_flight(&refusal);
                    self.fail_unsent(Instant::now(), &refusal);
                    self.refusal = Some(refusal);
                }
                true
            }
            None => false,
        }
    }

    /// The refusal that ended it, if one did.
    pub(super) fn refusal(&self) -> Option<&Error> {
        self.refusal.as_ref()
    }

    fn settle(&mut self, batch: Batch, answer: Answer) {
        if batch.spans.is_empty() {
            // Nobody may be waiting for it any more.
            let _ = batch.answer.send(answer);
        } else {
            self.settled.push((batch, answer));
        }
    }

    /// The spans that have to end now; [`Queue::tell`] comes after it.
    pub(super) fn ended(&mut self) -> Vec<Ended> {
        let settled = self.settled.iter_mut();
        settled
            .map(|(batch, answer)| Ended { spans: take(&mut batch.spans), answer: answer.clone() })
            .collect()
    }

    /// Lets the receipts of the batches be known whose spans have ended.
    pub(super) fn tell(&mut self) {
        for (batch, answer) in self.settled.drain(..) {
            let _ = batch.answer.send(answer);
        }
    }

    /// From now on batches do not linger.
    pub(super) fn hurry(&mut self, hurry: bool) {
        self.hurry = hurry;
    }

    /// Whether a message that was just pushed gives the stream something new to look at: a batch
    /// to send, or a first one to wait for.
    pub(super) fn concerns_stream(&self) -> bool {
        let eager = self.hurry || self.shape.linger.is_zero() || !self.ready.is_empty();
        self.in_flight.len() < self.shape.batches_in_flight_max && (eager || self.lingering.len() <= 1)
    }

    /// Whether a batch of this topic is open, so that its name is known to be good.
    pub(super) fn knows(&self, topic: &str) -> bool {
        self.open.contains_key(topic)
    }

    /// Whether a batch is open or ready.
    pub(super) fn has_unsent(&self) -> bool {
        !self.open.is_empty() || !self.ready.is_empty()
    }

    /// Whether something was sent and is not answered.
    pub(super) fn has_in_flight(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Whether nothing waits to be sent or answered.
    pub(super) fn is_empty(&self) -> bool {
        !self.has_unsent() && self.in_flight.is_empty()
    }

    /// Every answer that is still to come.
    pub(super) fn awaited(&self) -> Vec<Awaited> {
        let settled = self.settled.iter().map(|(batch, _)| batch);
        let unsent = self.ready.iter().chain(self.open.values());
        settled.chain(&self.in_flight).chain(unsent).map(|batch| batch.awaited.clone()).collect()
    }

    /// Fails the batches in flight: the stream they went into is gone.
    pub(super) fn fail_in_flight(&mut self, error: &Error) {
        while let Some(batch) = self.in_flight.pop_front() {
            self.settle(batch, Err(error.clone()));
        }
    }

    /// Fails the batches that were not sent and are as old as this.
    pub(super) fn fail_unsent(&mut self, older_than: Instant, error: &Error) {
        let overdue = |batch: &Batch| batch.since <= older_than;
        while self.ready.front().is_some_and(overdue) {
            if let Some(batch) = self.ready.pop_front() {
                self.settle(batch, Err(error.clone()));
            }
        }
        let topics: Vec<_> =
            self.open.values().filter(|batch| overdue(batch)).map(|batch| Arc::clone(&batch.topic)).collect();
        for topic in topics {
            if let Some(batch) = self.open.remove(&topic) {
                self.settle(batch, Err(error.clone()));
            }
        }
    }

    /// Fails everything: the publisher was dropped.
    pub(super) fn abandon(&mut self) {
        let error =
            Error::new(Code::Cancelled, "the publisher was dropped: call `close` to send what is left");
        self.fail_in_flight(&error);
        self.fail_unsent(Instant::now(), &error);
    }
}

impl Ended {
    pub(super) fn end(self) {
        for (place, span) in self.spans {
            match &self.answer {
                Ok(first) => {
                    let sequence = first.sequence + place;
                    span.accepted(first.epoch, sequence, sequence);
                }
                Err(error) => span.failed(error),
            }
        }
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
