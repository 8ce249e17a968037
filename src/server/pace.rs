//! How much is read of a connection: a turn at a time, control frames at a pace, and few calls of somebody who
//! does not read what is answered.
//!
//! HTTP/2 below reads for as long as there is something to read, and writes only then: whoever sends fast enough
//! would keep all others of its thread waiting, and its own answers in memory. So a turn ends after a while,
//! answers go out, and the connection comes again behind the others.
//!
//! Pings, settings, priorities and frames of kinds that nobody knows cost their sender nothing and the server an
//! answer, and HTTP/2 has no limit for them. Whoever sends more of them than anybody needs is read more slowly.
//! Nobody is punished: no frame is lost and no connection ended.

mod frames;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;
use tokio::task::coop::has_budget_remaining;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use crate::limits::{
    BEHIND_WAIT, CALLS_BEHIND_MAX, CALLS_PER_LOOK, CONTROL_FRAMES_BURST, CONTROL_FRAMES_PER_SECOND,
    CROWDED_READ_BYTES, TASKS_WAITING_MAX, TURN_CALLS, TURN_DATA_FRAMES, TURN_OTHER_FRAMES, TURN_READS,
};
use crate::server::protocol::BEGINNING;
use frames::{Frames, Passed};

/// What a call, another frame that is not data, and a read cost of a turn.
const CALL_COST: u32 = TURN_DATA_FRAMES / TURN_CALLS;
const OTHER_COST: u32 = TURN_DATA_FRAMES / TURN_OTHER_FRAMES;
const READ_COST: u32 = TURN_DATA_FRAMES / TURN_READS;
/// Whoever has read so many bytes has read an answer.
const ANSWER_BYTES: usize = 128;

/// A connection that is read at this pace.
pub struct Paced<S> {
    stream: S,
    frames: Frames,
    /// What is left of its turn, in frames of data.
    turn: u32,
    /// The time at which all control frames that were read are paid for, and a burst beside it.
    paid_at: Option<Instant>,
    waiting: Option<Pin<Box<Sleep>>>,
    /// Its answers wait for the other end to read.
    is_stuck: bool,
    /// Calls that were read since, less the answers that were.
    behind: u32,
    /// Calls that were read since it was looked whether their tasks run.
    unlooked: u32,
    /// What was read had more calls than are to be read in a turn: next time less is read.
    is_crowded: bool,
    /// The last so many bytes of [`BEGINNING`] were read already, by whoever saw that this is HTTP/2.
    replayed: u8,
}

/// What a read of these frames costs of a turn.
fn cost(passed: Passed) -> u32 {
    READ_COST + passed.data + CALL_COST * passed.calls + OTHER_COST * (passed.control + passed.rest)
}

impl<S> Paced<S> {
    /// This connection, from its first byte on.
    pub fn new(stream: S) -> Paced<S> {
        let (frames, turn) = (Frames::new(), TURN_DATA_FRAMES);
        Paced {
            stream,
            frames,
            turn,
            paid_at: None,
            waiting: None,
            is_stuck: false,
            behind: 0,
            unlooked: 0,
            is_crowded: false,
            replayed: 0,
        }
    }

    /// This connection, of which [`BEGINNING`] was read.
    pub fn begun(stream: S) -> Paced<S> {
        Paced { replayed: BEGINNING.len() as u8, ..Paced::new(stream) }
    }

    /// So many control frames were read.
    fn charge(&mut self, count: u32, now: Instant) {
        let cost = Duration::from_secs(1) * count / CONTROL_FRAMES_PER_SECOND;
        let burst = Duration::from_secs(1) * CONTROL_FRAMES_BURST / CONTROL_FRAMES_PER_SECOND;
        let paid_at = self.paid_at.filter(|paid_at| *paid_at > now).unwrap_or(now) + cost;
        self.paid_at = Some(paid_at);
        if paid_at > now + burst {
            self.waiting = Some(Box::pin(sleep_until(paid_at - burst)));
        }
    }

    /// Whether it is to be read now. If not, it is polled again when it is.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.unlooked >= CALLS_PER_LOOK {
            self.unlooked = 0;
            if is_behind() {
                self.waiting = Some(Box::pin(sleep(BEHIND_WAIT)));
            }
        }
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(cx));
            self.waiting = None;
        }
        if self.turn == 0 {
            self.turn = TURN_DATA_FRAMES;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if !self.is_stuck {
            self.behind = 0;
        }
        // What goes out wakes it.
        if self.behind >= CALLS_BEHIND_MAX { Poll::Pending } else { Poll::Ready(()) }
    }

    /// What became of a read of these bytes.
    fn has_read(&mut self, bytes: &[u8]) {
        let passed = self.frames.pass(bytes);
        self.turn = self.turn.saturating_sub(cost(passed));
        self.behind = self.behind.saturating_add(passed.calls);
        self.unlooked = self.unlooked.saturating_add(passed.calls);
        self.is_crowded = passed.calls > TURN_CALLS || (self.is_crowded && passed.calls > TURN_CALLS / 4);
        if passed.control > 0 {
            self.charge(passed.control, Instant::now());
        }
    }

    /// What became of a write.
    fn has_written(&mut self, cx: &Context<'_>, outcome: &Poll<io::Result<usize>>) {
        match outcome {
            // Without budget it is this task that has to wait, and not the other end.
            Poll::Pending => self.is_stuck |= has_budget_remaining(),
            Poll::Ready(Ok(bytes)) if self.is_stuck => {
                self.is_stuck = false;
                let was_read = self.behind < CALLS_BEHIND_MAX;
                self.behind =
                    self.behind.saturating_sub(u32::try_from(bytes / ANSWER_BYTES).unwrap_or(u32::MAX));
                if !was_read {
                    cx.waker().wake_by_ref();
                }
            }
            Poll::Ready(_) => {}
        }
    }
}

