//! The readers of a channel: where each stands, who waits, and how far the scheduler has come with
//! waking them.
//!
//! Plain data under the lock of its [`Broadcast`](super::Broadcast), which is the only one to use it:
//! nothing here wakes or tells anybody, it says whom to wake and what to tell.

use std::task::Waker;

use slab::Slab;
use smallvec::SmallVec;

use super::progress::Progress;
use super::trace::{Fanning, FanningOut};
use crate::limits::FANOUT_INLINE_MAX;
use crate::sync::Arc;

/// Those who are to be woken.
pub type Wakers = SmallVec<[Waker; FANOUT_INLINE_MAX]>;

/// All readers of a channel.
pub struct Readers {
    places: Slab<Place>,
    waiting: usize,
    pass: Pass,
    /// Traced batches whose readers are being woken; mostly none.
    fanning: Option<Box<FanningOut>>,
}

/// A reader's place in the channel.
struct Place {
    /// Its waker, while it waits.
    waker: Option<Waker>,
    /// The next sequence it wants, as of its last look; [`CUT`] once it was cut.
    cursor: u64,
    progress: Arc<Progress>,
}

/// The cursor of one that was cut: it is ended when it looks the next time.
const CUT: u64 = u64::MAX;

/// How far the scheduler has come with waking these readers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// It has nothing to do here.
    Idle,
    /// The channel is in its queue, and places before `at` are done; `again` when something was
    /// appended since.
    Running { at: usize, again: bool },
}

/// A reader and its cursor, which is `None` once it was cut.
pub type Listed = (Option<u64>, Arc<Progress>);

/// What a part of a pass comes to.
#[derive(Default)]
pub struct Run {
    /// Whom to wake.
    pub wakers: Wakers,
    /// The pass goes on.
    pub more: bool,
    /// Traced batches whose fan-out has ended, each with how many readers it woke.
    pub told: Vec<(Fanning, usize)>,
}

impl Readers {
    /// None.
    pub fn new() -> Readers {
        Readers { places: Slab::new(), waiting: 0, pass: Pass::Idle, fanning: None }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether so few wait that whoever appends can wake them.
    pub fn are_few(&self) -> bool {
        self.waiting == 0 || self.places.len() <= FANOUT_INLINE_MAX
    }

    /// Adds one that wants this sequence next; its place.
    pub fn join(&mut self, cursor: u64, progress: &Arc<Progress>) -> usize {
        self.places.insert(Place { waker: None, cursor, progress: progress.clone() })
    }

    /// Takes one out.
    pub fn leave(&mut self, place: usize) {
        let left = self.places.try_remove(place);
        if left.is_some_and(|place| place.waker.is_some()) {
            self.waiting -= 1;
        }
        if self.places.len() < self.places.capacity() / 4 {
            self.places.shrink_to_fit();
        }
    }

    /// One looks for this sequence.
    pub fn note_cursor(&mut self, place: usize, cursor: u64) {
        if let Some(place) = self.places.get_mut(place) {
            place.cursor = cursor;
        }
    }

    /// One has read everything and waits.
    pub fn wait(&mut self, place: usize, waker: &Waker) {
        let Some(Place { waker: slot, .. }) = self.places.get_mut(place) else { return };
        match slot {
            Some(known) if known.will_wake(waker) => {}
            Some(known) => *known = waker.clone(),
            None => {
                *slot = Some(waker.clone());
                self.waiting += 1;
            }
        }
    }

    /// Whether the one at this place does not wait, or was woken and has not come yet.
    pub fn is_awake(&self, place: usize) -> bool {
        self.places.get(place).is_some_and(|place| place.waker.is_none())
    }

    /// The waker of one that waits.
    pub fn take(&mut self, place: usize) -> Option<Waker> {
        let waker = self.places.get_mut(place)?.waker.take()?;
        self.waiting -= 1;
        Some(waker)
    }

    /// The wakers of all that wait.
    pub fn take_all(&mut self) -> Wakers {
        self.take_from(0, usize::MAX).0
    }

    /// One was cut, and counts no more.
    pub fn note_cut(&mut self, place: usize) {
        self.note_cursor(place, CUT);
    }

    /// How many were not cut, and the least cursor among these; `None` where there are none.
    pub fn standing(&self) -> (usize, Option<u64>) {
        let cursors = self.places.iter().map(|(_, place)| place.cursor).filter(|cursor| *cursor != CUT);
        let count = |(count, least): (usize, Option<u64>), cursor: u64| {
            (count + 1, Some(least.map_or(cursor, |least| cursor.min(least))))
        };
        cursors.fold((0, None), count)
    }

    /// Up to so many, those with the least cursors, in no order; each with its cursor, which is `None`
    /// for one that was cut.
    pub fn list(&self, most: usize) -> Vec<Listed> {
        let mut places: Vec<_> = self.places.iter().map(|(place, it)| (it.cursor, place)).collect();
        if most < places.len() {
            places.select_nth_unstable(most);
            places.truncate(most);
        }
        let named = |(cursor, place)| {
            Some(((cursor != CUT).then_some(cursor), self.places.get(place)?.progress.clone()))
        };
        places.into_iter().filter_map(named).collect()
    }

    /// Something was appended that many wait for. Whether the scheduler has to be told, and the
    /// batch where its end is not waited for.
    pub fn begin_pass(&mut self, traced: Option<Fanning>) -> (bool, Option<Fanning>) {
        let is_running = self.pass != Pass::Idle;
        let untold = traced.and_then(|batch| self.fanning.get_or_insert_default().add(batch, is_running));
        self.pass = match self.pass {
            Pass::Idle => Pass::Running { at: 0, again: false },
            Pass::Running { at, .. } => Pass::Running { at, again: true },
        };
        (!is_running, untold)
    }

    /// Goes on with the pass, looking at no more than `run` places.
    pub fn go_on(&mut self, run: usize) -> Run {
        let Pass::Running { at, again } = self.pass else { return Run::default() };
        let (wakers, rest) = self.take_from(at, run);
        self.pass = match rest {
            Some(at) => Pass::Running { at, again },
            None if again && self.waiting > 0 => Pass::Running { at: 0, again: false },
            None => Pass::Idle,
        };
        let more = self.pass != Pass::Idle;
        let told = self.tell(wakers.len(), rest.is_none(), !more);
        Run { wakers, more, told }
    }

    /// The batches whose fan-out ends with a run that has woken so many.
    fn tell(&mut self, woken: usize, pass_is_over: bool, all_is_over: bool) -> Vec<(Fanning, usize)> {
        let Some(fanning) = &mut self.fanning else { return Vec::new() };
        fanning.note_woken(woken);
        if !pass_is_over {
            return Vec::new();
        }
        let (done, woken) = fanning.pass();
        let mut told: Vec<_> = done.into_iter().map(|batch| (batch, woken)).collect();
        if all_is_over {
            // What came during a pass that needs no other one has no reader that waited for it.
            told.extend(fanning.pass().0.into_iter().map(|batch| (batch, 0)));
        }
        if fanning.is_empty() {
            self.fanning = None;
        }
        told
    }

    /// Takes the wakers from place `at` on, looking at no more than `run` places; and where to go
    /// on, if that was not the last place.
    fn take_from(&mut self, at: usize, run: usize) -> (Wakers, Option<usize>) {
        let places = self.places.capacity();
        let to = places.min(at.saturating_add(run));
        let mut wakers = Wakers::new();
        for place in at..to {
            if self.waiting == 0 {
                return (wakers, None);
            }
            wakers.extend(self.take(place));
        }
        (wakers, (to < places).then_some(to))
    }
}
