//! What `bugle trace` says: sentences and the picture for people, JSON for programs.

use std::time::Duration;

use serde_json::{Value, json};

use super::Findings;
use super::picture;
use super::timeline::{Step, Who};
use crate::cli::output::rfc3339;
use crate::cli::paint::{Line, Style};
use crate::cli::units;

/// Those who were left out that are named; the JSON has all that are known.
const MISSING_MAX: usize = 20;

/// The report for people.
pub(super) fn lines(findings: &Findings, width: usize) -> Vec<Line> {
    let probe = &findings.probe;
    let told =
        |name: &str, text: String| Line::of(format!("{name:<10}"), Style::Faint).and(text, Style::Plain);
    let position = probe.position.map_or("(no position told)".to_owned(), |it| it.to_string());
    let trace = probe.trace_id().unwrap_or("not traced");
    let mut lines = vec![
        told("probe", format!("{position} in {}", findings.topic)),
        told("trace", trace.to_owned()),
        told("reached", reached(findings)),
        told("clock", clock(findings)),
        Line::default(),
    ];
    lines.extend(picture::lines(&findings.timeline, width));
    if let Some(text) = nobody(findings) {
        lines.extend([Line::default(), Line::of(text, Style::Warning)]);
    }
    let missing = &findings.timeline.missing;
    if !missing.is_empty() {
        let wait = units::duration(findings.wait);
        lines.extend([Line::default(), Line::of(format!("without it after {wait}"), Style::Bad)]);
        for one in missing.iter().take(MISSING_MAX) {
            lines.push(Line::of(format!("  {}  {}", one.who, one.why), Style::Plain));
        }
        if let Some(more) = missing.len().checked_sub(MISSING_MAX + 1) {
            lines.push(Line::of(format!("  and {} more: --json has them", more + 1), Style::Faint));
        }
    }
    lines
}

/// Subscriptions whose connection was given the probe.
fn written(findings: &Findings) -> usize {
    findings.probe.deliveries.iter().filter(|delivery| delivery.written.is_some()).count()
}

fn reached(findings: &Findings) -> String {
    let probe = &findings.probe;
    // The server tells of the first thousand alone.
    let at_least = if findings.probe.deliveries.len() >= 1000 { "at least " } else { "" };
    let of = if probe.subscriptions == 1 { "subscription" } else { "subscriptions" };
    let woken = match probe.woken {
        0 => "none had to be woken".to_owned(),
        1 => "1 was woken".to_owned(),
        count => format!("{count} were woken"),
    };
    format!("{at_least}{} of {} {of}; {woken}", written(findings), probe.subscriptions)
}

fn clock(findings: &Findings) -> String {
    let ahead = findings.clock.ahead_nano;
    let direction = if ahead < 0 { "behind" } else { "ahead of" };
    let apart = distance(Duration::from_nanos(ahead.unsigned_abs()));
    let uncertainty = distance(findings.clock.uncertainty);
    format!("the server's is {apart} {direction} this machine's, ±{uncertainty}; so are times of `received`")
}

fn distance(duration: Duration) -> String {
    match duration.as_nanos() {
        0..10_000_000 => format!("{:.1} µs", duration.as_secs_f64() * 1e6),
        10_000_000..10_000_000_000 => format!("{:.1} ms", duration.as_secs_f64() * 1e3),
        _ => units::duration(Duration::from_secs(duration.as_secs())),
    }
}

/// What to say when the picture is empty.
fn nobody(findings: &Findings) -> Option<String> {
    let (topic, wait) = (&findings.topic, units::duration(findings.wait));
    match findings.probe.subscriptions {
        0 => Some(format!(
            "nobody is subscribed to {topic}: the probe has its place, and there was nobody to give it to; \
             `--subscribers 2` opens subscriptions for it"
        )),
        _ if findings.timeline.steps.iter().any(|step| step.who != Who::Server) => None,
        1 => Some(format!("the one subscription of {topic} did not get the probe within {wait}")),
        count => Some(format!("none of the {count} subscriptions of {topic} got the probe within {wait}")),
    }
}

