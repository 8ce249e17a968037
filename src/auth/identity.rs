//! What a credential has proved: who it is, with which roles, and until when.
//!
//! A disposable token proves less: what its grants say, as long as its minter may do that too, so
//! it brings both along. The [`Proof`] is how a key that is revoked is known to be behind an identity
//! that was proved before.

use std::sync::Arc;

use super::grant::Grant;
use super::{KeyId, Principal};

/// A proved principal. A clone is a reference: every open stream keeps one.
#[derive(Debug, Clone)]
pub struct Identity(Arc<Proved>);

#[derive(Debug)]
struct Proved {
    principal: Principal,
    expires: Option<u64>,
    roles: Arc<[Arc<str>]>,
    proof: Proof,
    minted: Option<Minted>,
}

/// What an identity stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Nothing that could be withdrawn here.
    Unconditional,
    /// This API key.
    Key(KeyId),
    /// A JWT of the issuer of this name.
    Issuer(Arc<str>),
}

/// What a disposable token adds.
#[derive(Debug)]
struct Minted {
    grants: Box<[Grant]>,
    minter: Identity,
}

impl Identity {
    /// Whoever calls where authentication is off.
    pub fn anonymous() -> Identity {
        Identity::new(Principal::anonymous(), None)
    }

    /// This principal, until this time, unix nanoseconds; `None` is for ever.
    pub fn new(principal: Principal, expires: Option<u64>) -> Identity {
        Identity::proved(principal, expires, Arc::from([]), Proof::Unconditional)
    }

    /// The same, with the roles that were proved and what it stands on.
    pub fn proved(
        principal: Principal,
        expires: Option<u64>,
        roles: Arc<[Arc<str>]>,
        proof: Proof,
    ) -> Identity {
        Identity(Arc::new(Proved { principal, expires, roles, proof, minted: None }))
    }

    /// The bearer of a disposable token.
    pub fn minted(principal: Principal, expires: u64, grants: Box<[Grant]>, minter: Identity) -> Identity {
        let (roles, proof) = (Arc::from([]), minter.proof().clone());
        let minted = Some(Minted { grants, minter });
        Identity(Arc::new(Proved { principal, expires: Some(expires), roles, proof, minted }))
    }

    /// Who it is.
    pub fn principal(&self) -> &Principal {
        &self.0.principal
    }

    /// When what it was proved by expires, unix nanoseconds; `None` is never.
    pub fn expires(&self) -> Option<u64> {
        self.0.expires
    }

    /// The roles that its credential names, beside those that the configuration gives it.
    pub fn roles(&self) -> &Arc<[Arc<str>]> {
        &self.0.roles
    }

    /// What it stands on.
    pub fn proof(&self) -> &Proof {
        &self.0.proof
    }

    /// What a disposable token is for, and who made it.
    pub fn grants(&self) -> Option<(&[Grant], &Identity)> {
        self.0.minted.as_ref().map(|minted| (&*minted.grants, &minted.minter))
    }
}
