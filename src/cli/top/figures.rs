//! From two samples to figures: what went in and out in a second, who is behind and how far.
//!
//! What cannot be told is `None` and never a zero: a topic that was not in the older sample, one
//! that began a new history, a server that was started anew.

use std::collections::HashMap;
use std::time::Duration;

use super::sample::{Listed, Name, Topics};
use crate::client::monitor::ServerInfo;
use crate::client::{Retention, TopicInfo, Traffic};

/// What goes in and out in a second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Rates {
    pub(super) messages_in: Option<f64>,
    pub(super) bytes_in: Option<f64>,
    pub(super) messages_out: Option<f64>,
    pub(super) bytes_out: Option<f64>,
}

/// A topic.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) name: Name,
    pub(super) epoch: u64,
    pub(super) next_sequence: u64,
    pub(super) rates: Rates,
    pub(super) retained_bytes: u64,
    pub(super) subscriptions: u32,
    pub(super) lag_messages: u64,
    pub(super) lag: Option<Duration>,
    /// How much of what the topic may keep the subscription furthest behind has not been given:
    /// at 1 it begins to lose messages.
    pub(super) unread: Option<f64>,
}

/// The server.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Summary {
    pub(super) info: ServerInfo,
    pub(super) rates: Rates,
    /// Cores it keeps busy.
    pub(super) cores: Option<f64>,
    /// What happened since the older sample.
    pub(super) recent: Recent,
}

/// Events since the older sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Recent {
    pub(super) discontinuities: u64,
    pub(super) stalls: u64,
    pub(super) refusals: u64,
    pub(super) spans_dropped: u64,
}

/// The server's figures.
pub(super) fn summary(before: Option<&ServerInfo>, now: &ServerInfo) -> Summary {
    let blank =
        Summary { info: now.clone(), rates: Rates::default(), cores: None, recent: Recent::default() };
    let Some(before) = before.filter(|before| before.start_time == now.start_time) else { return blank };
    // By the server's clock: what the answer took on its way is not in it.
    let Ok(elapsed) = now.time.duration_since(before.time) else { return blank };
    let cores = match (before.cpu_time, now.cpu_time) {
        (Some(before), Some(now)) if !elapsed.is_zero() => {
            now.checked_sub(before).map(|cpu| cpu.as_secs_f64() / elapsed.as_secs_f64())
        }
        _ => None,
    };
    let recent = Recent {
        discontinuities: now.discontinuities.saturating_sub(before.discontinuities),
        stalls: now.stalls.saturating_sub(before.stalls),
        refusals: now.refusals.saturating_sub(before.refusals),
        spans_dropped: now.spans_dropped.saturating_sub(before.spans_dropped),
    };
    Summary { rates: rates(before.traffic, now.traffic, elapsed), cores, recent, ..blank }
}

/// The topics' figures, in the order of the sample.
pub(super) fn rows(before: Option<&Topics>, now: &Topics) -> Vec<Row> {
    let listed = before.map(|topics| topics.listed.as_slice()).unwrap_or_default();
    let known: HashMap<(&str, &str), &Listed> =
        listed.iter().map(|it| ((it.info.namespace.as_str(), it.info.name.as_str()), it)).collect();
    let row = |now: &Listed| {
        let before = known.get(&(now.info.namespace.as_str(), now.info.name.as_str()));
        row(before.copied(), now)
    };
    now.listed.iter().map(row).collect()
}

fn row(before: Option<&Listed>, now: &Listed) -> Row {
    let info = &now.info;
    let counted = before.filter(|before| before.info.epoch == info.epoch).map(|before| {
        let elapsed = now.at.saturating_duration_since(before.at);
        let rates = match (before.info.traffic, info.traffic) {
            (Some(before), Some(now)) => rates(before, now, elapsed),
            _ => Rates::default(),
        };
        // Sequences have no holes, so this is exact, and known of every topic.
        let messages_in = per_second(before.info.next_sequence, info.next_sequence, elapsed);
        Rates { messages_in, ..rates }
    });
    Row {
        name: Name::of(info),
        epoch: info.epoch,
        next_sequence: info.next_sequence,
        rates: counted.unwrap_or_default(),
        retained_bytes: info.retained_bytes,
        subscriptions: info.subscriptions,
        lag_messages: info.lag_messages,
        lag: info.lag,
        unread: (info.subscriptions > 0).then(|| unread(info)),
    }
}

fn rates(before: Traffic, now: Traffic, elapsed: Duration) -> Rates {
    Rates {
        messages_in: per_second(before.published_messages, now.published_messages, elapsed),
        bytes_in: per_second(before.published_bytes, now.published_bytes, elapsed),
        messages_out: per_second(before.delivered_messages, now.delivered_messages, elapsed),
        bytes_out: per_second(before.delivered_bytes, now.delivered_bytes, elapsed),
    }
}

fn per_second(before: u64, now: u64, elapsed: Duration) -> Option<f64> {
    let count = now.checked_sub(before)?;
    (!elapsed.is_zero()).then(|| count as f64 / elapsed.as_secs_f64())
}

