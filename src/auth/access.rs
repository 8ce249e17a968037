//! The one door: authenticates a call, and decides whether it may go on.
//!
//! Everything that a decision depends on is one value that is replaced as a whole when the
//! configuration is read again, so no call sees half of a change. Making and deleting keys writes a
//! file and waits for the disk: an async caller does it on a thread for that.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::explain::Explanation;
use super::issuer::Issuer;
use super::jwks::KeySource;
use super::jwt::{self, Unproved, Verifier};
use super::key::{IssuedKey, Key, PREFIX};
use super::policy::{Policies, Role, Rule};
use super::secret::Secret;
use super::token::{self, IssuedToken, Mint, TokenRequest};
use super::vault::Vault;
use super::{Action, Identity, Kind, Principal, Proof, refusal};
use crate::error::Result;
use crate::limits::{CREDENTIAL_BYTES_MAX, SECRET_BYTES_MIN};
use crate::topic::{Namespace, TopicName};

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

/// How it is decided who may do what.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Whether anybody is asked who they are.
    pub enabled: bool,
    /// Where API keys are kept; in memory alone where it is not said.
    pub keys_file: Option<PathBuf>,
    /// Holds what signs disposable tokens; made at random where it is not said, so that they end with
    /// the server.
    pub token_secret_file: Option<PathBuf>,
    /// Who may do what.
    pub rules: Vec<Rule>,
    /// Named sets of principals.
    pub roles: Vec<Role>,
    /// Whose JWTs are taken.
    pub issuers: Vec<Issuer>,
}

/// Who may do what on a server.
#[derive(Debug)]
pub struct Access {
    is_open: AtomicBool,
    generation: AtomicU64,
    state: ArcSwap<State>,
    /// Signs tokens where no file says with what.
    random: Mutex<Option<Secret>>,
    keys_wanted: Notify,
}

/// What decisions depend on.
#[derive(Debug, Default)]
struct State {
    policies: Policies,
    issuers: Vec<Verifier>,
    vault: Arc<Vault>,
    mint: Option<Mint>,
}

impl Default for Access {
    fn default() -> Self {
        Access::open()
    }
}

impl Access {
    /// Nobody has to say who they are, and everybody may do everything.
    pub fn open() -> Access {
        Access {
            is_open: AtomicBool::new(true),
            generation: AtomicU64::new(0),
            state: ArcSwap::default(),
            random: Mutex::default(),
            keys_wanted: Notify::new(),
        }
    }

    /// As it is set. Errors: a file that it names cannot be used.
    pub fn new(settings: Settings) -> Result<Access> {
        let access = Access::open();
        access.replace(settings)?;
        Ok(access)
    }

    /// From now on as it is set here; files are read again. Errors: one of them cannot be used, and
    /// nothing changes.
    pub fn replace(&self, settings: Settings) -> Result<()> {
        if settings.enabled {
            let state = self.prepare(settings)?;
            self.state.store(Arc::new(state));
            self.is_open.store(false, Ordering::Release);
        } else {
            self.is_open.store(true, Ordering::Release);
        }
        self.changed();
        self.keys_wanted.notify_one();
        Ok(())
    }

    fn prepare(&self, settings: Settings) -> Result<State> {
        let old = self.state.load();
        let vault = match old.mint.is_some() && old.vault.path() == settings.keys_file.as_deref() {
            true => {
                old.vault.reload()?;
                Arc::clone(&old.vault)
            }
            false => Arc::new(Vault::open(settings.keys_file)?),
        };
        let secret = match &settings.token_secret_file {
            Some(path) => Secret::read(path)?,
            None => {
                let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
                match &*random {
                    Some(secret) => secret.clone(),
                    None => random.insert(Secret::random(SECRET_BYTES_MIN)?).clone(),
                }
            }
        };
        let sources: Vec<Arc<KeySource>> = old.issuers.iter().map(|it| Arc::clone(it.source())).collect();
        let issuers = settings.issuers.into_iter().map(|it| Verifier::new(it, &sources));
        Ok(State {
            policies: Policies::new(settings.rules, settings.roles),
            issuers: issuers.collect::<Result<_>>()?,
            vault,
            mint: Some(Mint::new(&secret)),
        })
    }

