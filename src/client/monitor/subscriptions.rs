//! The subscriptions of a topic, as the Monitor tells them.

use std::time::{Duration, SystemTime};

use uuid::Uuid;

use crate::client::message::time;
use crate::proto::v1 as wire;

/// Some of a topic's subscriptions, those furthest behind first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubscriptionStates {
    /// Those that are told.
    pub states: Vec<SubscriptionState>,
    /// How many the topic has.
    pub total: u64,
}

/// One subscription and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionState {
    /// Names it in the server's logs and traces, and in `Event::Opened`.
    pub id: Option<Uuid>,
    /// The address of its client, or "" where it has none.
    pub peer: String,
    /// The first message it has not been given.
    pub next_sequence: u64,
    /// Messages it has not been given.
    pub lag_messages: u64,
    /// Since it last took anything.
    pub silent_for: Duration,
    /// When it was opened.
    pub open_time: SystemTime,
    /// It made no progress, and is ended as soon as it reads.
    pub is_cut: bool,
}

pub(super) fn states(wire: wire::ListSubscriptionsResponse) -> SubscriptionStates {
    let wire::ListSubscriptionsResponse { subscriptions, total } = wire;
    SubscriptionStates { states: subscriptions.into_iter().map(state).collect(), total }
}

fn state(wire: wire::SubscriptionState) -> SubscriptionState {
    let wire::SubscriptionState {
        subscription_id,
        peer,
        next_sequence,
        lag_messages,
        silent_for,
        open_time_unix_nano,
        cut: is_cut,
    } = wire;
    SubscriptionState {
        id: Uuid::from_slice(&subscription_id).ok(),
        peer,
        next_sequence,
        lag_messages,
        silent_for: silent_for.and_then(|time| Duration::try_from(time).ok()).unwrap_or_default(),
        open_time: time(open_time_unix_nano),
        is_cut,
    }
}
