//! What keys do in `bugle top`: what is looked at, how it is sorted and filtered, and how far it is
//! scrolled. A plain state machine; `live` does what it asks for.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::figures::Row;
use super::order::Sort;
use super::sample::Name;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) sort: Sort,
    pub(super) reverse: bool,
    /// Topics whose name begins with this are shown.
    pub(super) filter: String,
    pub(super) page: Page,
    /// The filter as it was, while another is typed.
    typing: Option<String>,
    /// The row that keys act on.
    cursor: usize,
    /// The topic in it, once somebody has moved there: it is followed when rows change places.
    held: Option<Name>,
    /// The first row that can be seen.
    first: usize,
    /// How many can be seen.
    visible: usize,
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Page {
    Topics,
    Subscriptions(Name),
}

/// What a key asks for, besides drawing the screen again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Nothing,
    /// Sort and filter what is there.
    Arrange,
    /// That, and ask the server as soon as it has answered.
    Ask,
    /// Ask the server for another page, now.
    Turn,
    Leave,
}

impl State {
    pub(super) fn new(filter: String, sort: Sort, reverse: bool) -> Self {
        State {
            sort,
            reverse,
            filter,
            page: Page::Topics,
            typing: None,
            cursor: 0,
            held: None,
            first: 0,
            visible: 1,
        }
    }

    /// Whether a filter is being typed.
    pub(super) fn is_typing(&self) -> bool {
        self.typing.is_some()
    }

    /// The row that keys act on, and the first row that can be seen.
    pub(super) fn place(&self) -> (usize, usize) {
        (self.cursor, self.first)
    }

