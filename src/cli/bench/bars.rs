//! The bars Bugle has to reach, and whether a comparison shows that it does.

use serde::Serialize;

use super::compare::Rounds;
use super::row::Row;
use super::system::System::{self, Bugle, Kernel, Nats, Redis};

/// One bar: a row's figure is at most `at_most`, in its unit or in times another system's figure.
struct Bar {
    row: Row,
    metric: usize,
    at_most: f64,
    against: System,
}

const fn bar(row: Row, metric: usize, at_most: f64, against: System) -> Bar {
    Bar { row, metric, at_most, against }
}

/// All bars; those against Bugle itself are in the unit of the figure.
const BARS: [Bar; 20] = [
    bar(Row::FanOutBatches, 0, 1.0 / 8.0, Nats),
    bar(Row::FanOutBatches, 0, 1.0 / 2.5, Redis),
    bar(Row::FanOutBatches, 0, 2.5, Kernel),
    bar(Row::OneToOneBatches, 0, 1.0 / 2.0, Nats),
    bar(Row::FanOutSingle, 0, 1.0 / 3.0, Nats),
    bar(Row::FanOutSingle, 0, 1.0, Redis),
    bar(Row::Momento, 0, 1.0, Nats),
    bar(Row::LargePayloads, 0, 1.0, Nats),
    bar(Row::LatencyOne, 0, 1.0, Nats),
    bar(Row::LatencyOne, 1, 1.0, Nats),
    bar(Row::LatencyFanOut, 0, 1.0, Nats),
    bar(Row::LatencyFanOut, 1, 1.0, Nats),
    bar(Row::IdleConnections, 0, 20.0, Bugle),
    bar(Row::IdleStreams, 0, 2.0, Bugle),
    bar(Row::ManyTopics, 0, 1024.0, Bugle),
    bar(Row::SlowSubscribers, 2, 1.1, Bugle),
    bar(Row::NoisyTenant, 2, 1.1, Bugle),
    // 97 % of the throughput is left.
    bar(Row::TracingBatches, 8, 1.031, Bugle),
    bar(Row::TracingSingle, 8, 1.031, Bugle),
    bar(Row::TracingLatency, 9, 1.25, Bugle),
];

/// A bar and what was measured.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// The row's name.
    pub row: String,
    /// What is asked, in words.
    pub asked: String,
    /// What was measured, in the same unit; `None` when one side of it was not.
    pub measured: Option<f64>,
    /// The most it may be.
    pub at_most: f64,
    /// Whether it holds; `None` when it was not measured.
    pub holds: Option<bool>,
}

/// Judges the bars of `rows`.
pub fn judge(rounds: &Rounds, rows: &[Row]) -> Vec<Verdict> {
    BARS.iter().filter(|bar| rows.contains(&bar.row)).map(|bar| verdict(rounds, bar)).collect()
}

fn verdict(rounds: &Rounds, bar: &Bar) -> Verdict {
    let Bar { row, metric, at_most, against } = *bar;
    let (name, unit) = row.metrics().get(metric).copied().unwrap_or_default();
    let (measured, asked) = match against {
        Bugle => (rounds.median(row, Bugle, metric), format!("{name} <= {at_most} {unit}")),
        other => (rounds.ratio(row, other, metric), format!("{name} <= {at_most:.3} x {other}")),
    };
    let holds = measured.map(|measured| measured <= at_most);
    Verdict { row: row.name(), asked, measured, at_most, holds }
}
