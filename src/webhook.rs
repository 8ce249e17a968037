//! Webhooks: a topic pushes its messages to an HTTP endpoint.
//!
//! A webhook is a subscription of the broker's whose messages are sent one by one, in order, each until it
//! is acknowledged with a 2xx: at least once. Its position advances only behind what was acknowledged, or
//! passed over after a long time, which is counted and told to the endpoint. What retention took away
//! before is told too. Requests are signed as Standard Webhooks has it, go only to addresses that were
//! checked, and are bounded in number.
//!
//! The server owns the [`Webhooks`]; `api` administers them, the configuration defines some.

mod address;
mod attempt;
mod backoff;
mod connect;
mod definition;
mod delivery;
mod event;
mod registry;
mod secret;
mod snapshot;
mod standing;
mod target;

pub use address::Allow;
pub use attempt::Answered;
pub use definition::{Definition, Format, Origin};
pub use registry::{Options, Webhooks};
pub use secret::Signing;
pub use snapshot::Snapshot;
pub use standing::{Health, Info};
