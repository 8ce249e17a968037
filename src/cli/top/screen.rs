//! The whole screen, laid out for a width and a height: lines that fit, and no more of them.

use std::time::Instant;

use super::model::Model;
use super::sample::TOPICS_MAX;
use super::state::Page;
use super::{header, subscriptions, topics};
use crate::cli::paint::{Line, Style};

/// The server's lines and the one that says what is shown.
const HEADER: usize = 6;
/// Rows a small screen keeps; the header makes room for them.
const ROWS_MIN: usize = 4;

/// Lays the screen out and scrolls to where its user is.
pub(super) fn lines(model: &mut Model, width: usize, height: usize, now: Instant) -> Vec<Line> {
    let titles = match model.state.page {
        Page::Topics => 1,
        Page::Subscriptions(_) => 2,
    };
    // Under the header, the titles of the table and the keys.
    let header = HEADER.min(height.saturating_sub(ROWS_MIN + titles + 1)).max(1);
    let visible = height.saturating_sub(header + titles + 1);
    model.fit(visible);
    let mut lines = head(model, header, now);
    lines.extend(match &model.state.page {
        Page::Topics => topics::lines(&model.rows, &model.state, model.namespace.is_none(), width, visible),
        Page::Subscriptions(name) => {
            let states = model.subscriptions.as_ref();
            let clock = model.summary.info.time;
            subscriptions::lines(name, states, &model.state, clock, (width, visible))
        }
    });
    lines.truncate(height.saturating_sub(1));
    lines.resize(height.saturating_sub(1), Line::default());
    lines.push(keys(model, width));
    lines.truncate(height);
    lines.into_iter().map(|line| line.cut(width)).collect()
}

/// So many lines about the server; the least important leave first.
fn head(model: &Model, count: usize, now: Instant) -> Vec<Line> {
    let gone = model.gone(now);
    let mut lines = vec![header::identity(&model.summary, &model.uri, gone.map(|(time, _)| time))];
    lines.extend(header::figures(&model.summary));
    lines.truncate(count.saturating_sub(1).max(1));
    if count > 1 {
        lines.push(match gone {
            Some((_, why)) => Line::of(format!("{why}; trying again, what follows is old"), Style::Bad),
            None => shown(model),
        });
    }
    lines
}

/// What is shown, and what is not.
fn shown(model: &Model) -> Line {
    let state = &model.state;
    let (count, sort) = (model.rows.len(), state.sort.name());
    let mut line = Line::default();
    if let Page::Topics = state.page {
        let of = if count == 1 { "topic" } else { "topics" };
        let order = if state.reverse { ", reversed" } else { "" };
        let whose = model.namespace.as_deref().unwrap_or("all namespaces");
        line = line.and(format!("{count} {of} of {whose} by {sort}{order}"), Style::Plain);
        if !state.filter.is_empty() {
            line = line.and(format!("   names from {:?} on", state.filter), Style::Own);
        }
        if model.more() {
            let text = format!("   there are more than {TOPICS_MAX}: choose some with /");
            line = line.and(text, Style::Warning);
        }
    }
    line
}

