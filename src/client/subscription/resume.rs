//! What a subscription remembers between connections, and what it decides when one is lost.
//!
//! No network here: responses go in, positions, notices and decisions come out, so that every case
//! is a plain test. The promise: nothing is asked for twice and nothing is passed over, also when
//! the start was relative ("latest") and the connection is lost before the first message.

use std::collections::VecDeque;
use std::time::Duration;

use uuid::Uuid;

use super::Start;
use crate::client::backoff::Backoff;
use crate::client::event::{Event, Reason};
use crate::client::message::{time, unix_nano};
use crate::error::{Code, Error};
use crate::proto::v1 as wire;
use crate::topic::Position;

pub(super) struct Resume {
    begin: Start,
    /// The last message given out, or the place before the first that can come.
    position: Option<Position>,
    /// The epoch of the messages that come: they carry only their sequence.
    epoch: u64,
    backoff: Backoff,
    /// Attempts since the server last said something of use.
    attempt: u32,
}

/// What to do after a connection is lost.
#[derive(Debug)]
pub(super) enum Next {
    Retry { attempt: u32, delay: Duration, cause: Error },
    Fail(Error),
}

impl Resume {
    pub(super) fn new(begin: Start, backoff: Backoff) -> Self {
        let position = match begin {
            Start::After(position) => Some(position),
            Start::Latest | Start::Earliest | Start::Time(_) | Start::Last(_) => None,
        };
        Resume { begin, position, epoch: 0, backoff, attempt: 0 }
    }

    pub(super) fn position(&self) -> Option<Position> {
        self.position
    }

    /// The start of the next request.
    pub(super) fn start(&self) -> wire::StartPosition {
        use wire::start_position::Start as Wire;
        let start = match (self.position, self.begin) {
            (Some(position), _) | (None, Start::After(position)) => {
                Wire::After(wire::Position { epoch: position.epoch, sequence: position.sequence })
            }
            (None, Start::Latest) => Wire::Latest(true),
            (None, Start::Earliest) => Wire::Earliest(true),
            (None, Start::Time(time)) => Wire::TimeUnixNano(unix_nano(time)),
            (None, Start::Last(count)) => Wire::Last(count),
        };
        wire::StartPosition { start: Some(start) }
    }

    /// A response came: its notices, and what they change.
    pub(super) fn heard(
        &mut self,
        response: &wire::SubscribeResponse,
        has_messages: bool,
        notices: &mut VecDeque<Event>,
    ) {
        // `Opened` alone is no success: a server that ends each subscription at once is not hammered.
        if has_messages || response.heartbeat.is_some() || response.caught_up.is_some() {
            self.attempt = 0;
        }
        if let Some(opened) = &response.opened {
            notices.push_back(self.opened(opened));
        }
        if let Some(discontinuity) = &response.discontinuity {
            notices.push_back(self.skipped(discontinuity));
        }
        if let Some(caught_up) = &response.caught_up {
            notices.push_back(Event::CaughtUp { newest: caught_up.newest.map(position) });
        }
        if let Some(heartbeat) = &response.heartbeat {
            let server_time = time(heartbeat.server_time_unix_nano);
            notices.push_back(Event::Heartbeat { newest: heartbeat.newest.map(position), server_time });
        }
        if let Some(draining) = &response.draining {
            let grace = draining.grace.and_then(|grace| Duration::try_from(grace).ok());
            notices.push_back(Event::Draining { grace });
        }
    }

    fn opened(&mut self, opened: &wire::Opened) -> Event {
        let next = Position::new(opened.epoch, opened.next_sequence);
        self.epoch = opened.epoch;
        // A later `Opened` does not move the position: if the server cannot go on from it, a
        // discontinuity follows, and a connection lost in between must not hide that.
        self.position.get_or_insert(before(next));
        Event::Opened { subscription_id: Uuid::from_slice(&opened.subscription_id).ok(), next }
    }

    fn skipped(&mut self, discontinuity: &wire::Discontinuity) -> Event {
        use wire::discontinuity::Reason as Wire;
        let next = discontinuity.next.map(position).unwrap_or_default();
        if discontinuity.next.is_some() {
            self.epoch = next.epoch;
            self.position = Some(before(next));
        }
        let reason = match discontinuity.reason() {
            Wire::Unspecified => Reason::Unspecified,
            Wire::Slow => Reason::Slow,
            Wire::Expired => Reason::Expired,
            Wire::Reset => Reason::Reset,
            Wire::Store => Reason::Store,
        };
        Event::Discontinuity { reason, last_delivered: discontinuity.last_delivered.map(position), next }
    }

    /// A message is given out: its position, which is where to resume from now.
    pub(super) fn delivered(&mut self, sequence: u64) -> Position {
        let position = Position::new(self.epoch, sequence);
        self.position = Some(position);
        position
    }

    /// The connection is lost, or could not be made; and whether the credential that it was made with is
    /// not the one to use any more.
    pub(super) fn lost(&mut self, cause: Error, is_stale: bool) -> Next {
        let is_outdated = is_stale && cause.code() == Code::Unauthenticated;
        if !may_pass(cause.code()) && !is_outdated {
            return Next::Fail(cause);
        }
        self.attempt = self.attempt.saturating_add(1);
        match self.backoff.delay(self.attempt) {
            Some(delay) => {
                let delay = delay.max(cause.retry_delay().unwrap_or_default());
                Next::Retry { attempt: self.attempt, delay, cause }
            }
            None => Next::Fail(cause),
        }
    }
}

/// Whether the same request can succeed later.
fn may_pass(code: Code) -> bool {
    match code {
        // RESOURCE_EXHAUSTED is the stall of a slow reader, or a quota that frees itself.
        Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded => true,
        Code::Cancelled | Code::Internal => true,
        Code::InvalidArgument | Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition => false,
        Code::PermissionDenied | Code::Unauthenticated | Code::Unimplemented => false,
    }
}

fn position(wire: wire::Position) -> Position {
    Position::new(wire.epoch, wire.sequence)
}

fn before(next: Position) -> Position {
    Position::new(next.epoch, next.sequence.saturating_sub(1))
}

#[cfg(test)]
#[path = "resume_tests.rs"]
mod tests;
