//! What a credential has proved: who it is, and until when.

use std::sync::Arc;

use super::Principal;

/// A proved principal. A clone is a reference: every open stream keeps one.
#[derive(Debug, Clone)]
pub struct Identity(Arc<Proved>);

#[derive(Debug)]
struct Proved {
    principal: Principal,
    expires: Option<u64>,
}

impl Identity {
    /// Whoever calls where authentication is off.
    pub fn anonymous() -> Identity {
        Identity::new(Principal::anonymous(), None)
    }

    /// This principal, until this time, unix nanoseconds; `None` is for ever.
    pub fn new(principal: Principal, expires: Option<u64>) -> Identity {
        Identity(Arc::new(Proved { principal, expires }))
    }

    /// Who it is.
    pub fn principal(&self) -> &Principal {
        &self.0.principal
    }

    /// When what it was proved by expires, unix nanoseconds; `None` is never.
    pub fn expires(&self) -> Option<u64> {
        self.0.expires
    }
}