/// The report for programs: offsets are microseconds since acceptance.
pub(super) fn object(findings: &Findings) -> Value {
    let Findings { topic, wait, clock, timeline, probe } = findings;
    let server = |what: &str| {
        let is_it = |step: &&Step| step.who == Who::Server && step.what == what;
        timeline.steps.iter().find(is_it).map(|step| micros(step.at))
    };
    let mut whose: Vec<&Who> = Vec::new();
    for step in timeline.steps.iter().filter(|step| step.who != Who::Server) {
        if whose.last() != Some(&&step.who) {
            whose.push(&step.who);
        }
    }
    let subscription = |who: &&Who| {
        let at = |what: &str| {
            let step = timeline.steps.iter().find(|step| step.who == **who && step.what == what);
            step.map(|step| micros(step.at))
        };
        let mut value = named(who);
        value["read_us"] = json!(at("read"));
        value["written_us"] = json!(at("written"));
        value["received_us"] = json!(at("received"));
        value
    };
    let missing = timeline.missing.iter().map(|it| {
        let mut value = named(&it.who);
        value["why"] = json!(it.why);
        value
    });
    json!({
        "topic": topic,
        "position": probe.position.map(|position| position.to_string()),
        "trace_id": probe.trace_id(),
        "traceparent": probe.traceparent,
        "accepted_time": rfc3339(probe.accepted),
        "ordered_us": server("ordered"),
        "fanned_out_us": server("fanned out"),
        "woken": probe.woken,
        "subscriptions": probe.subscriptions,
        "reached": written(findings),
        "wait_seconds": wait.as_secs_f64(),
        "deliveries": whose.iter().map(subscription).collect::<Vec<_>>(),
        "missing": missing.collect::<Vec<_>>(),
        "clock_ahead_us": micros(clock.ahead_nano),
        "clock_uncertainty_us": clock.uncertainty.as_nanos() as f64 / 1e3,
    })
}

fn named(who: &Who) -> Value {
    let peer = match who {
        Who::Other { peer, .. } => Some(peer),
        Who::Server | Who::Own(..) => None,
    };
    json!({"subscription_id": who.id().map(|id| id.to_string()), "own": who.is_own(), "peer": peer})
}

fn micros(nano: i64) -> f64 {
    nano as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::trace::clock::Clock;
    use crate::cli::trace::timeline::Timeline;
    use crate::client::monitor::Probe;
    use std::time::SystemTime;

    fn findings(subscriptions: u64) -> Findings {
        let accepted = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        let probe = Probe {
            position: Some(crate::topic::Position::new(7, 42)),
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into(),
            accepted,
            ordered: Some(accepted + Duration::from_micros(10)),
            fanned_out: None,
            woken: 0,
            deliveries: Vec::new(),
            subscriptions,
            answered: accepted + Duration::from_micros(20),
        };
        Findings {
            topic: "default/orders".into(),
            wait: Duration::from_secs(2),
            clock: Clock::estimate(accepted, Duration::from_micros(60), accepted, probe.answered),
            timeline: Timeline::new(&probe, &[], &[]),
            probe,
        }
    }

    fn text(findings: &Findings) -> String {
        lines(findings, 80).iter().map(|line| line.text() + "\n").collect()
    }

    #[test]
    fn a_topic_without_subscriptions_is_told_in_words() {
        let text = text(&findings(0));
        for expected in [
            "probe     7:42 in default/orders",
            "trace     4bf92f3577b34da6a3ce929d0e0e4736",
            "reached   0 of 0 subscriptions; none had to be woken",
            "20.0 µs behind this machine's, ±20.0 µs",
            "nobody is subscribed to default/orders",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }

    #[test]
    fn a_probe_that_reached_nobody_is_told_in_words() {
        assert!(text(&findings(1)).contains("the one subscription of default/orders did not get the probe"));
        assert!(text(&findings(3)).contains("none of the 3 subscriptions of default/orders got"));
        assert_eq!(object(&findings(3))["fanned_out_us"], Value::Null);
    }
}
