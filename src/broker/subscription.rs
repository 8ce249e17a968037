//! A subscription: a cursor in a topic, and the one loop that moves it.
//!
//! Catch up, follow, fall behind, catch up again: it reads the channel from its cursor; where
//! retention has overtaken it, it reads the store's history, or says what is missing and goes on
//! behind the gap. It never queues anything. Dropping it is leaving.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::Stream;
use uuid::Uuid;

use super::registry::Topic;
use super::{Broker, draining, topic_not_found};
use crate::error::{Code, Error, Result};
use crate::limits::{BATCH_BYTES_MAX, HEARTBEAT_MAX, HEARTBEAT_MIN, SUBSCRIPTION_OVERHEAD_BYTES};
use crate::metrics::{Durations, Metrics};
use crate::quota::{Account, Held, SUBSCRIPTIONS};
use crate::store::{History, Log, unix_nanos};
use crate::topic::record::header;
use crate::topic::{
    Charge, Discontinuity, Eject, End, Found, Next, Pace, Position, Reader, Reason, Run, Start, Who,
};
use crate::trace::{Operation, Recorder, Span, Value};

/// What a subscriber asks for.
#[derive(Default)]
pub struct Subscribe {
    /// Where to begin.
    pub start: Start,
    /// Upper bound of one response, bytes; the server's default where it is `None`.
    pub max_batch_bytes: Option<usize>,
    /// It hears something at least this often; the server's default where it is `None`.
    pub heartbeat_interval: Option<Duration>,
    /// Where the subscriber is.
    pub peer: Option<SocketAddr>,
    /// Ends the subscriber's connection, for when it pins memory and does not read.
    pub eject: Option<Eject>,
    /// Whom it counts for, beside the namespace.
    pub by: Option<Arc<Account>>,
}

/// What a subscription is given.
#[derive(Debug)]
pub enum Delivery {
    /// The first of all.
    Opened {
        /// The subscription's id, also in logs.
        id: Uuid,
        /// The first position it can deliver.
        next: Position,
    },
    /// Messages, as records in wire format.
    Messages(Run),
    /// Messages are missing.
    Discontinuity(Discontinuity),
    /// The newest message has been reached.
    CaughtUp(Position),
    /// Nothing happened; the newest message, and the server's time in unix nanoseconds.
    Heartbeat(Position, u64),
    /// The server is going away within this time; the end follows.
    Draining(Duration),
}

/// A stream of deliveries of one topic. It ends with an error that says why.
pub struct Subscription {
    epoch: u64,
    /// The next sequence it wants.
    cursor: u64,
    /// The last position it delivered, or resumed from.
    last: Option<Position>,
    bytes_max: usize,
    /// The notices to give before anything else.
    opened: bool,
    gap: Option<Discontinuity>,
    caught_up: bool,
    draining: bool,
    done: bool,
    history: Option<HistoryRead>,
    reader: Reader,
    topic: Arc<Topic>,
    metrics: Arc<Metrics>,
    recorder: Arc<Recorder>,
    _charge: Charge,
    _count: Count,
    _held: [Option<Held<SUBSCRIPTIONS>>; 2],
}

type HistoryRead = Pin<Box<dyn Future<Output = Result<History>> + Send>>;

