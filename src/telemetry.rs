//! What a server tells of itself.
//!
//! [`Logging`] is the log's filter as a running server sees it, and is there in any program that
//! embeds one. `start` sets up the log of the `bugle` program itself, on standard error; a program
//! that embeds the bus has its own way of logging, and can let the server change its filter all the
//! same by making a [`Logging`] of its own. [`Exporter`] pushes traces and metrics over OTLP.

mod exporter;
mod link;
mod logging;
#[cfg(feature = "cli")]
mod logs;
mod otlp;
mod priority;
mod spans;

pub use exporter::Exporter;
pub use logging::Logging;
#[cfg(feature = "cli")]
pub use logs::start;
pub use otlp::{Signals, Target};
pub use priority::yield_to_everybody;

pub use crate::trace::TRACE_TARGET;
