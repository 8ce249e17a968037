//! The keys of an issuer: one that the configuration names, or a set that changes while the server
//! runs.
//!
//! Of a set only keys are taken that can verify: public ones, meant for signatures, of a known kind and a
//! size that holds; those that are too weak are told of.
//! A JWT names its key (`kid`); one that does not is tried with the only key that fits, if there is
//! one. Where the set comes from is not known here: `server` asks for it and hands it to
//! [`KeySource::put`], and a set without usable keys leaves the old one in place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, Guard};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;

use super::signature;
use crate::error::{Code, Error, Result};
use crate::limits::{KEY_SET_BYTES_MAX, KEY_SET_KEYS_MAX, KEY_SET_TRIES_MAX};

/// Letters of a key's id that are told: issuers choose them.
const KID_SHOWN: usize = 64;

/// A key, and what it may verify.
#[derive(Clone)]
pub struct VerifyingKey {
    /// Its id, as the JWTs name it.
    pub kid: Option<String>,
    /// What it is used with.
    pub algorithms: Vec<Algorithm>,
    /// Itself.
    pub key: DecodingKey,
}

/// A key of a set that would be used if it were not too weak.
#[derive(Clone)]
struct Weak {
    algorithms: Vec<Algorithm>,
    /// Which it is, and what is wrong.
    problem: String,
}

/// Keys at one time.
#[derive(Clone, Default)]
pub struct KeySet {
    keys: Vec<VerifyingKey>,
    /// Those that were passed over though they are meant to verify.
    weak: Vec<Weak>,
    /// Whether a JWT's `kid` says which one. It does not where the configuration names the key.
    is_named: bool,
    /// The hash of what it was read from.
    digest: Vec<u8>,
}

impl KeySet {
    /// The one key of an issuer, whatever its JWTs call it.
    pub fn one(key: DecodingKey, algorithms: Vec<Algorithm>) -> KeySet {
        KeySet { keys: vec![VerifyingKey { kid: None, algorithms, key }], ..KeySet::default() }
    }

    /// Reads a key set (RFC 7517). Keys that cannot be used are passed over. Errors: none can be used.
    pub fn parse(text: &str) -> Result<KeySet> {
        #[derive(Deserialize)]
        struct Content {
            keys: Vec<serde_json::Value>,
        }
        let refused = |problem: &str| Error::new(Code::FailedPrecondition, format!("the key set {problem}"));
        if text.len() > KEY_SET_BYTES_MAX {
            return Err(refused(&format!("has more than {KEY_SET_BYTES_MAX} bytes")));
        }
        let content: Content = serde_json::from_str(text)
            .map_err(|_| refused("cannot be understood; it has to be JSON such as {\"keys\": […]}"))?;
        if content.keys.len() > KEY_SET_KEYS_MAX {
            return Err(refused(&format!("has more than {KEY_SET_KEYS_MAX} keys")));
        }
        let jwks = content.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let (mut keys, mut weak) = (Vec::new(), Vec::new());
        for key in jwks.filter_map(usable) {
            match signature::check_size(&key.key) {
                Ok(()) => keys.push(key),
                Err(problem) => {
                    weak.push(Weak { problem: named(&key, &problem), algorithms: key.algorithms })
                }
            }
        }
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref().to_vec();
        let set = KeySet { keys, weak, is_named: true, digest };
        if set.is_empty() {
            let why = set.passed_over().map(|why| format!(": {why}")).unwrap_or_default();
            return Err(refused(&format!("has no key that can verify a signature{why}")));
        }
        Ok(set)
    }

    /// The keys that were passed over because they are too weak, and what they need.
    pub fn passed_over(&self) -> Option<String> {
        let first = self.weak.first()?;
        let others = self.weak.len() - 1;
        let more = if others > 0 { format!(" (and so are {others} more)") } else { String::new() };
        Some(format!("{}{more}", first.problem))
    }

