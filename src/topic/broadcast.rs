//! The broadcast channel of a topic: its log and the readers that wait for more of it.
//!
//! One short lock makes appending, finding nothing and registering to be woken atomic, so no
//! wake-up is lost: a reader either finds the message or is registered before it comes. A reader
//! that is already running is not woken again and reads all there is when it gets there, so
//! batches grow with load by themselves.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use slab::Slab;
use smallvec::SmallVec;

use super::batch::Batch;
use super::fanout::{Channel, Fanout};
use super::log::{Appended, Log, NoRoom, Past, Read, Run};
use super::progress::Progress;
use super::start::{Found, Start};
use crate::error::Result;
use crate::limits::FANOUT_INLINE_MAX;
use crate::sync::{Arc, Mutex, lock};

/// What a poll of a reader can find.
#[derive(Debug)]
pub enum Next {
    /// Records from the cursor on.
    Run(Run),
    /// Retention has overtaken the cursor; the oldest message that can be read is this one.
    Behind(u64),
    /// Nothing is left to read; the newest message has this sequence.
    CaughtUp(u64),
    /// Nothing was said for the heartbeat interval; the newest message has this sequence.
    Heartbeat(u64),
    /// The channel ended, or this reader was cut.
    Ended(End),
}

/// Why a channel or a reader ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The server is going away within this time. What is there is still delivered first.
    Draining(Duration),
    /// The topic or its namespace was deleted.
    Deleted,
    /// An idle topic was closed; whoever finds it looks it up again.
    Closed,
    /// This reader made no progress for the stall timeout.
    Stalled,
}

/// Why a batch was not appended.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// The budget has no room.
    NoRoom(NoRoom),
    /// The channel has ended.
    Ended(End),
}

/// A topic's log and its readers.
pub struct Broadcast {
    inner: Mutex<Inner>,
    fanout: Arc<Fanout<Broadcast>>,
}

struct Inner {
    log: Log,
    /// The waker of each reader that waits, by its place.
    readers: Slab<Option<Waker>>,
    waiting: usize,
    pass: Pass,
    end: Option<End>,
}

/// How far the scheduler has come with waking this channel's readers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// It has nothing to do here.
    Idle,
    /// The channel is in its queue, and places before `at` are done; `again` when something was
    /// appended since.
    Running { at: usize, again: bool },
}

type Wakers = SmallVec<[Waker; FANOUT_INLINE_MAX]>;

impl Broadcast {
    /// A channel over a log, whose larger fan-outs are the scheduler's.
    pub fn new(log: Log, fanout: Arc<Fanout<Broadcast>>) -> Arc<Broadcast> {
        let readers = Slab::new();
        let inner = Inner { log, readers, waiting: 0, pass: Pass::Idle, end: None };
        Arc::new(Broadcast { inner: Mutex::new(inner), fanout })
    }

    /// The scheduler.
    pub fn fanout(&self) -> &Arc<Fanout<Broadcast>> {
        &self.fanout
    }

    /// Orders a batch at time `now` (unix nanoseconds) and wakes whoever waits for it; the epoch
    /// and what was appended. Never waits for a reader.
    pub fn append(this: &Arc<Broadcast>, batch: &Batch, now: u64) -> Result<(u64, Appended), Refused> {
        let mut inner = lock(&this.inner);
        if let Some(end) = inner.end {
            return Err(Refused::Ended(end));
        }
        let appended = inner.log.append(batch, now).map_err(Refused::NoRoom)?;
        let epoch = inner.log.epoch;
        Self::notify(this, inner);
        Ok((epoch, appended))
    }

    /// Wakes the waiting readers: a few at once, many through the scheduler.
    fn notify(this: &Arc<Broadcast>, mut inner: crate::sync::MutexGuard<'_, Inner>) {
        if inner.waiting == 0 {
            return;
        }
        if inner.readers.len() <= FANOUT_INLINE_MAX {
            let wakers = inner.take_wakers(0, usize::MAX).0;
            drop(inner);
            wakers.into_iter().for_each(Waker::wake);
            return;
        }
        if let Pass::Running { again, .. } = &mut inner.pass {
            *again = true;
            return;
        }
        inner.pass = Pass::Running { at: 0, again: false };
        drop(inner);
        this.fanout.submit(this.clone());
    }

    /// Ends the channel for all readers and publishers; the first end counts, but a drain does not
    /// keep a topic from being deleted.
    pub fn end(this: &Arc<Broadcast>, end: End) {
        let mut inner = lock(&this.inner);
        if matches!(inner.end, None | Some(End::Draining(_))) {
            inner.end = Some(end);
        }
        if end == End::Deleted {
            inner.log.clear();
        }
        Self::notify(this, inner);
    }

