//! The steps of a probe as a picture: a row each, with a bar on one common axis of time that is as
//! wide as the terminal. A bar begins where the step before it ended.

use super::timeline::{Step, Timeline, Who};
use crate::cli::output::columns;
use crate::cli::paint::{Line, Style, squeezed};

/// Subscriptions of others that are shown; the JSON has all of them.
const OTHERS_MAX: usize = 20;
/// Longest name of a subscription, columns.
const WHO_MAX: usize = 30;
/// The axis is no shorter than this, columns, even if the terminal has to break the line.
const AXIS_MIN: usize = 10;

/// The rows of the picture.
pub(super) fn lines(timeline: &Timeline, width: usize) -> Vec<Line> {
    let (steps, hidden) = shown(&timeline.steps);
    let whole = steps.iter().map(|step| step.at).max().unwrap_or_default().max(1);
    let offsets: Vec<_> = steps.iter().map(|step| micros(step.at)).collect();
    let names: Vec<_> = steps.iter().map(|step| squeezed(&step.who.to_string(), WHO_MAX)).collect();
    let widest = |texts: &[String]| texts.iter().map(|text| columns(text)).max().unwrap_or_default();
    let (offset_width, name_width) = (widest(&offsets), widest(&names));
    let axis = width.saturating_sub(offset_width + name_width + 17).max(AXIS_MIN);
    let mut lines = Vec::with_capacity(steps.len() + 2);
    for ((step, offset), name) in steps.iter().zip(&offsets).zip(&names) {
        let style = if step.who.is_own() { Style::Own } else { Style::Plain };
        let blank = name_width - columns(name);
        let text = format!("  {offset:>offset_width$}  {:<10}  {name}{:blank$} ", step.what, "");
        lines.push(Line::of(text, style).and(bar(step, whole, axis), style));
    }
    let end = micros(whole);
    let rule = format!("{:1$}0{end:>2$}", "", offset_width + name_width + 17, axis - 1);
    lines.push(Line::of(rule, Style::Faint));
    if hidden > 0 {
        lines.push(Line::of(format!("  and {hidden} subscriptions more: --json has them"), Style::Faint));
    }
    lines
}

/// Nanoseconds as people read them here.
pub(super) fn micros(nano: i64) -> String {
    format!("{:.1} µs", nano as f64 / 1e3)
}

/// The steps there is room for, and how many subscriptions are left out.
fn shown(steps: &[Step]) -> (Vec<&Step>, usize) {
    let mut others: Vec<&Who> = Vec::new();
    for step in steps.iter().filter(|step| matches!(step.who, Who::Other { .. })) {
        if others.last() != Some(&&step.who) {
            others.push(&step.who);
        }
    }
    let hidden = others.split_off(others.len().min(OTHERS_MAX));
    let kept = steps.iter().filter(|step| !hidden.contains(&&step.who)).collect();
    (kept, hidden.len())
}

fn bar(step: &Step, whole: i64, axis: usize) -> String {
    let place = |nano: i64| nano.max(0) as f64 / whole as f64 * axis as f64;
    let (from, to) = (place(step.began), place(step.at));
    let from_cell = (from as usize).min(axis - 1);
    // What takes no time that could be seen is a line where it was.
    let bar = if to - from < 0.5 {
        "▏".to_owned()
    } else {
        "█".repeat((to.ceil() as usize).saturating_sub(from_cell).max(1))
    };
    format!("{:from_cell$}{bar}", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(what: &'static str, who: Who, began: i64, at: i64) -> Step {
        Step { what, who, began: began * 1000, at: at * 1000 }
    }

    fn texts(steps: Vec<Step>, width: usize) -> Vec<String> {
        let timeline = Timeline { steps, missing: Vec::new() };
        lines(&timeline, width).iter().map(|line| line.text().trim_end().to_owned()).collect()
    }

    #[test]
    fn bars_stand_on_one_axis_as_wide_as_the_terminal() {
        let steps = vec![
            step("accepted", Who::Server, 0, 0),
            step("ordered", Who::Server, 0, 10),
            step("read", Who::Own(1, None), 10, 15),
            step("received", Who::Own(1, None), 15, 40),
        ];
        assert_eq!(
            texts(steps, 50),
            [
                "   0.0 µs  accepted          ▏",
                "  10.0 µs  ordered           ██████",
                "  15.0 µs  read        own 1      ███",
                "  40.0 µs  received    own 1        ██████████████",
                "                             0             40.0 µs",
            ]
            .map(str::to_owned)
        );
    }

    #[test]
    fn no_row_is_wider_than_the_terminal() {
        let other = Who::Other { peer: "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:51234".into(), id: None };
        let steps = vec![step("read", other.clone(), 0, 3), step("written", other, 3, 2_000_000)];
        for width in [80, 100, 250] {
            assert!(texts(steps.clone(), width).iter().all(|line| columns(line) <= width), "{width}");
        }
        assert!(!texts(steps, 5).is_empty());
    }

    #[test]
    fn a_thousand_subscriptions_do_not_bury_our_own() {
        let other = |port: usize| Who::Other { peer: format!("10.0.0.7:{port}"), id: None };
        let mut steps: Vec<_> = (0..1000).map(|port| step("read", other(port), 0, 5)).collect();
        steps.push(step("received", Who::Own(1, None), 0, 9));
        let lines = texts(steps, 80);
        assert_eq!(lines.len(), OTHERS_MAX + 1 + 2);
        assert!(lines[OTHERS_MAX].contains("own 1"), "{lines:?}");
        assert!(lines.last().unwrap().contains("980 subscriptions more"), "{lines:?}");
    }
}
