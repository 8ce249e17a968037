//! What a load consists of. `bugle bench` makes one from its options, `bugle bench compare` one per
//! row and system.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use super::process::Process;
use super::system::System;

/// Messages on their way to a topic's slowest subscriber, when a publisher is as fast as it goes. Ten
/// batches of a hundred keep every server busy; with more, what lies in the sockets of a hundred
/// subscribers outgrows the processor's cache.
const WINDOW_MESSAGES: u64 = 1024;
/// The same in bytes of payload: large payloads need fewer of them.
const WINDOW_BYTES: u64 = 1024 * 1024;
/// Flow-control window of a subscription, bytes.
pub const STREAM_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// See the module.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Who is under load.
    pub system: System,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its host and port, as a client names them.
    pub authority: String,
    /// Its process, when it is on this machine.
    pub process: Option<Process>,
    /// What all topic names of this load start with.
    pub prefix: String,
    /// Subscriptions, dealt out to the topics in turn.
    pub subscribers: usize,
    /// Subscriptions that share a connection.
    pub streams_per_connection: usize,
    /// Subscriptions beside them that never read; Bugle only.
    pub stalled: usize,
    /// They subscribe as clients of Momento do; Bugle only.
    pub momento: bool,
    /// Topics.
    pub topics: usize,
    /// Publishers, each on its own connection; the topics are dealt out to them.
    pub publishers: usize,
    /// Bytes of a payload.
    pub payload: usize,
    /// Messages of a publish command.
    pub batch: usize,
    /// Messages per second of all publishers together; `None`: as fast as it goes.
    pub rate: Option<f64>,
    /// Messages on their way to a topic's slowest subscriber; `None`: a default by payload.
    pub window: Option<u64>,
    /// Threads of the clients.
    pub threads: usize,
    /// Time before the measured window.
    pub warmup: Duration,
    /// The measured window.
    pub duration: Duration,
}

impl Plan {
    /// One publisher and no subscriber, 128-byte payloads, on the server at `address`.
    pub fn new(system: System, address: SocketAddr) -> Self {
        Plan {
            system,
            address,
            authority: address.to_string(),
            process: None,
            prefix: "bench-".into(),
            subscribers: 0,
            streams_per_connection: 1,
            stalled: 0,
            momento: false,
            topics: 1,
            publishers: 1,
            payload: 128,
            batch: 1,
            rate: None,
            window: None,
            threads: 1,
            warmup: Duration::from_secs(1),
            duration: Duration::from_secs(3),
        }
    }

    /// Messages that may be on their way to a topic's slowest subscriber.
    pub fn window(&self) -> u64 {
        let batch = self.batch as u64;
        let by_bytes = (WINDOW_BYTES / self.payload.max(1) as u64).min(WINDOW_MESSAGES);
        // Two commands at least, so that a publisher has the next one ready.
        self.window.unwrap_or(by_bytes).max(2 * batch)
    }

    /// From one command of one publisher to its next, at the planned rate.
    pub fn interval(&self) -> Option<NonZeroU64> {
        let seconds = (self.batch * self.publishers) as f64 / self.rate?;
        NonZeroU64::new((seconds * 1e9) as u64)
    }
}
