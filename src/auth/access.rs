//! The one door: authenticates a call, and decides whether it may go on.
//!
//! What is behind it changes while the server runs: policies with the configuration, keys by whoever
//! administers them. Whatever was decided before is looked at again when [`Access::generation`] has
//! gone up.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::issuers::Issuers;
use super::jwks::KeySource;
use super::jwt::Unproved;
use super::token::{MintedToken, Signer};
use super::{
    Action, Actions, Explanation, Grant, Identity, IssuedKey, Issuer, Key, Kind, Policies, Principal, Proof,
    Secret, Vault, key, refusal, token,
};
use crate::error::{Error, Result};
use crate::limits::{CREDENTIAL_BYTES_MAX, TOKEN_TTL_MAX, TOKEN_TTL_MIN};
use crate::topic::{Namespace, Pattern, TopicName};

/// What a call brings to show who makes it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Presented<'a> {
    /// The credential of its metadata, without `Bearer`.
    pub credential: Option<&'a str>,
    /// Whom the certificate of its connection names.
    pub certificate: Option<&'a Principal>,
}

/// What something is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// The server as a whole: namespaces, keys, the log.
    Server,
    /// All topics of a namespace.
    Namespace(&'a Namespace),
    /// Some topic of a namespace, whichever: to know that the namespace exists.
    Within(&'a Namespace),
    /// One topic.
    Topic(&'a TopicName),
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::Server => f.write_str("server"),
            Resource::Namespace(name) => write!(f, "{name}/*"),
            Resource::Within(name) => write!(f, "{name}"),
            Resource::Topic(name) => write!(f, "{name}"),
        }
    }
}

/// What decides on a server that asks who calls.
#[derive(Debug)]
pub struct Settings {
    /// Who may do what.
    pub policies: Policies,
    /// The API keys.
    pub vault: Vault,
    /// What disposable tokens are signed with.
    pub token_secret: Secret,
}

/// Who may do what on a server.
#[derive(Debug, Default)]
pub struct Access(Option<Door>);

#[derive(Debug)]
struct Door {
    policies: ArcSwap<Policies>,
    vault: Vault,
    signer: Signer,
    issuers: ArcSwap<Issuers>,
    /// Told when a key set is wanted before its time.
    keys_wanted: Notify,
    generation: AtomicU64,
}

impl Access {
    /// Nobody has to say who they are, and everybody may do everything.
    pub fn open() -> Access {
        Access(None)
    }

    /// Everybody has to say who they are, and may do what these settings say.
    pub fn new(settings: Settings) -> Access {
        let Settings { policies, vault, token_secret } = settings;
        Access(Some(Door {
            policies: ArcSwap::from_pointee(policies),
            vault,
            signer: Signer::new(&token_secret),
            issuers: ArcSwap::default(),
            keys_wanted: Notify::new(),
            generation: AtomicU64::new(0),
        }))
    }

    /// Whether everybody may do everything.
    pub fn is_open(&self) -> bool {
        self.0.is_none()
    }

    /// Counts up whenever something changes that decisions depend on, so that whoever keeps one asks
    /// again.
    pub fn generation(&self) -> u64 {
        self.0.as_ref().map_or(0, |door| door.generation.load(Ordering::Acquire))
    }

    /// These policies count from now on; and the file of keys is read again. Errors: that cannot be
    /// read, and nothing has changed.
    pub fn replace(&self, policies: Policies) -> Result<()> {
        let Some(door) = &self.0 else { return Ok(()) };
        door.vault.reload()?;
        door.policies.store(Arc::new(policies));
        door.changed();
        Ok(())
    }

    /// These issuers with their keys, read from the files that they name; of issuers with a URL that are
    /// trusted now, the keys that came from there. Errors: a file cannot be used, or its key does not
    /// fit the algorithms.
    pub fn issuers(&self, issuers: Vec<Issuer>) -> Result<Issuers> {
        match &self.0 {
            Some(door) => Issuers::new(issuers, &door.issuers.load()),
            None => Ok(Issuers::default()),
        }
    }

