//! From what the server told and what arrived here to the steps of a probe, and to who was left
//! out.

use std::time::SystemTime;

use uuid::Uuid;

use super::clock::between;
use super::listeners::Own;
use crate::client::monitor::{Probe, ProbeDelivery, SubscriptionState};

/// The steps in the order in which they are told: the server's own, then those of each
/// subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Timeline {
    pub(super) steps: Vec<Step>,
    pub(super) missing: Vec<Missing>,
}

/// One step: from when the step before it was done to when it was. Nanoseconds since acceptance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) what: &'static str,
    pub(super) who: Who,
    pub(super) began: i64,
    pub(super) at: i64,
}

/// Whose step it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    Server,
    /// One of our own subscriptions, counted from 1.
    Own(usize, Option<Uuid>),
    Other {
        peer: String,
        id: Option<Uuid>,
    },
}

/// A subscription that did not get the probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) who: Who,
    pub(super) why: String,
}

impl Timeline {
    /// `own` are our own subscriptions, `behind` those that the server says have not been given it.
    pub(super) fn new(probe: &Probe, own: &[Own], behind: &[SubscriptionState]) -> Self {
        let mut made = Timeline { steps: Vec::new(), missing: Vec::new() };
        let since = |time: SystemTime| between(probe.accepted, time);
        let mut last = made.step("accepted", &Who::Server, 0, Some(0));
        last = made.step("ordered", &Who::Server, last, probe.ordered.map(since));
        made.step("fanned out", &Who::Server, last, probe.fanned_out.map(since));
        for delivery in &probe.deliveries {
            let (who, own) = who(delivery.id, &delivery.peer, own);
            made.delivery(&who, delivery, own, last, since);
        }
        let told = |id: Option<Uuid>| id.is_some() && probe.deliveries.iter().any(|it| it.id == id);
        for (at, one) in own.iter().enumerate().filter(|(_, one)| !told(one.id)) {
            let who = Who::Own(at + 1, one.id);
            made.step("received", &who, last, one.received);
            let is_behind = one.id.is_some() && behind.iter().any(|state| state.id == one.id);
            if one.received.is_none() && !is_behind {
                made.missing.push(Missing { who, why: "not read from the log".to_owned() });
            }
        }
        for state in behind.iter().filter(|state| !told(state.id)) {
            let (who, _) = who(state.id, &state.peer, own);
            let why = format!("not read from the log: {} messages behind", state.lag_messages);
            made.missing.push(Missing { who, why });
        }
        made
    }

    fn delivery(
        &mut self,
        who: &Who,
        delivery: &ProbeDelivery,
        own: Option<&Own>,
        ordered: i64,
        since: impl Fn(SystemTime) -> i64,
    ) {
        let read = self.step("read", who, ordered, delivery.read.map(&since));
        let written = self.step("written", who, read, delivery.written.map(&since));
        let received = own.and_then(|own| own.received);
        self.step("received", who, written, received);
        let why = match (delivery.read, delivery.written) {
            (None, None) => "not read from the log",
            (Some(_), None) => "read, and not written to its connection",
            (_, Some(_)) if own.is_some() && received.is_none() => "written, and not received",
            _ => return,
        };
        self.missing.push(Missing { who: who.clone(), why: why.to_owned() });
    }

    /// Adds a step, if it was made, and gives when the last one was done.
    fn step(&mut self, what: &'static str, who: &Who, began: i64, at: Option<i64>) -> i64 {
        let Some(at) = at else { return began };
        // By another clock it may seem to be before what it followed.
        self.steps.push(Step { what, who: who.clone(), began: began.min(at), at });
        at
    }
}

fn who<'a>(id: Option<Uuid>, peer: &str, own: &'a [Own]) -> (Who, Option<&'a Own>) {
    match own.iter().position(|own| id.is_some() && own.id == id) {
        Some(at) => (Who::Own(at + 1, id), own.get(at)),
        None => (Who::Other { peer: peer.to_owned(), id }, None),
    }
}

