//! Logs, to standard error; and the push of traces and metrics over OTLP.

mod exporter;
mod otlp;
mod spans;

pub use exporter::Exporter;
pub use otlp::Signals;

#[cfg(feature = "cli")]
use std::io::IsTerminal;

#[cfg(feature = "cli")]
use tracing_subscriber::EnvFilter;

#[cfg(feature = "cli")]
use crate::config::{Filter, Log};

/// Starts logging as configured. Bugle's own lines follow `log.level`; of the libraries below only
/// warnings are shown. Does nothing if the process logs already.
#[cfg(feature = "cli")]
pub fn start(log: &Log) {
    let filter = match Filter::parse(&log.level) {
        Some(filter) => {
            let modules: String =
                filter.modules.iter().map(|(name, level)| format!(",{name}={level}")).collect();
            EnvFilter::new(format!("{},bugle={}{modules}", filter.others(), filter.level))
        }
        None => EnvFilter::new("warn,bugle=info"),
    };
    let pretty = match log.format {
        "pretty" => true,
        "json" => false,
        _ => std::io::stderr().is_terminal(),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if pretty {
        builder.with_ansi(std::io::stderr().is_terminal()).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging was started before");
    }
}
