//! Bugle: a self-hosted, gRPC-native topics event bus.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
pub mod error;
pub mod limits;
#[cfg(any(feature = "client", feature = "server"))]
pub mod proto;
pub mod topic;