    fn changed(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether everybody may do everything.
    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Counts up whenever something changes that decisions depend on, so that whoever keeps one asks
    /// again.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Who makes a call at this time, unix nanoseconds. A credential counts more than a certificate.
    /// Errors: UNAUTHENTICATED.
    pub fn authenticate(&self, presented: Presented<'_>, now: u64) -> Result<Identity> {
        if self.is_open() {
            return Ok(Identity::anonymous());
        }
        let Some(credential) = presented.credential else {
            let certificate = presented.certificate.cloned().ok_or_else(refusal::missing)?;
            return Ok(Identity::new(certificate, None));
        };
        if credential.is_empty() || credential.len() > CREDENTIAL_BYTES_MAX {
            let message = format!("the credential has to have 1 to {CREDENTIAL_BYTES_MAX} bytes");
            return Err(refusal::invalid(message));
        }
        let state = self.state.load();
        if credential.starts_with(PREFIX) {
            return state.vault.keys().verify(credential, now);
        }
        let jwt = Unproved::parse(credential)?;
        if jwt.issuer == token::ISSUER {
            let identity = match &state.mint {
                Some(mint) => mint.verify(&jwt, now)?,
                None => return Err(jwt::invalid("it is no token of this server")),
            };
            return state.stands(&identity).map(|()| identity);
        }
        let Some(issuer) = state.issuers.iter().find(|it| it.settings().issuer == jwt.issuer) else {
            return Err(jwt::invalid("its issuer (iss) is not one that this server trusts"));
        };
        issuer.verify(&jwt, now).inspect_err(|_| {
            if issuer.source().want(jwt.header.kid.as_deref()) {
                self.keys_wanted.notify_one();
            }
        })
    }

    /// Whether it may do this. Errors: PERMISSION_DENIED, in words that are the same whether or not
    /// what is named exists; UNAUTHENTICATED where the key behind it has been deleted.
    pub fn authorise(&self, identity: &Identity, action: Action, resource: Resource<'_>) -> Result<()> {
        if self.is_open() {
            return Ok(());
        }
        let state = self.state.load();
        state.stands(identity)?;
        match state.policies.allows(identity, action, resource) {
            true => Ok(()),
            false => Err(refusal::denied(identity, action, resource)),
        }
    }

    /// Why this principal may do this, or not. The roles of API keys of this name count.
    pub fn explain(&self, principal: &Principal, action: Action, resource: Resource<'_>) -> Explanation {
        if self.is_open() {
            return Explanation::open();
        }
        let state = self.state.load();
        let keys = state.vault.keys().list();
        let roles: Vec<Arc<str>> = keys.iter().filter(|key| key.principal == *principal).flat_map(|key| key.roles.to_vec()).collect();
        let mut why = state.policies.explain(principal, &roles, action, resource);
        match principal.kind() {
            Kind::Token => {
                why.notes.push("a token may do what its grants say and its minter may: ask for the minter".to_owned());
            }
            Kind::Jwt => why.notes.push("roles that its JWT names count too, and are not known here".to_owned()),
            _ => {}
        }
        why
    }

    /// Makes an API key of this name. Errors: the name cannot be one, there are too many, the file
    /// cannot be written; FAILED_PRECONDITION where nobody is asked who they are.
    pub fn create_key(&self, name: &str, roles: &[String], expires: Option<u64>, now: u64) -> Result<IssuedKey> {
        let issued = self.vault()?.create(name, roles, expires, now)?;
        self.changed();
        Ok(issued)
    }

    /// Deletes an API key; it and the tokens made with it prove nothing from now on. Errors: there is
    /// none of this id, or the file cannot be written.
    pub fn revoke_key(&self, id: &str) -> Result<Key> {
        let key = self.vault()?.revoke(id)?;
        self.changed();
        Ok(key)
    }

    /// All API keys, by id.
    pub fn keys(&self) -> Result<Vec<Key>> {
        Ok(self.vault()?.keys().list())
    }

    /// Makes a disposable token for this identity to hand on. Errors: it may not do all of that
    /// itself, or is a token, or asks for what cannot be.
    pub fn mint_token(&self, minter: &Identity, request: &TokenRequest<'_>, now: u64) -> Result<IssuedToken> {
        if self.is_open() {
            return Err(refusal::off());
        }
        let state = self.state.load();
        state.stands(minter)?;
        let issued = state.mint.as_ref().ok_or_else(refusal::off)?.mint(minter, request, now)?;
        for grant in request.grants {
            let covering = |action| state.policies.covering(minter.principal(), minter.roles(), action, grant);
            if let Some(action) = grant.actions.iter().find(|action| covering(*action).is_none()) {
                let (who, what, topics) = (minter.principal(), action.as_str(), &grant.topic);
                let message = format!(
                    "{who} may not {what} on {}/{topics} itself, so it cannot grant that; grant less",
                    grant.namespace
                );
                return Err(refusal::policy(message));
            }
        }
        Ok(issued)
    }

    fn vault(&self) -> Result<Arc<Vault>> {
        if self.is_open() { Err(refusal::off()) } else { Ok(Arc::clone(&self.state.load().vault)) }
    }

    /// The issuers whose keys have to be asked for over the network.
    pub fn key_sources(&self) -> Vec<Arc<KeySource>> {
        if self.is_open() {
            return Vec::new();
        }
        let state = self.state.load();
        let sources = state.issuers.iter().map(|issuer| issuer.source());
        sources.filter(|source| source.url().is_some()).cloned().collect()
    }

    /// Puts a key set that was asked for in place, so that what was proved with the old one is proved
    /// again. Errors: it has no usable key, and the old one stays.
    pub fn put_keys(&self, source: &KeySource, text: &str) -> Result<usize> {
        let count = source.put(text)?;
        self.changed();
        Ok(count)
    }

    /// Returns when keys of some issuer are wanted before their time.
    pub async fn keys_wanted(&self) {
        self.keys_wanted.notified().await;
    }
}

impl State {
    /// Whether what an identity stands on is still there.
    fn stands(&self, identity: &Identity) -> Result<()> {
        match identity.proof() {
            Proof::Unconditional => Ok(()),
            Proof::Key(id) => match self.vault.keys().get(*id) {
                Some(_) => Ok(()),
                None => Err(refusal::invalid("the API key behind this call has been deleted; use another one")),
            },
            Proof::Issuer(name) => match self.issuers.iter().any(|it| it.settings().name == **name) {
                true => Ok(()),
                false => Err(refusal::invalid("the issuer of the JWT behind this call is not trusted any more")),
            },
        }
    }
}
