//! A chunk: a piece of memory of fixed size that a log appends records to.
//!
//! What was appended since anybody last read is the *tail*; the first reader that wants it freezes
//! it into a *piece*, and every reader is given refcounted slices of the same pieces. So appends
//! that nobody waits for grow one large piece, nothing is copied to be read, and no `unsafe` is
//! needed. A full chunk of many small pieces is compacted into one. The memory is charged to the
//! budget until the last slice of it is gone.

use bytes::{Bytes, BytesMut};

use super::budget::{Budget, Charge, Pinnable};
use super::record::{headers, put_header};
use super::trace::Trace;
use crate::limits::INDEX_STRIDE_BYTES;
use crate::sync::Arc;

/// What a chunk costs beside its memory, bytes: itself, its allocations, its first piece.
const OVERHEAD_BYTES: usize = 256;
/// A full chunk is compacted when its pieces are smaller than this on average: below it, readers
/// that catch up would be given many small slices.
const PIECE_BYTES_MIN: usize = 4 * 1024;

/// Consecutive records in one piece of memory; never empty once appended to.
pub struct Chunk {
    /// Sequences of the first and the last record.
    pub first: u64,
    pub last: u64,
    /// Times of the first and the last record, unix nanoseconds.
    pub first_time: u64,
    pub last_time: u64,
    /// Bytes of records.
    pub bytes: usize,
    capacity: usize,
    pieces: Vec<Piece>,
    tail: BytesMut,
    /// When the tail's first record was ordered, unix nanoseconds.
    tail_since: u64,
    /// Nothing for the many chunks that are small and not traced.
    index: Option<Box<Index>>,
    charge: Arc<Pinnable>,
}

/// A frozen run of records.
pub struct Piece {
    /// Sequence of its first record, or one before it that no record has.
    first: u64,
    /// Sequence of its last record.
    pub last: u64,
    /// When its first record was ordered, unix nanoseconds.
    pub since: u64,
    /// Where it starts in the chunk.
    start: usize,
    pub bytes: Bytes,
}

/// What is known of single records of a chunk.
#[derive(Default)]
struct Index {
    /// One for each stride of the chunk.
    marks: Vec<Mark>,
    /// The traced messages, by sequence.
    traces: Vec<Trace>,
    /// What the list of them is charged.
    charges: Vec<Charge>,
}

/// An entry of the sparse index: a record and where it starts in the chunk.
struct Mark {
    sequence: u64,
    time: u64,
    offset: usize,
}

/// Memory with its charge: dropped together.
struct Charged<T> {
    memory: T,
    _charge: Arc<Pinnable>,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Charged<T> {
    fn as_ref(&self) -> &[u8] {
        self.memory.as_ref()
    }
}

impl Chunk {
    /// A chunk for `capacity` bytes of records that begins with sequence `first`; `None` where the
    /// budget has no room for it.
    pub fn new(budget: &Arc<Budget>, capacity: usize, first: u64, time: u64) -> Option<Chunk> {
        let charge = Budget::charge(budget, Chunk::cost(capacity))?;
        Some(Chunk {
            first,
            last: first,
            first_time: time,
            last_time: time,
            bytes: 0,
            capacity,
            pieces: Vec::new(),
            tail: BytesMut::with_capacity(capacity),
            tail_since: time,
            index: None,
            charge: Arc::new(Pinnable::new(charge)),
        })
    }

    /// What a chunk for so many bytes of records is charged, bytes.
    pub fn cost(capacity: usize) -> usize {
        capacity + OVERHEAD_BYTES
    }

    /// Bytes the chunk was made for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether so many more bytes fit.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.capacity - self.bytes >= bytes
    }

    /// Appends one record of a message accepted at `time`, which is ordered `now` (unix
    /// nanoseconds); there has to be room for it.
    pub fn append(&mut self, sequence: u64, time: u64, now: u64, body: &[u8]) {
        if self.tail.is_empty() {
            self.tail_since = now;
        }
        let marked = self.marks().last().map_or(0, |mark| mark.offset);
        if self.bytes - marked >= INDEX_STRIDE_BYTES {
            let mark = Mark { sequence, time, offset: self.bytes };
            self.index.get_or_insert_default().marks.push(mark);
        }
        let before = self.tail.len();
        put_header(&mut self.tail, sequence, time, body.len());
        self.tail.extend_from_slice(body);
        self.bytes += self.tail.len() - before;
        self.last = sequence;
        self.last_time = time;
    }

    /// Lists traced messages, behind all that are listed. Where the budget has no room for the list,
    /// they are not traced any further.
    pub fn trace(&mut self, trace: Trace) {
        let index = self.index.get_or_insert_default();
        if index.traces.len() == index.traces.capacity() {
            let more = index.traces.capacity().max(4);
            let Some(charge) = self.charge.charge().further(more * size_of::<Trace>()) else { return };
            index.charges.push(charge);
            index.traces.reserve_exact(more);
        }
        index.traces.push(trace);
    }

