//! The server as a whole, as the Monitor tells it.

use std::time::{Duration, SystemTime};

use crate::client::message::time;
use crate::client::traffic::{Traffic, traffic};
use crate::proto::v1 as wire;

/// What a server is, what it holds and what has gone through it. Counts are since it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    /// Its version.
    pub version: String,
    /// When it started.
    pub start_time: SystemTime,
    /// Its clock when it answered.
    pub time: SystemTime,
    /// Whether it takes no new work and is about to end.
    pub draining: bool,
    /// The most that messages, topics and subscriptions may take, bytes.
    pub memory_budget_bytes: u64,
    /// What they take, bytes.
    pub memory_used_bytes: u64,
    /// Of that, what slow readers keep after retention let it go, bytes.
    pub memory_pinned_bytes: u64,
    /// What the whole process takes, bytes; `None` where it cannot be told.
    pub resident_bytes: Option<u64>,
    /// What the whole process has computed; `None` where it cannot be told.
    pub cpu_time: Option<Duration>,
    /// Open connections.
    pub connections: u64,
    /// Open calls.
    pub streams: u64,
    /// Open subscriptions.
    pub subscriptions: u64,
    /// Open topics.
    pub topics: u64,
    /// Namespaces.
    pub namespaces: u64,
    /// What has gone through all topics together.
    pub traffic: Traffic,
    /// Notices of missing messages given to subscribers.
    pub discontinuities: u64,
    /// Subscriptions cut because they made no progress.
    pub stalls: u64,
    /// Calls and batches refused.
    pub refusals: u64,
    /// Spans that were not exported.
    pub spans_dropped: u64,
}

pub(super) fn server_info(wire: wire::Server) -> ServerInfo {
    let wire::Server {
        version,
        start_time_unix_nano,
        time_unix_nano,
        draining,
        memory_budget_bytes,
        memory_used_bytes,
        memory_pinned_bytes,
        resident_bytes,
        cpu_time,
        connections,
        streams,
        subscriptions,
        topics,
        namespaces,
        traffic: counted,
        discontinuities,
        stalls,
        refusals,
        spans_dropped,
    } = wire;
    ServerInfo {
        version,
        start_time: time(start_time_unix_nano),
        time: time(time_unix_nano),
        draining,
        memory_budget_bytes,
        memory_used_bytes,
        memory_pinned_bytes,
        resident_bytes: (resident_bytes > 0).then_some(resident_bytes),
        cpu_time: cpu_time.and_then(|time| Duration::try_from(time).ok()),
        connections,
        streams,
        subscriptions,
        topics,
        namespaces,
        traffic: counted.map(traffic).unwrap_or_default(),
        discontinuities,
        stalls,
        refusals,
        spans_dropped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_cannot_tell_is_not_taken_for_zero() {
        let info = server_info(wire::Server::default());
        assert_eq!((info.resident_bytes, info.cpu_time), (None, None));
        let cpu_time = Some(prost_types::Duration { seconds: 1, nanos: 500_000_000 });
        let info = server_info(wire::Server { resident_bytes: 7, cpu_time, ..Default::default() });
        assert_eq!((info.resident_bytes, info.cpu_time), (Some(7), Some(Duration::from_millis(1500))));
    }
}
