//! The fan-out scheduler: wakes the readers of topics that have something to read.
//!
//! Topics with many readers queue here and are served round-robin in bounded runs, so that one
//! with 100,000 readers does not starve one with three. A topic stands in the queue at most once.
//! The scheduler also owns the wheel that heartbeats and the stall sweep turn on. It has no task
//! or timer of its own: the broker polls [`Fanout::poll_work`] and calls [`Fanout::tick`].

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use super::progress::{Pace, Progress, Verdict, Who};
use super::wheel::Wheel;
use crate::limits::FANOUT_RUN;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sync::{Arc, Mutex, lock};

/// Runs in one poll, before other tasks of the thread have their turn.
const RUNS: usize = 16;

/// What the scheduler needs of a channel.
pub trait Channel {
    /// Wakes waiting readers, looking at no more than `run`; whether there is more to do.
    fn wake_run(&self, run: usize) -> bool;
    /// Wakes the reader at this place, if it waits.
    fn wake(&self, place: usize);
    /// Tells the reader at this place, if it was woken and has not come yet, that it is awaited
    /// from `now` on.
    fn note_woken(&self, place: usize, progress: &Progress, now: u64);
    /// The reader at this place was cut.
    fn note_cut(&self, place: usize);
}

/// The scheduler of channels `C`; one for all topics.
pub struct Fanout<C> {
    queue: Mutex<Queue<C>>,
    wheel: Mutex<Wheel<Watched<C>>>,
    now: AtomicU64,
    keys: AtomicU64,
}

struct Queue<C> {
    /// Each channel at most once, so this is bounded by the open topics.
    channels: VecDeque<Arc<C>>,
    worker: Option<Waker>,
}

struct Watched<C> {
    progress: Arc<Progress>,
    channel: Arc<C>,
    place: usize,
}

impl<C: Channel> Fanout<C> {
    /// A scheduler with nothing to do.
    pub fn new() -> Arc<Fanout<C>> {
        Arc::new(Fanout {
            queue: Mutex::new(Queue { channels: VecDeque::new(), worker: None }),
            wheel: Mutex::new(Wheel::default()),
            now: AtomicU64::new(0),
            keys: AtomicU64::new(0),
        })
    }

    /// Queues a channel that is not in the queue.
    pub fn submit(&self, channel: Arc<C>) {
        let mut queue = lock(&self.queue);
        queue.channels.push_back(channel);
        if let Some(worker) = queue.worker.take() {
            drop(queue);
            worker.wake();
        }
    }

    /// Does a bounded part of what is queued: `Ready` when there may be more, `Pending` when there
    /// is nothing and the caller will be woken.
    pub fn poll_work(&self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..RUNS {
            let mut queue = lock(&self.queue);
            let Some(channel) = queue.channels.pop_front() else {
                queue.worker = Some(cx.waker().clone());
                return Poll::Pending;
            };
            drop(queue);
            if channel.wake_run(FANOUT_RUN) {
                lock(&self.queue).channels.push_back(channel);
            }
        }
        Poll::Ready(())
    }

    /// Forgets what is queued, when nobody works on it any more: the channels in the queue know the
    /// scheduler, and would keep it and themselves for ever.
    pub fn clear(&self) {
        let channels = std::mem::take(&mut lock(&self.queue).channels);
        drop(channels);
    }

    /// The current tick.
    pub fn now(&self) -> u64 {
        self.now.load(Relaxed)
    }

    /// What is to be known of a new reader.
    pub fn progress(&self, pace: &Pace, who: Who) -> Progress {
        Progress::new(self.keys.fetch_add(1, Relaxed), self.now(), pace, who)
    }

    /// Looks after a reader from now on: its heartbeats and whether it stalls.
    pub fn watch(&self, progress: &Arc<Progress>, channel: &Arc<C>, place: usize) {
        let watched = Watched { progress: progress.clone(), channel: channel.clone(), place };
        lock(&self.wheel).insert(progress.key, 1, watched);
    }

    /// Ends looking after a reader.
    pub fn forget(&self, progress: &Progress) {
        let mut wheel = lock(&self.wheel);
        // Told under the wheel's lock: the tick that holds it right now will not put it back.
        progress.leave();
        let watched = wheel.remove(progress.key);
        drop(wheel);
        drop(watched);
    }

    /// Number of readers that are looked after.
    pub fn watched(&self) -> usize {
        lock(&self.wheel).len()
    }

    /// One tick has passed: wakes who is due for a heartbeat, cuts who is stalled, and where memory
    /// is short ends the connections of those; who was cut.
    pub fn tick(&self, pressed: bool) -> Vec<Arc<Progress>> {
        let now = self.now.fetch_add(1, Relaxed) + 1;
        let due = lock(&self.wheel).turn();
        let mut cut = Vec::new();
        for (key, watched) in due {
            if watched.progress.is_waiting() {
                watched.channel.note_woken(watched.place, &watched.progress, now);
            }
            let ticks = match watched.progress.judge(now, pressed) {
                Verdict::Fine(ticks) => ticks,
                Verdict::Heartbeat => {
                    watched.progress.ask_heartbeat();
                    watched.channel.wake(watched.place);
                    watched.progress.look_ticks()
                }
                Verdict::Stalled => {
                    if watched.progress.stall() {
                        watched.channel.note_cut(watched.place);
                        cut.push(watched.progress.clone());
                    }
                    if pressed {
                        watched.progress.eject();
                    }
                    watched.channel.wake(watched.place);
                    watched.progress.look_ticks()
                }
            };
            self.rewatch(key, ticks, watched);
        }
        cut
    }

    /// Puts a reader back on the wheel, unless it has left in the meantime.
    fn rewatch(&self, key: u64, ticks: u64, watched: Watched<C>) {
        let mut wheel = lock(&self.wheel);
        if !watched.progress.has_left() {
            wheel.insert(key, ticks, watched);
        }
    }
}
