//! Quotas: how much of the server one namespace or one principal may use, so that none of them takes
//! what others need.
//!
//! What is published in a second is taken from token buckets; what is held (subscriptions, topics,
//! connections) is counted by guards that give it back on drop; what is retained is weighed by the
//! logs. The rules can change while all of it goes on. `api` asks before a request costs anything,
//! the broker where it opens a topic or a subscription.

mod account;
mod bucket;
mod limit;
mod refusal;
mod rule;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

pub use account::{Account, Held};
pub use bucket::{Bucket, Short};
pub use limit::{CONNECTIONS, Limit, SUBSCRIPTIONS, Scope, TOPICS};
pub use refusal::{BATCH_TOO_LARGE, EXCEEDED, Refusals};
pub use rule::{Rule, check};

use crate::auth::Principal;
use crate::error::{Error, Result};
use crate::limits::QUOTA_PRINCIPALS_MAX;
use crate::topic::{Namespace, Weight};
use rule::limits_of;

/// From one look for principals to forget to the next, at least.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// The accounts of a server, and the rules they follow.
#[derive(Debug)]
pub struct Quotas {
    table: RwLock<Table>,
    /// Some rule limits publishing: all others pay one look at this.
    limits_publishing: AtomicBool,
    refusals: Arc<Refusals>,
    begun: Instant,
    principals_max: usize,
}

#[derive(Debug, Default)]
struct Table {
    rules: Vec<Rule>,
    /// The namespaces that exist; their number is the broker's to bound.
    namespaces: HashMap<Namespace, Arc<Account>>,
    principals: HashMap<Principal, Arc<Account>>,
    /// When it was last looked for principals to forget, nanoseconds.
    swept: u64,
}

impl Default for Quotas {
    fn default() -> Quotas {
        Quotas::holding(QUOTA_PRINCIPALS_MAX)
    }
}

impl Quotas {
    /// The accounts that follow these rules. Errors: rules that contradict each other.
    pub fn new(rules: Vec<Rule>) -> Result<Arc<Quotas>> {
        let quotas = Arc::new(Quotas::default());
        quotas.replace(rules)?;
        Ok(quotas)
    }

    fn holding(principals_max: usize) -> Quotas {
        Quotas {
            table: RwLock::default(),
            limits_publishing: AtomicBool::new(false),
            refusals: Arc::default(),
            begun: Instant::now(),
            principals_max,
        }
    }

    /// Follows these rules from now on; what is used by then counts. Errors: rules that contradict
    /// each other, and then the old ones stay.
    pub fn replace(&self, rules: Vec<Rule>) -> Result<()> {
        rule::check(&rules)?;
        let publishing = [Limit::PublishMessages, Limit::PublishBytes, Limit::RetainedBytes];
        let limits = |rule: &Rule| publishing.iter().any(|limit| rule.limits[*limit as usize].is_some());
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        self.limits_publishing.store(rules.iter().any(limits), Relaxed);
        for account in table.namespaces.values().chain(table.principals.values()) {
            account.allow(limits_of(&rules, account.scope, &account.name));
        }
        table.rules = rules;
        Ok(())
    }

    /// A namespace begins to exist, whose topics weigh so much: its account.
    pub fn open(&self, namespace: &Namespace, retained: crate::sync::Arc<Weight>) -> Arc<Account> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let account = self.account(&table, Scope::Namespace, namespace.to_string(), Some(retained));
        table.namespaces.entry(namespace.clone()).or_insert(account).clone()
    }

    /// A namespace is gone.
    pub fn close(&self, namespace: &Namespace) {
        self.table.write().unwrap_or_else(PoisonError::into_inner).namespaces.remove(namespace);
    }

    /// The account of a principal; worth keeping as long as its connection or stream lives.
    pub fn principal(&self, principal: &Principal) -> Arc<Account> {
        let known =
            self.table.read().unwrap_or_else(PoisonError::into_inner).principals.get(principal).cloned();
        if let Some(account) = known {
            return account;
        }
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = table.principals.get(principal) {
            return account.clone();
        }
        let account = self.account(&table, Scope::Principal, principal.to_string(), None);
        // Where all of so many are in use, one more has an account that nobody else can find: it is
        // better to lose count of some than to refuse everybody who comes.
        if self.has_room(&mut table) {
            table.principals.insert(principal.clone(), account.clone());
        }
        account
    }

    /// Takes a batch from what may be published to a namespace and by a principal: all of it, or
    /// nothing. `bytes` is asked for where there is a limit. Errors: RESOURCE_EXHAUSTED with the time
    /// to wait, or INVALID_ARGUMENT for a batch that no waiting makes small enough.
    pub fn publish(
        &self,
        namespace: &Namespace,
        principal: &Account,
        messages: usize,
        bytes: impl FnOnce() -> u64,
    ) -> Result<()> {
        if !self.limits_publishing.load(Relaxed) {
            return Ok(());
        }
        let (messages, now, namespace) = (messages as u64, self.now(), self.namespace(namespace));
        let is_weighed = principal.limits_bytes() || namespace.as_ref().is_some_and(|it| it.limits_bytes());
        let bytes = if is_weighed { bytes() } else { 0 };
        if let Some(namespace) = &namespace {
            namespace.publish(messages, bytes, now)?;
        }
        principal.publish(messages, bytes, now).inspect_err(|_| {
            if let Some(namespace) = &namespace {
                namespace.unpublish(messages, bytes);
            }
        })
    }

    /// How long the answer to a request has to wait that was refused because of a quota: whoever is
    /// over one and goes on all the same is slowed down, or its refusals would take the time of
    /// those who are not. Nothing for any other refusal.
    pub fn turn(&self, error: &Error, namespace: &Namespace, principal: &Account) -> Duration {
        if !matches!(error.reason_code(), Some(EXCEEDED | BATCH_TOO_LARGE)) {
            return Duration::ZERO;
        }
        let is_of =
            |scope: Scope| error.metadata().get(refusal::SCOPE).is_some_and(|it| it == scope.as_str());
        let now = self.now();
        Duration::from_nanos(match self.namespace(namespace).filter(|_| is_of(Scope::Namespace)) {
            Some(namespace) => namespace.turn(now),
            None => principal.turn(now),
        })
    }

    /// What was refused so far.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// The account of a namespace that exists.
    pub fn namespace(&self, namespace: &Namespace) -> Option<Arc<Account>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).namespaces.get(namespace).cloned()
    }

    fn account(
        &self,
        table: &Table,
        scope: Scope,
        name: String,
        retained: Option<crate::sync::Arc<Weight>>,
    ) -> Arc<Account> {
        let limits = limits_of(&table.rules, scope, &name);
        Account::new(scope, name, limits, retained, &self.refusals)
    }

    /// Whether one more principal can be remembered; those that are idle are forgotten for it.
    fn has_room(&self, table: &mut Table) -> bool {
        if table.principals.len() < self.principals_max {
            return true;
        }
        let now = self.now();
        // A look at all of them is not for every call of a crowd.
        if now.saturating_sub(table.swept) < SWEEP_PAUSE.as_nanos() as u64 && table.swept > 0 {
            return false;
        }
        table.swept = now.max(1);
        table.principals.retain(|_, account| !account.is_idle(now));
        table.principals.len() < self.principals_max
    }

    /// Nanoseconds of a clock that never goes back.
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests;
