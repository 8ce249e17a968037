//! Whether a call may do what it asks for: said before the broker knows of it, and told to the audit
//! where it may not.
//!
//! A stream that goes on for hours was allowed to when it began. [`Stay`] is its leave to go on, and
//! ends when what proved its caller expires or is revoked, or a policy says otherwise by now.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

use futures::task::AtomicWaker;
use slab::Slab;

use super::audit::Refusals;
use crate::auth::{Access, Action, Identity, Resource};
use crate::error::{Code, Error, Result};
use crate::limits::STAYS_CHECKED_EVERY;
use crate::store::unix_nanos;
use crate::topic::TopicName;

/// Who may do what, as the services ask for it. A clone is a reference.
#[derive(Clone)]
pub struct Rights(Arc<Shared>);

struct Shared {
    access: Arc<Access>,
    refusals: Refusals,
    stays: Mutex<Slab<Arc<Leave>>>,
}

/// What a stream stays on.
struct Leave {
    identity: Identity,
    action: Action,
    topic: TopicName,
    is_over: AtomicBool,
    task: AtomicWaker,
}

/// A stream's leave to go on; given back when dropped.
pub struct Stay {
    rights: Rights,
    leave: Arc<Leave>,
    key: usize,
}

impl Rights {
    /// Decided by this.
    pub fn new(access: Arc<Access>) -> Rights {
        Rights(Arc::new(Shared { access, refusals: Refusals::default(), stays: Mutex::default() }))
    }

    /// What decides.
    pub fn access(&self) -> &Arc<Access> {
        &self.0.access
    }

    /// Whether this identity may do this; one that was not asked for may do everything. Errors:
    /// UNAUTHENTICATED where what proved it has expired, PERMISSION_DENIED otherwise.
    pub fn check(
        &self,
        identity: Option<&Identity>,
        peer: Option<SocketAddr>,
        action: Action,
        resource: Resource<'_>,
    ) -> Result<()> {
        let Some(identity) = identity else { return Ok(()) };
        self.decide(identity, action, resource)
            .inspect_err(|error| self.0.refusals.refused(identity.principal(), peer, action, resource, error))
    }

    /// The same, without anybody being told.
    pub fn allow(&self, identity: Option<&Identity>, action: Action, resource: Resource<'_>) -> bool {
        identity.is_none_or(|identity| self.decide(identity, action, resource).is_ok())
    }

    /// Somebody did not prove who it is.
    pub fn unknown(&self, peer: Option<SocketAddr>, error: &Error) {
        self.0.refusals.unknown(peer, error);
    }

    /// The leave of a stream that may do this to a topic now. `None` where nobody has to say who they
    /// are.
    pub fn stay(&self, identity: Option<&Identity>, action: Action, topic: &TopicName) -> Option<Stay> {
        let leave = Arc::new(Leave {
            identity: identity?.clone(),
            action,
            topic: topic.clone(),
            is_over: AtomicBool::new(false),
            task: AtomicWaker::new(),
        });
        let key = self.stays().insert(leave.clone());
        // Something may have changed since it was checked, and been looked at before it was in the list.
        leave.is_over.store(!self.allow(identity, action, Resource::Topic(topic)), Ordering::Release);
        Some(Stay { rights: self.clone(), leave, key })
    }

    /// Ends, for ever, the stays of those who may not go on. The server runs it.
    pub async fn watch(&self) {
        let mut checked = self.0.access.generation();
        loop {
            tokio::time::sleep(STAYS_CHECKED_EVERY).await;
            let generation = self.0.access.generation();
            self.sweep(unix_nanos(), generation != checked);
            checked = generation;
        }
    }

    fn sweep(&self, now: u64, is_changed: bool) {
        // References, for a decision is not for inside the lock that every new stream takes.
        let suspects: Vec<Arc<Leave>> = {
            let has_expired = |leave: &Leave| leave.identity.expires().is_some_and(|end| end <= now);
            let stays = self.stays();
            stays.iter().map(|(_, leave)| leave).filter(|it| is_changed || has_expired(it)).cloned().collect()
        };
        for leave in suspects {
            if self.decide(&leave.identity, leave.action, Resource::Topic(&leave.topic)).is_err() {
                leave.is_over.store(true, Ordering::Release);
                leave.task.wake();
            }
        }
    }

    fn decide(&self, identity: &Identity, action: Action, resource: Resource<'_>) -> Result<()> {
        if identity.expires().is_some_and(|end| end <= unix_nanos()) {
            let message = "the credential of this call has expired; call again with a new one";
            return Err(Error::new(Code::Unauthenticated, message).reason("CREDENTIAL_EXPIRED"));
        }
        self.0.access.authorise(identity, action, resource)
    }

    fn stays(&self) -> MutexGuard<'_, Slab<Arc<Leave>>> {
        self.0.stays.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stay {
    /// Why the stream may not go on, when it may not; its task is woken then. For that task only.
    pub fn poll_over(&self, cx: &mut Context<'_>) -> Option<Error> {
        let leave = &self.leave;
        leave.task.register(cx.waker());
        if !leave.is_over.load(Ordering::Acquire) {
            return None;
        }
        // What was decided when it ended; by now it might stay again, but it was told to end.
        let topic = Resource::Topic(&leave.topic);
        let decided = self.rights.check(Some(&leave.identity), None, leave.action, topic);
        Some(decided.err().unwrap_or_else(|| {
            let message = "what this stream was allowed to do has changed; open it again";
            Error::new(Code::PermissionDenied, message).reason("POLICY")
        }))
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.rights.stays().try_remove(self.key);
    }
}