    /// Takes a key. `rows` are the topics as they are shown, `listed` is how many rows the page has.
    pub(super) fn press(&mut self, key: KeyEvent, rows: &[Row], listed: usize) -> Action {
        if key.kind == KeyEventKind::Release {
            return Action::Nothing;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Action::Leave;
        }
        if self.is_typing() {
            return self.type_filter(key);
        }
        if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) {
            return Action::Nothing;
        }
        let (page, last) = (self.visible.max(1), listed.saturating_sub(1));
        match key.code {
            KeyCode::Up | KeyCode::Char('k') => self.go(self.cursor.saturating_sub(1), rows),
            KeyCode::Down | KeyCode::Char('j') => self.go((self.cursor + 1).min(last), rows),
            KeyCode::PageUp => self.go(self.cursor.saturating_sub(page), rows),
            KeyCode::PageDown | KeyCode::Char(' ') => self.go((self.cursor + page).min(last), rows),
            KeyCode::End | KeyCode::Char('G') => self.go(last, rows),
            KeyCode::Home | KeyCode::Char('g') => {
                self.go(0, rows);
                self.held = None;
                Action::Nothing
            }
            KeyCode::Char('q') => Action::Leave,
            _ if self.page == Page::Topics => self.press_on_topics(key.code, rows),
            KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => self.turn(Page::Topics),
            _ => Action::Nothing,
        }
    }

    fn press_on_topics(&mut self, key: KeyCode, rows: &[Row]) -> Action {
        match key {
            KeyCode::Esc => Action::Leave,
            KeyCode::Enter | KeyCode::Right => match rows.get(self.cursor) {
                Some(row) => {
                    self.held = Some(row.name.clone());
                    self.turn(Page::Subscriptions(row.name.clone()))
                }
                None => Action::Nothing,
            },
            KeyCode::Char('/') => {
                self.typing = Some(self.filter.clone());
                Action::Nothing
            }
            KeyCode::Char('R') => {
                self.reverse = !self.reverse;
                Action::Arrange
            }
            KeyCode::Char(key) => match Sort::KEYS.iter().find(|(letter, _)| *letter == key) {
                Some((_, sort)) => {
                    self.sort = *sort;
                    Action::Arrange
                }
                None => Action::Nothing,
            },
            _ => Action::Nothing,
        }
    }

    fn type_filter(&mut self, key: KeyEvent) -> Action {
        let is_control = key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        match key.code {
            KeyCode::Enter => {
                self.typing = None;
                return Action::Nothing;
            }
            KeyCode::Esc => self.filter = self.typing.take().unwrap_or_default(),
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char('u') if is_control => self.filter.clear(),
            KeyCode::Char(letter) if !is_control => self.filter.push(letter),
            _ => return Action::Nothing,
        }
        (self.cursor, self.held) = (0, None);
        Action::Ask
    }

    fn turn(&mut self, page: Page) -> Action {
        (self.page, self.cursor, self.first) = (page, 0, 0);
        Action::Turn
    }

    fn go(&mut self, cursor: usize, rows: &[Row]) -> Action {
        self.cursor = cursor;
        if self.page == Page::Topics {
            self.held = rows.get(cursor).map(|row| row.name.clone());
        }
        Action::Nothing
    }

    /// Before the screen is drawn: finds the topic again that keys act on, and scrolls to it.
    pub(super) fn fit(&mut self, visible: usize, rows: &[Row], listed: usize) {
        if self.page == Page::Topics
            && let Some(held) = &self.held
            && let Some(place) = rows.iter().position(|row| row.name == *held)
        {
            self.cursor = place;
        }
        self.visible = visible;
        self.cursor = self.cursor.min(listed.saturating_sub(1));
        let lowest = (self.cursor + 1).saturating_sub(visible.max(1));
        // No blank lines at the end while there are rows above.
        let highest = self.cursor.min(listed.saturating_sub(visible.max(1)));
        self.first = self.first.clamp(lowest.min(highest), highest.max(lowest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::figures::{rows, tests::info};
    use crate::cli::top::sample::{Listed, Topics};
    use std::time::Instant;

    fn table(count: usize) -> Vec<Row> {
        let listed = |place: usize| Listed { at: Instant::now(), info: info(&format!("t{place}"), 5) };
        rows(None, &Topics { listed: (0..count).map(listed).collect(), more: false })
    }

    fn state() -> State {
        State::new(String::new(), Sort::Rate, false)
    }

    fn press(state: &mut State, rows: &[Row], keys: &[KeyCode]) -> Action {
        let press = |key: &KeyCode| state.press(KeyEvent::from(*key), rows, rows.len());
        keys.iter().map(press).last().unwrap()
    }

    fn typed(text: &str) -> Vec<KeyCode> {
        text.chars().map(KeyCode::Char).collect()
    }

    #[test]
    fn every_way_to_leave_leaves() {
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        for key in [KeyCode::Char('q').into(), KeyCode::Esc.into(), control_c] {
            assert_eq!(state().press(key, &[], 0), Action::Leave, "{key:?}");
        }
        let mut typing = state();
        press(&mut typing, &[], &typed("/q"));
        assert_eq!(typing.filter, "q", "a letter like others");
        assert_eq!(typing.press(control_c, &[], 0), Action::Leave);
        let mut released = KeyEvent::from(KeyCode::Char('q'));
        released.kind = KeyEventKind::Release;
        assert_eq!(state().press(released, &[], 0), Action::Nothing);
    }

    #[test]
    fn letters_choose_the_order_and_a_large_one_reverses_it() {
        let mut state = state();
        for (letter, sort) in Sort::KEYS {
            assert_eq!(press(&mut state, &[], &[KeyCode::Char(letter)]), Action::Arrange);
            assert_eq!((state.sort, state.reverse), (sort, false));
        }
        assert_eq!(press(&mut state, &[], &typed("R")), Action::Arrange);
        assert!(state.reverse);
        assert_eq!(press(&mut state, &[], &typed("x")), Action::Nothing);
    }

    #[test]
    fn a_filter_is_kept_or_taken_back() {
        let mut state = State::new("ord".into(), Sort::Rate, false);
        assert_eq!(press(&mut state, &[], &typed("/ers")), Action::Ask);
        assert_eq!((state.filter.as_str(), state.is_typing()), ("orders", true));
        assert_eq!(press(&mut state, &[], &[KeyCode::Enter]), Action::Nothing);
        assert_eq!((state.filter.as_str(), state.is_typing()), ("orders", false));
        press(&mut state, &[], &[KeyCode::Char('/'), KeyCode::Backspace, KeyCode::Char('x')]);
        assert_eq!(state.filter, "orderx");
        assert_eq!(press(&mut state, &[], &[KeyCode::Esc]), Action::Ask);
        assert_eq!((state.filter.as_str(), state.is_typing()), ("orders", false));
        press(&mut state, &[], &typed("/"));
        state.press(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL), &[], 0);
        assert_eq!(state.filter, "");
    }

    #[test]
    fn a_topic_is_followed_when_rows_change_places() {
        let (mut state, mut rows) = (state(), table(5));
        press(&mut state, &rows, &[KeyCode::Down, KeyCode::Down, KeyCode::Up]);
        rows.swap(1, 4);
        state.fit(10, &rows, rows.len());
        assert_eq!(state.place(), (4, 0));
        let name = rows[4].name.clone();
        assert_eq!(press(&mut state, &rows, &[KeyCode::Enter]), Action::Turn);
        assert_eq!(state.page, Page::Subscriptions(name));
        assert_eq!(press(&mut state, &rows, &[KeyCode::Esc]), Action::Turn);
        state.fit(10, &rows, rows.len());
        assert_eq!((&state.page, state.place()), (&Page::Topics, (4, 0)), "back where it was");
        press(&mut state, &rows, &[KeyCode::Home]);
        rows.swap(0, 3);
        state.fit(10, &rows, rows.len());
        assert_eq!(state.place(), (0, 0), "the top is a place and no topic");
    }

    #[test]
    fn the_screen_scrolls_with_whoever_walks() {
        let (mut state, rows) = (state(), table(100));
        let walk = |state: &mut State, keys: &[KeyCode]| {
            press(state, &rows, keys);
            state.fit(10, &rows, rows.len());
            state.place()
        };
        state.fit(10, &rows, rows.len());
        assert_eq!(walk(&mut state, &[KeyCode::Down; 9]), (9, 0));
        assert_eq!(walk(&mut state, &[KeyCode::Down]), (10, 1));
        assert_eq!(walk(&mut state, &[KeyCode::PageDown]), (20, 11));
        assert_eq!(walk(&mut state, &[KeyCode::Up; 9]), (11, 11));
        assert_eq!(walk(&mut state, &[KeyCode::End]), (99, 90));
        assert_eq!(walk(&mut state, &[KeyCode::Down]), (99, 90));
        assert_eq!(walk(&mut state, &[KeyCode::Home]), (0, 0));
        press(&mut state, &rows, &[KeyCode::End]);
        state.fit(50, &rows, rows.len());
        assert_eq!(state.place(), (99, 50), "a larger screen has no blank rows");
    }

    #[test]
    fn nothing_to_choose_is_no_accident() {
        let mut state = state();
        for key in [KeyCode::Down, KeyCode::PageDown, KeyCode::End, KeyCode::Enter] {
            assert_eq!(press(&mut state, &[], &[key]), Action::Nothing);
            state.fit(0, &[], 0);
            assert_eq!(state.place(), (0, 0));
        }
    }
}
