//! The live view: waits for a key, an answer or the next moment to ask, and draws what became of it.
//!
//! One question is under way at a time, and it belongs to the loop: leaving ends it.

use std::future::pending;
use std::pin::pin;
use std::time::{Duration, Instant};

use crossterm::event::{Event, EventStream};
use futures::StreamExt;
use futures::future::BoxFuture;
use tokio::signal::unix::{SignalKind, signal};

use super::model::{Answer, Answered, Model};
use super::sample::Source;
use super::screen;
use super::state::{Action, Page};
use super::terminal::Terminal;
use crate::cli::paint::Ink;
use crate::error::{Code, Error, Result};

/// The screen is drawn this often though nothing happened: it may tell how long nothing has.
const REDRAW: Duration = Duration::from_secs(1);

/// What the loop waits for.
enum Told {
    Key(Event),
    Answer(Box<Result<Answer>>),
    Due,
    Nothing,
    End,
}

/// Shows the model, and what becomes of it, until its user leaves.
pub(super) async fn run(source: &Source, mut model: Model, interval: Duration, ink: Ink) -> Result<()> {
    let mut ended = pin!(ended()?);
    let terminal = Terminal::take(ink)?;
    let mut keys = EventStream::new();
    let mut question: Option<BoxFuture<'_, Result<Answer>>> = None;
    let mut due = Instant::now() + interval;
    loop {
        let (width, height) = terminal.size()?;
        terminal.draw(&screen::lines(&mut model, width, height, Instant::now()))?;
        let is_idle = question.is_none();
        let told = tokio::select! {
            () = &mut ended => Told::End,
            key = keys.next() => match key {
                Some(Ok(key)) => Told::Key(key),
                Some(Err(error)) => return Err(unreadable(error)),
                None => Told::End,
            },
            answer = async { match &mut question { Some(it) => it.await, None => pending().await } } => {
                Told::Answer(Box::new(answer))
            }
            () = tokio::time::sleep_until(due.into()), if is_idle => Told::Due,
            () = tokio::time::sleep(REDRAW) => Told::Nothing,
        };
        let now = Instant::now();
        match told {
            Told::End => return Ok(()),
            Told::Nothing | Told::Key(Event::Resize(..)) => {}
            Told::Due => {
                due = now + interval;
                model.ask(now);
                question = Some(Box::pin(ask(source, model.state.page.clone(), model.state.filter.clone())));
            }
            Told::Answer(answer) => {
                question = None;
                model.take(*answer, now);
            }
            Told::Key(Event::Key(key)) => match model.press(key) {
                Action::Leave => return Ok(()),
                Action::Ask => due = now,
                Action::Turn => (question, due) = (None, now),
                Action::Nothing | Action::Arrange => {}
            },
            Told::Key(_) => {}
        }
    }
}

async fn ask(source: &Source, page: Page, filter: String) -> Result<Answer> {
    let server = source.server().await?;
    let page = match page {
        Page::Topics => Answered::Topics(source.topics(&filter).await?),
        Page::Subscriptions(name) => match source.subscriptions(&name).await {
            Err(error) if error.code() == Code::Unavailable => return Err(error),
            // The topic is gone, perhaps: that is for its page and not for the whole view.
            states => Answered::Subscriptions(name, states),
        },
    };
    Ok(Answer { at: Instant::now(), server, page })
}

/// Ends when the process is told to: the terminal has to be given back first.
fn ended() -> Result<impl Future<Output = ()>> {
    let on = |kind| {
        signal(kind).map_err(|error| {
            Error::new(Code::Internal, format!("signals cannot be waited for: {error}")).because(error)
        })
    };
    let (mut term, mut hangup) = (on(SignalKind::terminate())?, on(SignalKind::hangup())?);
    let mut interrupt = on(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn unreadable(error: std::io::Error) -> Error {
    Error::new(Code::Internal, format!("the keyboard cannot be read: {error}")).because(error)
}
