//! Spans that wait for an exporter: bounded, and filled without a lock, because the exporter works
//! at the lowest priority and must never hold up whoever records.
//!
//! The exporter is not woken for each span, which would cost the publisher a system call: it comes
//! by itself from time to time, and is called when there is enough for a request.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
}

impl Queue {
    /// Room for so many; the exporter is called for so many.
    pub fn new(max: usize, enough: usize) -> Queue {
        let (sender, receiver) = mpsc::channel(max);
        let (is_called, call) = (AtomicBool::new(false), AtomicWaker::new());
        let waiting = Waiting(Arc::new(Inner { spans: Mutex::new(receiver), is_called, call }));
        Queue { spans: sender, waiting, enough }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.spans.max_capacity() - self.spans.capacity()
    }

    pub fn is_full(&self) -> bool {
        self.spans.capacity() == 0
    }

    /// Adds a span; `false` where there is no room.
    pub fn push(&self, span: Span) -> bool {
        let is_added = self.spans.try_send(span).is_ok();
        let inner = &self.waiting.0;
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
    /// Takes the oldest spans out, at most so many.
    pub fn take(&self, most: usize) -> Vec<Span> {
        let mut spans = self.spans();
        let taken: Vec<Span> = std::iter::from_fn(|| spans.try_recv().ok()).take(most).collect();
        if taken.len() < most {
            self.0.is_called.store(false, Release);
        }
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

    fn spans(&self) -> MutexGuard<'_, mpsc::Receiver<Span>> {
        self.0.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
