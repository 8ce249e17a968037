//! Publishes many messages over one stream: batches them by topic, keeps the line busy, bounds
//! what is in flight, and hands back a receipt for each.
//!
//! Batches of a topic are answered in the order they were sent. When the stream breaks, what was
//! sent and not answered fails with [`super::OUTCOME_UNKNOWN`] (it may have been stored, and is
//! not sent twice behind your back), and what was not sent waits for the next stream. Where the
//! client is traced each message is a span, from `publish` until its receipt is known.

mod line;
mod queue;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio::task::AbortHandle;

use line::{Shared, State};
use queue::{Awaited, Queue, Shape};

use super::backoff::Backoff;
use super::connection::Client;
use super::message::{Message, Receipt};
use super::trace::{SendSpan, Spans};
use crate::error::{Code, Error, Result};
use crate::limits::BATCH_MESSAGES_MAX;
use crate::topic::{Namespace, TopicName};

/// Builds a [`Publisher`]; see [`Client::publisher`].
#[derive(Debug, Clone)]
#[must_use = "a publisher begins with `build`"]
pub struct PublisherBuilder {
    client: Client,
    namespace: String,
    shape: Shape,
    bytes_in_flight_max: usize,
    send_timeout: Duration,
    backoff: Backoff,
}

impl PublisherBuilder {
    pub(super) fn new(client: Client) -> Self {
        PublisherBuilder {
            namespace: client.namespace().to_owned(),
            client,
            shape: Shape {
                linger: Duration::ZERO,
                batch_bytes_max: 256 * 1024,
                batch_messages_max: BATCH_MESSAGES_MAX,
                batches_in_flight_max: 16,
                ends_with_refusal: false,
            },
            bytes_in_flight_max: 16 * 1024 * 1024,
            send_timeout: Duration::from_secs(30),
            backoff: Backoff { max: Duration::from_secs(2), ..Backoff::default() },
        }
    }

    /// The namespace of the topics (default: the client's).
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// How long a batch waits to grow (default 0: it is sent when the line is free, and grows by
    /// itself while it is not).
    pub fn linger(mut self, linger: Duration) -> Self {
        self.shape.linger = linger;
        self
    }

    /// A batch of so many bytes is full (default 256 KiB); stay below the server's
    /// `limits.max_message_bytes`.
    pub fn max_batch_bytes(mut self, bytes: usize) -> Self {
        self.shape.batch_bytes_max = bytes.max(1);
        self
    }

    /// A batch of so many messages is full (default and most: 10,000).
    pub fn max_batch_messages(mut self, messages: usize) -> Self {
        self.shape.batch_messages_max = messages.clamp(1, BATCH_MESSAGES_MAX);
        self
    }

    /// Batches sent and not yet answered, at most (default 16). Fewer make larger batches.
    pub fn max_in_flight_batches(mut self, batches: usize) -> Self {
        self.shape.batches_in_flight_max = batches.max(1);
        self
    }

    /// Keeps the order of messages over a refusal, such as that of a quota: one batch is in flight at a
    /// time, and the first one that is refused ends the publisher. What was accepted behind it fails
    /// with the same error, as does every later `publish`; so all of that can be published again, in
    /// order, by another publisher, when [`Error::retry_delay`] is over.
    pub fn ends_with_refusal(mut self) -> Self {
        (self.shape.batches_in_flight_max, self.shape.ends_with_refusal) = (1, true);
        self
    }

    /// Bytes accepted and not yet answered, at most (default 16 MiB); beyond it `publish` waits.
    pub fn max_in_flight_bytes(mut self, bytes: usize) -> Self {
        self.bytes_in_flight_max = bytes.clamp(1, u32::MAX as usize >> 4);
        self
    }

    /// How long a message may wait for a connection before it fails (default 30 s).
    pub fn send_timeout(mut self, timeout: Duration) -> Self {
        self.send_timeout = timeout;
        self
    }

    /// The waits between attempts to open the stream again (default 100 ms to 2 s).
    pub fn reconnect(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Starts the publisher; it needs a tokio runtime. Errors: a namespace that is no name.
    pub fn build(self) -> Result<Publisher> {
        let namespace = Namespace::parse(&self.namespace)?;
        let shared = Arc::new(Shared::new(Queue::new(self.shape), namespace.as_str().to_owned()));
        let spans = self.client.spans_in(namespace.as_str());
        let task = tokio::spawn(line::run(Arc::clone(&shared), self.client, self.backoff, self.send_timeout));
        Ok(Publisher {
            shared,
            namespace,
            spans,
            room: Arc::new(Semaphore::new(self.bytes_in_flight_max)),
            bytes_in_flight_max: self.bytes_in_flight_max,
            task: task.abort_handle(),
        })
    }
}

/// Publishes over one stream; see the module. Share it behind an `Arc`. Dropping it gives up what
/// was not answered yet: `close` it instead.
pub struct Publisher {
    shared: Arc<Shared>,
    namespace: Namespace,
    /// Makes the spans of the messages, where they are traced.
    spans: Option<Spans>,
    /// The bytes that may still be accepted.
    room: Arc<Semaphore>,
    bytes_in_flight_max: usize,
    task: AbortHandle,
}

impl Publisher {
    /// Accepts a message for a topic, waiting only while too many bytes are in flight. What became
    /// of it is told by the receipt, which may also be dropped. Errors: a topic that is no name;
    /// a closed publisher.
    pub async fn publish(&self, topic: &str, message: impl Into<Message>) -> Result<PendingReceipt> {
        let mut message = message.into();
        // Before the wait for room, which is a part of the time it takes.
        let span = self.begin(topic, &mut message);
        let bytes = message.cost();
        let room = match self.room(bytes).await {
            Ok(room) => room,
            Err(error) => return Err(refused(error, span)),
        };
        self.push(topic, message, bytes, room, span)
    }

