//! How a webhook stands: its position, whether its endpoint is well, and what was counted. It outlives
//! the task that delivers, which is another one after each change.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::definition::Definition;
use super::event::Notice;
use crate::limits::WEBHOOK_DEAD_AFTER;
use crate::metrics::{Pushes, WebhookOutcome};
use crate::store::unix_nanos;
use crate::topic::Position;

/// How a webhook is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// The last attempt went well, or there was none.
    Active,
    /// The last attempts failed; it goes on trying.
    Retrying,
    /// So many failed that only a probe goes out now and then.
    Dead,
    /// Somebody paused it.
    Paused,
    /// Its endpoint answered that it is gone; somebody has to resume it.
    Disabled,
}

impl Health {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Active => "active",
            Health::Retrying => "retrying",
            Health::Dead => "dead",
            Health::Paused => "paused",
            Health::Disabled => "disabled",
        }
    }
}

/// What there is to know of a webhook.
#[derive(Debug, Clone)]
pub struct Info {
    /// As it was defined.
    pub definition: Arc<Definition>,
    /// How it is.
    pub health: Health,
    /// The last message that it is done with; none before it began.
    pub position: Option<Position>,
    /// Messages behind that; what the topic knows, where it is open.
    pub lag_messages: u64,
    /// Failures in a row.
    pub failures: u32,
    /// Why the last attempt failed, where the last one did.
    pub last_error: Option<String>,
    /// When a message was last acknowledged, unix nanoseconds; 0 for never.
    pub last_success: u64,
    /// Messages acknowledged.
    pub delivered: u64,
    /// Messages passed over, because they were not acknowledged for too long.
    pub dropped: u64,
    /// Messages that retention took away before, as far as their number is known.
    pub missed: u64,
}

/// The standing of one webhook.
pub struct Standing {
    inner: Mutex<Inner>,
    failures: AtomicU32,
    /// Taken by the one request that probes a dead endpoint.
    pub probe: tokio::sync::Mutex<()>,
    /// What was counted.
    pub counted: Arc<Pushes>,
}

#[derive(Default)]
struct Inner {
    position: Option<Position>,
    /// Which task may move the position.
    generation: u64,
    is_paused: bool,
    is_disabled: bool,
    last_error: Option<String>,
    last_success: u64,
    /// Messages that were passed over, which the endpoint was not told yet.
    untold: Option<Notice>,
}

impl Standing {
    /// Of a webhook that has not begun, or is here.
    pub fn new(
        counted: Arc<Pushes>,
        position: Option<Position>,
        is_paused: bool,
        is_disabled: bool,
    ) -> Standing {
        let inner = Inner { position, is_paused, is_disabled, ..Inner::default() };
        let probe = tokio::sync::Mutex::default();
        Standing { inner: Mutex::new(inner), failures: AtomicU32::new(0), probe, counted }
    }

    /// The number of the task that is about to deliver, the only one that may move the position.
    pub fn next_task(&self) -> u64 {
        let mut inner = self.lock();
        inner.generation += 1;
        inner.generation
    }

    /// Where it is.
    pub fn position(&self) -> Option<Position> {
        self.lock().position
    }

    /// Puts it elsewhere, or back to its start.
    pub fn put(&self, position: Option<Position>) {
        let mut inner = self.lock();
        inner.generation += 1;
        (inner.position, inner.untold) = (position, None);
    }

    /// Where it begins, unless it has begun.
    pub fn begin(&self, task: u64, position: Position) {
        let mut inner = self.lock();
        if inner.generation == task && inner.position.is_none() {
            inner.position = Some(position);
        }
    }

    /// It is done with this message.
    pub fn advance(&self, task: u64, position: Position) {
        let mut inner = self.lock();
        if inner.generation == task && inner.position.is_none_or(|at| at < position) {
            inner.position = Some(position);
        }
    }

