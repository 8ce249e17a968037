//! What a server tells of itself.
//!
//! [`Logging`] is the log's filter as a running server sees it, and is there in any program that
//! embeds one. `start` sets up the log of the `bugle` program itself, on standard error; a program
//! that embeds the bus has its own way of logging, and can let the server change its filter all the
//! same by making a [`Logging`] of its own.

mod logging;
#[cfg(feature = "cli")]
mod logs;

pub use logging::Logging;
#[cfg(feature = "cli")]
pub use logs::start;

/// The target of spans that say of which trace the work inside them is part: those have the fields
/// `trace_id` (32 hex digits) and `span_id` (16), and the lines that are logged inside carry both.
///
/// Such spans are there whatever the filter says of lines, as long as their level is `info` or
/// above: `tracing::info_span!(target: TRACE_TARGET, "call", trace_id = …, span_id = …)`. Where
/// nothing is traced, make none; then the log costs nothing for it.
pub const TRACE_TARGET: &str = "bugle::trace";
