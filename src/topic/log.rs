//! The log of a topic: its retained messages in wire format, in chunks.
//!
//! Appending copies each encoded body once behind its header; reading hands out slices. A log is
//! plain data under the lock of its [`Broadcast`](super::Broadcast): it waits for nobody and knows
//! no time but the one it is told.

use std::collections::VecDeque;

use bytes::Bytes;
use smallvec::SmallVec;

use super::batch::Batch;
use super::chunk::Chunk;
use super::position::Position;
use super::record::{header, headers};
use super::retention::Retention;
use super::trace::Trace;
use super::weight::{Weighed, Weight};
use crate::limits::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN};
use crate::sync::Arc;

/// Slices of a run: one in the common case, and never more than a gathered write takes.
pub type Slices = SmallVec<[Bytes; 2]>;

/// Most slices of a run: with the header of the frame they are what bytes::Take hands to one
/// gathered write.
const SLICES_MAX: usize = 15;
/// Runs of more than this many slices that are smaller than this on average are copied into one:
/// a copied byte costs less than its part of a vector would.
const GATHER_SLICES: usize = 2;
const GATHER_BYTES: usize = 2 * 1024;

/// Consecutive records of the log.
#[derive(Debug, Clone)]
pub struct Run {
    /// The records, in order.
    pub slices: Slices,
    /// The sequence that was asked for; the first record has it, or the next one that exists.
    pub first: u64,
    /// Sequence of the last record.
    pub last: u64,
    /// Bytes of all records.
    pub bytes: usize,
    /// When the first of them, or one shortly before it, was ordered; unix nanoseconds.
    pub since: u64,
    /// Those that are traced; mostly none.
    pub traces: Vec<Trace>,
}

/// What a reader finds at its cursor.
#[derive(Debug)]
pub enum Read {
    /// Records.
    Run(Run),
    /// The record wanted has been dropped; the oldest that can be read is this one.
    Behind(u64),
    /// Nothing yet.
    CaughtUp,
}

/// The budget has no room for the batch: so many bytes are wanted.
#[derive(Debug, PartialEq, Eq)]
pub struct NoRoom(pub usize);

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Sequence of the batch's first message.
    pub first: u64,
    /// Sequence of the batch's last message.
    pub last: u64,
    /// Bytes of the batch's records.
    pub bytes: u64,
    /// The batch began a new chunk.
    pub new_chunk: bool,
}

/// What is remembered of a topic whose messages are all gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// Its epoch and the sequence of its next message.
    pub next: Position,
    /// Time of its newest message, unix nanoseconds; `None` where it never had one.
    pub newest_time: Option<u64>,
}

/// The retained messages of a topic.
pub struct Log {
    /// The history these messages belong to.
    pub epoch: u64,
    chunks: VecDeque<Chunk>,
    /// Everything from this sequence on that was appended is in the chunks.
    start: u64,
    next: u64,
    bytes: Weighed,
    /// Time of the newest message, kept or dropped; times never go back.
    newest_time: u64,
    /// Time of the newest message that was dropped.
    dropped_time: Option<u64>,
    retention: Retention,
}

impl Log {
    /// An empty log whose next message has sequence `next`, and whose messages weigh as a part of this.
    pub fn new(epoch: u64, next: u64, retention: Retention, weight: Arc<Weight>) -> Log {
        let (chunks, bytes, newest_time) = (VecDeque::new(), Weighed::within(weight), 0);
        Log { epoch, chunks, start: next, next, bytes, newest_time, dropped_time: None, retention }
    }

    /// The same log, of a topic that had messages until `newest_time` (unix nanoseconds): whoever
    /// asks for that time is told that they are gone.
    pub fn with_past(self, newest_time: Option<u64>) -> Log {
        Log { newest_time: newest_time.unwrap_or(0), dropped_time: newest_time, ..self }
    }

    /// What is left to know of an empty log: where it goes on, and the time of its newest message.
    pub fn past(&self) -> Past {
        Past { next: Position::new(self.epoch, self.next), newest_time: self.dropped_time }
    }

    /// Sequence of the oldest message in memory; `next` where there is none.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Sequence of the next message.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Bytes of retained records.
    pub fn bytes(&self) -> u64 {
        self.bytes.bytes()
    }