/// Counts a subscription while it lives.
struct Count(Arc<AtomicUsize>);

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Subscription {
    /// Opens a subscription; the inner error says that the topic has ended in the meantime.
    pub(super) fn open(
        broker: &Broker,
        topic: Arc<Topic>,
        request: &mut Subscribe,
    ) -> Result<Result<Subscription, End>> {
        let options = broker.options();
        let heartbeat_interval = request.heartbeat_interval.unwrap_or(options.heartbeat_interval);
        if !(HEARTBEAT_MIN..=HEARTBEAT_MAX).contains(&heartbeat_interval) {
            let description = format!("has to be from {HEARTBEAT_MIN:?} to {HEARTBEAT_MAX:?}");
            return Err(Error::field("heartbeat_interval", description));
        }
        let by = request.by.as_ref().map(Account::hold).transpose()?;
        let held = [Some(topic.account().hold()?), by];
        let charge = broker.charge(SUBSCRIPTION_OVERHEAD_BYTES).ok_or_else(no_room)?;
        let pace = Pace { heartbeat_interval, stall_timeout: options.stall_timeout };
        let channel = topic.log.tail();
        let (id, now) = (Uuid::now_v7(), unix_nanos());
        let (peer, eject) = (request.peer, request.eject.take());
        let who = Who { id, topic: Some(topic.name.clone()), peer, opened: now, eject };
        let joined = match Reader::join(channel, request.start, now, &pace, who) {
            Ok(joined) => joined?,
            Err(end) => return Ok(Err(end)),
        };
        let (reader, Found { sequence, gap }) = joined;
        broker.subscriptions.fetch_add(1, Relaxed);
        broker.metrics.state().subscriptions_opened.increment();
        let peer = peer.map(tracing::field::display);
        tracing::debug!(topic = %topic.name, subscription = %id, peer, "opened a subscription");
        let last = match request.start {
            Start::After(position) if gap.is_none() => Some(position),
            _ => None,
        };
        Ok(Ok(Subscription {
            epoch: channel.with_log(|log| log.epoch),
            cursor: sequence,
            last,
            bytes_max: request.max_batch_bytes.unwrap_or(options.max_batch_bytes).clamp(1, BATCH_BYTES_MAX),
            opened: false,
            gap,
            caught_up: false,
            draining: false,
            done: false,
            history: None,
            reader,
            topic,
            metrics: broker.metrics.clone(),
            recorder: broker.recorder.clone(),
            _charge: charge,
            _count: Count(broker.subscriptions.clone()),
            _held: held,
        }))
    }

    /// The id, a UUID v7.
    pub fn id(&self) -> Uuid {
        self.reader.who().id
    }

    /// The topic it reads.
    pub fn topic(&self) -> &crate::topic::TopicName {
        &self.topic.name
    }

    /// Where its client is, if that is known.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.reader.who().peer
    }

    /// The topic's history that it reads.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The last position that was delivered or resumed from.
    pub fn position(&self) -> Option<Position> {
        self.last
    }

    fn at(&self, sequence: u64) -> Position {
        Position::new(self.epoch, sequence)
    }

    /// The notices that come before what the channel has.
    fn notice(&mut self) -> Option<Delivery> {
        if !self.opened {
            self.opened = true;
            return Some(Delivery::Opened { id: self.id(), next: self.at(self.cursor) });
        }
        self.gap.take().map(|gap| self.tell(gap))
    }

    /// Tells of missing messages, the subscriber and everybody else.
    fn tell(&self, gap: Discontinuity) -> Delivery {
        self.metrics.state().discontinuity(gap.reason, gap.messages());
        let now = unix_nanos();
        if let Some(context) = self.recorder.event(Operation::Discontinuity, now) {
            let mut span =
                Span::new(Operation::Discontinuity, Some(self.topic.name.clone()), context, now, now)
                    .with("bugle.discontinuity.reason", Value::Word(gap.reason.as_str()))
                    .with("bugle.subscription.id", Value::Id(self.id()))
                    .with("bugle.epoch", Value::Count(gap.next.epoch))
                    .with("bugle.sequence.first", Value::Count(gap.next.sequence))
                    .with_peer(self.peer());
            if let Some(messages) = gap.messages() {
                span = span.with("bugle.discontinuity.messages", Value::Count(messages));
            }
            if let Some(last) = gap.last_delivered {
                span = span.with("bugle.discontinuity.last_delivered", Value::Text(last.to_string()));
            }
            self.recorder.record(span);
        }
        tracing::debug!(
            topic = %self.topic.name,
            subscription = %self.id(),
            peer = self.peer().map(tracing::field::display),
            reason = gap.reason.as_str(),
            last_delivered = gap.last_delivered.map(tracing::field::display),
            next = %gap.next,
            "told of missing messages"
        );
        Delivery::Discontinuity(gap)
    }

    /// What a look at the channel means; `None` to look again.
    fn apply(&mut self, next: Next) -> Option<Result<Delivery>> {
        match next {
            Next::Run(run) => Some(Ok(self.deliver(run))),
            Next::Behind(_) => {
                let (topic, from, bytes_max) = (self.topic.clone(), self.at(self.cursor), self.bytes_max);
                self.history = Some(Box::pin(async move { topic.log.read(from, bytes_max).await }));
                None
            }
            Next::CaughtUp(newest) => {
                self.caught_up = true;
                Some(Ok(Delivery::CaughtUp(self.at(newest))))
            }
            Next::Heartbeat(newest) => Some(Ok(Delivery::Heartbeat(self.at(newest), unix_nanos()))),
            Next::Ended(End::Draining(grace)) if !self.draining => {
                self.draining = true;
                Some(Ok(Delivery::Draining(grace)))
            }
            Next::Ended(end) => Some(Err(self.ended(end))),
        }
    }

    /// What the store's history has for a cursor that retention has overtaken.
    fn apply_history(&mut self, history: History) -> Option<Delivery> {
        match history {
            History::Run(run) => Some(self.deliver(run)),
            History::Gone(next) if next > self.cursor => {
                self.cursor = next;
                self.caught_up = false;
                let (last_delivered, next) = (self.last, self.at(next));
                Some(self.tell(Discontinuity { reason: Reason::Slow, last_delivered, next }))
            }
            // The channel has it again.
            History::Gone(_) => None,
        }
    }

    fn deliver(&mut self, run: Run) -> Delivery {
        self.topic.traffic.delivered(run.last + 1 - run.first, run.bytes as u64);
        // What is read to catch up is old, and says nothing about the bus.
        if self.caught_up {
            let (now, durations) = (unix_nanos(), self.metrics.durations());
            Durations::record(&durations.fan_out, run.since, now);
            if let Some(header) = run.slices.first().and_then(|slice| header(slice)) {
                Durations::record(&durations.delivery, header.time, now);
            }
        }
        self.cursor = run.last + 1;
        self.last = Some(self.at(run.last));
        Delivery::Messages(run)
    }

    fn ended(&self, end: End) -> Error {
        match end {
            End::Draining(_) => draining(),
            End::Deleted | End::Closed => topic_not_found(&self.topic.name),
            End::Stalled => {
                let last = self.last.unwrap_or(self.at(self.cursor - 1));
                let message = format!(
                    "the subscription made no progress for the stall timeout and was cut; \
                     read faster, and resume after {last}"
                );
                Error::new(Code::ResourceExhausted, message)
                    .reason("SLOW_SUBSCRIBER")
                    .with("epoch", last.epoch)
                    .with("sequence", last.sequence)
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let (topic, id) = (&self.topic.name, self.id());
        let last = self.last.map(tracing::field::display);
        tracing::debug!(%topic, subscription = %id, last, "ended a subscription");
    }
}

impl Stream for Subscription {
    type Item = Result<Delivery>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.done {
            return Poll::Ready(None);
        }
        if let Some(notice) = this.notice() {
            return Poll::Ready(Some(Ok(notice)));
        }
        loop {
            if let Some(history) = &mut this.history {
                let read = ready!(history.as_mut().poll(cx));
                this.history = None;
                match read.map(|history| this.apply_history(history)) {
                    Ok(Some(delivery)) => return Poll::Ready(Some(Ok(delivery))),
                    Ok(None) => {}
                    Err(error) => {
                        this.done = true;
                        return Poll::Ready(Some(Err(error)));
                    }
                }
            }
            let next = ready!(this.reader.poll_next(cx, this.cursor, this.bytes_max, !this.caught_up));
            if let Some(found) = this.apply(next) {
                this.done = found.is_err();
                return Poll::Ready(Some(found));
            }
        }
    }
}

fn no_room() -> Error {
    let message = "the memory budget has no room for another subscription; retry, or use fewer";
    Error::new(Code::ResourceExhausted, message).reason("MEMORY_BUDGET").retry_after(Duration::from_secs(1))
}
