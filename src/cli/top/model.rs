//! All that `bugle top` knows: the samples, what it makes of them, and where its user is. Answers
//! and keys change it; `screen` shows it.

use std::time::{Duration, Instant};

use crossterm::event::KeyEvent;

use super::figures::{self, Row, Summary};
use super::history::History;
use super::sample::{Name, Topics};
use super::state::{Action, Page, State};
use crate::client::monitor::{ServerInfo, SubscriptionStates};
use crate::error::Result;

/// A question that is not answered for so many intervals, and for this long, is one to be told of.
const LATE_INTERVALS: u32 = 2;
const LATE: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Model {
    pub(super) uri: String,
    /// Whose topics are listed; `None` for those of all namespaces.
    pub(super) namespace: Option<String>,
    pub(super) state: State,
    pub(super) summary: Summary,
    /// The topics as they are shown.
    pub(super) rows: Vec<Row>,
    /// Of the topic whose page it is; `None` when they are not known yet.
    pub(super) subscriptions: Option<Result<SubscriptionStates>>,
    server: History<ServerInfo>,
    topics: History<Topics>,
    interval: Duration,
    /// Since when a question waits for its answer.
    asked: Option<Instant>,
    /// Since when the server is gone, and why that is thought.
    gone: Option<(Instant, String)>,
}

/// What the server was asked for, and answered at that time.
pub(super) struct Answer {
    pub(super) at: Instant,
    pub(super) server: ServerInfo,
    pub(super) page: Answered,
}

/// The page that was asked for.
pub(super) enum Answered {
    Topics(Topics),
    Subscriptions(Name, Result<SubscriptionStates>),
}

impl Model {
    /// Begins with a first sample.
    pub(super) fn new(
        (uri, namespace): (&str, Option<&str>),
        state: State,
        interval: Duration,
        (at, server, topics): (Instant, ServerInfo, Topics),
    ) -> Self {
        let mut model = Model {
            uri: uri.to_owned(),
            namespace: namespace.map(str::to_owned),
            state,
            summary: figures::summary(None, &server),
            rows: Vec::new(),
            subscriptions: None,
            server: History::new(server, at),
            topics: History::new(topics, at),
            interval,
            asked: None,
            gone: None,
        };
        model.arrange();
        model
    }

    /// The server is asked now.
    pub(super) fn ask(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    /// Takes an answer, or why there is none.
    pub(super) fn take(&mut self, outcome: Result<Answer>, now: Instant) {
        let asked = self.asked.take();
        let answer = match outcome {
            Ok(answer) => answer,
            Err(error) => {
                let since = self.gone.take().map(|(since, _)| since);
                self.gone = Some((since.or(asked).unwrap_or(now), error.to_string()));
                return;
            }
        };
        self.gone = None;
        self.server.push(answer.server, answer.at, self.interval);
        self.summary = figures::summary(self.server.before(), self.server.now());
        match answer.page {
            Answered::Topics(topics) => {
                self.topics.push(topics, answer.at, self.interval);
                self.arrange();
            }
            Answered::Subscriptions(name, states) => {
                if self.state.page == Page::Subscriptions(name) {
                    self.subscriptions = Some(states);
                }
            }
        }
    }

    /// Takes a key.
    pub(super) fn press(&mut self, key: KeyEvent) -> Action {
        let action = self.state.press(key, &self.rows, self.listed());
        match action {
            Action::Arrange | Action::Ask => self.arrange(),
            Action::Turn => (self.subscriptions, self.asked) = (None, None),
            Action::Nothing | Action::Leave => {}
        }
        action
    }

    /// Before a screen of so many rows is drawn.
    pub(super) fn fit(&mut self, visible: usize) {
        let listed = self.listed();
        self.state.fit(visible, &self.rows, listed);
    }

    /// Rows of the page.
    fn listed(&self) -> usize {
        match (&self.state.page, &self.subscriptions) {
            (Page::Topics, _) => self.rows.len(),
            (Page::Subscriptions(_), Some(Ok(states))) => states.states.len(),
            (Page::Subscriptions(_), _) => 0,
        }
    }

    /// For how long the server has not answered, where that is worth telling, and why.
    pub(super) fn gone(&self, now: Instant) -> Option<(Duration, &str)> {
        if let Some((since, why)) = &self.gone {
            return Some((now.saturating_duration_since(*since), why));
        }
        let waited = now.saturating_duration_since(self.asked?);
        let late = waited > LATE.max(LATE_INTERVALS * self.interval);
        late.then_some((waited, "the server has been asked and does not answer"))
    }

    /// Whether there are topics that were not fetched.
    pub(super) fn more(&self) -> bool {
        self.topics.now().more
    }

    fn arrange(&mut self) {
        let state = &self.state;
        self.rows = figures::rows(self.topics.before(), self.topics.now());
        self.rows.retain(|row| row.name.topic.starts_with(&state.filter));
        state.sort.sort(&mut self.rows, state.reverse);
    }
}
