//! The audit: who changed what, who was given or lost a credential, and who was refused, as lines of a
//! target of their own, so that they can be kept where other lines are not.
//!
//! `principal` is nobody's where nobody has to say who they are. Clients can cause refusals as fast as
//! they like, so of those only some a second are told; how many were not stands in the next one.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::auth::{Action, Identity, Principal, Resource};
use crate::error::Error;
use crate::limits::AUDITED_REFUSALS_PER_SECOND_MAX;
use crate::store::unix_nanos;
use crate::trace::Limiter;

/// The target of its lines: `bugle log info,bugle::audit=off` is without them.
pub const AUDIT_TARGET: &str = "bugle::audit";

/// Something was done.
pub fn done(identity: Option<&Identity>, peer: Option<SocketAddr>, event: &str, name: impl Display) {
    let principal = identity.map(Identity::principal).map(tracing::field::display);
    let peer = peer.map(tracing::field::display);
    tracing::info!(target: AUDIT_TARGET, event, principal, peer, %name, "done");
}

/// Tells of refusals.
#[derive(Default)]
pub struct Refusals {
    limiter: Limiter,
    untold: AtomicU64,
}

impl Refusals {
    /// A known principal was refused something.
    pub fn refused(
        &self,
        principal: &Principal,
        peer: Option<SocketAddr>,
        action: Action,
        resource: Resource<'_>,
        error: &Error,
    ) {
        let Some(untold) = self.admit() else { return };
        let (peer, reason, action) =
            (peer.map(tracing::field::display), error.reason_code(), action.as_str());
        tracing::warn!(target: AUDIT_TARGET, event = "refused", %principal, peer, action, %resource, reason, untold, "refused");
    }

    /// Somebody did not prove who it is.
    pub fn unknown(&self, peer: Option<SocketAddr>, error: &Error) {
        let Some(untold) = self.admit() else { return };
        let (peer, reason) = (peer.map(tracing::field::display), error.reason_code());
        tracing::warn!(target: AUDIT_TARGET, event = "unauthenticated", peer, reason, untold, "refused");
    }

    /// How many were not told before this one, if this one is.
    fn admit(&self) -> Option<u64> {
        if self.limiter.admit(unix_nanos(), AUDITED_REFUSALS_PER_SECOND_MAX) {
            return Some(self.untold.swap(0, Ordering::Relaxed));
        }
        self.untold.fetch_add(1, Ordering::Relaxed);
        None
    }
}
