//! The systems that can be put under load, and the four things in which they differ for a client.
//!
//! Everything else (sockets, buffers, pacing, windows, counting) is the same code for all of them.

use std::fmt;
use std::sync::Arc;

use clap::ValueEnum;

use super::arrivals::Arrivals;
use super::outlet::{Acks, Credit};
use super::template::Template;
use super::{bugle, kernel, nats, redis};
use crate::error::Result;

/// A system under load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum System {
    /// This bus.
    Bugle,
    /// nats-server, core NATS.
    Nats,
    /// redis-server, Pub/Sub.
    Redis,
    /// A process that only writes to sockets.
    Kernel,
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            System::Bugle => "bugle",
            System::Nats => "nats",
            System::Redis => "redis",
            System::Kernel => "kernel",
        })
    }
}

/// What a connection does with the bytes it receives.
pub trait Inbound: Send {
    /// Takes what one read brought at `now`; answers the server needs are appended to `out`.
    fn take(&mut self, now: u64, read: &[u8], out: &mut Vec<u8>) -> Result<()>;
}

/// A connection's first bytes and its receiving half.
pub struct Opening {
    /// To be written once, at once.
    pub greeting: Vec<u8>,
    /// For everything that is read.
    pub inbound: Box<dyn Inbound>,
    /// What a publisher may send; `None` where only TCP limits it.
    pub credit: Option<Arc<Credit>>,
}

impl System {
    /// A connection that subscribes once per entry: to the topic of that name.
    pub fn subscriber(self, authority: &str, window: u32, topics: Vec<(String, Arrivals)>) -> Opening {
        match self {
            System::Bugle => bugle::subscriber(authority, window, topics),
            System::Nats => nats::subscriber(topics),
            System::Redis => redis::subscriber(topics),
            System::Kernel => kernel::subscriber(topics),
        }
    }

    /// A connection that publishes, and counts what is acknowledged.
    pub fn publisher(self, authority: &str, acks: Arc<Acks>) -> Opening {
        match self {
            System::Bugle => bugle::publisher(authority, acks),
            System::Redis => redis::publisher(acks),
            System::Nats | System::Kernel => nats::publisher(),
        }
    }

    /// The command that publishes `batch` payloads of `length` bytes to a topic named like `name`.
    pub fn template(self, name: &str, batch: usize, length: usize) -> Template {
        match self {
            System::Bugle => bugle::template(name, batch, length),
            System::Nats | System::Kernel => nats::template(name, batch, length),
            System::Redis => redis::template(name, batch, length),
        }
    }

    /// How many acknowledgements a command of `batch` messages brings.
    pub fn acks_of(self, batch: u64) -> u64 {
        match self {
            System::Bugle => 1,
            System::Redis => batch,
            System::Nats | System::Kernel => 0,
        }
    }
}
