//! The open topics; the only door the APIs have.

use std::sync::Arc;
use std::time::Duration;

use crate::limits;
use crate::topic::{Namespace, Retention};

/// What an operator decides about the broker.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes the broker may hold.
    pub memory_budget: usize,
    /// Whether a topic is made on first use.
    pub auto_create: bool,
    /// Namespaces that exist from the start, beside the default one.
    pub namespaces: Vec<Namespace>,
    /// What a topic keeps when nothing else is said.
    pub retention: Retention,
    /// When an empty topic without subscriptions is closed.
    pub idle_close_after: Duration,
    /// How often a live subscription hears something.
    pub heartbeat_interval: Duration,
    /// When a subscriber without progress is cut.
    pub stall_timeout: Duration,
    /// Upper bound of one response.
    pub max_batch_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            memory_budget: 64 * 1024 * 1024,
            auto_create: true,
            namespaces: Vec::new(),
            retention: Retention::default(),
            idle_close_after: limits::IDLE_CLOSE_DEFAULT,
            heartbeat_interval: limits::HEARTBEAT_DEFAULT,
            stall_timeout: limits::STALL_TIMEOUT_DEFAULT,
            max_batch_bytes: limits::BATCH_BYTES_DEFAULT,
        }
    }
}

/// The broker.
pub struct Broker {
    _options: Options,
}

impl Broker {
    /// Starts it.
    pub fn start(options: Options) -> Arc<Broker> {
        Arc::new(Broker { _options: options })
    }

    /// Refuses new work and ends every subscription.
    pub fn drain(&self, _grace: Duration) {}

    /// Open subscriptions.
    pub fn subscriptions(&self) -> usize {
        0
    }
}