    /// Orders a batch at time `now` (unix nanoseconds) and drops what retention no longer wants.
    pub fn append(&mut self, batch: &Batch, now: u64) -> Result<Appended, NoRoom> {
        // The messages' time is when they were accepted, which may be a little earlier.
        let time = batch.accepted().map_or(now, |accepted| accepted.min(now)).max(self.newest_time);
        let (first, before) = (self.next, self.bytes());
        let new_chunk = self.make_room(batch.bytes_max(), time)?;
        if let Some(chunk) = self.chunks.back_mut() {
            let before = chunk.bytes;
            for body in batch.bodies() {
                chunk.append(self.next, time, now, body);
                self.next += 1;
            }
            self.bytes.add((chunk.bytes - before) as u64);
            if let Some(traced) = batch.traced() {
                let (at, fan_out) = (|place: u32| first + u64::from(place), traced.fan_out);
                for created in &traced.created {
                    let (first, last) = (at(created.first), at(created.last));
                    chunk.trace(Trace { first, last, created: created.context, fan_out });
                }
            }
        }
        let bytes = self.bytes() - before;
        self.newest_time = time;
        self.trim(now.max(time));
        Ok(Appended { first, last: self.next - 1, bytes, new_chunk })
    }

    /// Sees to it that the last chunk has room for so many bytes; whether it is a new one.
    fn make_room(&mut self, bytes: usize, now: u64) -> Result<bool, NoRoom> {
        let grown = match self.chunks.back() {
            Some(chunk) if chunk.has_room(bytes) => return Ok(false),
            Some(chunk) => chunk.capacity() * 2,
            None => CHUNK_BYTES_MIN,
        };
        let part = usize::try_from(self.retention.bytes / 8).unwrap_or(usize::MAX);
        let capacity = grown.min(part).clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX).max(bytes);
        let chunk =
            Chunk::new(self.bytes.budget(), capacity, self.next, now).ok_or(NoRoom(Chunk::cost(capacity)))?;
        match self.chunks.back_mut() {
            Some(full) => full.seal(self.bytes.budget()),
            None => self.chunks.reserve_exact(1),
        }
        self.chunks.push_back(chunk);
        Ok(true)
    }

    /// Reads from the first record with at least sequence `from`: whole records, at most
    /// `bytes_max` unless the first one alone is larger.
    pub fn read(&mut self, from: u64, bytes_max: usize) -> Read {
        if from >= self.next {
            return Read::CaughtUp;
        }
        if from < self.start {
            return Read::Behind(self.start);
        }
        let slices = Slices::new();
        let mut run = Run { slices, first: from, last: from, bytes: 0, since: 0, traces: Vec::new() };
        let begin = match self.chunks.back() {
            Some(chunk) if chunk.first <= from => self.chunks.len() - 1,
            _ => self.chunks.partition_point(|chunk| chunk.last < from),
        };
        let (mut place, mut is_traced) = (begin, false);
        while let Some(chunk) = self.chunks.get_mut(place) {
            is_traced |= chunk.is_traced();
            if !fill(&mut run, chunk, from, bytes_max) {
                break;
            }
            place += 1;
        }
        if run.slices.is_empty() {
            return Read::CaughtUp;
        }
        if is_traced {
            let chunks = self.chunks.range(begin..self.chunks.len().min(place + 1));
            run.traces = chunks.flat_map(|chunk| chunk.traces(from, run.last)).collect();
        }
        gather(&mut run);
        Read::Run(run)
    }

    /// Changes what is kept, and drops what that no longer allows.
    pub fn retain(&mut self, retention: Retention, now: u64) {
        self.retention = retention;
        self.trim(now);
    }

    /// Drops what is over the limits. Whole chunks go; `first` hides what is left of a chunk.
    pub fn trim(&mut self, now: u64) {
        let oldest_time = now.saturating_sub(self.retention.age_nanos());
        let oldest = self.next.saturating_sub(self.retention.messages);
        while let Some(chunk) = self.chunks.front() {
            let spare = self.chunks.len() > 1 && (self.bytes() > self.retention.bytes || chunk.last < oldest);
            if !spare && chunk.last_time >= oldest_time {
                break;
            }
            self.drop_oldest();
        }
    }

    /// Drops everything that is retained.
    pub fn clear(&mut self) {
        while self.drop_oldest() {}
    }

    /// Drops the oldest chunk; `false` where there is none.
    pub fn drop_oldest(&mut self) -> bool {
        let Some(chunk) = self.chunks.pop_front() else { return false };
        self.bytes.remove(chunk.bytes as u64);
        self.start = chunk.last + 1;
        self.dropped_time = Some(chunk.last_time);
        true
    }

    /// Time of the oldest message in memory, unix nanoseconds; `None` where there is none.
    pub fn oldest_time(&self) -> Option<u64> {
        self.chunks.front().map(|chunk| chunk.first_time)
    }

    /// What is kept.
    pub fn retention(&self) -> Retention {
        self.retention
    }

    /// Sequence of the oldest message that retention allows at time `now`; `next` where none is.
    pub fn first(&mut self, now: u64) -> u64 {
        let first = self.start.max(self.next.saturating_sub(self.retention.messages));
        let oldest_time = now.saturating_sub(self.retention.age_nanos());
        match self.chunks.front() {
            Some(chunk) if chunk.first_time < oldest_time => first.max(self.at_time(oldest_time)),
            _ => first,
        }
    }

    /// Sequence of the first retained message accepted at or after `time`; `next` where none is.
    pub fn at_time(&mut self, time: u64) -> u64 {
        let place = self.chunks.partition_point(|chunk| chunk.last_time < time);
        let found = self.chunks.get_mut(place).and_then(|chunk| chunk.at_time(time));
        found.unwrap_or(self.next)
    }

    /// Time of the newest message before `sequence`, retained or not; `None` where none ever was.
    pub fn time_before(&mut self, sequence: u64) -> Option<u64> {
        if sequence <= self.start {
            return self.dropped_time;
        }
        let before = sequence - 1;
        let place = self.chunks.partition_point(|chunk| chunk.last < before);
        self.chunks.get_mut(place)?.time_of(before)
    }
}

