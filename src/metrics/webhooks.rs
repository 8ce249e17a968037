//! What is counted of webhooks, each by its name: there are few.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::state::Counter;
use crate::topic::TopicName;

/// What became of a request to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WebhookOutcome {
    /// It answered with a 2xx.
    Delivered,
    /// It answered with a 4xx.
    Rejected,
    /// It answered with a 5xx, or something that is no answer.
    Failed,
    /// It answered that the message should go elsewhere.
    Redirected,
    /// It answered that it is gone for ever.
    Gone,
    /// It did not answer in time.
    Timeout,
    /// It could not be connected to.
    Unreachable,
    /// It has an address that may not be talked to.
    Blocked,
}

impl WebhookOutcome {
    /// Every outcome, in the order of the declaration.
    pub const ALL: [WebhookOutcome; 8] = [
        WebhookOutcome::Delivered,
        WebhookOutcome::Rejected,
        WebhookOutcome::Failed,
        WebhookOutcome::Redirected,
        WebhookOutcome::Gone,
        WebhookOutcome::Timeout,
        WebhookOutcome::Unreachable,
        WebhookOutcome::Blocked,
    ];

    /// Its name as labels and traces have it.
    pub fn as_str(self) -> &'static str {
        match self {
            WebhookOutcome::Delivered => "delivered",
            WebhookOutcome::Rejected => "rejected",
            WebhookOutcome::Failed => "failed",
            WebhookOutcome::Redirected => "redirected",
            WebhookOutcome::Gone => "gone",
            WebhookOutcome::Timeout => "timeout",
            WebhookOutcome::Unreachable => "unreachable",
            WebhookOutcome::Blocked => "blocked",
        }
    }
}

/// What is counted of one webhook.
#[derive(Debug)]
pub struct Pushes {
    /// Its name.
    pub name: String,
    /// Its topic.
    pub topic: TopicName,
    /// Requests, by what became of them.
    pub attempts: [Counter; WebhookOutcome::ALL.len()],
    /// Messages acknowledged.
    pub delivered: Counter,
    /// Messages passed over, because they were not acknowledged for too long.
    pub dropped: Counter,
    /// Messages that retention took away before they were delivered.
    pub missed: Counter,
    /// Messages that are not acknowledged yet, as of the last look.
    pub lag_messages: Counter,
    /// 1 while its endpoint is dead.
    pub dead: Counter,
}

/// The webhooks whose work is counted, as long as they are there.
#[derive(Debug, Default)]
pub struct AllPushes(Mutex<Vec<Weak<Pushes>>>);

impl AllPushes {
    /// Counts for a webhook of this name from now on.
    pub fn open(&self, name: &str, topic: &TopicName) -> Arc<Pushes> {
        let pushes = Arc::new(Pushes {
            name: name.to_owned(),
            topic: topic.clone(),
            attempts: Default::default(),
            delivered: Counter::default(),
            dropped: Counter::default(),
            missed: Counter::default(),
            lag_messages: Counter::default(),
            dead: Counter::default(),
        });
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known| known.strong_count() > 0);
        all.push(Arc::downgrade(&pushes));
        pushes
    }

    /// Those that are there.
    pub fn all(&self) -> Vec<Arc<Pushes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect()
    }
}
