//! Publishers: as fast as it goes, or at a rate.
//!
//! *As fast as it goes* is a closed loop. A publisher writes while its topic's slowest subscriber is
//! less than the window behind and the server owes fewer answers than that; so all systems carry
//! the same amount in flight. *At a rate* is an open loop: every command has an intended time, late
//! ones are sent at once and keep theirs, and their delay is counted from it.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::outlet::{Acks, Outlet};
use super::system::System;
use super::tally::Tally;
use super::template::Template;
use super::{clock, subscriber};
use crate::error::{Code, Error, Result};

/// Bytes of single-message commands joined in one write.
const JOINED_BYTES: usize = 16 * 1024;
/// Commands joined in one write when a publisher at a rate is late.
const LATE_COMMANDS_MAX: u64 = 256;
/// Answers a publisher at a rate may be waiting for.
const ANSWERS_MAX: u64 = 100_000;
/// A publisher at a rate looks this often whether it is to stop.
const NAP_NANOS: u64 = 100_000_000;

/// A write that has begun may take so long after it is time to stop.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// A topic under load.
pub struct Topic {
    /// Its number, which is part of its name.
    pub number: usize,
    /// Messages published to it.
    pub published: AtomicU64,
    /// Its subscribers.
    pub readers: Vec<Arc<Tally>>,
}

/// What all publishers of a load share.
pub struct Course {
    /// Who is under load.
    pub system: System,
    /// The command each publish is.
    pub template: Template,
    /// Messages that may be on their way to a topic's slowest subscriber.
    pub window: u64,
    /// Nanoseconds from one command of one publisher to its next; `None`: as fast as it goes.
    pub interval: Option<NonZeroU64>,
    /// Commands each publisher sends before it is done; `None`: until told to stop.
    pub commands: Option<u64>,
    /// Ends the publishers between two commands.
    pub stop: CancellationToken,
}

/// One publisher, connected.
pub struct Publisher {
    course: Arc<Course>,
    topics: VecDeque<Arc<Topic>>,
    outlet: Outlet,
    acks: Arc<Acks>,
    sent: u64,
    buffer: Vec<u8>,
}

