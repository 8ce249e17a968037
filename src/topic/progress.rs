//! What the scheduler knows of a reader without taking its channel's lock: whether it waits, when it
//! was last polled, when it last heard something.
//!
//! From that it judges, at each look, whether a heartbeat is due and whether the reader is stalled:
//! it has something to read and is not polled, which the reader itself can never notice.

use std::net::SocketAddr;
use std::time::Duration;

use uuid::Uuid;

use super::name::TopicName;
use crate::limits::TICK;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// How a reader wants to be treated.
#[derive(Debug, Clone)]
pub struct Pace {
    /// It hears something at least this often.
    pub heartbeat_interval: Duration,
    /// It is cut after so long without progress.
    pub stall_timeout: Duration,
}

/// Who a reader is, for those who look at it from outside.
#[derive(Default)]
pub struct Who {
    /// The subscription's id.
    pub id: Uuid,
    /// The topic it reads.
    pub topic: Option<TopicName>,
    /// Where its client is.
    pub peer: Option<SocketAddr>,
    /// When it came, unix nanoseconds.
    pub opened: u64,
    /// Ends its connection.
    pub eject: Option<Eject>,
}

/// What the scheduler knows of a reader without its channel's lock.
pub struct Progress {
    pub(super) key: u64,
    heartbeat_ticks: u64,
    stall_ticks: u64,
    /// Tick of the last poll.
    polled: AtomicU64,
    /// Tick of the last thing the reader was given.
    heard: AtomicU64,
    /// It has read everything and waits for more.
    waiting: AtomicBool,
    /// A heartbeat is due.
    due: AtomicBool,
    stalled: AtomicBool,
    left: AtomicBool,
    who: Who,
}

/// Ends the connection of a reader that pins memory and does not read.
pub type Eject = Box<dyn Fn() + Send + Sync>;

/// What the sweep finds out about a reader.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is well; look again in so many ticks.
    Fine(u64),
    /// It is to be woken for its heartbeat.
    Heartbeat,
    /// It made no progress for too long.
    Stalled,
}

impl Progress {
    pub(super) fn new(key: u64, now: u64, pace: &Pace, who: Who) -> Progress {
        let ticks = |time: Duration| (time.as_millis() / TICK.as_millis()).max(1) as u64;
        Progress {
            key,
            heartbeat_ticks: ticks(pace.heartbeat_interval),
            stall_ticks: ticks(pace.stall_timeout),
            polled: AtomicU64::new(now),
            heard: AtomicU64::new(now),
            waiting: AtomicBool::new(false),
            due: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            left: AtomicBool::new(false),
            who,
        }
    }

    /// Looks at the reader at tick `now`. Under memory pressure patience is short.
    pub(super) fn judge(&self, now: u64, pressed: bool) -> Verdict {
        /// Patience with a reader that holds memory which publishers need: two seconds.
        const PRESSED_TICKS: u64 = 20;
        if self.stalled.load(Relaxed) {
            return Verdict::Stalled;
        }
        if !self.waiting.load(Relaxed) {
            let patience = if pressed { self.stall_ticks.min(PRESSED_TICKS) } else { self.stall_ticks };
            let idle = now.saturating_sub(self.polled.load(Relaxed));
            return if idle >= patience {
                Verdict::Stalled
            } else {
                Verdict::Fine(self.look_ticks().min(patience - idle))
            };
        }
        // A waiting reader that is alive is polled for each heartbeat.
        if now.saturating_sub(self.polled.load(Relaxed)) >= self.heartbeat_ticks + self.stall_ticks {
            return Verdict::Stalled;
        }
        match self.heartbeat_ticks.saturating_sub(now.saturating_sub(self.heard.load(Relaxed))) {
            0 => Verdict::Heartbeat,
            ticks => Verdict::Fine(ticks.min(self.look_ticks())),
        }
    }

    /// How soon to look at the reader again: a heartbeat that is due is not late by more than its
    /// own interval, and nothing by more than a second.
    pub(super) fn look_ticks(&self) -> u64 {
        self.heartbeat_ticks.min(10)
    }

    /// Marks the reader as cut, so that its next poll ends it; `false` where it was already.
    pub(super) fn stall(&self) -> bool {
        !self.stalled.swap(true, Relaxed)
    }

