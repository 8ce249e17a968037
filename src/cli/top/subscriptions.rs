//! The table of one topic's subscriptions, those furthest behind first.

use std::time::SystemTime;

use super::grid::{Align, Column, Grid};
use super::sample::Name;
use super::state::State;
use crate::cli::output::columns;
use crate::cli::paint::{Line, Style};
use crate::cli::units;
use crate::client::monitor::{SubscriptionState, SubscriptionStates};
use crate::error::Result;

const COLUMNS: [Column; 6] = [
    Column { head: "PEER", width: 15, rank: 0, align: Align::Left },
    Column { head: "ID", width: 36, rank: 2, align: Align::Left },
    Column { head: "NEXT", width: 12, rank: 4, align: Align::Right },
    Column { head: "LAG", width: 6, rank: 0, align: Align::Right },
    Column { head: "SILENT", width: 6, rank: 1, align: Align::Right },
    Column { head: "OPEN", width: 6, rank: 3, align: Align::Right },
];

/// A title, the head and the rows that can be seen; `None` is not known yet, `now` is the server's
/// clock.
pub(super) fn lines(
    name: &Name,
    states: Option<&Result<SubscriptionStates>>,
    state: &State,
    now: SystemTime,
    (width, count): (usize, usize),
) -> Vec<Line> {
    let title = Line::of(name.to_string(), Style::Strong);
    let states = match states {
        None => return vec![title.and(": asking", Style::Faint)],
        Some(Err(error)) => return vec![title.and(format!(": {error}"), Style::Bad)],
        Some(Ok(states)) => states,
    };
    let (cursor, first) = state.place();
    let listed = states.states.len();
    let shown = &states.states[first.min(listed)..(first + count).min(listed)];
    let longest = shown.iter().map(|state| columns(&state.peer)).max().unwrap_or_default();
    let grid = Grid::fit(&COLUMNS, width, longest);
    let head: Vec<_> = COLUMNS.iter().map(|column| (column.head.to_owned(), Style::Faint)).collect();
    let mut lines = vec![title.and(extent(states), Style::Plain), grid.line(&head)];
    for (place, one) in shown.iter().enumerate() {
        let line = grid.line(&cells(one, now)).cut(width);
        lines.push(if first + place == cursor { line.chosen(width) } else { line });
    }
    lines
}

fn extent(states: &SubscriptionStates) -> String {
    match (states.total, states.states.len() as u64) {
        (0, _) => ": no subscription".to_owned(),
        (1, _) => ": 1 subscription".to_owned(),
        (total, listed) if listed < total => {
            format!(": {total} subscriptions, the {listed} furthest behind")
        }
        (total, _) => format!(": {total} subscriptions, those furthest behind first"),
    }
}

fn cells(state: &SubscriptionState, now: SystemTime) -> Vec<(String, Style)> {
    let SubscriptionState { id, peer, next_sequence, lag_messages, silent_for, open_time, is_cut: _ } = state;
    let text = |text: String| (text, Style::Plain);
    let lag_style = if *lag_messages > 0 { Style::Strong } else { Style::Plain };
    vec![
        text(if peer.is_empty() { "(no address)".to_owned() } else { peer.clone() }),
        text(id.map_or("-".to_owned(), |id| id.to_string())),
        text(next_sequence.to_string()),
        (units::short(*lag_messages as f64), lag_style),
        text(units::short_duration(*silent_for)),
        text(units::short_duration(now.duration_since(*open_time).unwrap_or_default())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::order::Sort;
    use crate::error::{Code, Error};
    use std::time::Duration;
    use uuid::Uuid;

    fn states(count: u128, total: u64) -> SubscriptionStates {
        let state = |id: u128| SubscriptionState {
            is_cut: false,
            id: Some(Uuid::from_u128(id)),
            peer: format!("10.0.0.7:{id}"),
            next_sequence: 40,
            lag_messages: 1500,
            silent_for: Duration::from_secs(3),
            open_time: SystemTime::UNIX_EPOCH,
        };
        SubscriptionStates { states: (1..=count).map(state).collect(), total }
    }

    fn texts(states: Option<&Result<SubscriptionStates>>, width: usize) -> Vec<String> {
        let name = Name { namespace: "default".into(), topic: "orders".into() };
        let state = State::new(String::new(), Sort::Rate, false);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(200);
        let lines = lines(&name, states, &state, now, (width, 5));
        lines.iter().map(|line| line.text().trim_end().to_owned()).collect()
    }

    #[test]
    fn subscriptions_are_told_with_how_far_they_are() {
        let expected = [
            "default/orders: 2 subscriptions, those furthest behind first",
            "PEER             ID                                       LAG  SILENT    OPEN",
            "10.0.0.7:1       00000000-0000-0000-0000-000000000001   1.50k    3.0s   3m20s",
            "10.0.0.7:2       00000000-0000-0000-0000-000000000002   1.50k    3.0s   3m20s",
        ];
        assert_eq!(texts(Some(&Ok(states(2, 2))), 80), expected);
    }

    #[test]
    fn what_is_not_listed_is_told_as_well() {
        let many = texts(Some(&Ok(states(9, 40))), 80);
        assert_eq!(many[0], "default/orders: 40 subscriptions, the 9 furthest behind");
        assert_eq!(many.len(), 2 + 5);
        assert_eq!(texts(Some(&Ok(states(0, 0))), 80)[0], "default/orders: no subscription");
        let gone = Err(Error::new(Code::NotFound, "there is no such topic"));
        assert_eq!(texts(Some(&gone), 80), ["default/orders: there is no such topic"]);
        assert_eq!(texts(None, 80), ["default/orders: asking"]);
    }
}