/// Whichever limit of the topic's retention will overtake its slowest subscription first.
fn unread(info: &TopicInfo) -> f64 {
    let Retention { max_bytes, max_messages, max_age } = info.settings.retention;
    let part = |of: f64, whole: f64| if whole > 0.0 { of / whole } else { 0.0 };
    let lag_messages = info.lag_messages as f64;
    let retained = info.next_sequence.saturating_sub(info.first_sequence) as f64;
    let lag_bytes = info.retained_bytes as f64 * part(lag_messages, retained).min(1.0);
    let lag = info.lag.unwrap_or_default().as_secs_f64();
    part(lag_messages, max_messages as f64)
        .max(part(lag_bytes, max_bytes as f64))
        .max(part(lag, max_age.unwrap_or_default().as_secs_f64()))
        .min(1.0)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::client::TopicSettings;
    use std::time::{Instant, SystemTime};

    const SECOND: Duration = Duration::from_secs(1);

    pub(in crate::cli::top) fn info(name: &str, next_sequence: u64) -> TopicInfo {
        TopicInfo {
            namespace: "default".into(),
            name: name.into(),
            settings: TopicSettings::default(),
            epoch: 7,
            first_sequence: 1,
            next_sequence,
            retained_bytes: 1000,
            subscriptions: 2,
            lag_messages: 0,
            lag: None,
            traffic: None,
        }
    }

    pub(in crate::cli::top) fn server(seconds: u64) -> ServerInfo {
        let start_time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        ServerInfo {
            version: "0.1.0".into(),
            start_time,
            time: start_time + Duration::from_secs(seconds),
            draining: false,
            memory_budget_bytes: 512 << 20,
            memory_used_bytes: 64 << 20,
            memory_pinned_bytes: 1 << 20,
            resident_bytes: Some(90 << 20),
            cpu_time: Some(Duration::from_millis(250 * seconds)),
            connections: 12,
            streams: 40,
            subscriptions: 33,
            topics: 3,
            namespaces: 1,
            traffic: Traffic {
                published_messages: 1000 * seconds,
                published_bytes: 100_000 * seconds,
                delivered_messages: 33_000 * seconds,
                delivered_bytes: 3_300_000 * seconds,
            },
            discontinuities: 0,
            stalls: 0,
            refusals: 3,
            spans_dropped: 0,
        }
    }

    fn topics(at: Instant, infos: Vec<TopicInfo>) -> Topics {
        Topics { listed: infos.into_iter().map(|info| Listed { at, info }).collect(), more: false }
    }

    #[test]
    fn what_goes_into_a_topic_is_told_by_its_sequences() {
        let begin = Instant::now();
        let before = topics(begin, vec![info("a", 100), info("b", 100)]);
        let now = topics(begin + 2 * SECOND, vec![info("a", 150), info("b", 100), info("c", 9)]);
        let rates: Vec<_> = rows(Some(&before), &now).iter().map(|row| row.rates.messages_in).collect();
        assert_eq!(rates, [Some(25.0), Some(0.0), None]);
        assert!(rows(None, &now).iter().all(|row| row.rates == Rates::default()));
    }

    #[test]
    fn what_goes_out_is_told_where_the_server_counts() {
        let (begin, mut before, mut now) = (Instant::now(), info("a", 100), info("a", 150));
        let counted = |count: u64| Traffic { delivered_messages: count, ..Traffic::default() };
        (before.traffic, now.traffic) = (Some(counted(100)), Some(counted(400)));
        let row = &rows(Some(&topics(begin, vec![before])), &topics(begin + SECOND, vec![now]))[0];
        assert_eq!((row.rates.messages_in, row.rates.messages_out), (Some(50.0), Some(300.0)));
    }

    #[test]
    fn a_history_that_began_anew_has_no_rate() {
        let begin = Instant::now();
        let anew = TopicInfo { epoch: 8, ..info("a", 500) };
        let before = topics(begin, vec![info("a", 100), info("b", 100)]);
        let now = topics(begin + SECOND, vec![anew, info("b", 50)]);
        assert!(rows(Some(&before), &now).iter().all(|row| row.rates.messages_in.is_none()));
        let started = ServerInfo { start_time: SystemTime::UNIX_EPOCH, ..server(2) };
        assert_eq!(summary(Some(&started), &server(3)).rates, Rates::default());
        assert_eq!(summary(Some(&server(3)), &server(2)).cores, None, "its clock was set back");
        assert_eq!(summary(Some(&server(3)), &server(3)).cores, None, "no time passed");
    }

    #[test]
    fn the_server_is_compared_by_its_own_clock() {
        let now = ServerInfo { stalls: 2, ..server(14) };
        let summary = summary(Some(&server(10)), &now);
        assert_eq!(summary.cores, Some(0.25));
        assert_eq!((summary.rates.messages_in, summary.rates.bytes_out), (Some(1000.0), Some(3.3e6)));
        assert_eq!(summary.recent, Recent { stalls: 2, ..Recent::default() });
    }

    #[test]
    fn how_near_a_loss_is_follows_the_limit_that_bites_first() {
        let mut topic = TopicInfo { lag_messages: 50, lag: Some(SECOND), ..info("a", 101) };
        assert_eq!(unread(&topic), 0.0, "no limit is known");
        topic.settings.retention = Retention { max_bytes: 0, max_messages: 1000, max_age: Some(4 * SECOND) };
        assert_eq!(unread(&topic), 0.25);
        topic.settings.retention.max_bytes = 1000;
        assert_eq!(unread(&topic), 0.5);
        topic.lag = Some(100 * SECOND);
        assert_eq!(unread(&topic), 1.0);
    }
}
