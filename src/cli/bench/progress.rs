//! A counter that only grows, and somebody who waits for it to reach a mark.
//!
//! Deliveries, acknowledgements and flow-control credit are all told this way. A publisher waits
//! for the slowest of its subscribers without polling, and a subscriber pays one load per read for
//! it as long as nobody waits.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// See the module.
pub struct Progress {
    reached: AtomicU64,
    /// The lowest mark somebody waits for; `u64::MAX` when nobody does.
    wanted: AtomicU64,
    notify: Notify,
}

impl Progress {
    /// A counter at zero.
    pub fn new() -> Self {
        Progress { reached: AtomicU64::new(0), wanted: AtomicU64::new(u64::MAX), notify: Notify::new() }
    }

    /// Where the counter is.
    pub fn reached(&self) -> u64 {
        self.reached.load(Ordering::Relaxed)
    }

    /// Moves the counter on and wakes who waited for it.
    pub fn advance(&self, by: u64) {
        let before = self.reached.fetch_add(by, Ordering::SeqCst);
        if before.saturating_add(by) >= self.wanted.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Moves the counter beyond every mark, so that nobody waits for it again.
    pub fn finish(&self) {
        self.reached.store(u64::MAX / 2, Ordering::SeqCst);
        self.wake();
    }

    /// Returns when the counter has reached `mark`.
    pub async fn wait_for(&self, mark: u64) {
        while self.reached() < mark {
            let notified = self.notify.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            self.wanted.fetch_min(mark, Ordering::SeqCst);
            if self.reached.load(Ordering::SeqCst) >= mark {
                return;
            }
            notified.await;
        }
    }

    /// All waiters are woken and those that still have to wait leave their mark again, so marks
    /// need no list.
    fn wake(&self) {
        self.wanted.store(u64::MAX, Ordering::SeqCst);
        self.notify.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn waiters_of_different_marks_are_each_woken_at_theirs() {
        let progress = Arc::new(Progress::new());
        let (low, high) = (Arc::clone(&progress), Arc::clone(&progress));
        let low = tokio::spawn(async move { low.wait_for(2).await });
        let high = tokio::spawn(async move { high.wait_for(5).await });
        tokio::task::yield_now().await;
        progress.advance(3);
        low.await.unwrap();
        assert!(!high.is_finished());
        progress.advance(2);
        high.await.unwrap();
    }
}
