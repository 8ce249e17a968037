//! The Rust client: publish, subscribe and administer topics over the native API.
//!
//! A [`Client`] is one connection, cheap to clone and shared by whatever is made from it: a
//! [`Publisher`] that batches, [`Subscription`]s that reconnect and resume by themselves, an
//! [`Admin`], and a [`Monitor`] that looks into the server. Every refusal, and every failure of the
//! network, comes back as [`crate::error::Error`] and says what to do. The command line and the
//! examples stand on it.
//!
//! Where the application has installed an OpenTelemetry tracer provider before the client is made,
//! or hands one in ([`ClientBuilder::tracer_provider`]), messages are traced from publish to
//! process across the bus: see [`Delivery::context`]. The provider has to be of `opentelemetry` 0.33:
//! each version of that crate has a global provider of its own, so one that was installed in any
//! other version is silently not seen.

pub mod access;
mod admin;
mod backoff;
mod connection;
mod credential;
mod dialer;
mod event;
mod handshake;
mod health;
mod message;
pub mod monitor;
mod options;
mod publish;
pub mod publisher;
mod session;
mod status;
pub mod subscription;
#[cfg(all(test, feature = "server"))]
mod testing;
mod tls;
mod trace;
mod traffic;
pub mod webhooks;

pub use admin::{Admin, Durability, NamespaceInfo, Retention, TopicInfo, TopicListing, TopicSettings};
pub use backoff::Backoff;
pub use connection::Client;
pub use event::{Delivery, Event, Reason};
pub use handshake::{CERTIFICATE_REFUSED, TLS};
pub use health::Health;
pub use message::{Message, Receipt};
pub use monitor::Monitor;
pub use options::ClientBuilder;
pub use publisher::{PendingReceipt, Publisher, PublisherBuilder};
pub use status::{NOT_SENT, OUTCOME_UNKNOWN, SERVER, UNREACHABLE};
pub use subscription::{Start, SubscribeBuilder, Subscription};
pub use traffic::Traffic;
