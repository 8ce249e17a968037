//! What traces cost: Bugle beside itself under the same load, with tracing off, with one trace in a
//! hundred exported, and with all of them.
//!
//! In a round the three run one after the other, each on a fresh server with a fresh sink, and every
//! other round runs them backwards: so what drifts on the machine meets all three alike. Costs are
//! ratios within a round, of which more is worse.

use std::fmt;

use tracing::debug;

use super::peer::{Binaries, Setting};
use super::row::{Row, Run, Scale};
use super::system::System;
use crate::error::{Code, Error, Result};
use crate::limits::{SPANS_PER_SECOND_MAX, TOPIC_TRACES_MAX};

type Metric = (&'static str, &'static str);

/// The figures stand in lines of so many: the three variants, and what two of them cost, as times
/// the figure with tracing off. Spans, the last line, have no cost.
pub const COLUMNS: [&str; 5] = ["off", "1 %", "100 %", "1 % costs", "100 % costs"];

/// The figures of a load as fast as it goes.
pub const THROUGHPUT: [Metric; 13] = [
    ("CPU off", "ns"),
    ("CPU 1 %", "ns"),
    ("CPU 100 %", "ns"),
    ("CPU 1 % / off", "x"),
    ("CPU 100 % / off", "x"),
    ("delivered off", "k/s"),
    ("delivered 1 %", "k/s"),
    ("delivered 100 %", "k/s"),
    ("delivered off / 1 %", "x"),
    ("delivered off / 100 %", "x"),
    ("spans off", "/s"),
    ("spans 1 %", "/s"),
    ("spans 100 %", "/s"),
];

/// The figures of a load at a rate.
pub const LATENCY: [Metric; 13] = [
    ("p50 off", "us"),
    ("p50 1 %", "us"),
    ("p50 100 %", "us"),
    ("p50 1 % / off", "x"),
    ("p50 100 % / off", "x"),
    ("p99 off", "us"),
    ("p99 1 %", "us"),
    ("p99 100 %", "us"),
    ("p99 1 % / off", "x"),
    ("p99 100 % / off", "x"),
    ("spans off", "/s"),
    ("spans 1 %", "/s"),
    ("spans 100 %", "/s"),
];

/// How much is traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Variant {
    Off,
    Part,
    All,
}

use Variant::{All, Off, Part};

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Off => "tracing off",
            Part => "tracing 1 %",
            All => "tracing 100 %",
        })
    }
}

impl Variant {
    /// In which order a round, counted from 1, runs them.
    fn order(round: u32) -> [Variant; 3] {
        if round % 2 == 1 { [Off, Part, All] } else { [All, Part, Off] }
    }

    /// What differs from the defaults of a server that exports to `endpoint`.
    fn settings(self, row: Row, endpoint: String) -> Vec<Setting> {
        let ratio = match self {
            Off => return vec![("otlp.endpoint", String::new())],
            Part => "0.01",
            All => "1",
        };
        let mut settings = vec![("otlp.endpoint", endpoint), ("traces.ratio", ratio.to_owned())];
        if self == All {
            settings.push(("traces.topic_cap", TOPIC_TRACES_MAX.to_string()));
        }
        // At the rate of the other row all spans are fewer than the default lets pass.
        if self == All && row != Row::TracingLatency {
            settings.push(("traces.spans_per_second", SPANS_PER_SECOND_MAX.to_string()));
        }
        settings
    }
}

/// What one variant has shown.
struct Shown {
    variant: Variant,
    figures: Vec<f64>,
    /// That arrived at the sink, for each second of the load.
    spans: f64,
}