    /// The same of those that one of these algorithms would use.
    pub(super) fn too_weak_for(&self, algorithms: &[Algorithm]) -> Option<&str> {
        let is_used = |weak: &&Weak| weak.algorithms.iter().any(|it| algorithms.contains(it));
        self.weak.iter().find(is_used).map(|weak| weak.problem.as_str())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys that a JWT with this header may have been signed with, few at most.
    pub fn candidates(&self, kid: Option<&str>, algorithm: Algorithm) -> Vec<&VerifyingKey> {
        let fitting = self.keys.iter().filter(|key| key.algorithms.contains(&algorithm));
        match kid {
            _ if !self.is_named => fitting.collect(),
            Some(_) => fitting.filter(|key| key.kid.as_deref() == kid).take(KEY_SET_TRIES_MAX).collect(),
            None => {
                let fitting: Vec<_> = fitting.take(2).collect();
                if fitting.len() == 1 { fitting } else { Vec::new() }
            }
        }
    }

    fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }
}

/// A problem of a key, and which key that is.
fn named(key: &VerifyingKey, problem: &str) -> String {
    match &key.kid {
        Some(kid) => format!("the key {:?} {problem}", kid.chars().take(KID_SHOWN).collect::<String>()),
        None => format!("a key without a kid {problem}"),
    }
}

/// A key of a set that can verify signatures, if it is strong enough.
fn usable(jwk: Jwk) -> Option<VerifyingKey> {
    let said = &jwk.common;
    let is_meant = said.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature)
        && said.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
    let curve = |curve: &EllipticCurve| match curve {
        EllipticCurve::P256 => vec![Algorithm::ES256],
        EllipticCurve::P384 => vec![Algorithm::ES384],
        EllipticCurve::P521 | EllipticCurve::Ed25519 => Vec::new(),
        _ => Vec::new(),
    };
    let mut algorithms = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => AlgorithmFamily::Rsa.algorithms().to_vec(),
        AlgorithmParameters::EllipticCurve(parameters) => curve(&parameters.curve),
        AlgorithmParameters::OctetKeyPair(parameters) if parameters.curve == EllipticCurve::Ed25519 => {
            vec![Algorithm::EdDSA]
        }
        // A secret has no place in a set that is published.
        _ => return None,
    };
    if let Some(only) = said.key_algorithm {
        algorithms.retain(|algorithm| KeyAlgorithm::from(*algorithm) == only);
    }
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    (is_meant && !algorithms.is_empty()).then(|| VerifyingKey { kid: jwk.common.key_id, algorithms, key })
}

/// Where the keys of an issuer come from, and those that came last.
pub struct KeySource {
    issuer: String,
    url: Option<String>,
    keys: ArcSwap<KeySet>,
    is_wanted: AtomicBool,
}

impl KeySource {
    /// Keys that stay as they are until the configuration is read again.
    pub fn fixed(issuer: &str, keys: KeySet) -> KeySource {
        KeySource { keys: ArcSwap::from_pointee(keys), ..KeySource::at(issuer, None) }
    }

    /// Keys that somebody has to ask this URL for.
    pub fn at(issuer: &str, url: Option<&str>) -> KeySource {
        KeySource {
            issuer: issuer.to_owned(),
            url: url.map(str::to_owned),
            keys: ArcSwap::default(),
            is_wanted: AtomicBool::new(url.is_some()),
        }
    }

    /// The name of the issuer in the configuration.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whom to ask.
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// The keys as they are now.
    pub fn keys(&self) -> Guard<Arc<KeySet>> {
        self.keys.load()
    }

    /// Puts a set that was asked for in place; returns how many keys it has, and whether it says
    /// something new. Errors: it has none that can be used, and the old set stays.
    pub(super) fn put(&self, text: &str) -> Result<(usize, bool)> {
        let keys = KeySet::parse(text)?;
        let (count, is_news) = (keys.len(), keys.digest != self.keys().digest);
        self.keys.store(Arc::new(keys));
        self.is_wanted.store(false, Ordering::Relaxed);
        Ok((count, is_news))
    }

    /// Notes that a JWT names a key that is not there, so that the set is asked for again; whether
    /// that is news.
    pub(super) fn want(&self, kid: Option<&str>) -> bool {
        let is_there = kid.map_or_else(|| !self.keys().is_empty(), |kid| self.keys().knows(kid));
        self.url.is_some() && !is_there && !self.is_wanted.swap(true, Ordering::Relaxed)
    }

    /// Whether it is wanted before its time; forgets it.
    pub fn take_wanted(&self) -> bool {
        self.is_wanted.swap(false, Ordering::Relaxed)
    }
}

impl std::fmt::Debug for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeySource")
            .field("issuer", &self.issuer)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}
