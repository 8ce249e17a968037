//! One binary for all integration tests: one link, one file a subject.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod cli;
mod client;
mod config;
mod drain;
mod frames;
mod generated;
mod health;
mod listener;
mod reflection;
mod support;
mod tidy;
