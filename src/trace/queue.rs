//! Spans that wait for an exporter: bounded in number and in bytes, and filled without a lock, because
//! the exporter works at the lowest priority and must never hold up whoever records.
//!
//! The exporter is not woken for each span, which would cost the publisher a system call: it comes
//! by itself from time to time, and is called when there is enough for a request.

use std::future::poll_fn;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::task::Poll;

use futures::task::AtomicWaker;
use tokio::sync::mpsc;

use super::span::Span;

/// The waiting spans, as those who record see them.
pub struct Queue {
    spans: mpsc::Sender<Span>,
    waiting: Waiting,
    /// With so many the exporter is called.
    enough: usize,
    bytes_max: usize,
}

/// The waiting spans, as exporters see them. A clone is a reference.
#[derive(Clone)]
pub struct Waiting(Arc<Inner>);

struct Inner {
    /// Exporters take turns.
    spans: Mutex<mpsc::Receiver<Span>>,
    /// There was enough since the last look.
    is_called: AtomicBool,
    call: AtomicWaker,
    /// What the waiting spans take, bytes.
    bytes: AtomicUsize,
}

impl Queue {
    /// Room for so many and so many bytes; the exporter is called for so many.
    pub fn new(max: usize, bytes_max: usize, enough: usize) -> Queue {
        let (sender, receiver) = mpsc::channel(max);
        let (is_called, call) = (AtomicBool::new(false), AtomicWaker::new());
        let (spans, bytes) = (Mutex::new(receiver), AtomicUsize::new(0));
        let waiting = Waiting(Arc::new(Inner { spans, is_called, call, bytes }));
        Queue { spans: sender, waiting, enough, bytes_max }
    }

    fn len(&self) -> usize {
        self.spans.max_capacity() - self.spans.capacity()
    }

    /// Whether more than half of the room is used.
    pub fn is_crowded(&self) -> bool {
        let bytes = self.waiting.0.bytes.load(Relaxed);
        self.len() > self.spans.max_capacity() / 2 || bytes > self.bytes_max / 2
    }

    pub fn is_full(&self) -> bool {
        self.spans.capacity() == 0 || self.waiting.0.bytes.load(Relaxed) >= self.bytes_max
    }

    /// Adds a span; `false` where there is no room.
    pub fn push(&self, span: Span) -> bool {
        let (inner, bytes) = (&self.waiting.0, span.bytes());
        if inner.bytes.load(Relaxed) + bytes > self.bytes_max {
            return false;
        }
        inner.bytes.fetch_add(bytes, Relaxed);
        let is_added = self.spans.try_send(span).is_ok();
        if !is_added {
            inner.bytes.fetch_sub(bytes, Relaxed);
        }
        if self.len() >= self.enough && !inner.is_called.swap(true, AcqRel) {
            inner.call.wake();
        }
        is_added
    }

    pub fn waiting(&self) -> &Waiting {
        &self.waiting
    }
}

impl Waiting {
    /// Takes the oldest spans out, at most so many; none while another exporter takes some.
    pub fn take(&self, most: usize) -> Vec<Span> {
        let Some(mut spans) = self.spans() else { return Vec::new() };
        let taken: Vec<Span> = std::iter::from_fn(|| spans.try_recv().ok()).take(most).collect();
        if taken.len() < most {
            self.0.is_called.store(false, Release);
        }
        self.0.bytes.fetch_sub(taken.iter().map(Span::bytes).sum(), Relaxed);
        taken
    }

    /// Completes when there is enough for a request. For one exporter at a time.
    pub async fn called(&self) {
        poll_fn(|cx| {
            self.0.call.register(cx.waker());
            if self.0.is_called.load(Acquire) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn spans(&self) -> Option<MutexGuard<'_, mpsc::Receiver<Span>>> {
        match self.0.spans.try_lock() {
            Ok(spans) => Some(spans),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
