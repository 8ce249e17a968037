//! What is said to whoever is over a quota, and how often it was said.
//!
//! Every refusal names whose quota it is, which limit and its value, and when to come back.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::account::Account;
use super::limit::{Limit, Scope};
use crate::error::{Code, Error};
use crate::limits::QUOTA_RETRY;

/// Reason of a refusal that passes: in a while the same request may succeed.
pub const EXCEEDED: &str = "QUOTA_EXCEEDED";
/// Reason of a refusal that does not: the batch is more than the quota ever lets through at once.
pub const BATCH_TOO_LARGE: &str = "QUOTA_BATCH_TOO_LARGE";
/// The fact of a refusal that says whose quota it is: `namespace` or `principal`.
pub const SCOPE: &str = "scope";

/// Counts refusals by whose quota and which limit it was.
#[derive(Debug, Default)]
pub struct Refusals([[AtomicU64; Limit::ALL.len()]; Scope::ALL.len()]);

impl Refusals {
    pub(super) fn count(&self, scope: Scope, limit: Limit) {
        self.0[scope as usize][limit as usize].fetch_add(1, Relaxed);
    }

    /// How often each limit of each scope was a reason to refuse something.
    pub fn each(&self) -> impl Iterator<Item = (Scope, Limit, u64)> + '_ {
        let of = move |scope: Scope| {
            let counted = move |limit| self.0[scope as usize][limit as usize].load(Relaxed);
            let limits = Limit::ALL.into_iter().filter(move |limit| limit.is_of(scope));
            limits.map(move |limit| (scope, limit, counted(limit)))
        };
        Scope::ALL.into_iter().flat_map(of)
    }
}

/// It holds as many as it may.
pub(super) fn held(account: &Account, limit: Limit, most: u64) -> Error {
    let (has, advice) = match limit {
        Limit::Subscriptions => ("subscriptions", "end one first"),
        Limit::Topics => ("topics", "delete one first, or wait until an unused one is closed"),
        Limit::Connections => ("connections", "share them, or close one first"),
        _ => ("bytes of messages", "delete a topic, let topics keep less, or wait until messages expire"),
    };
    let whose = whose(account);
    let message = format!(
        "{whose} has {most} {has} already, which is all that its quota ({}) allows: {advice}",
        limit.as_str()
    );
    exceeded(account, limit, most, message).retry_after(QUOTA_RETRY)
}

/// So much was published in this second.
pub(super) fn rate(account: &Account, limit: Limit, per_second: u64, nanos: u64) -> Error {
    let wait = Duration::from_nanos(nanos);
    let message = format!(
        "{} may publish {per_second} {} a second ({}), and has: publish this again in {wait:.0?}, or less at once",
        whose(account),
        unit(limit),
        limit.as_str()
    );
    exceeded(account, limit, per_second, message).retry_after(wait)
}

/// The batch is more than a second lets through.
pub(super) fn too_large(account: &Account, limit: Limit, per_second: u64, amount: u64) -> Error {
    account.count_refusal(limit);
    let description = format!(
        "{amount} {} in one batch are more than {} may publish in a second ({} is {per_second}): publish \
         smaller batches",
        unit(limit),
        whose(account),
        limit.as_str()
    );
    facts(Error::field("messages", description).reason(BATCH_TOO_LARGE), account, limit, per_second)
}

fn exceeded(account: &Account, limit: Limit, value: u64, message: String) -> Error {
    account.count_refusal(limit);
    let subject = format!("{}:{}", account.scope, account.name);
    let description = format!("{} is {value}", limit.as_str());
    let error = Error::new(Code::ResourceExhausted, message).reason(EXCEEDED).exceeds(subject, description);
    facts(error, account, limit, value)
}

fn facts(error: Error, account: &Account, limit: Limit, value: u64) -> Error {
    let error = error.with(SCOPE, account.scope).with("subject", &account.name);
    error.with("limit", limit.as_str()).with("value", value)
}

fn whose(account: &Account) -> String {
    format!("{} {:?}", account.scope, account.name)
}

fn unit(limit: Limit) -> &'static str {
    if limit.is_bytes() { "bytes" } else { "messages" }
}
