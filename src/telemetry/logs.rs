//! The log of the `bugle` program: lines on standard error, pretty for people or JSON for programs.
//!
//! Three parts: [`Sieve`] says which lines there are, [`Line`] how one looks, and [`Ids`] keeps of a
//! span what a line needs of it. The sieve can be replaced while the program runs.

mod fields;
mod line;
mod sieve;

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

use crate::config::{Filter, Log};
use crate::error::{Code, Error, Result};
use crate::telemetry::Logging;
use line::{Ids, Line};
use sieve::Sieve;

/// Starts logging as configured, once in the life of a process, before a server starts. Returns the
/// filter, to be changed later.
///
/// # Errors
/// `InvalidArgument`, when `log.level` is no filter.
pub fn start(log: &Log) -> Result<Logging> {
    let filter = Filter::parse(&log.level)
        .ok_or_else(|| Error::field("log.level", format!("has to be {}", Filter::SHAPE)))?;
    let is_terminal = std::io::stderr().is_terminal();
    let line = match log.format {
        "json" => Line::Json,
        "auto" if !is_terminal => Line::Json,
        _ => Line::Pretty { colours: is_terminal && wants_colours() },
    };
    let (subscriber, logging) = subscriber(filter, line, std::io::stderr);
    if let Err(error) = subscriber.try_init() {
        tracing::debug!(%error, "logging was started before");
    }
    Ok(logging)
}

/// As <https://no-color.org> has it.
fn wants_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn subscriber<W>(filter: Filter, line: Line, writer: W) -> (impl Subscriber + Send + Sync, Logging)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (sieve, handle) = reload::Layer::<Sieve, Registry>::new(Sieve::new(&filter));
    let logging = Logging::new(filter, move |filter| {
        handle.reload(Sieve::new(filter)).map_err(|error| {
            let advice = "the log of this process was started elsewhere; change its filter there";
            Error::new(Code::FailedPrecondition, advice).because(error)
        })
    });
    let lines = fmt::layer().fmt_fields(Ids).event_format(line).with_writer(writer);
    (Registry::default().with(sieve).with(lines), logging)
}

#[cfg(test)]
mod tests;
