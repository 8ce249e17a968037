//! The way of a probe through the server, as the Monitor tells it.

use std::time::SystemTime;

use uuid::Uuid;

use crate::client::message::time;
use crate::proto::v1 as wire;
use crate::topic::Position;

/// When a probe was where. All times are by the server's clock; `None` where it did not get there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Where its message stands.
    pub position: Option<Position>,
    /// The W3C context of its trace, for the tracing backend.
    pub traceparent: String,
    /// The request had come.
    pub accepted: SystemTime,
    /// The message had its place, with the topic's durability.
    pub ordered: Option<SystemTime>,
    /// Every waiting subscription had been woken.
    pub fanned_out: Option<SystemTime>,
    /// How many subscriptions were woken.
    pub woken: u32,
    /// Who was given it, in the order in which that happened; the first 1,000.
    pub deliveries: Vec<ProbeDelivery>,
    /// How many subscriptions the topic had.
    pub subscriptions: u64,
    /// The server answered.
    pub answered: SystemTime,
}

/// A subscription that was given a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeDelivery {
    /// Which subscription.
    pub id: Option<Uuid>,
    /// The address of its client, or "" where it has none.
    pub peer: String,
    /// It took the message from the log.
    pub read: Option<SystemTime>,
    /// The message had been written to its connection.
    pub written: Option<SystemTime>,
}

impl Probe {
    /// The attribute of a message that is a probe; its value is "true".
    pub const ATTRIBUTE: &str = "bugle.probe";

    /// The id of its trace, 32 hexadecimal digits; `None` when it was not traced.
    pub fn trace_id(&self) -> Option<&str> {
        self.traceparent.split('-').nth(1).filter(|id| !id.is_empty())
    }
}

pub(super) fn probe(wire: wire::TraceTopicResponse) -> Probe {
    let wire::TraceTopicResponse {
        position,
        traceparent,
        accepted_unix_nano,
        ordered_unix_nano,
        fanned_out_unix_nano,
        woken,
        deliveries,
        subscriptions,
        answered_unix_nano,
    } = wire;
    Probe {
        position: position.map(|wire::Position { epoch, sequence }| Position { epoch, sequence }),
        traceparent,
        accepted: time(accepted_unix_nano),
        ordered: reached(ordered_unix_nano),
        fanned_out: reached(fanned_out_unix_nano),
        woken,
        deliveries: deliveries.into_iter().map(delivery).collect(),
        subscriptions,
        answered: time(answered_unix_nano),
    }
}

fn delivery(wire: wire::ProbeDelivery) -> ProbeDelivery {
    let wire::ProbeDelivery { subscription_id, peer, read_unix_nano, written_unix_nano } = wire;
    ProbeDelivery {
        id: Uuid::from_slice(&subscription_id).ok(),
        peer,
        read: reached(read_unix_nano),
        written: reached(written_unix_nano),
    }
}

fn reached(unix_nano: u64) -> Option<SystemTime> {
    (unix_nano > 0).then(|| time(unix_nano))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_probe_did_not_get_is_not_the_beginning_of_time() {
        let deliveries = vec![wire::ProbeDelivery { read_unix_nano: 5, ..Default::default() }];
        let probe = probe(wire::TraceTopicResponse { deliveries, ..Default::default() });
        assert_eq!((probe.ordered, probe.fanned_out, probe.trace_id()), (None, None, None));
        assert_eq!((probe.deliveries[0].read, probe.deliveries[0].written), (Some(time(5)), None));
    }

    #[test]
    fn the_id_of_a_trace_is_the_second_part_of_its_context() {
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned();
        let probe = probe(wire::TraceTopicResponse { traceparent, ..Default::default() });
        assert_eq!(probe.trace_id(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    }
}