impl Who {
    /// The id of the subscription.
    pub(super) fn id(&self) -> Option<Uuid> {
        match self {
            Who::Server => None,
            Who::Own(_, id) | Who::Other { id, .. } => *id,
        }
    }

    /// Whether it is one of our own.
    pub(super) fn is_own(&self) -> bool {
        matches!(self, Who::Own(..))
    }
}

/// As people are told: our own by number, others by peer and the end of their id, since one peer
/// may have many.
impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Who::Server => Ok(()),
            Who::Own(number, _) => write!(f, "own {number}"),
            Who::Other { peer, id } => {
                f.write_str(if peer.is_empty() { "(no address)" } else { peer })?;
                match id.map(|id| id.simple().to_string()) {
                    Some(id) => write!(f, " …{}", &id[id.len() - 4..]),
                    None => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(micros: u64) -> Option<SystemTime> {
        Some(SystemTime::UNIX_EPOCH + Duration::from_micros(1_000_000 + micros))
    }

    fn delivery(id: u128, read: Option<SystemTime>, written: Option<SystemTime>) -> ProbeDelivery {
        ProbeDelivery { id: Some(Uuid::from_u128(id)), peer: "10.0.0.7:5123".into(), read, written }
    }

    fn probe(deliveries: Vec<ProbeDelivery>) -> Probe {
        Probe {
            position: None,
            traceparent: String::new(),
            accepted: at(0).unwrap(),
            ordered: at(10),
            fanned_out: at(20),
            woken: 1,
            subscriptions: 3,
            deliveries,
            answered: at(900).unwrap(),
        }
    }

    fn own(id: u128, received: Option<i64>) -> Own {
        Own { id: Some(Uuid::from_u128(id)), received }
    }

    fn told(timeline: &Timeline) -> Vec<String> {
        let steps = timeline.steps.iter();
        steps
            .map(|step| format!("{} {} {}-{}", step.who, step.what, step.began / 1000, step.at / 1000))
            .collect()
    }

    #[test]
    fn steps_follow_each_other_for_each_subscription() {
        let probe = probe(vec![delivery(1, at(30), at(40)), delivery(0xabcd, at(15), at(35))]);
        let timeline = Timeline::new(&probe, &[own(1, Some(70_000))], &[]);
        assert_eq!(
            told(&timeline),
            [
                " accepted 0-0",
                " ordered 0-10",
                " fanned out 10-20",
                "own 1 read 10-30",
                "own 1 written 30-40",
                "own 1 received 40-70",
                "10.0.0.7:5123 …abcd read 10-15",
                "10.0.0.7:5123 …abcd written 15-35",
            ]
        );
        assert!(timeline.missing.is_empty());
    }

    #[test]
    fn whoever_did_not_get_it_is_named_once_with_where_it_stopped() {
        let probe = probe(vec![delivery(1, at(30), at(40)), delivery(2, at(30), None)]);
        let state = |id: u128| SubscriptionState {
            is_cut: false,
            id: Some(Uuid::from_u128(id)),
            peer: "10.0.0.9:1".into(),
            next_sequence: 1,
            lag_messages: 500,
            silent_for: Duration::ZERO,
            open_time: SystemTime::UNIX_EPOCH,
        };
        let own = [own(1, None), own(3, None), own(5, None)];
        let timeline = Timeline::new(&probe, &own, &[state(2), state(3), state(4)]);
        let missing: Vec<_> = timeline.missing.iter().map(|it| format!("{}: {}", it.who, it.why)).collect();
        assert_eq!(
            missing,
            [
                "own 1: written, and not received",
                "10.0.0.7:5123 …0002: read, and not written to its connection",
                "own 3: not read from the log",
                "own 2: not read from the log: 500 messages behind",
                "10.0.0.9:1 …0004: not read from the log: 500 messages behind",
            ]
        );
    }

    #[test]
    fn what_our_clock_puts_before_its_cause_has_no_negative_length() {
        let timeline = Timeline::new(&probe(vec![delivery(1, at(30), at(40))]), &[own(1, Some(35_000))], &[]);
        assert_eq!(told(&timeline).last().unwrap(), "own 1 received 35-35");
    }
}