fn keys(model: &Model, width: usize) -> Line {
    let state = &model.state;
    if state.is_typing() {
        return Line::of("/", Style::Strong)
            .and(&state.filter, Style::Strong)
            .and("▏", Style::Own)
            .and("  names that begin so; Enter keeps it, Esc takes it back", Style::Faint);
    }
    let texts = match state.page {
        Page::Topics => [
            "q leave  ↑↓ choose  Enter subscriptions  / filter  R reverse  sort: rate out bytes \
             subscriptions lag memory name",
            "q leave  ↑↓ choose  Enter subscriptions  / filter  R reverse  r o b s l m n sort",
            "q leave  Enter open  / filter  R reverse  robslmn sort",
        ],
        Page::Subscriptions(_) => ["q leave  ↑↓ PgUp PgDn scroll  Esc back to the topics"; 3],
    };
    let fits = texts.into_iter().find(|text| text.chars().count() <= width);
    Line::of(fits.unwrap_or(texts[2]), Style::Faint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::figures::tests::{info, server};
    use crate::cli::top::model::{Answer, Answered};
    use crate::cli::top::order::Sort;
    use crate::cli::top::sample::{Listed, Topics};
    use crate::cli::top::state::State;
    use crate::client::TopicInfo;
    use crate::error::{Code, Error};
    use crossterm::event::{KeyCode, KeyEvent};
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    fn topics(at: Instant, messages: u64) -> Topics {
        let topic = |place: u64| info(&format!("orders.{place}"), 1 + messages * (30 - place));
        let listed = (0..30).map(|place| Listed { at, info: topic(place) });
        Topics { listed: listed.collect(), more: false }
    }

    fn model(begin: Instant) -> Model {
        let first = (begin, server(10), topics(begin, 0));
        Model::new(("http://x", Some("default")), State::new(String::new(), Sort::Rate, false), SECOND, first)
    }

    fn press(model: &mut Model, keys: &[KeyCode]) {
        for key in keys {
            model.press(KeyEvent::from(*key));
        }
    }

    fn texts(model: &mut Model, width: usize, height: usize, now: Instant) -> Vec<String> {
        let lines = lines(model, width, height, now);
        lines.iter().map(|line| line.text().trim_end().to_owned()).collect()
    }

    #[test]
    fn a_screen_has_the_server_its_topics_and_the_keys() {
        let begin = Instant::now();
        let mut model = model(begin);
        let at = begin + SECOND;
        let answer = Answer { at, server: server(11), page: Answered::Topics(topics(at, 10)) };
        model.take(Ok(answer), at);
        let screen = texts(&mut model, 80, 24, at);
        assert_eq!(screen.len(), 24);
        assert!(screen[0].starts_with("bugle 0.1.0 at http://x"), "{screen:#?}");
        assert_eq!(screen[5], "30 topics of default by rate");
        assert!(screen[6].starts_with("TOPIC") && screen[6].contains("IN/s▾"), "{screen:#?}");
        assert!(screen[7].starts_with("orders.0") && screen[7].contains(" 300 "), "{screen:#?}");
        assert!(screen[22].starts_with("orders.15"), "{screen:#?}");
        assert!(screen[23].starts_with("q leave"), "{screen:#?}");
    }

    #[test]
    fn every_screen_is_filled_and_none_is_left() {
        let now = Instant::now();
        let mut model = model(now);
        for keys in [&[][..], &[KeyCode::Char('/'), KeyCode::Char('o')], &[KeyCode::Enter, KeyCode::Enter]] {
            press(&mut model, keys);
            for (width, height) in [(0, 0), (1, 1), (10, 2), (20, 7), (80, 9), (80, 24), (300, 100)] {
                let lines = lines(&mut model, width, height, now);
                assert_eq!(lines.len(), height, "{width} x {height}");
                assert!(lines.iter().all(|line| line.width() <= width), "{width} x {height}");
            }
        }
    }

    #[test]
    fn a_server_that_went_away_is_told_and_what_was_known_stays() {
        let begin = Instant::now();
        let mut model = model(begin);
        model.ask(begin + SECOND);
        assert!(texts(&mut model, 100, 24, begin + 2 * SECOND)[0].contains("serving"), "it may answer yet");
        assert!(texts(&mut model, 100, 24, begin + 5 * SECOND)[0].contains("NO ANSWER for 4.0s"));
        let error = Error::new(Code::Unavailable, "nobody answers at http://x");
        model.take(Err(error.clone()), begin + 6 * SECOND);
        model.ask(begin + 7 * SECOND);
        model.take(Err(error), begin + 8 * SECOND);
        let screen = texts(&mut model, 100, 24, begin + 9 * SECOND);
        assert!(screen[0].ends_with("NO ANSWER for 8.0s"), "{screen:#?}");
        assert!(screen[5].starts_with("nobody answers at http://x; trying again"), "{screen:#?}");
        assert!(screen[7].starts_with("orders.0"), "{screen:#?}");
        let at = begin + 10 * SECOND;
        model.take(Ok(Answer { at, server: server(20), page: Answered::Topics(topics(at, 1)) }), at);
        assert!(texts(&mut model, 100, 24, at)[0].ends_with("serving"));
    }

    #[test]
    fn a_filter_shows_at_once_what_is_known_of_it() {
        let now = Instant::now();
        let mut model = model(now);
        press(&mut model, &"/orders.2".chars().map(KeyCode::Char).collect::<Vec<_>>());
        let screen = texts(&mut model, 80, 24, now);
        assert_eq!(screen[5], "11 topics of default by rate   names from \"orders.2\" on");
        assert!(screen[23].starts_with("/orders.2▏"), "{screen:#?}");
    }

    #[test]
    fn topics_that_were_not_fetched_are_told() {
        let now = Instant::now();
        let listed = vec![Listed { at: now, info: TopicInfo { subscriptions: 0, ..info("a", 5) } }];
        let first = (now, server(1), Topics { listed, more: true });
        let state = State::new(String::new(), Sort::Name, true);
        let mut model = Model::new(("http://x", None), state, SECOND, first);
        let text = &texts(&mut model, 100, 24, now)[5];
        assert_eq!(
            text,
            "1 topic of all namespaces by name, reversed   there are more than 10000: choose some with /"
        );
    }
}
