//! What a call meets before anything of it is decoded: how many may be open on all connections
//! together, and how many connections its principal may have.
//!
//! A connection counts for the principal of its first call that has one, for as long as it lives.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::Peer;
use crate::auth::Principal;
use crate::broker::Broker;
use crate::error::{Code, Error, Result};
use crate::limits::{QUOTA_RETRY, STREAMS_EACH, STREAMS_RESERVE};
use crate::metrics::Metrics;
use crate::quota::{Account, CONNECTIONS, Held, Quotas};
use crate::topic::{Budget, Namespace};

/// Decides whether calls are looked at. A clone is a reference.
#[derive(Clone)]
pub struct Admission(Arc<Inner>);

struct Inner {
    quotas: Arc<Quotas>,
    metrics: Arc<Metrics>,
    streams_max: u64,
    in_flight: Arc<Budget>,
}

/// An error that waits for its turn.
pub type InTurn = Pin<Box<dyn Future<Output = Error> + Send>>;

/// For whom a connection counts.
#[derive(Debug)]
pub struct Tenancy {
    principal: Principal,
    held: Held<CONNECTIONS>,
}

impl Tenancy {
    fn is_of(&self, principal: Option<&Principal>) -> bool {
        principal.map_or_else(|| self.principal.is_anonymous(), |principal| *principal == self.principal)
    }
}

impl Admission {
    /// To this broker: so many calls at once, and so many bytes of requests that have come in part.
    pub fn new(broker: &Broker, streams_max: u64, bytes_in_flight_max: usize) -> Admission {
        let (quotas, metrics) = (broker.options().quotas.clone(), broker.metrics().clone());
        Admission(Arc::new(Inner {
            quotas,
            metrics,
            streams_max,
            in_flight: Budget::new(bytes_in_flight_max),
        }))
    }

    /// Lets in one more call of this connection; where `always` also on a server that is full. Errors: there are
    /// too many, or the connection has more than it leaves to all others. The last quarter is for connections
    /// with few calls: however many a few connections open, there is room for everybody else's.
    pub fn stream(&self, peer: Option<&Peer>, always: bool) -> Result<()> {
        let most = self.0.streams_max;
        let (open, own) = (self.0.metrics.state().streams(), peer.map_or(0, Peer::streams));
        let left = (most - most / STREAMS_RESERVE).saturating_sub(open);
        if own >= STREAMS_EACH && own > left {
            let message = format!(
                "this connection has {own} calls open, and of limits.max_streams only {left} are left for those that \
                 have {STREAMS_EACH} or more: end some first, or retry"
            );
            let error = Error::new(Code::ResourceExhausted, message).reason("STREAMS_OF_CONNECTION");
            return Err(error.with("open", own).with("left", left).retry_after(QUOTA_RETRY));
        }
        if open >= most && !always {
            let message = format!(
                "{most} calls are open on this server, which is all that limits.max_streams allows: retry, or \
                 end some first"
            );
            let error = Error::new(Code::ResourceExhausted, message).reason("STREAMS");
            return Err(error.with("limit", most).retry_after(QUOTA_RETRY));
        }
        Ok(())
    }

    /// Lets in a call of this principal, which is nobody where nobody has to say who they are. Errors:
    /// it has as many connections as it may.
    pub fn connection(&self, peer: Option<&Peer>, principal: Option<&Principal>) -> Result<()> {
        let Some(peer) = peer.filter(|peer| peer.tenancy().is_none()) else { return Ok(()) };
        let principal = principal.cloned().unwrap_or_else(Principal::anonymous);
        let held = self.0.quotas.principal(&principal).hold()?;
        // Of two calls at once one is the first; the other gives its place back.
        peer.counts_for(Tenancy { principal, held });
        Ok(())
    }

    /// The account of a principal that calls on this connection.
    pub fn account(&self, peer: Option<&Peer>, principal: Option<&Principal>) -> Arc<Account> {
        match (peer.and_then(Peer::tenancy), principal) {
            (Some(tenancy), principal) if tenancy.is_of(principal) => tenancy.held.account().clone(),
            (_, Some(principal)) => self.0.quotas.principal(principal),
            (_, None) => self.0.quotas.principal(&Principal::anonymous()),
        }
    }

    /// The bytes of requests that have come in part.
    pub fn in_flight(&self) -> &Arc<Budget> {
        &self.0.in_flight
    }

    /// The quotas.
    pub fn quotas(&self) -> &Quotas {
        &self.0.quotas
    }

    /// The same error when its turn to be answered has come: see [`Quotas::turn`].
    ///
    /// In a box of its own, since most calls have no need of it and many of them are open at once.
    pub fn in_turn(&self, error: Error, namespace: &Namespace, account: &Account) -> InTurn {
        let wait = self.0.quotas.turn(&error, namespace, account);
        Box::pin(async move {
            if wait > Duration::ZERO {
                tokio::time::sleep(wait).await;
            }
            error.waited(wait)
        })
    }
}
