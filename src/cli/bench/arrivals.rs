//! What one subscriber does with each message: count it, check its place, note its send time.
//!
//! The protocols call [`Arrivals::message`] for each message and [`Arrivals::flush`] after each
//! read. Places have to be consecutive: Bugle's are the server's sequences, the peers have none, so
//! theirs are the numbers the publisher wrote into the payloads.

use std::sync::Arc;

use super::latency::Latency;
use super::tally::{Counts, Tally};

/// See the module.
pub struct Arrivals {
    tally: Arc<Tally>,
    latency: Arc<Latency>,
    shard: usize,
    /// Whether each message's delay is recorded, or that of one a read.
    every: bool,
    next: Option<u64>,
    counts: Counts,
    sent: Vec<u64>,
}

impl Arrivals {
    /// Arrivals counted in `tally`; delays go to `shard` of `latency`, of each message with
    /// `every`, else of one message a read.
    pub fn new(tally: Arc<Tally>, latency: Arc<Latency>, shard: usize, every: bool) -> Self {
        Arrivals { tally, latency, shard, every, next: None, counts: Counts::default(), sent: Vec::new() }
    }

    /// The subscription stands, and its first message will be `next`.
    pub fn opened(&mut self, next: u64) {
        self.next = Some(next);
        self.tally.open();
    }

    /// Whether the next message's send time is wanted; finding it costs a walk over its fields.
    #[inline]
    pub fn wants_time(&self) -> bool {
        self.every || self.sent.is_empty()
    }

    /// A message of `bytes` bytes at place `sequence`, with its send time where it was looked up.
    #[inline]
    pub fn message(&mut self, sequence: u64, bytes: usize, sent: Option<u64>) {
        self.counts.received += 1;
        self.counts.bytes += bytes as u64;
        self.sent.extend(sent);
        match self.next {
            Some(next) if sequence < next => {
                self.counts.repeated += 1;
                return;
            }
            Some(next) => self.counts.lost += sequence - next,
            None => {}
        }
        self.next = Some(sequence.wrapping_add(1));
    }

    /// The server says that it goes on with `next`.
    pub fn discontinuity(&mut self, next: u64) {
        self.counts.discontinuities += 1;
        self.counts.skipped += next.saturating_sub(self.next.unwrap_or(next));
        self.next = Some(next);
    }

    /// Messages without places or times, as a bare socket brings them.
    pub fn unnumbered(&mut self, messages: u64, bytes: usize) {
        self.counts.received += messages;
        self.counts.bytes += bytes as u64;
    }

    /// Publishes what was counted; `now` is when the bytes were read.
    pub fn flush(&mut self, now: u64) {
        if self.counts != Counts::default() {
            self.latency.record(self.shard, now, &mut self.sent);
            self.tally.add(std::mem::take(&mut self.counts));
        }
    }

    /// The server has ended the subscription.
    pub fn ended(&self) {
        self.tally.end();
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.tally.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals() -> (Arc<Tally>, Arrivals) {
        let tally = Arc::new(Tally::new());
        (Arc::clone(&tally), Arrivals::new(tally, Arc::new(Latency::new(1).unwrap()), 0, true))
    }

    #[test]
    fn a_gap_is_lost_unless_the_server_told_it() {
        let (tally, mut arrivals) = arrivals();
        arrivals.opened(5);
        arrivals.message(5, 10, None);
        arrivals.message(8, 10, None);
        arrivals.discontinuity(12);
        arrivals.message(12, 10, None);
        arrivals.flush(0);
        let counts = tally.counts();
        assert_eq!((counts.received, counts.lost, counts.skipped, counts.discontinuities), (3, 2, 3, 1));
        assert_eq!(tally.passed.reached(), 8);
    }

    #[test]
    fn a_message_behind_a_later_one_is_repeated_and_moves_nothing() {
        let (tally, mut arrivals) = arrivals();
        arrivals.opened(0);
        arrivals.message(0, 1, None);
        arrivals.message(0, 1, None);
        arrivals.message(1, 1, None);
        arrivals.flush(0);
        assert_eq!((tally.counts().repeated, tally.counts().lost, tally.passed.reached()), (1, 0, 2));
    }
}
