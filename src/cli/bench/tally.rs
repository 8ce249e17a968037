//! What one subscriber has seen, readable by others while it runs.
//!
//! The reading task counts in locals and adds them up here once per read of its socket, so that a
//! message costs no atomic. The load samples all tallies at both ends of its window.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::Serialize;

use super::progress::Progress;

/// See the module. All counters only grow.
pub struct Tally {
    /// Messages passed: those received and those known to be missing. Publishers wait for it.
    pub passed: Progress,
    opened: Progress,
    ended: AtomicBool,
    counts: [AtomicU64; 6],
}

/// The counters of a tally, or of many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Messages received.
    pub received: u64,
    /// Their bytes as the server framed them, without HTTP/2 or RESP around them.
    pub bytes: u64,
    /// Messages missing without a word from the server.
    pub lost: u64,
    /// Messages that came again or behind a later one.
    pub repeated: u64,
    /// Gaps the server told.
    pub discontinuities: u64,
    /// Messages inside those gaps.
    pub skipped: u64,
}

impl Counts {
    /// The sum, field by field.
    pub fn plus(self, other: Counts) -> Counts {
        zip(self, other, u64::wrapping_add)
    }

    /// What was counted since `earlier`.
    pub fn since(self, earlier: Counts) -> Counts {
        zip(self, earlier, u64::saturating_sub)
    }

    fn fields(self) -> [u64; 6] {
        let Counts { received, bytes, lost, repeated, discontinuities, skipped } = self;
        [received, bytes, lost, repeated, discontinuities, skipped]
    }

    fn from_fields([received, bytes, lost, repeated, discontinuities, skipped]: [u64; 6]) -> Counts {
        Counts { received, bytes, lost, repeated, discontinuities, skipped }
    }
}

fn zip(a: Counts, b: Counts, with: impl Fn(u64, u64) -> u64) -> Counts {
    let (a, b) = (a.fields(), b.fields());
    Counts::from_fields(std::array::from_fn(|i| with(a[i], b[i])))
}

impl Tally {
    /// A tally of nothing.
    pub fn new() -> Self {
        Tally {
            passed: Progress::new(),
            opened: Progress::new(),
            ended: AtomicBool::new(false),
            counts: Default::default(),
        }
    }

    /// Adds what one read brought.
    pub fn add(&self, counts: Counts) {
        for (total, count) in self.counts.iter().zip(counts.fields()) {
            if count > 0 {
                total.fetch_add(count, Ordering::Relaxed);
            }
        }
        self.passed.advance(counts.received - counts.repeated + counts.lost + counts.skipped);
    }

    /// The counters now.
    pub fn counts(&self) -> Counts {
        Counts::from_fields(std::array::from_fn(|i| self.counts[i].load(Ordering::Relaxed)))
    }

    /// The server has confirmed the subscription.
    pub fn open(&self) {
        self.opened.advance(1);
    }

    /// Whether the server has confirmed the subscription.
    pub fn is_open(&self) -> bool {
        self.opened.reached() > 0
    }

    /// Returns when the server has confirmed the subscription, or it has ended.
    pub async fn opened(&self) {
        self.opened.wait_for(1).await;
    }

    /// The subscription is over before the load is; nobody waits for it any more.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.passed.finish();
        self.opened.finish();
    }

    /// Whether it ended before the load did.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}
