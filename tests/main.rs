//! One binary for all integration tests: one link, one file a subject.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod admin;
mod bounded;
mod bus;
mod cli;
mod client;
mod collector;
mod config;
mod drain;
mod exporting;
mod farewell;
mod feed;
mod frames;
mod garbage;
mod generated;
mod health;
mod listener;
mod loads;
mod logs;
mod metrics;
mod monitor;
mod order;
mod probe;
mod propagation;
mod publishing;
mod reflection;
mod refusals;
mod retention;
mod silence;
mod slow;
mod spans;
mod starts;
mod support;
mod tidy;
mod traces;
