//! The caps of webhooks: what their makers, their endpoints and their topics could make grow.

use std::time::Duration;

/// Most webhooks: each is a task, a subscription and seven series of metrics.
pub const WEBHOOKS_MAX: usize = 250;
/// Longest name of a webhook, bytes: it is a label of metrics.
pub const WEBHOOK_NAME_BYTES_MAX: usize = 64;
/// Longest URL of a webhook, bytes: what servers commonly take.
pub const WEBHOOK_URL_BYTES_MAX: usize = 2048;
/// Most headers that a webhook sends of its own: they come with every request.
pub const WEBHOOK_HEADERS_MAX: usize = 16;
/// Longest value of such a header, bytes.
pub const WEBHOOK_HEADER_BYTES_MAX: usize = 1024;
/// Shortest secret that requests are signed with, bytes: Standard Webhooks asks for it.
pub const WEBHOOK_SECRET_BYTES_MIN: usize = 24;
/// Longest secret, bytes: Standard Webhooks asks for it.
pub const WEBHOOK_SECRET_BYTES_MAX: usize = 64;
/// Requests of one webhook at once, at most.
pub const WEBHOOK_CONCURRENCY_MAX: u64 = 16;
/// Requests of all webhooks at once, the default of `webhooks.max_concurrent`.
pub const WEBHOOKS_CONCURRENT_DEFAULT: u64 = 64;
/// Bytes of messages that a webhook takes from its topic at once: they are copied, so that an endpoint that
/// does not answer pins nothing.
pub const WEBHOOK_RUN_BYTES: usize = 64 * 1024;
/// From connecting to the head of the answer, when nothing else is said.
pub const WEBHOOK_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// The shortest that can be set to.
pub const WEBHOOK_TIMEOUT_MIN: Duration = Duration::from_millis(100);
/// The longest that can be set to: a place among those of all webhooks is taken so long.
pub const WEBHOOK_TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// A message that is not acknowledged for so long is passed over, when nothing else is said.
pub const WEBHOOK_GIVE_UP_DEFAULT: Duration = Duration::from_secs(24 * 60 * 60);
/// The shortest that can be set to.
pub const WEBHOOK_GIVE_UP_MIN: Duration = Duration::from_millis(100);
/// The longest that can be set to.
pub const WEBHOOK_GIVE_UP_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Upper bound of the wait behind the first failure, the default of `webhooks.retry_initial`.
pub const WEBHOOK_RETRY_INITIAL_DEFAULT: Duration = Duration::from_millis(500);
/// Upper bound of all waits while an endpoint is not dead, the default of `webhooks.retry_max`.
pub const WEBHOOK_RETRY_MAX_DEFAULT: Duration = Duration::from_secs(60);
/// An endpoint is dead after so many failures in a row.
pub const WEBHOOK_DEAD_AFTER: u32 = 8;
/// The wait between the probes of a dead endpoint grows to so many times `webhooks.retry_max`.
pub const WEBHOOK_PROBE_FACTOR: u32 = 5;
/// The longest that an endpoint can ask for by `Retry-After`.
pub const WEBHOOK_RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);
/// Bytes of an answer that are read before its connection is closed; nothing in it matters.
pub const WEBHOOK_RESPONSE_BYTES_MAX: usize = 16 * 1024;
/// A subscription is given back when its messages are not delivered by then, so that it is not taken for one
/// of a subscriber that has stalled.
pub const WEBHOOK_HOLD_MAX: Duration = Duration::from_secs(5);
