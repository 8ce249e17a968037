//! How fast a connection's control frames are read: pings, settings, priorities and frames of kinds that nobody
//! knows cost their sender nothing and the server an answer, and the HTTP/2 stack has no limit for them.
//!
//! Whoever sends more of them than anybody needs is read more slowly, and is not punished: no frame is lost and no
//! connection ended. Frames of calls and their windows are not counted, for an honest client sends tens of
//! thousands a second; streams and quotas bound those.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::limits::{CONTROL_FRAMES_BURST, CONTROL_FRAMES_PER_SECOND};

/// What a connection of HTTP/2 begins with.
const PREFACE_BYTES: usize = 24;
const HEAD_BYTES: usize = 9;

/// A connection that is read at this pace.
pub struct Paced<S> {
    stream: S,
    frames: Frames,
    /// The time at which all that was read is paid for, and a burst beside it.
    paid_at: Option<Instant>,
    waiting: Option<Pin<Box<Sleep>>>,
}

/// Follows the frames of what is read.
struct Frames {
    /// Bytes to pass over: the rest of the preface, or of a frame's payload.
    skip: usize,
    head: [u8; HEAD_BYTES],
    have: usize,
}

impl Frames {
    fn new() -> Frames {
        Frames { skip: PREFACE_BYTES, head: [0; HEAD_BYTES], have: 0 }
    }

    /// How many control frames begin in these bytes.
    fn pass(&mut self, mut bytes: &[u8]) -> u32 {
        let mut count = 0;
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let take = bytes.len().min(HEAD_BYTES - self.have);
            self.head[self.have..self.have + take].copy_from_slice(&bytes[..take]);
            self.have += take;
            bytes = &bytes[take..];
            if self.have == HEAD_BYTES {
                let [a, b, c, kind, ..] = self.head;
                self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
                self.have = 0;
                count += u32::from(is_control(kind));
            }
        }
        count
    }
}

/// Priorities, settings, pings, goodbyes, and what nobody knows: not data, headers, their continuations, resets
/// and windows.
fn is_control(kind: u8) -> bool {
    !matches!(kind, 0 | 1 | 3 | 8 | 9)
}

impl<S> Paced<S> {
    /// This connection, from its first byte on.
    pub fn new(stream: S) -> Paced<S> {
        Paced { stream, frames: Frames::new(), paid_at: None, waiting: None }
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
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(waiting) = &mut this.waiting {
            if waiting.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            this.waiting = None;
        }
        let before = buf.filled().len();
        let outcome = Pin::new(&mut this.stream).poll_read(cx, buf);
        let count = this.frames.pass(buf.filled().get(before..).unwrap_or_default());
        if count > 0 {
            this.charge(count, Instant::now());
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
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
    use super::*;

    fn frame(kind: u8, payload: usize) -> Vec<u8> {
        let mut bytes = (payload as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, 0, 0, 0, 0, 1]);
        bytes.extend(vec![6; payload]);
        bytes
    }

    #[test]
    fn control_frames_are_counted_however_the_bytes_are_cut() {
        let kinds = [4, 1, 0, 6, 8, 2, 0, 3, 9, 77, 7];
        let sizes = [18, 200, 5000, 8, 4, 5, 0, 4, 90, 0, 8];
        let mut stream = vec![6; PREFACE_BYTES];
        kinds.into_iter().zip(sizes).for_each(|(kind, size)| stream.extend(frame(kind, size)));
        for step in [1, 2, 7, 9, 1000, stream.len()] {
            let mut frames = Frames::new();
            let count: u32 = stream.chunks(step).map(|bytes| frames.pass(bytes)).sum();
            assert_eq!(count, 5, "in pieces of {step}");
        }
    }

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
}
