//! Where a subscription begins, and what is missing there.

use super::discontinuity::{Discontinuity, Reason};
use super::log::Log;
use super::position::Position;
use crate::error::{Error, Result};

/// The start a subscriber asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// Only what is published from now on.
    #[default]
    Latest,
    /// Everything that is retained.
    Earliest,
    /// The message behind this position: resume.
    After(Position),
    /// The first message accepted at or after this time, unix nanoseconds.
    Time(u64),
    /// The newest so many messages.
    Last(u64),
}

/// A start, found in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Sequence of the first message to deliver.
    pub sequence: u64,
    /// What is missing in front of it.
    pub gap: Option<Discontinuity>,
}

impl Start {
    /// Finds the start in a log at time `now`. A position of the log's own epoch that was never
    /// given out is an error of the caller.
    pub fn find(self, log: &mut Log, now: u64) -> Result<Found> {
        let (first, next, epoch) = (log.first(now), log.next(), log.epoch);
        let at = |sequence: u64| Found { sequence, gap: None };
        let missing = |reason, last_delivered| {
            let next = Position::new(epoch, first);
            Found { sequence: first, gap: Some(Discontinuity { reason, last_delivered, next }) }
        };
        Ok(match self {
            Start::Latest => at(next),
            Start::Earliest => at(first),
            Start::Last(count) => at(first.max(next.saturating_sub(count))),
            Start::Time(time) => match log.time_before(first) {
                Some(gone) if gone >= time => missing(Reason::Expired, None),
                _ => at(first.max(log.at_time(time))),
            },
            Start::After(position) if position.epoch != epoch => missing(Reason::Reset, Some(position)),
            Start::After(position) if position.sequence >= next => {
                let newest = Position::new(epoch, next - 1);
                let description =
                    format!("{position} lies in the future; the newest message of the topic is {newest}");
                return Err(Error::field("start.after", description).with("newest", newest));
            }
            Start::After(position) if position.sequence + 1 < first => {
                missing(Reason::Expired, Some(position))
            }
            Start::After(position) => at(position.sequence + 1),
        })
    }
}