/// Runs the row's load on each variant: one round.
///
/// # Errors
/// Whatever ends a load or keeps a server from starting or ending.
pub async fn run(binaries: &Binaries, row: Row, scale: Scale, round: u32) -> Result<Run> {
    let (mut shown, mut complaints) = (Vec::new(), Vec::new());
    for variant in Variant::order(round) {
        let of_variant = |e: Error| Error::new(e.code(), format!("with {variant}: {e}")).because(e);
        let (one, its) = once(binaries, row, scale, variant).await.map_err(of_variant)?;
        complaints.extend(its.into_iter().map(|complaint| format!("with {variant}, {complaint}")));
        shown.push(one);
    }
    shown.sort_by_key(|shown| shown.variant);
    Ok(Run { figures: figures(row, &shown), complaints })
}

async fn once(binaries: &Binaries, row: Row, scale: Scale, variant: Variant) -> Result<(Shown, Vec<String>)> {
    let sink = binaries.sink()?;
    let settings = variant.settings(row, format!("http://{}", sink.address));
    let server = binaries.start(System::Bugle, row.subscribers(scale), &settings).await?;
    let Run { figures, complaints } = row.run(&server, scale).await?;
    // What waits to be exported is part of the load.
    server.end().await?;
    let received = sink.end()?;
    debug!(?received, %variant, "a sink's totals");
    if variant != Off && received.spans == 0 {
        let advice = "no spans were exported, so nothing can be said of their cost; does this version do it?";
        return Err(Error::new(Code::FailedPrecondition, advice));
    }
    let seconds = (scale.warmup + scale.duration).as_secs_f64();
    Ok((Shown { variant, figures, spans: received.spans as f64 / seconds }, complaints))
}

/// The figures in lines of [`COLUMNS`].
fn figures(row: Row, shown: &[Shown]) -> Vec<f64> {
    let mut figures = Vec::new();
    let lines = shown.iter().map(|shown| shown.figures.len()).min().unwrap_or(0);
    for line in 0..lines {
        let each = || shown.iter().map(|shown| shown.figures[line]);
        figures.extend(each());
        let (_, unit) = row.metrics()[line * COLUMNS.len()];
        let off = figures[line * COLUMNS.len()];
        // Of a rate, less is worse.
        let cost = |on: f64| if unit.ends_with("/s") { off / on } else { on / off };
        figures.extend(each().skip(1).map(cost));
    }
    figures.extend(shown.iter().map(|shown| shown.spans));
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_round_runs_the_variants_backwards() {
        let mut backwards = Variant::order(2);
        backwards.reverse();
        assert_eq!(Variant::order(1), backwards);
        assert_eq!(Variant::order(3), Variant::order(1));
    }

    #[test]
    fn costs_are_times_the_figure_without_tracing_and_more_is_worse() {
        let of = |variant, cpu, delivered, spans| Shown { variant, figures: vec![cpu, delivered], spans };
        let shown = [of(Off, 40.0, 100.0, 0.0), of(Part, 44.0, 80.0, 50.0), of(All, 80.0, 50.0, 9000.0)];
        let figures = figures(Row::TracingBatches, &shown);
        assert_eq!(figures[..5], [40.0, 44.0, 80.0, 1.1, 2.0]);
        assert_eq!(figures[5..10], [100.0, 80.0, 50.0, 1.25, 2.0]);
        assert_eq!(figures[10..], [0.0, 50.0, 9000.0]);
        assert_eq!(figures.len(), THROUGHPUT.len());
    }

    #[test]
    fn bounds_are_lifted_only_where_all_is_traced() {
        let keys = |variant: Variant, row| -> Vec<&str> {
            variant.settings(row, "http://127.0.0.1:1".to_owned()).iter().map(|(key, _)| *key).collect()
        };
        assert_eq!(keys(Off, Row::TracingSingle), ["otlp.endpoint"]);
        assert_eq!(keys(Part, Row::TracingSingle), ["otlp.endpoint", "traces.ratio"]);
        assert_eq!(keys(All, Row::TracingLatency).len(), 3);
        assert_eq!(keys(All, Row::TracingSingle).last(), Some(&"traces.spans_per_second"));
    }
}