    /// Closes the channel if it has neither readers nor messages; what is to be remembered of it.
    pub fn close_if_idle(&self) -> Option<Past> {
        let mut inner = lock(&self.inner);
        let idle = inner.end.is_none() && inner.readers.is_empty() && inner.log.oldest_time().is_none();
        idle.then(|| {
            inner.end = Some(End::Closed);
            inner.log.past()
        })
    }

    /// Looks at or changes the log.
    pub fn with_log<T>(&self, act: impl FnOnce(&mut Log) -> T) -> T {
        act(&mut lock(&self.inner).log)
    }

    /// Number of readers.
    pub fn readers(&self) -> usize {
        lock(&self.inner).readers.len()
    }

    /// Finds a start and registers a reader there; its place. See [`Reader::join`](super::Reader).
    pub(super) fn join(
        &self,
        start: Start,
        now: u64,
        progress: &Progress,
    ) -> Result<Result<(usize, Found)>, End> {
        let mut inner = lock(&self.inner);
        if let Some(end) = inner.end {
            return Err(end);
        }
        progress.note_polled(self.fanout.now());
        Ok(start.find(&mut inner.log, now).map(|found| (inner.readers.insert(None), found)))
    }

    /// Reads for the reader at `place`, or registers its waker; see [`Reader`](super::Reader).
    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        place: usize,
        progress: &Progress,
        from: u64,
        bytes_max: usize,
        tell: bool,
    ) -> Poll<Next> {
        if progress.is_stalled() {
            return Poll::Ready(Next::Ended(End::Stalled));
        }
        let mut inner = lock(&self.inner);
        if let Some(end) = inner.end
            && !matches!(end, End::Draining(_))
        {
            return Poll::Ready(Next::Ended(end));
        }
        match inner.log.read(from, bytes_max) {
            Read::Run(run) => return Poll::Ready(Next::Run(run)),
            Read::Behind(next) => return Poll::Ready(Next::Behind(next)),
            Read::CaughtUp => {}
        }
        let newest = inner.log.next() - 1;
        if let Some(end) = inner.end {
            return Poll::Ready(Next::Ended(end));
        }
        if tell {
            return Poll::Ready(Next::CaughtUp(newest));
        }
        if progress.take_heartbeat() {
            return Poll::Ready(Next::Heartbeat(newest));
        }
        progress.note_waiting();
        inner.wait(place, cx.waker());
        Poll::Pending
    }

    /// Ends the registration at `place`.
    pub(super) fn leave(&self, place: usize) {
        let mut inner = lock(&self.inner);
        if let Some(Some(_)) = inner.readers.try_remove(place) {
            inner.waiting -= 1;
        }
        if inner.readers.len() < inner.readers.capacity() / 4 {
            inner.readers.shrink_to_fit();
        }
    }
}

impl Inner {
    fn wait(&mut self, place: usize, waker: &Waker) {
        let Some(slot) = self.readers.get_mut(place) else { return };
        match slot {
            Some(known) if known.will_wake(waker) => {}
            Some(known) => *known = waker.clone(),
            None => {
                *slot = Some(waker.clone());
                self.waiting += 1;
            }
        }
    }

    /// Takes the wakers from place `at` on, looking at no more than `run` places; and where to go
    /// on, if that was not the last place.
    fn take_wakers(&mut self, at: usize, run: usize) -> (Wakers, Option<usize>) {
        let places = self.readers.capacity();
        let to = places.min(at.saturating_add(run));
        let mut wakers = Wakers::new();
        for place in at..to {
            if self.waiting == 0 {
                return (wakers, None);
            }
            if let Some(waker) = self.readers.get_mut(place).and_then(Option::take) {
                self.waiting -= 1;
                wakers.push(waker);
            }
        }
        (wakers, (to < places).then_some(to))
    }
}

impl Channel for Broadcast {
    fn wake_run(&self, run: usize) -> bool {
        let mut inner = lock(&self.inner);
        let Pass::Running { at, again } = inner.pass else { return false };
        let (wakers, rest) = inner.take_wakers(at, run);
        inner.pass = match rest {
            Some(at) => Pass::Running { at, again },
            None if again && inner.waiting > 0 => Pass::Running { at: 0, again: false },
            None => Pass::Idle,
        };
        let more = inner.pass != Pass::Idle;
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
        more
    }

    fn note_woken(&self, place: usize, progress: &Progress, now: u64) {
        let inner = lock(&self.inner);
        if let Some(None) = inner.readers.get(place)
            && progress.is_waiting()
        {
            progress.note_woken(now);
        }
    }

    fn wake(&self, place: usize) {
        let mut inner = lock(&self.inner);
        let waker = inner.readers.get_mut(place).and_then(Option::take);
        if let Some(waker) = waker {
            inner.waiting -= 1;
            drop(inner);
            waker.wake();
        }
    }
}

#[cfg(all(test, not(bugle_loom)))]
mod tests;