    /// The JWTs of these issuers count from now on, and no others.
    pub fn trust(&self, issuers: Issuers) {
        let Some(door) = &self.0 else { return };
        door.issuers.store(Arc::new(issuers));
        door.changed();
        door.keys_wanted.notify_one();
    }

    /// The issuers whose keys somebody has to ask for, at their URLs.
    pub fn key_sources(&self) -> Vec<Arc<KeySource>> {
        self.0.as_ref().map_or_else(Vec::new, |door| door.issuers.load().asked().cloned().collect())
    }

    /// Puts a key set that was asked for in place of the one before; how many keys it has. Errors: none
    /// that can be used, and the one before stays.
    pub fn put_keys(&self, source: &KeySource, text: &str) -> Result<usize> {
        let (count, is_news) = source.put(text)?;
        if let Some(door) = self.0.as_ref().filter(|_| is_news) {
            door.changed();
        }
        Ok(count)
    }

    /// Returns when a key set is wanted before its time: an issuer is new, or its JWT names a key that
    /// nobody has heard of.
    pub async fn keys_wanted(&self) {
        match &self.0 {
            Some(door) => door.keys_wanted.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Who makes a call at this time, unix nanoseconds. Errors: UNAUTHENTICATED.
    pub fn authenticate(&self, presented: Presented<'_>, now: u64) -> Result<Identity> {
        let Some(door) = &self.0 else { return Ok(Identity::anonymous()) };
        match presented {
            Presented { credential: Some(credential), .. } => door.prove(credential, now),
            Presented { certificate: Some(principal), .. } => Ok(Identity::new(principal.clone(), None)),
            Presented { .. } => Err(refusal::missing()),
        }
    }

    /// Whether it may do this. Errors: UNAUTHENTICATED where what proved it was withdrawn;
    /// PERMISSION_DENIED, in words that are the same whether or not what is named exists.
    pub fn authorise(&self, identity: &Identity, action: Action, resource: Resource<'_>) -> Result<()> {
        let Some(door) = &self.0 else { return Ok(()) };
        door.check_proof(identity)?;
        match door.policies.load().allows(identity, action, resource) {
            true => Ok(()),
            false => Err(refusal::denied(identity, action, resource)),
        }
    }

    /// A disposable token of this minter, which may do no more than its minter, nor for longer. Errors:
    /// INVALID_ARGUMENT for what no token can be, PERMISSION_DENIED for more than the minter may do.
    pub fn mint(
        &self,
        minter: &Identity,
        grants: &[Grant],
        ttl: Duration,
        id: Option<&str>,
        now: u64,
    ) -> Result<MintedToken> {
        let door = self.door()?;
        if !(TOKEN_TTL_MIN..=TOKEN_TTL_MAX).contains(&ttl) {
            let description =
                format!("has to be from {TOKEN_TTL_MIN:?} to {} h", TOKEN_TTL_MAX.as_secs() / 3600);
            return Err(Error::field("ttl", description));
        }
        door.check_proof(minter)?;
        if minter.grants().is_some() {
            return Err(refusal::policy("a disposable token makes no tokens; use what made it"));
        }
        let policies = door.policies.load();
        for (at, grant) in grants.iter().enumerate() {
            for action in grant.actions.iter() {
                if policies.covering(minter.principal(), minter.roles(), action, grant).is_none() {
                    let (who, what) = (minter.principal(), action.as_str());
                    let message = format!(
                        "grants[{at}]: {who} may not {what} on all of {}/{}, so no token of its may either",
                        grant.namespace, grant.topic
                    );
                    return Err(refusal::policy(message));
                }
            }
        }
        let expires = now.saturating_add(u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX));
        let expires = minter.expires().map_or(expires, |end| end.min(expires));
        let token = door.signer.mint(minter, grants, id, expires)?;
        let bytes = token.credential.expose().len();
        if bytes > CREDENTIAL_BYTES_MAX {
            let description =
                format!("make a token of {bytes} bytes; at most {CREDENTIAL_BYTES_MAX} are read: grant less");
            return Err(Error::field("grants", description));
        }
        Ok(token)
    }

    /// Makes an API key of this name, for so long; without a time it does not expire. Errors: a name
    /// that cannot be one; as many keys as there may be; a file that cannot be written.
    pub fn create_key(&self, name: &str, ttl: Option<Duration>, now: u64) -> Result<IssuedKey> {
        let expires = ttl.map(|ttl| now.saturating_add(u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX)));
        self.door()?.vault.create(name, &[], expires, now)
    }

