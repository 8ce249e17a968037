//! A publisher's connection: what may be written, the writing, and what was acknowledged.
//!
//! The publisher writes and another task reads the same connection. They share counters that only
//! grow: the flow-control credit the server gave ([`Credit`]) and its answers ([`Acks`]).

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;

use super::http2;
use super::latency::Latency;
use super::progress::Progress;

/// Largest DATA frame sent, bytes: what every server has to take.
const FRAME_BYTES_MAX: usize = 16 * 1024;

/// Bytes the server has ever allowed on the connection and on its one stream.
pub struct Credit {
    /// For the connection.
    pub connection: Progress,
    /// For the stream.
    pub stream: Progress,
}

impl Credit {
    /// None yet.
    pub fn new() -> Self {
        Credit { connection: Progress::new(), stream: Progress::new() }
    }
}

/// What the server has answered to the publishes of one connection, in their order.
pub struct Acks {
    /// Answers so far.
    pub answered: Progress,
    refused: AtomicU64,
    refusal: Mutex<Option<String>>,
    pending: Mutex<VecDeque<u64>>,
    latency: Arc<Latency>,
    now: AtomicU64,
}

impl Acks {
    /// No answers yet; delays from the intended send time to the answer go to `latency`.
    pub fn new(latency: Arc<Latency>) -> Self {
        Acks {
            answered: Progress::new(),
            refused: AtomicU64::new(0),
            refusal: Mutex::new(None),
            pending: Mutex::new(VecDeque::new()),
            latency,
            now: AtomicU64::new(0),
        }
    }

    /// A command meant to be sent at `time` is about to be written. The publisher bounds how many
    /// are on their way.
    pub fn expect(&self, time: u64) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).push_back(time);
    }

    /// The answers that follow were read at `now`.
    pub fn arrived_at(&self, now: u64) {
        self.now.store(now, Ordering::Relaxed);
    }

    /// The server accepted one command, and said so in `answers` answers.
    pub fn accepted(&self, answers: u64) {
        let sent = self.pending.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        if let Some(sent) = sent {
            self.latency.record(0, self.now.load(Ordering::Relaxed), &mut vec![sent]);
        }
        self.answered.advance(answers);
    }

    /// The server refused one command.
    pub fn refused(&self, why: String) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        self.accepted(1);
    }

    /// How many commands were refused, and why the first was.
    pub fn refusals(&self) -> (u64, Option<String>) {
        let why = self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (self.refused.load(Ordering::Relaxed), why)
    }
}

/// The writing half.
pub struct Outlet {
    half: OwnedWriteHalf,
    /// Answers the reading half owes the server, such as a PING's.
    owed: Arc<Mutex<Vec<u8>>>,
    credit: Option<Arc<Credit>>,
    sent: u64,
    framed: Vec<u8>,
}

impl Outlet {
    /// Writes to `half`: with `credit` as DATA frames of stream 1, else as it is.
    pub fn new(half: OwnedWriteHalf, owed: Arc<Mutex<Vec<u8>>>, credit: Option<Arc<Credit>>) -> Self {
        Outlet { half, owed, credit, sent: 0, framed: Vec::new() }
    }

    /// Writes `bytes`, when the server has given credit for them.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.settle().await?;
        let Some(credit) = self.credit.clone() else { return self.half.write_all(bytes).await };
        while !bytes.is_empty() {
            credit.connection.wait_for(self.sent + 1).await;
            credit.stream.wait_for(self.sent + 1).await;
            let granted = credit.connection.reached().min(credit.stream.reached()) - self.sent;
            let (now, later) = bytes.split_at(bytes.len().min(granted as usize));
            self.framed.clear();
            for part in now.chunks(FRAME_BYTES_MAX) {
                http2::data(&mut self.framed, 1, 0, part);
            }
            self.half.write_all(&self.framed).await?;
            self.sent += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }

    /// Writes what the reading half owes the server.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn settle(&mut self) -> io::Result<()> {
        let owed = std::mem::take(&mut *self.owed.lock().unwrap_or_else(PoisonError::into_inner));
        match owed.is_empty() {
            true => Ok(()),
            false => self.half.write_all(&owed).await,
        }
    }
}