    /// The same without waiting: `None` when too many bytes are in flight.
    pub fn try_publish(&self, topic: &str, message: impl Into<Message>) -> Result<Option<PendingReceipt>> {
        let mut message = message.into();
        let mut bytes = message.cost();
        let mut room = match Arc::clone(&self.room).try_acquire_many_owned(self.share(bytes)) {
            Ok(room) => room,
            Err(TryAcquireError::NoPermits) => return Ok(None),
            Err(TryAcquireError::Closed) => return Err(closed()),
        };
        let mut span = None;
        if self.spans.is_some() {
            // Only now: a message that is not accepted has no span. The context it gets is a few
            // bytes more, which it takes also where there is no room left for them.
            span = self.begin(topic, &mut message);
            let more = self.share(message.cost()) - self.share(bytes);
            if let Ok(more) = Arc::clone(&self.room).try_acquire_many_owned(more) {
                room.merge(more);
            }
            bytes = message.cost();
        }
        self.push(topic, message, bytes, room, span).map(Some)
    }

    /// Sends everything at once, without linger, and waits for all answers. The first error among
    /// them is returned; every receipt has its own.
    pub async fn flush(&self) -> Result<()> {
        let awaited = {
            let mut state = self.shared.state();
            let awaited = state.queue.awaited();
            state.queue.hurry(true);
            self.shared.wake(state);
            awaited
        };
        let mut outcome = Ok(());
        for answer in awaited {
            outcome = outcome.and(answered(answer.await).map(|_| ()));
        }
        let mut state = self.shared.state();
        let closed = state.closed;
        state.queue.hurry(closed);
        outcome
    }

    /// Sends everything, waits for all answers and ends the stream. Errors: as `flush`.
    pub async fn close(self) -> Result<()> {
        self.shared.state().closed = true;
        self.flush().await
    }

    /// The span of a message, if it is recorded; the message gets its context.
    fn begin(&self, topic: &str, message: &mut Message) -> Option<SendSpan> {
        self.spans.as_ref().map(|spans| spans.send(topic, &mut message.wire)).filter(SendSpan::is_recording)
    }

    fn push(
        &self,
        topic: &str,
        message: Message,
        bytes: usize,
        room: OwnedSemaphorePermit,
        span: Option<SendSpan>,
    ) -> Result<PendingReceipt> {
        let mut state = self.shared.state();
        if let Err(error) = self.check(&state, topic) {
            drop(state);
            return Err(refused(error, span));
        }
        let (awaited, place) = state.queue.push(topic, message.wire, bytes, room, span);
        if state.queue.concerns_stream() {
            self.shared.wake(state);
        }
        Ok(PendingReceipt { awaited, place })
    }

    fn check(&self, state: &State, topic: &str) -> Result<()> {
        if let Some(refusal) = state.queue.refusal() {
            return Err(refusal.clone());
        }
        if state.closed {
            return Err(closed());
        }
        if !state.queue.knows(topic) {
            self.namespace.topic(topic).map(|_: TopicName| ())?;
        }
        Ok(())
    }

    async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        let share = self.share(bytes);
        match Arc::clone(&self.room).try_acquire_many_owned(share) {
            Ok(room) => Ok(room),
            Err(_) => Arc::clone(&self.room).acquire_many_owned(share).await.map_err(|_| closed()),
        }
    }

    /// A message larger than all the room takes all of it.
    fn share(&self, bytes: usize) -> u32 {
        bytes.min(self.bytes_in_flight_max) as u32
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
        let mut state = self.shared.state();
        state.closed = true;
        state.queue.abandon();
        let state = self.shared.tell(state);
        self.shared.wake(state);
    }
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// The receipt of a message that is on its way: await it. Dropping it changes nothing.
#[derive(Debug, Clone)]
pub struct PendingReceipt {
    awaited: Awaited,
    place: u64,
}

impl Future for PendingReceipt {
    type Output = Result<Receipt>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let first = answered(ready!(Pin::new(&mut self.awaited).poll(context)))?;
        Poll::Ready(Ok(Receipt { epoch: first.epoch, sequence: first.sequence + self.place }))
    }
}

fn answered<T>(answer: Result<Result<T>, tokio::sync::oneshot::error::RecvError>) -> Result<T> {
    answer.unwrap_or_else(|_| Err(Error::new(Code::Cancelled, "the publisher's runtime was shut down")))
}

/// The error for a message that was not accepted, of which its span is told.
fn refused(error: Error, span: Option<SendSpan>) -> Error {
    if let Some(span) = span {
        span.failed(&error);
    }
    error
}

fn closed() -> Error {
    Error::new(Code::FailedPrecondition, "the publisher is closed: build another")
}
