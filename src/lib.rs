//! Bugle: a self-hosted, gRPC-native topics event bus. This page is the map of the crate.
//!
//! # Words
//!
//! | word | meaning | where |
//! | --- | --- | --- |
//! | namespace, topic | a topic is a named, ordered log of messages; a namespace isolates topics | `topic::name` |
//! | position | an epoch and a sequence; an epoch ends when a topic loses its history | `topic::position` |
//! | log | the retained messages of a topic, kept in wire format | `topic::log` |
//! | channel | a log and the readers that wait for more of it | `topic::broadcast` |
//! | fan-out | waking the readers that have something to read | `topic::fanout` |
//! | subscription | a stream of deliveries; it is a cursor in a log and never a queue | `broker::subscription` |
//! | discontinuity | the notice that messages are missing, from where to where, and why | `topic::discontinuity` |
//! | store | orders messages and keeps them | `store` |
//! | broker | the open topics; the only door the APIs have | `broker` |
//! | span | one step of a message's way, recorded where its trace is | `trace` |
//! | principal | who calls, as a credential has proved it | `auth` |
//! | policy | a rule that lets principals do something to topics; what none allows is refused | `auth::policy` |
//! | quota | what a namespace or a principal may use | `quota` |
//! | webhook | a subscription that pushes its messages to an HTTP endpoint | `webhook` |
//! | probe | a message that is traced whatever is sampled | `api::native::probe` |
//!
//! # Layers
//!
//! ```text
//! main → cli → server → api → broker → store → topic → limits, error
//!             cli → client → proto     broker → metrics → trace → topic
//!                  server → telemetry → metrics, trace
//!                  api, broker → quota → auth → topic
//!                  api, config → webhook → broker
//! ```
//!
//! Nothing imports what stands to the left of it; a test holds the sources to that. `tonic` is
//! known in `api`, `client`, `proto` and `server` alone, so the domain can be tested, and embedded,
//! without a network. Whoever wants only to talk to a bus builds the feature `client`; whoever wants
//! a bus inside another program the feature `server`; `cli`, the default, is both and the binary.
//!
//! # The two flows
//!
//! **Publish.** `api` asks `auth` who calls and whether it may, and `quota` whether there is room →
//! `api::native` checks and decodes → `broker` finds the topic → `store` has the batch
//! ordered: the topic's log takes the bytes, once, in the form in which they will be sent → the
//! fan-out is told → the position goes back the same way. No queue, no other task, one short lock.
//!
//! **Delivery.** `broker::subscription` reads the log from its cursor. There are messages: it hands
//! on slices of the log's own memory and moves the cursor. It has caught up: it waits for the
//! fan-out, a heartbeat or the end. Retention has overtaken it: it yields a discontinuity and goes
//! on behind the gap. `api::native` puts a frame header in front of each run, and the slices go to
//! the socket as they are.
//!
//! **What is told of it.** Whoever does the work adds to plain atomics (`metrics`) and hands finished
//! spans to a bounded queue (`trace`); the threads of `telemetry` push both over OTLP, and `server`
//! shows the metrics to whoever scrapes them. A message that is traced is listed beside its chunk, so
//! all others cost a delivery one look.
//!
//! Start reading at [`topic`], then `broker`, then `server`; every cap is in [`limits`].
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

#[cfg(feature = "server")]
pub mod api;
#[cfg(feature = "server")]
pub mod auth;
#[cfg(feature = "server")]
pub mod broker;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod config;
pub mod error;
pub mod limits;
#[cfg(feature = "server")]
pub mod metrics;
#[cfg(any(feature = "client", feature = "server"))]
pub mod proto;
#[cfg(feature = "server")]
pub mod quota;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod store;
mod sync;
#[cfg(feature = "server")]
pub mod telemetry;
pub mod topic;
#[cfg(feature = "server")]
pub mod trace;
#[cfg(feature = "server")]
pub mod webhook;

/// Compiles the program in the README.
#[cfg(all(doctest, feature = "client"))]
#[doc = include_str!("../README.md")]
struct Readme;