impl Publisher {
    /// Connects; answers are read by a task of the current runtime.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn open(
        socket: TcpStream,
        authority: &str,
        course: Arc<Course>,
        topics: VecDeque<Arc<Topic>>,
        acks: Arc<Acks>,
    ) -> Result<Publisher> {
        let opening = course.system.publisher(authority, Arc::clone(&acks));
        let (mut reading, mut writing) = socket.into_split();
        let greeted = writing.write_all(&opening.greeting).await;
        greeted
            .map_err(|e| Error::new(Code::Unavailable, "the connection to the server broke").because(e))?;
        let owed = Arc::new(Mutex::new(Vec::new()));
        let outlet = Outlet::new(writing, Arc::clone(&owed), opening.credit);
        let (mut inbound, stop) = (opening.inbound, course.stop.clone());
        let refused = Arc::clone(&acks);
        tokio::spawn(async move {
            let mut out = Vec::new();
            let end = loop {
                match subscriber::turn(&mut reading, inbound.as_mut(), &mut out).await {
                    Ok(()) if out.is_empty() => {}
                    Ok(()) => owed.lock().unwrap_or_else(PoisonError::into_inner).append(&mut out),
                    Err(error) => break error,
                }
            };
            // Nobody is to wait for answers that cannot come any more.
            refused.refused(end.to_string());
            refused.answered.finish();
            stop.cancel();
        });
        Ok(Publisher { course, topics, outlet, acks, sent: 0, buffer: Vec::new() })
    }

    /// Publishes until it is done or told to stop. It is given back, still connected: answers may
    /// be on their way.
    ///
    /// # Errors
    /// Unavailable, when the connection breaks.
    pub async fn run(mut self) -> Result<Publisher> {
        let stop = self.course.stop.clone();
        let result = match self.course.interval {
            None => self.as_fast_as_it_goes(&stop).await,
            Some(interval) => self.at_a_rate(interval.get(), &stop).await,
        };
        let broke = |e| Error::new(Code::Unavailable, "a publisher's connection broke").because(e);
        result.map(|()| self).map_err(broke)
    }

    /// Returns when everything it sent has been answered.
    pub async fn answered(&self) {
        let answers = if self.course.system.acks_of(1) > 0 { self.sent } else { 0 };
        self.acks.answered.wait_for(answers).await;
    }

    async fn as_fast_as_it_goes(&mut self, stop: &CancellationToken) -> std::io::Result<()> {
        let joined = match self.course.template.messages {
            1 => (JOINED_BYTES / self.course.template.bytes.len()).clamp(1, self.course.window as usize / 2),
            _ => 1,
        };
        while !stop.is_cancelled() && !self.is_done() {
            // With several topics every command goes to the next one, joined in a write or not.
            let run = if self.topics.len() > 1 { 1 } else { joined };
            for _ in 0..joined / run {
                let Some(topic) = self.turn_topic() else { return Ok(()) };
                tokio::select! {
                    biased;
                    () = self.room(&topic, run as u64) => {}
                    () = stop.cancelled() => return self.flush(stop).await,
                }
                let now = clock::now();
                for _ in 0..run {
                    self.compose(&topic, now);
                }
            }
            self.flush(stop).await?;
        }
        Ok(())
    }

    async fn at_a_rate(&mut self, interval: u64, stop: &CancellationToken) -> std::io::Result<()> {
        // The default slack of 50 us would be part of every measured delay.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        let mut intended = clock::now() + interval;
        while !stop.is_cancelled() && !self.is_done() {
            let now = clock::now();
            if now < intended {
                // This thread is the publisher's own; the runtime's timer is a millisecond coarse.
                std::thread::sleep(Duration::from_nanos((intended - now).min(NAP_NANOS)));
                if now + NAP_NANOS < intended {
                    self.outlet.settle().await?;
                }
                continue;
            }
            let due = (1 + (now - intended) / interval).min(LATE_COMMANDS_MAX);
            for _ in 0..due {
                let Some(topic) = self.turn_topic() else { return Ok(()) };
                self.compose(&topic, intended);
                intended += interval;
            }
            if self.course.system.acks_of(1) > 0 {
                let mark = self.sent.saturating_sub(ANSWERS_MAX);
                tokio::select! {
                    biased;
                    () = self.acks.answered.wait_for(mark) => {}
                    () = stop.cancelled() => {}
                }
            }
            self.flush(stop).await?;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        let each = self.course.system.acks_of(self.course.template.messages).max(1);
        self.course.commands.is_some_and(|commands| self.sent / each >= commands)
    }

    /// Waits until `commands` more fit the window.
    async fn room(&self, topic: &Topic, commands: u64) {
        let Course { system, window, ref template, .. } = *self.course;
        let published = topic.published.load(Ordering::Relaxed) + commands * template.messages;
        let mark = published.saturating_sub(window);
        for reader in &topic.readers {
            reader.passed.wait_for(mark).await;
        }
        let each = system.acks_of(template.messages);
        if each > 0 {
            let window = (window / template.messages).max(commands) * each;
            self.acks.answered.wait_for((self.sent + commands * each).saturating_sub(window)).await;
        }
    }

    fn turn_topic(&mut self) -> Option<Arc<Topic>> {
        self.topics.rotate_left(usize::from(self.topics.len() > 1));
        self.topics.back().cloned()
    }

    fn compose(&mut self, topic: &Topic, time: u64) {
        let template = &self.course.template;
        let first = topic.published.fetch_add(template.messages, Ordering::Relaxed);
        template.write(&mut self.buffer, topic.number, first, time);
        if self.course.system == System::Bugle {
            self.acks.expect(time);
        }
        self.sent += self.course.system.acks_of(template.messages).max(1);
    }

    /// A write goes on when it is time to stop, so that what was counted is also sent; but a server
    /// that takes nothing any more does not hold the load up.
    async fn flush(&mut self, stop: &CancellationToken) -> std::io::Result<()> {
        {
            let write = self.outlet.write(&self.buffer);
            tokio::pin!(write);
            tokio::select! {
                biased;
                result = &mut write => result?,
                () = stop.cancelled() => {
                    if let Ok(result) = tokio::time::timeout(STOP_GRACE, write).await {
                        result?;
                    }
                }
            }
        }
        self.buffer.clear();
        Ok(())
    }
}