    /// The reader is gone; nobody looks after it any more.
    pub(super) fn leave(&self) {
        self.left.store(true, Relaxed);
    }

    /// Whether the reader is gone.
    pub(super) fn has_left(&self) -> bool {
        self.left.load(Relaxed)
    }

    /// Asks for a heartbeat at the next poll.
    pub(super) fn ask_heartbeat(&self) {
        self.due.store(true, Relaxed);
    }

    /// Ends the reader's connection, where it has one that can be ended.
    pub(super) fn eject(&self) {
        if let Some(eject) = &self.who.eject {
            eject();
        }
    }

    /// Who it is.
    pub fn who(&self) -> &Who {
        &self.who
    }

    /// Ticks since it was last polled; 0 while it waits for more.
    pub fn silent_ticks(&self, now: u64) -> u64 {
        if self.is_waiting() { 0 } else { now.saturating_sub(self.polled.load(Relaxed)) }
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.stalled.load(Relaxed)
    }

    pub(super) fn take_heartbeat(&self) -> bool {
        self.due.load(Relaxed) && self.due.swap(false, Relaxed)
    }

    pub(super) fn note_polled(&self, now: u64) {
        self.polled.store(now, Relaxed);
        self.waiting.store(false, Relaxed);
    }

    /// It waited, was woken, and has not been polled since: from `now` on it has something to read.
    /// Only under its channel's lock, so that it does not begin to wait at the same time.
    pub(super) fn note_woken(&self, now: u64) {
        self.note_polled(now);
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.load(Relaxed)
    }

    pub(super) fn note_waiting(&self) {
        self.waiting.store(true, Relaxed);
    }

    pub(super) fn note_heard(&self, now: u64) {
        self.heard.store(now, Relaxed);
    }
}

#[cfg(all(test, not(bugle_loom)))]
mod tests {
    use super::*;

    fn progress() -> Progress {
        let pace =
            Pace { heartbeat_interval: Duration::from_secs(2), stall_timeout: Duration::from_secs(30) };
        Progress::new(1, 0, &pace, Who::default())
    }

    #[test]
    fn a_waiting_reader_is_due_for_a_heartbeat_and_never_stalled() {
        let progress = progress();
        progress.note_waiting();
        assert_eq!(progress.judge(19, false), Verdict::Fine(1));
        assert_eq!(progress.judge(20, false), Verdict::Heartbeat);
        assert_eq!(progress.judge(20, true), Verdict::Heartbeat);
    }

    #[test]
    fn a_reader_with_a_short_heartbeat_is_looked_at_as_often() {
        let pace =
            Pace { heartbeat_interval: Duration::from_millis(300), stall_timeout: Duration::from_secs(30) };
        let progress = Progress::new(1, 0, &pace, Who::default());
        assert_eq!(progress.look_ticks(), 3);
        assert_eq!(progress.judge(0, false), Verdict::Fine(3));
    }

    #[test]
    fn a_reader_that_was_woken_for_messages_and_never_polled_is_stalled() {
        let progress = progress();
        progress.note_waiting();
        progress.note_woken(100);
        assert_eq!(progress.judge(399, false), Verdict::Fine(1));
        assert_eq!(progress.judge(400, false), Verdict::Stalled);
        assert_eq!(progress.judge(120, true), Verdict::Stalled);
    }

    #[test]
    fn a_reader_that_was_woken_for_its_heartbeat_and_never_polled_is_stalled() {
        let progress = progress();
        progress.note_waiting();
        assert_eq!(progress.judge(319, false), Verdict::Heartbeat);
        assert_eq!(progress.judge(320, false), Verdict::Stalled);
    }

    #[test]
    fn a_reader_that_has_something_and_is_not_polled_is_stalled() {
        let progress = progress();
        progress.note_polled(100);
        assert_eq!(progress.judge(399, false), Verdict::Fine(1));
        assert_eq!(progress.judge(400, false), Verdict::Stalled);
        assert_eq!(progress.judge(120, true), Verdict::Stalled);
        progress.note_polled(400);
        assert_eq!(progress.judge(401, false), Verdict::Fine(10));
    }
}
