//! What of the configuration can be changed in a running server: quotas, policies, roles, issuers, keys, and
//! the files of TLS.
//!
//! Made by the server, applied by whoever reads a configuration again: `bugle serve` on SIGHUP.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::{Access, Policies, Secret, Settings, Vault};
use crate::broker::Broker;
use crate::config::{Config, Endpoint};
use crate::error::{Error, Result};
use crate::limits::SECRET_BYTES_MIN;
use crate::metrics::State;
use crate::quota::Quotas;
use crate::server::tls::Tls;
use crate::store::unix_nanos;
use crate::webhook::{self, Allow, Definition, Signing, Webhooks};

/// The parts of a server that follow its configuration.
#[derive(Clone)]
pub struct Live {
    /// What namespaces and principals may use.
    pub quotas: Arc<Quotas>,
    /// Who may do what.
    pub access: Arc<Access>,
    /// TLS, where that is spoken.
    pub tls: Option<Arc<Tls>>,
    /// Topics that push, once the server has begun.
    pub webhooks: Option<Arc<Webhooks>>,
}

impl Live {
    /// As the configuration says now. Errors: rules that contradict each other, files that cannot be used.
    pub fn new(config: &Config, metrics: &Arc<State>) -> Result<Live> {
        Ok(Live {
            quotas: Quotas::new(config.quotas.clone())?,
            access: Arc::new(access(config)?),
            tls: Tls::new(&config.tls, metrics.clone())?,
            webhooks: None,
        })
    }

    /// Follows this configuration from now on. Errors: what cannot be used, and then nothing changes.
    pub fn apply(&self, config: &Config) -> Result<()> {
        let issuers = self.access.issuers(config.issuers.clone())?;
        let endpoints = definitions(config)?;
        self.tls.as_ref().map_or(Ok(()), |tls| tls.follow(&config.tls))?;
        self.webhooks.as_ref().map_or(Ok(()), |webhooks| webhooks.follow(endpoints))?;
        self.access.replace(policies(config))?;
        self.access.trust(issuers);
        self.quotas.replace(config.quotas.clone())
    }
}

/// The webhooks of a configuration, which are told to begin, or to change.
pub fn webhooks(config: &Config, broker: &Arc<Broker>) -> Result<Arc<Webhooks>> {
    let own = &config.webhooks;
    let allow = Allow::parse(&own.allow).map_err(|entry| {
        Error::field("webhooks.allow", format!("{entry} is no network, address or name of a host"))
    })?;
    let options = webhook::Options {
        max_concurrent: usize::try_from(own.max_concurrent).unwrap_or(usize::MAX),
        allow,
        authorities: (!own.ca.is_empty()).then(|| PathBuf::from(&own.ca)),
        retry_initial: own.retry_initial,
        retry_max: own.retry_max,
    };
    let webhooks = Webhooks::new(broker.clone(), options)?;
    webhooks.follow(definitions(config)?)?;
    Ok(webhooks)
}

/// The webhooks that a configuration defines, with their secrets.
fn definitions(config: &Config) -> Result<Vec<Definition>> {
    let definition = |endpoint: &Endpoint| {
        let secret = Signing::read(&endpoint.secret_file)?;
        Ok(Definition { secret, ..endpoint.definition.clone() })
    };
    config.endpoints.iter().map(definition).collect()
}

/// Makes an API key in a file of keys, without a server; its id and its credential. A server that runs
/// on the file reads it again on SIGHUP. Errors: as [`Access::create_key`].
pub fn create_key_in(file: PathBuf, name: &str, ttl: Option<Duration>) -> Result<(String, String)> {
    let vault = Vault::open(Some(file))?;
    let access = Access::new(Settings {
        policies: Policies::default(),
        vault,
        token_secret: Secret::random(SECRET_BYTES_MIN)?,
    });
    let issued = access.create_key(name, ttl, unix_nanos())?;
    Ok((issued.key.id.to_string(), issued.credential.expose_text().to_owned()))
}

fn access(config: &Config) -> Result<Access> {
    let auth = &config.auth;
    if !auth.enabled {
        if !config.policies.is_empty() || !config.issuers.is_empty() {
            tracing::warn!(
                policies = config.policies.len(),
                issuers = config.issuers.len(),
                "policies and issuers mean nothing, because auth.enabled is false: everybody may do everything"
            );
        }
        return Ok(Access::open());
    }
    if config.policies.is_empty() {
        tracing::warn!("there are no policies, so nobody may do anything; see [[policies]]");
    }
    let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
    let token_secret = match path(&auth.token_secret_file) {
        Some(path) => Secret::read(&path)?,
        None => Secret::random(SECRET_BYTES_MIN)?,
    };
    let vault = Vault::open(path(&auth.keys_file))?;
    let access = Access::new(Settings { policies: policies(config), vault, token_secret });
    access.trust(access.issuers(config.issuers.clone())?);
    Ok(access)
}

fn policies(config: &Config) -> Policies {
    Policies::new(config.policies.clone(), config.roles.clone())
}