    /// Whether the policies let an API key of this name do everything.
    pub fn covers_everything(&self, name: &str) -> Result<bool> {
        let (principal, policies) = (Principal::new(Kind::Key, name)?, self.door()?.policies.load());
        let everything =
            Grant { namespace: Pattern::any(), topic: Pattern::any(), actions: Actions::of(&Action::ALL) };
        Ok(Action::ALL
            .iter()
            .all(|action| policies.covering(&principal, &[], *action, &everything).is_some()))
    }

    /// All API keys, by id.
    pub fn keys(&self) -> Result<Vec<Key>> {
        Ok(self.door()?.vault.keys().list())
    }

    /// Takes an API key away: it proves nothing any more, and nor do the tokens that were made with it.
    /// Errors: NOT_FOUND.
    pub fn delete_key(&self, id: &str) -> Result<Key> {
        let door = self.door()?;
        let key = door.vault.revoke(id)?;
        door.changed();
        Ok(key)
    }

    /// Which rule decides whether a principal may do something.
    pub fn explain(&self, principal: &Principal, action: Action, resource: Resource<'_>) -> Explanation {
        match &self.0 {
            Some(door) => door.policies.load().explain(principal, &[], action, resource),
            None => Explanation::open(),
        }
    }

    fn door(&self) -> Result<&Door> {
        self.0.as_ref().ok_or_else(refusal::off)
    }
}

impl Door {
    /// Whom a credential proves. What it begins with says what it is.
    fn prove(&self, credential: &str, now: u64) -> Result<Identity> {
        if credential.len() > CREDENTIAL_BYTES_MAX {
            let bytes = credential.len();
            return Err(refusal::invalid(format!(
                "the credential has {bytes} bytes; at most {CREDENTIAL_BYTES_MAX} are read"
            )));
        }
        let identity = if credential.starts_with(key::PREFIX) {
            self.vault.keys().verify(credential, now)?
        } else if credential.starts_with(token::PREFIX) {
            self.signer.verify(credential, now)?
        } else {
            self.prove_jwt(credential, now)?
        };
        self.check_proof(&identity)?;
        Ok(identity)
    }

    fn prove_jwt(&self, credential: &str, now: u64) -> Result<Identity> {
        let (jwt, issuers) = (Unproved::parse(credential)?, self.issuers.load());
        let issuer = issuers.of(&jwt)?;
        issuer.verify(&jwt, now).inspect_err(|_| {
            if issuer.source().want(jwt.header.kid.as_deref()) {
                self.keys_wanted.notify_one();
            }
        })
    }

    /// Whether what an identity stands on was not withdrawn.
    fn check_proof(&self, identity: &Identity) -> Result<()> {
        match identity.proof() {
            Proof::Key(id) if self.vault.keys().get(*id).is_none() => {
                Err(refusal::invalid("the API key behind this credential was deleted"))
            }
            Proof::Issuer(name) if !self.issuers.load().has(name) => {
                Err(refusal::invalid("the issuer of the JWT behind this credential is not trusted any more"))
            }
            Proof::Unconditional | Proof::Key(_) | Proof::Issuer(_) => Ok(()),
        }
    }

    fn changed(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests;