    /// A message was acknowledged, with what was told along with it. Whether the endpoint was dead.
    pub fn delivered(&self, told: Option<&Notice>) -> bool {
        let mut inner = self.lock();
        (inner.last_error, inner.last_success) = (None, unix_nanos());
        if told.is_some() && inner.untold.as_ref() == told {
            inner.untold = None;
        }
        drop(inner);
        self.counted.delivered.increment();
        self.set_failures(0) >= WEBHOOK_DEAD_AFTER
    }

    /// An attempt failed; how many have in a row.
    pub fn failed(&self, why: &str) -> u32 {
        self.lock().last_error = Some(why.to_owned());
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        self.counted.dead.set(u64::from(failures >= WEBHOOK_DEAD_AFTER));
        failures
    }

    /// Something that is no attempt went wrong, such as that the topic is not there.
    pub fn hindered(&self, why: &str) {
        self.lock().last_error = Some(why.to_owned());
    }

    /// A message is passed over.
    pub fn dropped(&self, position: Position) {
        self.counted.dropped.increment();
        let mut inner = self.lock();
        let before = Position::new(position.epoch, position.sequence.saturating_sub(1));
        let (after, missing) = match &inner.untold {
            Some(notice) => (notice.after, notice.missing.unwrap_or(0)),
            None => (Some(before), 0),
        };
        let next = Position::new(position.epoch, position.sequence + 1);
        inner.untold = Some(Notice { reason: "gave-up", missing: Some(missing + 1), after, next });
    }

    /// What the endpoint was not told yet of messages that were passed over.
    pub fn untold(&self) -> Option<Notice> {
        self.lock().untold.clone()
    }

    /// Its endpoint is gone.
    pub fn disable(&self) {
        self.lock().is_disabled = true;
    }

    /// Pauses it, or lets it go on, whatever stopped it.
    pub fn pause(&self, is_paused: bool) {
        let mut inner = self.lock();
        inner.generation += 1;
        inner.is_paused = is_paused;
        if !is_paused {
            inner.is_disabled = false;
            drop(inner);
            self.set_failures(0);
        }
    }

    /// Whether it delivers.
    pub fn is_on(&self) -> bool {
        let inner = self.lock();
        !inner.is_paused && !inner.is_disabled
    }

    /// Whether it was paused, and whether it is disabled.
    pub fn stopped(&self) -> (bool, bool) {
        let inner = self.lock();
        (inner.is_paused, inner.is_disabled)
    }

    /// Whether so many attempts failed that only a probe goes out now and then.
    pub fn is_dead(&self) -> bool {
        self.failures.load(Relaxed) >= WEBHOOK_DEAD_AFTER
    }

    /// What there is to know, given where its topic is.
    pub fn info(&self, definition: &Arc<Definition>, newest: Option<Position>) -> Info {
        let (inner, failures) = (self.lock(), self.failures.load(Relaxed));
        let health = match failures {
            _ if inner.is_disabled => Health::Disabled,
            _ if inner.is_paused => Health::Paused,
            WEBHOOK_DEAD_AFTER.. => Health::Dead,
            1.. => Health::Retrying,
            0 => Health::Active,
        };
        let lag = |(at, newest): (Position, Position)| match at.epoch == newest.epoch {
            true => newest.sequence.saturating_sub(at.sequence),
            false => newest.sequence,
        };
        Info {
            definition: definition.clone(),
            health,
            position: inner.position,
            lag_messages: inner.position.zip(newest).map_or(0, lag),
            failures,
            last_error: inner.last_error.clone(),
            last_success: inner.last_success,
            delivered: self.counted.delivered.get(),
            dropped: self.counted.dropped.get(),
            missed: self.counted.missed.get(),
        }
    }

    /// Counts an attempt.
    pub fn attempted(&self, outcome: WebhookOutcome) {
        self.counted.attempts[outcome as usize].increment();
    }

    fn set_failures(&self, count: u32) -> u32 {
        self.counted.dead.set(0);
        self.failures.swap(count, Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