/// Whether more tasks wait for a thread than is good: then calls are read more slowly than they end. Only those
/// beyond what threads keep in queues of their own are seen.
pub fn is_behind() -> bool {
    Handle::try_current().is_ok_and(|handle| handle.metrics().global_queue_depth() > TASKS_WAITING_MAX)
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_readable(cx));
        let before = buf.filled().len();
        let outcome = if this.replayed > 0 {
            let rest = &BEGINNING[BEGINNING.len() - usize::from(this.replayed)..];
            let rest = &rest[..rest.len().min(buf.remaining())];
            buf.put_slice(rest);
            this.replayed -= rest.len() as u8;
            Poll::Ready(Ok(()))
        } else if this.is_crowded {
            let few = buf.remaining().min(CROWDED_READ_BYTES);
            let mut part = ReadBuf::new(buf.initialize_unfilled_to(few));
            let outcome = Pin::new(&mut this.stream).poll_read(cx, &mut part);
            let read = part.filled().len();
            buf.advance(read);
            outcome
        } else {
            Pin::new(&mut this.stream).poll_read(cx, buf)
        };
        match outcome {
            Poll::Ready(_) => this.has_read(buf.filled().get(before..).unwrap_or_default()),
            Poll::Pending => this.turn = TURN_DATA_FRAMES,
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.has_written(cx, &outcome);
        outcome
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.has_written(cx, &outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::frames::tests::frame;
    use super::frames::{HEAD_BYTES, PREFACE_BYTES};
    use super::*;

    #[tokio::test]
    async fn a_flood_is_read_at_the_pace_that_is_allowed_and_a_burst_at_once() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let pings = CONTROL_FRAMES_PER_SECOND / 2 + CONTROL_FRAMES_BURST;
        let stream = [vec![0; PREFACE_BYTES], frame(6, 8).repeat(pings as usize)].concat();
        let (mut client, server) = tokio::io::duplex(4096);
        let length = stream.len();
        tokio::spawn(async move { client.write_all(&stream).await });
        let (mut paced, begun) = (Paced::new(server), Instant::now());
        let mut bytes = vec![0; length];
        paced.read_exact(&mut bytes).await.unwrap();
        // The last piece that is read is paid for behind it: a quarter of a second.
        assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
        let (mut client, server) = tokio::io::duplex(1 << 16);
        client.write_all(&[vec![0; PREFACE_BYTES], frame(6, 8)].concat()).await.unwrap();
        let mut paced = Paced::new(server);
        paced.read_exact(&mut [0; PREFACE_BYTES + 17]).await.unwrap();
        assert!(paced.waiting.is_none());
    }

    /// Polls once for up to so many bytes.
    async fn read(paced: &mut Paced<tokio::io::DuplexStream>) -> Option<usize> {
        let mut bytes = vec![0; 8192];
        let mut buf = ReadBuf::new(&mut bytes);
        let polled =
            std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *paced).poll_read(cx, &mut buf))).await;
        polled.is_ready().then(|| buf.filled().len())
    }

    #[tokio::test]
    async fn a_turn_ends_and_the_next_one_begins() {
        use tokio::io::AsyncWriteExt;
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let calls = frame(1, 91).repeat(20 * TURN_CALLS as usize);
        client.write_all(&[vec![0; PREFACE_BYTES], calls].concat()).await.unwrap();
        let (mut paced, mut reads) = (Paced::new(server), Vec::new());
        for _ in 0..4 {
            reads.push(read(&mut paced).await);
        }
        // What was read at first had more calls than a turn; from then on less is read.
        assert_eq!(reads, [Some(8192), None, Some(CROWDED_READ_BYTES), None]);
    }

    #[tokio::test]
    async fn few_calls_are_read_of_somebody_who_does_not_read_and_all_when_it_does() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let all = 4 * CALLS_BEHIND_MAX as usize;
        client.write_all(&[vec![0; PREFACE_BYTES], frame(1, 1).repeat(all)].concat()).await.unwrap();
        let mut paced = Paced::new(server);
        let answer = vec![7; 1 << 20];
        let write = |paced: &mut Paced<_>, cx: &mut Context<'_>| Pin::new(paced).poll_write(cx, &answer);
        let mut written = 0;
        std::future::poll_fn(|cx| {
            while let Poll::Ready(Ok(count)) = write(&mut paced, cx) {
                written += count;
            }
            Poll::Ready(())
        })
        .await;
        assert!(paced.is_stuck && written == 1 << 20);
        let mut got = 0;
        for _ in 0..4 * all {
            got += read(&mut paced).await.unwrap_or_default();
        }
        let calls = got.saturating_sub(PREFACE_BYTES) / (HEAD_BYTES + 1);
        assert!((CALLS_BEHIND_MAX as usize..2 * CALLS_BEHIND_MAX as usize).contains(&calls), "{calls}");
        client.read_exact(&mut vec![0; 1 << 20]).await.unwrap();
        std::future::poll_fn(|cx| write(&mut paced, cx).map(|_| ())).await;
        for _ in 0..4 * all {
            got += read(&mut paced).await.unwrap_or_default();
        }
        assert_eq!(got, PREFACE_BYTES + all * (HEAD_BYTES + 1));
    }
}