/// Adds what the chunk has from sequence `from` on; whether the run has room for more.
fn fill(run: &mut Run, chunk: &mut Chunk, from: u64, bytes_max: usize) -> bool {
    let (mut offset, pieces) = chunk.read(from.max(chunk.first));
    if run.slices.is_empty()
        && let Some(piece) = pieces.first()
    {
        // Inside a piece, which a sealed chunk is one of, the record itself knows better.
        let inside = (offset > 0).then(|| header(&piece.bytes[offset..])).flatten();
        run.since = inside.map_or(piece.since, |header| header.time);
    }
    for piece in pieces {
        let slice = if offset == 0 { piece.bytes.clone() } else { piece.bytes.slice(offset..) };
        offset = 0;
        if run.slices.len() == SLICES_MAX {
            return false;
        }
        if run.bytes + slice.len() > bytes_max {
            cut(run, &slice, bytes_max);
            return false;
        }
        run.bytes += slice.len();
        run.last = piece.last;
        run.slices.push(slice);
    }
    true
}

/// Adds the whole records of the slice that still fit, and one at least to an empty run.
fn cut(run: &mut Run, slice: &Bytes, bytes_max: usize) {
    let mut end = 0;
    for (offset, header) in headers(slice) {
        let to = offset + header.bytes;
        if run.bytes + to > bytes_max && (end > 0 || run.bytes > 0) {
            break;
        }
        end = to;
        run.last = header.sequence;
    }
    if end > 0 {
        run.bytes += end;
        run.slices.push(slice.slice(..end));
    }
}

/// Many small slices become one.
fn gather(run: &mut Run) {
    let count = run.slices.len();
    if count <= GATHER_SLICES || run.bytes / count >= GATHER_BYTES {
        return;
    }
    let mut memory = Vec::with_capacity(run.bytes);
    for slice in &run.slices {
        memory.extend_from_slice(slice);
    }
    run.slices = SmallVec::from_iter([Bytes::from(memory)]);
}

#[cfg(all(test, not(bugle_loom)))]
mod tests;
