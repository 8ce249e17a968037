//! `--from`: where a subscription begins, as people write it.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use crate::client::Start;
use crate::topic::Position;

/// What `--from` can be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum From {
    /// A start that is the same whenever it is used.
    At(Start),
    /// So long before now.
    Ago(Duration),
}

impl From {
    pub(super) fn start(self) -> Start {
        match self {
            From::At(start) => start,
            From::Ago(ago) => {
                Start::Time(SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH))
            }
        }
    }
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "has to be latest, earliest, last:N, EPOCH:SEQ (what follows it), a time such as \
             2026-01-31T12:00:00Z, or -10m (so long ago)"
                .to_owned()
        };
        Ok(match text {
            "latest" => From::At(Start::Latest),
            "earliest" => From::At(Start::Earliest),
            _ => {
                if let Some(count) = text.strip_prefix("last:") {
                    From::At(Start::Last(count.parse().map_err(|_| wrong())?))
                } else if let Some(ago) = text.strip_prefix('-') {
                    From::Ago(super::units::parse_duration(ago).map_err(|_| wrong())?)
                } else if let Ok(position) = text.parse::<Position>() {
                    From::At(Start::After(position))
                } else {
                    let time = text.parse::<jiff::Timestamp>().map_err(|_| wrong())?;
                    From::At(Start::Time(SystemTime::from(time)))
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_start_can_be_written() {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        for (text, expected) in [
            ("latest", From::At(Start::Latest)),
            ("earliest", From::At(Start::Earliest)),
            ("last:10", From::At(Start::Last(10))),
            ("7:42", From::At(Start::After(Position::new(7, 42)))),
            ("-10m", From::Ago(minutes(10))),
            ("1970-01-01T00:01:00Z", From::At(Start::Time(SystemTime::UNIX_EPOCH + minutes(1)))),
            ("1970-01-01T01:01:00+01:00", From::At(Start::Time(SystemTime::UNIX_EPOCH + minutes(1)))),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for wrong in ["", "newest", "last:", "last:-1", "-", "-soon", "7:", "2026-01-31"] {
            assert!(wrong.parse::<From>().is_err(), "{wrong}");
        }
    }
}
