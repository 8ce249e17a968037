//! The table of topics: its columns and what stands in them, on the screen and in plain text.

use super::figures::Row;
use super::grid::{Align, Column, Grid};
use super::order::Sort;
use super::state::State;
use crate::cli::output::{columns, visible};
use crate::cli::paint::{Line, Style, bar};
use crate::cli::units;

const fn number(head: &'static str, width: usize, rank: u8) -> Column {
    Column { head, width, rank, align: Align::Right }
}

/// Columns of the bar that shows how near a loss is.
const BAR: usize = 8;
/// From here on a subscription is in danger, and from here on soon lost.
const FAR: f64 = 0.5;
const TOO_FAR: f64 = 0.8;

const COLUMNS: [Column; 10] = [
    Column { head: "TOPIC", width: 16, rank: 0, align: Align::Left },
    number("IN/s", 6, 0),
    number("IN B/s", 10, 6),
    number("OUT/s", 6, 1),
    number("OUT B/s", 10, 7),
    number("RETAINED", 10, 4),
    number("SUBSCR", 7, 2),
    number("LAG", 6, 3),
    number("BEHIND", 7, 1),
    Column { head: "UNREAD", width: BAR + 1, rank: 5, align: Align::Left },
];

/// The column of `Sort` is marked by the direction, so that it is seen without colours.
const SORTED: [(usize, Sort); 7] = [
    (0, Sort::Name),
    (1, Sort::Rate),
    (2, Sort::Bytes),
    (3, Sort::Out),
    (5, Sort::Memory),
    (6, Sort::Subscriptions),
    (8, Sort::Lag),
];

/// The head and the rows that can be seen.
pub(super) fn lines(rows: &[Row], state: &State, several: bool, width: usize, count: usize) -> Vec<Line> {
    let (cursor, first) = state.place();
    let shown = &rows[first.min(rows.len())..(first + count).min(rows.len())];
    let names: Vec<_> = shown.iter().map(|row| name(row, several)).collect();
    let longest = names.iter().map(|name| columns(name)).max().unwrap_or_default();
    let grid = Grid::fit(&COLUMNS, width, longest);
    let mut lines = vec![grid.line(&head(state))];
    for (place, row) in shown.iter().enumerate() {
        let line = grid.line(&cells(row, several)).cut(width);
        lines.push(if first + place == cursor { line.chosen(width) } else { line });
    }
    lines
}

fn head(state: &State) -> Vec<(String, Style)> {
    let head = |(at, column): (usize, &Column)| {
        if !SORTED.contains(&(at, state.sort)) {
            return (column.head.to_owned(), Style::Faint);
        }
        let falls = (state.sort != Sort::Name) != state.reverse;
        (format!("{}{}", column.head, if falls { "▾" } else { "▴" }), Style::Strong)
    };
    COLUMNS.iter().enumerate().map(head).collect()
}

/// The head of the table in plain text.
pub(super) fn plain_head() -> Vec<&'static str> {
    COLUMNS.iter().map(|column| column.head).collect()
}

/// A row of the table in plain text.
pub(super) fn plain(row: &Row, several: bool) -> Vec<String> {
    cells(row, several).into_iter().map(|(text, _)| text).collect()
}

fn name(row: &Row, several: bool) -> String {
    visible(&if several { row.name.to_string() } else { row.name.topic.clone() })
}

fn cells(row: &Row, several: bool) -> Vec<(String, Style)> {
    let rate = |rate: Option<f64>| rate.map_or("-".to_owned(), units::short);
    let bytes = |rate: Option<f64>| rate.map_or("-".to_owned(), |rate| units::bytes(rate as u64));
    let text = |text: String| (text, Style::Plain);
    // A topic at rest is not what anybody looks for.
    let flow = match row.rates.messages_in {
        Some(rate) if rate > 0.0 => Style::Strong,
        _ => Style::Plain,
    };
    let (lag, behind) = match row.subscriptions {
        0 => ("-".to_owned(), "-".to_owned()),
        _ => (units::short(row.lag_messages as f64), units::short_duration(row.lag.unwrap_or_default())),
    };
    vec![
        (name(row, several), flow),
        text(rate(row.rates.messages_in)),
        text(bytes(row.rates.bytes_in)),
        text(rate(row.rates.messages_out)),
        text(bytes(row.rates.bytes_out)),
        text(units::bytes(row.retained_bytes)),
        text(row.subscriptions.to_string()),
        text(lag),
        text(behind),
        unread(row.unread),
    ]
}

/// The bar; its mark can be seen without colours.
fn unread(unread: Option<f64>) -> (String, Style) {
    match unread {
        None => ("-".to_owned(), Style::Plain),
        Some(part) if part >= TOO_FAR => (bar(part, BAR) + "!", Style::Bad),
        Some(part) if part >= FAR => (bar(part, BAR), Style::Warning),
        Some(part) => (bar(part, BAR), Style::Good),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::figures::{Rates, rows, tests::info};
    use crate::cli::top::sample::{Listed, Topics};
    use std::time::{Duration, Instant};

    fn table() -> Vec<Row> {
        let listed = ["orders", "größe"].map(|name| Listed { at: Instant::now(), info: info(name, 5) });
        let mut rows = rows(None, &Topics { listed: listed.into(), more: false });
        rows[0].rates = Rates { messages_in: Some(1234.0), bytes_in: Some(2048.0), ..Rates::default() };
        rows[0].lag_messages = 15_000;
        (rows[0].lag, rows[0].unread) = (Some(Duration::from_secs(75)), Some(0.85));
        rows[1].subscriptions = 0;
        rows[1].unread = None;
        rows
    }

    fn texts(width: usize) -> Vec<String> {
        let state = State::new(String::new(), Sort::Rate, false);
        let lines = lines(&table(), &state, false, width, 10);
        lines.iter().map(|line| line.text().trim_end().to_owned()).collect()
    }

    #[test]
    fn a_wide_screen_has_every_column() {
        let expected = [
            "TOPIC              IN/s▾      IN B/s   OUT/s     OUT B/s    RETAINED   SUBSCR     LAG   BEHIND  UNREAD",
            "orders             1.23k       2 KiB       -           -     1000 B        2   15.0k    1m15s  ██████▊!",
            "größe                  -           -       -           -     1000 B        0       -        -  -",
        ];
        let texts = texts(120);
        for (text, expected) in texts.iter().zip(expected) {
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(words(text), words(expected));
        }
        assert_eq!(texts.len(), 3);
    }

    #[test]
    fn a_narrow_screen_keeps_the_name_and_the_rate() {
        assert_eq!(
            texts(24),
            ["TOPIC              IN/s▾", "orders             1.23k", "größe                  -"]
        );
        for width in 0..150 {
            let state = State::new(String::new(), Sort::Lag, true);
            for line in lines(&table(), &state, true, width, 10).into_iter().skip(1) {
                assert!(line.width() <= width, "{width}");
            }
        }
    }

    #[test]
    fn the_row_that_keys_act_on_is_the_chosen_one() {
        let state = State::new(String::new(), Sort::Rate, false);
        let lines = lines(&table(), &state, false, 100, 10);
        assert_eq!(lines[1], Line::of(lines[1].text(), Style::Chosen));
        assert_eq!(lines[1].width(), 100);
    }
}
