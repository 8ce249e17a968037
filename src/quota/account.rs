//! What one namespace or principal may use, and what it uses: plain atomics, so that whoever
//! publishes waits for nobody else who does.
//!
//! What is held (a subscription, a topic, a connection) is counted whether or not it is limited now:
//! a limit that is set while the server runs counts what was there before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::bucket::{Bucket, Short};
use super::limit::{Limit, Scope};
use super::refusal::{self, Refusals};
use crate::error::Result;
use crate::limits::QUOTA_REFUSALS_PER_SECOND;
use crate::topic::Weight;

/// A limit that is not set.
const NONE: u64 = u64::MAX;

/// The account of a namespace or a principal.
#[derive(Debug)]
pub struct Account {
    pub(super) scope: Scope,
    pub(super) name: String,
    limits: [AtomicU64; Limit::ALL.len()],
    /// How many of each limit that is no rate are held.
    held: [AtomicU64; Limit::ALL.len()],
    messages: Bucket,
    bytes: Bucket,
    /// The refusals it is answered.
    answers: Bucket,
    /// Of a namespace.
    retained: Option<crate::sync::Arc<Weight>>,
    refusals: Arc<Refusals>,
}

/// One subscription, topic or connection of an account, given back on drop. Which of them is a part of
/// its type, because a million topics have one each.
#[derive(Debug)]
pub struct Held<const LIMIT: usize>(Arc<Account>);

impl Account {
    pub(super) fn new(
        scope: Scope,
        name: String,
        limits: [Option<u64>; Limit::ALL.len()],
        retained: Option<crate::sync::Arc<Weight>>,
        refusals: &Arc<Refusals>,
    ) -> Arc<Account> {
        let account = Account {
            scope,
            name,
            limits: Default::default(),
            held: Default::default(),
            messages: Bucket::default(),
            bytes: Bucket::default(),
            answers: Bucket::default(),
            retained,
            refusals: refusals.clone(),
        };
        account.allow(limits);
        Arc::new(account)
    }

    /// Changes what it may use; what it uses stays.
    pub(super) fn allow(&self, limits: [Option<u64>; Limit::ALL.len()]) {
        for (place, limit) in self.limits.iter().zip(limits) {
            place.store(limit.unwrap_or(NONE), Relaxed);
        }
    }

    /// Bytes of messages that the topics of a namespace keep.
    pub fn retained(&self) -> u64 {
        self.retained.as_ref().map_or(0, |weight| weight.bytes())
    }

    /// How many of this it holds.
    pub fn held(&self, limit: Limit) -> u64 {
        self.held[limit as usize].load(Relaxed)
    }

    /// One more subscription, topic or connection. Errors: it has as many as it may.
    pub fn hold<const LIMIT: usize>(self: &Arc<Self>) -> Result<Held<LIMIT>> {
        let limit = Limit::ALL[LIMIT];
        let most = self.limit(limit).unwrap_or(NONE);
        let one_more = |held: u64| (held < most).then_some(held + 1);
        match self.held[limit as usize].fetch_update(Relaxed, Relaxed, one_more) {
            Ok(_) => Ok(Held(self.clone())),
            Err(_) => Err(refusal::held(self, limit, most)),
        }
    }

    /// Whether it matters how large what is published is.
    pub(super) fn limits_bytes(&self) -> bool {
        self.limit(Limit::PublishBytes).is_some()
    }

    /// Takes a batch from what may be published. Errors: too much in this second, or too much is kept.
    pub(super) fn publish(&self, messages: u64, bytes: u64, now: u64) -> Result<()> {
        if let Some(most) = self.limit(Limit::RetainedBytes)
            && self.retained() >= most
        {
            return Err(refusal::held(self, Limit::RetainedBytes, most));
        }
        self.take(Limit::PublishMessages, messages, now)?;
        self.take(Limit::PublishBytes, bytes, now)
            .inspect_err(|_| self.put_back(Limit::PublishMessages, messages))
    }

    /// Puts back what a batch took that is refused for another reason.
    pub(super) fn unpublish(&self, messages: u64, bytes: u64) {
        self.put_back(Limit::PublishMessages, messages);
        self.put_back(Limit::PublishBytes, bytes);
    }

    fn take(&self, limit: Limit, amount: u64, now: u64) -> Result<()> {
        let Some(per_second) = self.limit(limit) else { return Ok(()) };
        self.bucket(limit).take(amount, per_second, now).map_err(|short| match short {
            Short::Wait(nanos) => refusal::rate(self, limit, per_second, nanos),
            Short::Never => refusal::too_large(self, limit, per_second, amount),
        })
    }

    fn put_back(&self, limit: Limit, amount: u64) {
        if let Some(per_second) = self.limit(limit) {
            self.bucket(limit).put_back(amount, per_second);
        }
    }

    fn bucket(&self, limit: Limit) -> &Bucket {
        if limit == Limit::PublishBytes { &self.bytes } else { &self.messages }
    }

    /// How many nanoseconds the answer to a request that was refused has to wait for its turn.
    pub(super) fn turn(&self, now: u64) -> u64 {
        self.answers.queue(QUOTA_REFUSALS_PER_SECOND, now)
    }

    /// Whether forgetting it would change nothing: it holds nothing, and may use all it ever may.
    pub(super) fn is_idle(self: &Arc<Self>, now: u64) -> bool {
        let buckets = [&self.messages, &self.bytes, &self.answers];
        Arc::strong_count(self) == 1 && buckets.iter().all(|bucket| bucket.is_full(now))
    }

    fn limit(&self, limit: Limit) -> Option<u64> {
        Some(self.limits[limit as usize].load(Relaxed)).filter(|most| *most != NONE)
    }

    pub(super) fn count_refusal(&self, limit: Limit) {
        self.refusals.count(self.scope, limit);
    }
}

impl<const LIMIT: usize> Held<LIMIT> {
    /// Whose it is.
    pub fn account(&self) -> &Arc<Account> {
        &self.0
    }
}

impl<const LIMIT: usize> Drop for Held<LIMIT> {
    fn drop(&mut self) {
        self.0.held[LIMIT].fetch_sub(1, Relaxed);
    }
}
