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
use super::position::Position;
use super::progress::Progress;
use super::start::{Found, Start};
use super::trace::{FannedOut, Fanning, FanningOut};
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

/// How a channel stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State {
    /// Number of readers.
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
    readers: Slab<Place>,
    waiting: usize,
    pass: Pass,
    /// Traced batches whose readers are being woken; mostly none.
    fanning: Option<Box<FanningOut>>,
    end: Option<End>,
}

/// A reader's place in the channel.
struct Place {
    /// Its waker, while it waits.
    waker: Option<Waker>,
    /// The next sequence it wants, as of its last look.
    cursor: u64,
    progress: Arc<Progress>,
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
        let (readers, pass, fanning) = (Slab::new(), Pass::Idle, None);
        let inner = Inner { log, readers, waiting: 0, pass, fanning, end: None };
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
            Fanning { traced: traced.clone(), end: FannedOut { first, last, ordered: now, woken: 0 } }
        });
        Self::notify(this, inner, fanning);
        Ok((epoch, appended))
    }

    /// Wakes the waiting readers: a few at once, many through the scheduler.
    fn notify(this: &Arc<Broadcast>, mut inner: crate::sync::MutexGuard<'_, Inner>, traced: Option<Fanning>) {
        if inner.waiting == 0 || inner.readers.len() <= FANOUT_INLINE_MAX {
            let wakers = inner.take_wakers(0, usize::MAX).0;
            drop(inner);
            let woken = wakers.len();
            wakers.into_iter().for_each(Waker::wake);
            if let Some(traced) = traced {
                traced.tell(woken);
            }
            return;
        }
        let untold = traced.and_then(|traced| inner.fan_out(traced));
        let is_running = inner.pass != Pass::Idle;
        inner.pass = match inner.pass {
            Pass::Idle => Pass::Running { at: 0, again: false },
            Pass::Running { at, .. } => Pass::Running { at, again: true },
        };
        drop(inner);
        if !is_running {
            this.fanout.submit(this.clone());
        }
        if let Some(traced) = untold {
            traced.tell(0);
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

    /// How the channel stands at this time, unix nanoseconds. Looks at every reader.
    pub fn state(&self, now: u64) -> State {
        let mut inner = lock(&self.inner);
        let (readers, bytes, next) = (inner.readers.len(), inner.log.bytes(), inner.log.next());
        let slowest = inner.readers.iter().map(|(_, place)| place.cursor).min().unwrap_or(next);
        let messages = next.saturating_sub(slowest);
        let first = slowest.max(inner.log.start());
        let since = if messages > 0 { inner.log.time_before(first + 1) } else { None };
        let lag = Lag { messages, nanos: since.map_or(0, |since| now.saturating_sub(since)) };
        State { readers, bytes, lag }
    }

    /// All readers, in no order, each with the next sequence it wants; and that of the next message.
    pub fn list(&self) -> (Vec<(Arc<Progress>, u64)>, u64) {
        let inner = lock(&self.inner);
        let places = inner.readers.iter();
        (places.map(|(_, place)| (place.progress.clone(), place.cursor)).collect(), inner.log.next())
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
        Ok(start.find(&mut inner.log, now).map(|found| {
            let place = Place { waker: None, cursor: found.sequence, progress: progress.clone() };
            (inner.readers.insert(place), found)
        }))
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
        if let Some(place) = inner.readers.get_mut(place) {
            place.cursor = from;
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
        let left = inner.readers.try_remove(place);
        if left.is_some_and(|place| place.waker.is_some()) {
            inner.waiting -= 1;
        }
        if inner.readers.len() < inner.readers.capacity() / 4 {
            inner.readers.shrink_to_fit();
        }
    }
}

impl Inner {
    fn wait(&mut self, place: usize, waker: &Waker) {
        let Some(Place { waker: slot, .. }) = self.readers.get_mut(place) else { return };
        match slot {
            Some(known) if known.will_wake(waker) => {}
            Some(known) => *known = waker.clone(),
            None => {
                *slot = Some(waker.clone());
                self.waiting += 1;
            }
        }
    }

    /// Waits for the end of a traced batch's fan-out; gives it back where that is too much.
    fn fan_out(&mut self, traced: Fanning) -> Option<Fanning> {
        let is_running = self.pass != Pass::Idle;
        self.fanning.get_or_insert_default().add(traced, is_running)
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
            if let Some(waker) = self.take_waker(place) {
                self.waiting -= 1;
                wakers.push(waker);
            }
        }
        (wakers, (to < places).then_some(to))
    }

    fn take_waker(&mut self, place: usize) -> Option<Waker> {
        self.readers.get_mut(place)?.waker.take()
    }

    /// A run of the scheduler has woken so many readers; what is to be told at the end of a pass.
    fn note_run(&mut self, woken: usize, is_over: bool) -> (Vec<Fanning>, usize) {
        let Some(fanning) = &mut self.fanning else { return (Vec::new(), 0) };
        fanning.note_woken(woken);
        if !is_over {
            return (Vec::new(), 0);
        }
        let told = fanning.pass();
        if fanning.is_empty() {
            self.fanning = None;
        }
        told
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
        let (told, woken) = inner.note_run(wakers.len(), rest.is_none());
        // What came during a pass that needs no other one has no reader that waited for it.
        let late = if more { Vec::new() } else { inner.note_run(0, true).0 };
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
        told.iter().for_each(|traced| traced.tell(woken));
        late.iter().for_each(|traced| traced.tell(0));
        more
    }

    fn note_woken(&self, place: usize, progress: &Progress, now: u64) {
        let inner = lock(&self.inner);
        let was_woken = inner.readers.get(place).is_some_and(|place| place.waker.is_none());
        if was_woken && progress.is_waiting() {
            progress.note_woken(now);
        }
    }

    fn wake(&self, place: usize) {
        let mut inner = lock(&self.inner);
        if let Some(waker) = inner.take_waker(place) {
            inner.waiting -= 1;
            drop(inner);
            waker.wake();
        }
    }
}

#[cfg(all(test, not(bugle_loom)))]
mod tests;
