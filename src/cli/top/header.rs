//! The server in a few lines: what it is, what it holds, what goes through it, what went wrong.

use super::figures::{Rates, Summary};
use crate::cli::paint::{Line, Style, bar};
use crate::cli::units;

/// Columns of the bar of memory.
const BAR: usize = 10;
/// From here on the budget is nearly used up, and the oldest messages go.
const FULL: f64 = 0.9;

/// What it is, for how long, and whether it takes work. `gone` tells for how long it has not
/// answered.
pub(super) fn identity(summary: &Summary, uri: &str, gone: Option<std::time::Duration>) -> Line {
    let info = &summary.info;
    let up = info.time.duration_since(info.start_time).unwrap_or_default();
    let line = Line::of(format!("bugle {}", info.version), Style::Strong)
        .and(format!(" at {uri}   up {}   ", units::short_duration(up)), Style::Plain);
    match gone {
        Some(time) => line.and(format!("NO ANSWER for {}", units::short_duration(time)), Style::Bad),
        None if info.draining => line.and("DRAINING", Style::Warning),
        None => line.and("serving", Style::Good),
    }
}

/// The rest, one line a subject.
pub(super) fn figures(summary: &Summary) -> Vec<Line> {
    vec![resources(summary), holds(summary), flows(&summary.rates), events(summary)]
}

fn named(line: Line, name: &str, value: String) -> Line {
    let gap = if line.width() == 0 { "" } else { "   " };
    line.and(format!("{gap}{name} "), Style::Faint).and(value, Style::Plain)
}

fn resources(summary: &Summary) -> Line {
    let info = &summary.info;
    let cores = summary.cores.map_or("-".to_owned(), |cores| format!("{cores:.2} cores"));
    let (used, budget) = (info.memory_used_bytes, info.memory_budget_bytes);
    let part = if budget > 0 { used as f64 / budget as f64 } else { 0.0 };
    let style = if part >= FULL { Style::Warning } else { Style::Good };
    let memory = format!("{} of {}", units::bytes(used), units::bytes(budget));
    let mut line = named(named(Line::default(), "cpu", cores), "memory", memory);
    let bar = bar(part, BAR);
    if !bar.is_empty() {
        line.push(format!(" {bar}"), style);
    }
    let line = named(line, "pinned", units::bytes(info.memory_pinned_bytes));
    named(line, "resident", info.resident_bytes.map_or("-".to_owned(), units::bytes))
}

fn holds(summary: &Summary) -> Line {
    let info = &summary.info;
    let counts = [
        ("connections", info.connections),
        ("streams", info.streams),
        ("subscriptions", info.subscriptions),
        ("topics", info.topics),
        ("namespaces", info.namespaces),
    ];
    counts.into_iter().fold(Line::default(), |line, (name, count)| named(line, name, count.to_string()))
}

fn flows(rates: &Rates) -> Line {
    let flow = |messages: Option<f64>, bytes: Option<f64>| match (messages, bytes) {
        (Some(messages), Some(bytes)) => {
            format!("{} msg/s, {}/s", units::short(messages), units::bytes(bytes as u64))
        }
        _ => "-".to_owned(),
    };
    let line = named(Line::default(), "in", flow(rates.messages_in, rates.bytes_in));
    named(line, "out", flow(rates.messages_out, rates.bytes_out))
}

/// Counts since the start, and in colour what came since the older sample.
fn events(summary: &Summary) -> Line {
    let (info, recent) = (&summary.info, &summary.recent);
    let counts = [
        ("discontinuities", info.discontinuities, recent.discontinuities),
        ("stalls", info.stalls, recent.stalls),
        ("refusals", info.refusals, recent.refusals),
        ("spans dropped", info.spans_dropped, recent.spans_dropped),
    ];
    counts.into_iter().fold(Line::default(), |line, (name, count, recent)| {
        let line = named(line, name, count.to_string());
        if recent > 0 { line.and(format!(" (+{recent})"), Style::Warning) } else { line }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::figures::{summary, tests::server};
    use crate::client::monitor::ServerInfo;
    use std::time::Duration;

    #[test]
    fn the_server_is_told_in_five_lines() {
        let now = ServerInfo { stalls: 2, ..server(14) };
        let summary = summary(Some(&server(10)), &now);
        let texts: Vec<_> = figures(&summary).iter().map(Line::text).collect();
        assert_eq!(
            texts,
            [
                "cpu 0.25 cores   memory 64 MiB of 512 MiB █▎   pinned 1 MiB   resident 90 MiB",
                "connections 12   streams 40   subscriptions 33   topics 3   namespaces 1",
                "in 1.00k msg/s, 97.7 KiB/s   out 33.0k msg/s, 3.1 MiB/s",
                "discontinuities 0   stalls 2 (+2)   refusals 3   spans dropped 0",
            ]
        );
        assert_eq!(identity(&summary, "http://x", None).text(), "bugle 0.1.0 at http://x   up 14s   serving");
    }

    #[test]
    fn a_server_that_drains_or_is_gone_is_told_so() {
        let drains = summary(None, &ServerInfo { draining: true, ..server(3) });
        assert!(identity(&drains, "http://x", None).text().ends_with("DRAINING"));
        let gone = identity(&drains, "http://x", Some(Duration::from_secs(75)));
        assert!(gone.text().ends_with("NO ANSWER for 1m15s"), "{gone:?}");
        assert_eq!(figures(&drains)[2].text(), "in -   out -");
    }
}