    /// Whether any message is traced.
    pub fn is_traced(&self) -> bool {
        self.index.as_ref().is_some_and(|index| !index.traces.is_empty())
    }

    /// The traced messages from one sequence to another, by sequence and cut to these.
    pub fn traces(&self, from: u64, to: u64) -> impl Iterator<Item = Trace> + '_ {
        let traces = self.index.as_ref().map_or(&[][..], |index| &index.traces);
        let first = traces.partition_point(|trace| trace.last < from);
        let there = traces[first..].iter().take_while(move |trace| trace.first <= to);
        there.map(move |trace| Trace { first: trace.first.max(from), last: trace.last.min(to), ..*trace })
    }

    fn marks(&self) -> &[Mark] {
        self.index.as_ref().map_or(&[], |index| &index.marks)
    }

    /// The piece that holds the first record with at least `sequence`, which has to be at most
    /// `last`, with that record's offset in it; and the pieces behind it.
    pub fn read(&mut self, sequence: u64) -> (usize, &[Piece]) {
        self.freeze();
        let place = match self.pieces.last() {
            Some(piece) if piece.first <= sequence => self.pieces.len() - 1,
            _ => self.pieces.partition_point(|piece| piece.first <= sequence).saturating_sub(1),
        };
        let piece = &self.pieces[place];
        let offset = if sequence <= piece.first { 0 } else { self.offset(place, sequence) };
        // The sequence may lie in the gap behind the last record of this piece.
        if offset == piece.bytes.len() {
            (0, &self.pieces[place + 1..])
        } else {
            (offset, &self.pieces[place..])
        }
    }

    /// The sequence and time of the first record accepted at or after `time`, if there is one.
    pub fn at_time(&mut self, time: u64) -> Option<u64> {
        if time > self.last_time {
            return None;
        }
        self.freeze();
        let marks = self.marks();
        let place = marks.partition_point(|mark| mark.time < time);
        let from = place.checked_sub(1).map_or(self.first, |before| marks[before].sequence);
        let (offset, pieces) = self.read(from);
        let runs =
            pieces.iter().enumerate().map(|(at, piece)| &piece.bytes[if at == 0 { offset } else { 0 }..]);
        runs.flat_map(headers)
            .map(|(_, header)| header)
            .find(|header| header.time >= time)
            .map(|header| header.sequence)
    }

    /// The time of the first record with at least `sequence`.
    pub fn time_of(&mut self, sequence: u64) -> Option<u64> {
        let (offset, pieces) = self.read(sequence);
        super::record::header(&pieces.first()?.bytes[offset..]).map(|header| header.time)
    }

    /// Ends appending: gives unused memory back and makes the pieces one where they are small. It
    /// stays as it is where the budget has no room for the copy.
    pub fn seal(&mut self, budget: &Arc<Budget>) {
        self.freeze();
        let average = self.bytes / self.pieces.len().max(1);
        let spacious = self.bytes < self.capacity / 2;
        if !spacious && (self.pieces.len() < 2 || average >= PIECE_BYTES_MIN) {
            return;
        }
        let Some(charge) = Budget::charge(budget, self.bytes + OVERHEAD_BYTES) else { return };
        let mut memory = Vec::with_capacity(self.bytes);
        for piece in &self.pieces {
            memory.extend_from_slice(&piece.bytes);
        }
        let old = std::mem::replace(&mut self.charge, Arc::new(Pinnable::new(charge)));
        old.pin();
        self.capacity = self.bytes;
        self.tail = BytesMut::new();
        let bytes = Bytes::from_owner(Charged { memory, _charge: self.charge.clone() });
        let since = self.pieces.first().map_or(self.tail_since, |piece| piece.since);
        self.pieces = vec![Piece { first: self.first, last: self.last, since, start: 0, bytes }];
    }

    /// Makes the tail a piece.
    fn freeze(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        let memory = self.tail.split().freeze();
        let start = self.bytes - memory.len();
        let bytes = Bytes::from_owner(Charged { memory, _charge: self.charge.clone() });
        if self.pieces.is_empty() {
            self.pieces.reserve_exact(1);
        }
        let first = self.pieces.last().map_or(self.first, |piece| piece.last + 1);
        let (last, since) = (self.last, self.tail_since);
        self.pieces.push(Piece { first, last, since, start, bytes });
    }

    /// The offset in a piece of its first record with at least `sequence`; its length where there
    /// is none.
    fn offset(&self, place: usize, sequence: u64) -> usize {
        let piece = &self.pieces[place];
        let marks = self.marks();
        let mark = marks.partition_point(|mark| mark.sequence <= sequence).checked_sub(1);
        let from = mark.map_or(0, |mark| marks[mark].offset).saturating_sub(piece.start);
        let found = headers(&piece.bytes[from..]).find(|(_, header)| header.sequence >= sequence);
        found.map_or(piece.bytes.len(), |(offset, _)| from + offset)
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.charge.pin();
    }
}
