//! The broadcast channel of a topic: its log and the readers that wait for more of it.
//!
//! One short lock makes appending, finding nothing and registering to be woken atomic, so no
//! wake-up is lost: a reader either finds the message or is registered before it comes. A reader
//! that is already running is not woken again and reads all there is when it gets there, so
//! batches grow with load by themselves.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::batch::Batch;
use super::fanout::{Channel, Fanout};
use super::log::{Appended, Log, NoRoom, Past, Read, Run as LogRun};
use super::position::Position;
use super::progress::Progress;
use super::readers::{Listed, Readers, Run};
use super::start::{Found, Start};
use super::trace::{FannedOut, Fanning};
use crate::error::Result;
use crate::sync::{Arc, Mutex, lock};

/// What a poll of a reader can find.
#[derive(Debug)]
pub enum Next {
    /// Records from the cursor on.
    Run(LogRun),
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

/// How a channel stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State {
    /// Number of readers, without those that were cut.
    pub readers: usize,
    /// Bytes of retained records.
    pub bytes: u64,
    /// The reader that is furthest behind.
    pub lag: Lag,
}

/// How far a reader is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// Messages it has not been given.
    pub messages: u64,
    /// Age of the first of them, nanoseconds.
    pub nanos: u64,
}

/// A topic's log and its readers.
pub struct Broadcast {
    inner: Mutex<Inner>,
    fanout: Arc<Fanout<Broadcast>>,
}

struct Inner {
    log: Log,
    readers: Readers,
    end: Option<End>,
}

impl Broadcast {
    /// A channel over a log, whose larger fan-outs are the scheduler's.
    pub fn new(log: Log, fanout: Arc<Fanout<Broadcast>>) -> Arc<Broadcast> {
        let inner = Inner { log, readers: Readers::new(), end: None };
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
        let fanning = batch.traced().map(|traced| {
            let (first, last) = (Position::new(epoch, appended.first), appended.last);
            Fanning { traced: traced.clone(), end: FannedOut { first, last, ordered: now, woken: None } }
        });
        Self::notify(this, inner, fanning);
        Ok((epoch, appended))
    }

    /// Wakes the waiting readers: a few at once, many through the scheduler.
    fn notify(this: &Arc<Broadcast>, mut inner: crate::sync::MutexGuard<'_, Inner>, traced: Option<Fanning>) {
        if inner.readers.are_few() {
            let wakers = inner.readers.take_all();
            drop(inner);
            let woken = wakers.len();
            wakers.into_iter().for_each(Waker::wake);
            if let Some(traced) = traced {
                traced.tell(woken);
            }
            return;
        }
        let (begins, untold) = inner.readers.begin_pass(traced);
        drop(inner);
        if begins {
            this.fanout.submit(this.clone());
        }
        if let Some(traced) = untold {
            traced.give_up();
        }
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
        Self::notify(this, inner, None);
    }

    /// Closes the channel if it has neither readers nor messages; what is to be remembered of it.
    pub fn close_if_idle(&self) -> Option<Past> {
        let mut inner = lock(&self.inner);
        let idle = inner.end.is_none() && inner.readers.len() == 0 && inner.log.oldest_time().is_none();
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

    /// How the channel stands at this time, unix nanoseconds. Looks at every reader.
    pub fn state(&self, now: u64) -> State {
        let mut inner = lock(&self.inner);
        let (bytes, next) = (inner.log.bytes(), inner.log.next());
        let (readers, slowest) = inner.readers.standing();
        let slowest = slowest.unwrap_or(next);
        let messages = next.saturating_sub(slowest);
        let first = slowest.max(inner.log.start());
        let since = if messages > 0 { inner.log.time_before(first + 1) } else { None };
        let lag = Lag { messages, nanos: since.map_or(0, |since| now.saturating_sub(since)) };
        State { readers, bytes, lag }
    }

    /// Up to so many readers, those furthest behind, each with the next sequence it wants, which is
    /// `None` for one that was cut; how many there are; and the sequence of the next message.
    pub fn list(&self, most: usize) -> (Vec<Listed>, usize, u64) {
        let inner = lock(&self.inner);
        (inner.readers.list(most), inner.readers.len(), inner.log.next())
    }

    /// Finds a start and registers a reader there; its place. See [`Reader::join`](super::Reader).
    pub(super) fn join(
        &self,
        start: Start,
        now: u64,
        progress: &Arc<Progress>,
    ) -> Result<Result<(usize, Found)>, End> {
        let mut inner = lock(&self.inner);
        if let Some(end) = inner.end {
            return Err(end);
        }
        progress.note_polled(self.fanout.now());
        let found = start.find(&mut inner.log, now);
        Ok(found.map(|found| (inner.readers.join(found.sequence, progress), found)))
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
        inner.readers.note_cursor(place, from);
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
        inner.readers.wait(place, cx.waker());
        Poll::Pending
    }

    /// Ends the registration at `place`.
    pub(super) fn leave(&self, place: usize) {
        lock(&self.inner).readers.leave(place);
    }
}

impl Channel for Broadcast {
    fn wake_run(&self, run: usize) -> bool {
        let Run { wakers, more, told } = lock(&self.inner).readers.go_on(run);
        wakers.into_iter().for_each(Waker::wake);
        told.iter().for_each(|(traced, woken)| traced.tell(*woken));
        more
    }

    fn note_woken(&self, place: usize, progress: &Progress, now: u64) {
        let inner = lock(&self.inner);
        if inner.readers.is_awake(place) && progress.is_waiting() {
            progress.note_woken(now);
        }
    }

    fn note_cut(&self, place: usize) {
        lock(&self.inner).readers.note_cut(place);
    }

    fn wake(&self, place: usize) {
        let waker = lock(&self.inner).readers.take(place);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(all(test, not(bugle_loom)))]
mod tests;
