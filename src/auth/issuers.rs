//! The issuers whose JWTs count, each with its keys.

use std::sync::Arc;

use super::Issuer;
use super::jwks::KeySource;
use super::jwt::{Unproved, Verifier, invalid};
use crate::error::{Error, Result};

/// Issuers, ready to verify.
#[derive(Debug, Default)]
pub struct Issuers(Vec<Verifier>);

impl Issuers {
    /// These ones; key sets of the same issuers and URLs are taken over from those before. Errors: two
    /// cannot be told apart, a file cannot be used, or a key does not fit its algorithms.
    pub fn new(issuers: Vec<Issuer>, before: &Issuers) -> Result<Issuers> {
        if let Some(problem) = Issuer::contradictions(&issuers).into_iter().next() {
            return Err(Error::field("issuers", problem));
        }
        let sources: Vec<Arc<KeySource>> = before.0.iter().map(|it| Arc::clone(it.source())).collect();
        issuers.into_iter().map(|it| Verifier::new(it, &sources)).collect::<Result<_>>().map(Issuers)
    }

    /// Who has to have made this JWT, by what it says. Errors: UNAUTHENTICATED; nobody here.
    pub(super) fn of(&self, jwt: &Unproved<'_>) -> Result<&Verifier> {
        let found = self.0.iter().find(|it| it.settings().issuer == jwt.issuer);
        found.ok_or_else(|| invalid("its issuer (iss) is not one that this server trusts"))
    }

    /// Whether there is one of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|it| it.settings().name == name)
    }

    /// The keys that somebody has to ask a URL for.
    pub(super) fn asked(&self) -> impl Iterator<Item = &Arc<KeySource>> {
        self.0.iter().map(Verifier::source).filter(|source| source.url().is_some())
    }
}
