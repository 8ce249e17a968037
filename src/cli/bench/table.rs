//! What a bench prints at its end: tables for people, JSON for programs.

use std::fmt::Write;

use serde_json::{Value, json};

use super::bars::Verdict;
use super::compare::Rounds;
use super::latency::Summary;
use super::outcome::Outcome;
use super::plan::Plan;
use super::row::Row;
use super::system::System;
use super::traced;

/// All systems, in the order of the columns.
const SYSTEMS: [System; 4] = [System::Bugle, System::Nats, System::Redis, System::Kernel];

/// One load as a table.
pub fn load(plan: &Plan, outcome: &Outcome) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    let rate = plan.rate.map_or("as fast as it goes".into(), |rate| format!("{rate} msg/s"));
    let shape = format!(
        "{} publishers -> {} topics -> {} subscribers, {} B, batches of {}, {rate}, {:.1} s",
        plan.publishers, plan.topics, plan.subscribers, plan.payload, plan.batch, outcome.seconds
    );
    rows.push(("published", format!("{} msg/s", thousands(outcome.published_per_second))));
    let megabytes = outcome.delivered_bytes_per_second / 1e6;
    rows.push((
        "delivered",
        format!("{} msg/s, {megabytes:.1} MB/s", thousands(outcome.delivered_per_second)),
    ));
    if let Some(latency) = outcome.latency {
        rows.push(("delivery latency", quantiles(latency)));
    }
    if let Some(latency) = outcome.answer_latency {
        rows.push(("answer latency", quantiles(latency)));
    }
    let of = if plan.subscribers == 0 { "published" } else { "delivered" };
    match (outcome.server_cpu_ns, outcome.server_cores) {
        (Some(cpu), Some(cores)) => {
            rows.push(("server CPU", format!("{cpu:.0} ns per {of} message, {cores:.2} cores")));
        }
        _ => rows.push(("server CPU", "not known: the server is elsewhere, or give --server-pid".into())),
    }
    if let Some(rss) = outcome.server_rss_bytes {
        rows.push(("server memory", format!("{:.1} MB", rss as f64 / 1e6)));
    }
    if let Some(cores) = outcome.client_cores {
        rows.push(("client CPU", format!("{cores:.2} cores")));
    }
    let order = format!("{} messages received, consecutive, none lost, none twice", outcome.total.received);
    let complaints = outcome.complaints();
    rows.push(("checked", if complaints.is_empty() { order } else { complaints.join("; ") }));
    let mut text = format!("{shape}\n");
    for (name, value) in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<18}{value}");
    }
    text
}

/// One load as JSON.
pub fn load_json(plan: &Plan, outcome: &Outcome) -> String {
    let value = json!({
        "publishers": plan.publishers,
        "topics": plan.topics,
        "subscribers": plan.subscribers,
        "streams_per_connection": plan.streams_per_connection,
        "stalled": plan.stalled,
        "payload_bytes": plan.payload,
        "batch": plan.batch,
        "rate_per_second": plan.rate,
        "outcome": outcome,
        "complaints": outcome.complaints(),
    });
    format!("{value:#}\n")
}

fn quantiles(latency: Summary) -> String {
    let Summary { p50_us, p90_us, p99_us, p999_us, max_us, samples } = latency;
    format!(
        "p50 {} p90 {} p99 {} p99.9 {} max {} ({samples} samples)",
        micros(p50_us),
        micros(p90_us),
        micros(p99_us),
        micros(p999_us),
        micros(max_us)
    )
}

fn micros(micros: f64) -> String {
    if micros < 1e4 { format!("{micros:.0} us") } else { format!("{:.1} ms", micros / 1e3) }
}

