//! A reader: one cursor's place in a broadcast channel.
//!
//! Registration is a value: leaving the channel and the scheduler is `Drop`. The subscription of
//! `broker` polls it; a reader that waits costs nothing.

use std::task::{Context, Poll};

use super::broadcast::{Broadcast, End, Next};
use super::progress::{Pace, Progress, Who};
use super::start::{Found, Start};
use crate::error::Result;
use crate::sync::Arc;

/// One cursor's registration in a channel.
pub struct Reader {
    channel: Arc<Broadcast>,
    place: usize,
    progress: Arc<Progress>,
}

impl Reader {
    /// Joins a channel at a start, found at time `now` (unix nanoseconds) under the same lock, so
    /// that nothing is missed or read twice in between. The inner error is that of the start; the
    /// outer one says that the channel has ended.
    pub fn join(
        channel: &Arc<Broadcast>,
        start: Start,
        now: u64,
        pace: &Pace,
        who: Who,
    ) -> Result<Result<(Reader, Found)>, End> {
        let progress = Arc::new(channel.fanout().progress(pace, who));
        let joined = channel.join(start, now, &progress)?;
        Ok(joined.map(|(place, found)| {
            channel.fanout().watch(&progress, channel, place);
            (Reader { channel: channel.clone(), place, progress }, found)
        }))
    }

    /// The channel it reads.
    pub fn channel(&self) -> &Arc<Broadcast> {
        &self.channel
    }

    /// Who reads.
    pub fn who(&self) -> &Who {
        self.progress.who()
    }

    /// Reads from sequence `from`, at most `bytes_max`. Caught up, it says so if `tell` is set, and
    /// otherwise waits for records, a heartbeat or the end.
    pub fn poll_next(&mut self, cx: &mut Context<'_>, from: u64, bytes_max: usize, tell: bool) -> Poll<Next> {
        let now = self.channel.fanout().now();
        self.progress.note_polled(now);
        let next = self.channel.poll_read(cx, self.place, &self.progress, from, bytes_max, tell);
        if next.is_ready() {
            self.progress.note_heard(now);
        }
        next
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.channel.fanout().forget(&self.progress);
        self.channel.leave(self.place);
    }
}
