//! Which lines of the log there are, and which spans.
//!
//! A [`Filter`] is about lines. Spans that say of which trace the work inside them is part pass
//! whatever it says, or a line that passes would not say it. Every answer depends on the place in
//! the sources alone, so the library asks once for each and remembers it.

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;

use crate::config::Filter;
use crate::telemetry::TRACE_TARGET;

/// Bugle's own modules.
const OWN: &str = "bugle";
/// What these libraries warn of is what a peer did: lines that a client could cause without end.
const PEERS_FAULTS: [&str; 1] = ["h2"];

/// A filter, and the spans of traces.
pub struct Sieve {
    lines: Targets,
    /// The level of the most talkative module.
    level_max: LevelFilter,
}

impl Sieve {
    /// The sieve that lets the lines of this filter through.
    pub fn new(filter: &Filter) -> Self {
        let others = level(filter.others());
        let faults = others.min(LevelFilter::ERROR);
        // Of two levels for the same module the later one counts.
        let lines = Targets::new()
            .with_default(others)
            .with_targets(PEERS_FAULTS.map(|module| (module, faults)))
            .with_target(OWN, level(filter.level))
            .with_targets(filter.modules.iter().map(|(module, word)| (module.as_str(), level(word))));
        let level_max = lines.iter().map(|(_, level)| level).chain([others, LevelFilter::INFO]).max();
        Sieve { lines, level_max: level_max.unwrap_or(LevelFilter::INFO) }
    }

    fn passes(&self, metadata: &Metadata<'_>) -> bool {
        let is_trace =
            metadata.is_span() && metadata.target() == TRACE_TARGET && *metadata.level() <= Level::INFO;
        is_trace || self.lines.would_enable(metadata.target(), metadata.level())
    }
}

impl<S: Subscriber> Layer<S> for Sieve {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.passes(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.passes(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level_max)
    }
}

/// The level of this word of a [`Filter`].
fn level(word: &str) -> LevelFilter {
    match word {
        "off" => LevelFilter::OFF,
        "error" => LevelFilter::ERROR,
        "warn" => LevelFilter::WARN,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => LevelFilter::INFO,
    }
}
