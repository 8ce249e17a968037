//! Spans that wait for the exporter: bounded, filled under a short lock, emptied in one go.
//!
//! The exporter is not woken for each span, which would cost the publisher a system call: it comes
//! by itself from time to time, and is called when half of the room is used.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::span::Span;

/// The bounded list, as those who record see it.
pub struct Queue(Waiting);

/// The bounded list, as the exporter sees it. A clone is a reference.
#[derive(Clone)]
pub struct Waiting(Arc<Inner>);

struct Inner {
    spans: Mutex<Vec<Span>>,
    /// Its length, for a look without the lock.
    count: AtomicUsize,
    max: usize,
    call: Notify,
}

impl Queue {
    /// Room for so many.
    pub fn new(max: usize) -> Queue {
        let (spans, count) = (Mutex::default(), AtomicUsize::new(0));
        Queue(Waiting(Arc::new(Inner { spans, count, max, call: Notify::new() })))
    }

    pub fn is_full(&self) -> bool {
        self.0.0.count.load(Relaxed) >= self.0.0.max
    }

    /// Adds a span; `false` where there is no room.
    pub fn push(&self, span: Span) -> bool {
        let inner = &self.0.0;
        let mut spans = inner.spans.lock().unwrap_or_else(PoisonError::into_inner);
        if spans.len() >= inner.max {
            return false;
        }
        spans.push(span);
        let count = spans.len();
        drop(spans);
        inner.count.store(count, Relaxed);
        if count == inner.max / 2 {
            inner.call.notify_one();
        }
        true
    }

    pub fn waiting(&self) -> &Waiting {
        &self.0
    }
}

impl Waiting {
    /// Takes the oldest spans out, at most so many.
    pub fn take(&self, most: usize) -> Vec<Span> {
        let mut spans = self.0.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let taken =
            if spans.len() <= most { std::mem::take(&mut *spans) } else { spans.drain(..most).collect() };
        self.0.count.store(spans.len(), Relaxed);
        taken
    }

    /// Completes when half of the room is used.
    pub async fn called(&self) {
        self.0.call.notified().await;
    }
}