/// With a comma between thousands.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A comparison as tables: figures, bars, notes.
pub fn comparison(rounds: &Rounds, rows: &[Row], bars: &[Verdict], count: u32, quick: bool) -> String {
    let mut text = format!("Medians of {count} rounds.\n\n");
    if quick {
        text = "A quick run shows that all loads work; its figures mean little.\n\n".into();
    }
    let (traced, beside): (Vec<Row>, Vec<Row>) = rows.iter().partition(|row| row.is_traced());
    if !beside.is_empty() {
        systems(&mut text, rounds, &beside);
    }
    if !traced.is_empty() {
        text.push_str(if beside.is_empty() { "" } else { "\n" });
        variants(&mut text, rounds, &traced);
    }
    text.push_str("\nWhat is measured\n");
    for row in rows {
        let _ = writeln!(text, "  {:<20}{}", row.name(), row.what());
    }
    if !bars.is_empty() {
        text.push_str("\nBars\n");
    }
    for bar in bars {
        let holds = bar.holds.map_or("not measured", |holds| if holds { "holds" } else { "MISSED" });
        let _ = writeln!(text, "  {:<20}{:<32}{:>10}  {holds}", bar.row, bar.asked, figure(bar.measured));
    }
    for (at, note) in rounds.notes.iter().enumerate() {
        let _ = writeln!(text, "{}  {note}", if at == 0 { "\nNotes\n" } else { "" });
    }
    text
}

/// A line for each figure, a column for each system and each ratio.
fn systems(text: &mut String, rounds: &Rounds, rows: &[Row]) {
    let _ = write!(text, "{:<20}{:<16}", "row", "figure");
    for system in SYSTEMS {
        let _ = write!(text, "{system:>10}");
    }
    let _ = writeln!(text, "{:>10}{:>10}{:>10}", "/ nats", "/ redis", "/ kernel");
    for row in rows {
        for (metric, (name, unit)) in row.metrics().iter().enumerate() {
            let _ = write!(text, "{:<20}{:<16}", row.name(), format!("{name}, {unit}"));
            for system in SYSTEMS {
                let _ = write!(text, "{:>10}", figure(rounds.median(*row, system, metric)));
            }
            for other in &SYSTEMS[1..] {
                let _ = write!(text, "{:>10}", figure(rounds.ratio(*row, *other, metric)));
            }
            text.push('\n');
        }
    }
}

/// A line for each figure of the rows that are traced, a column for each variant and its cost.
fn variants(text: &mut String, rounds: &Rounds, rows: &[Row]) {
    let _ = write!(text, "{:<20}{:<16}", "row", "figure");
    for column in traced::COLUMNS {
        let _ = write!(text, "{column:>12}");
    }
    text.push('\n');
    for row in rows {
        let metrics = row.metrics();
        for first in (0..metrics.len()).step_by(traced::COLUMNS.len()) {
            let (name, unit) = metrics[first];
            let name = name.trim_end_matches(traced::COLUMNS[0]).trim_end();
            let _ = write!(text, "{:<20}{:<16}", row.name(), format!("{name}, {unit}"));
            for metric in (first..metrics.len()).take(traced::COLUMNS.len()) {
                let _ = write!(text, "{:>12}", figure(rounds.median(*row, System::Bugle, metric)));
            }
            text.push('\n');
        }
    }
}

fn figure(figure: Option<f64>) -> String {
    match figure {
        None => "-".into(),
        Some(0.0) => "0".into(),
        // Ratios near one are judged by their third digit.
        Some(figure) if figure < 10.0 => format!("{figure:.3}"),
        Some(figure) if figure < 100.0 => format!("{figure:.1}"),
        Some(figure) => format!("{figure:.0}"),
    }
}

/// A comparison as JSON, each round's figures included.
pub fn comparison_json(rounds: &Rounds, rows: &[Row], bars: &[Verdict], count: u32) -> String {
    let of_row = |row: &Row| {
        let metric = |(at, (name, unit)): (usize, &(&str, &str))| {
            let systems: serde_json::Map<String, Value> = row
                .systems()
                .iter()
                .map(|system| {
                    let median = rounds.median(*row, *system, at);
                    let ratio = rounds.ratio(*row, *system, at);
                    let each = rounds.each(*row, *system, at);
                    (system.to_string(), json!({"median": median, "bugle_ratio": ratio, "rounds": each}))
                })
                .collect();
            json!({"name": name, "unit": unit, "systems": systems})
        };
        let metrics: Vec<Value> = row.metrics().iter().enumerate().map(metric).collect();
        json!({"row": row.name(), "what": row.what(), "metrics": metrics})
    };
    let rows: Vec<Value> = rows.iter().map(of_row).collect();
    let value = json!({"rounds": count, "rows": rows, "bars": bars, "notes": rounds.notes});
    format!("{value:#}\n")
}
