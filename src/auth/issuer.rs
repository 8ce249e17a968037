//! An issuer of JWTs as the configuration describes it, and its keys as they are read from files.
//!
//! The algorithms are pinned here and a key has to fit them: a public key verifies no HMAC, for
//! whoever knows it, everybody, could sign with it then. What else an issuer has to be is checked here too
//! ([`Issuer::check`]), for the configuration file and for a program that describes one in Rust.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};

use super::jwks::{KeySet, KeySource};
use super::secret::Secret;
use super::{Kind, Principal, signature};
use crate::error::{Code, Error, Result};
use crate::limits::{ISSUERS_MAX, KEY_SET_BYTES_MAX, LEEWAY_MAX, SECRET_FILE_BYTES_MAX};

/// An issuer of JWTs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// Its name in policies: `jwt:NAME/SUBJECT`.
    pub name: String,
    /// What its JWTs have as `iss`.
    pub issuer: String,
    /// What they have to have as `aud`, or among it: one of these.
    pub audiences: Vec<String>,
    /// What they may be signed with, as RFC 7518 names it.
    pub algorithms: Vec<String>,
    /// The keys.
    pub keys: KeysAt,
    /// The claim that names who it is: `sub`.
    pub subject_claim: String,
    /// The claim that lists roles, if any; a path has dots.
    pub roles_claim: Option<String>,
    /// What the clocks may differ by.
    pub leeway: Duration,
    /// Where it was written.
    pub place: String,
}

/// Where the keys of an issuer are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeysAt {
    /// A key set at this URL.
    Url(String),
    /// A key set in this file.
    SetFile(PathBuf),
    /// A public key in PEM.
    PublicKeyFile(PathBuf),
    /// A secret that the issuer has too.
    SecretFile(PathBuf),
}

impl KeysAt {
    /// What it is called in the configuration.
    pub fn entry(&self) -> &'static str {
        match self {
            KeysAt::Url(_) => "jwks_url",
            KeysAt::SetFile(_) => "jwks_file",
            KeysAt::PublicKeyFile(_) => "public_key_file",
            KeysAt::SecretFile(_) => "secret_file",
        }
    }

    fn check(&self) -> Result<(), String> {
        match self {
            KeysAt::Url(url) if url.is_empty() => Err("is empty".to_owned()),
            KeysAt::Url(url) if !is_trusty(url) => Err(
                "has to be a URL that begins with https://, or with http:// on this machine: whoever can answer in \
                 its stead could sign for everybody"
                    .to_owned(),
            ),
            KeysAt::SetFile(path) | KeysAt::PublicKeyFile(path) | KeysAt::SecretFile(path)
                if path.as_os_str().is_empty() =>
            {
                Err("is empty".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// Whether nobody on the way can change what this URL answers. A name and password in it would be logged.
fn is_trusty(text: &str) -> bool {
    let Ok(url) = text.parse::<http::Uri>() else { return false };
    let host = url.host().unwrap_or_default();
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{}", port.as_str()));
    let is_plain = !host.is_empty() && url.authority().is_some_and(|all| all.as_str() == authority);
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    let is_safe = text.starts_with("https://") || (text.starts_with("http://") && is_here);
    is_plain && is_safe && url.query().is_none() && !text.contains('#')
}

/// What JWTs may be signed with. `none` is not one.
pub const ALGORITHMS: [&str; 12] = [
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384",
    "EdDSA",
];

/// The algorithm of this name.
fn algorithm(name: &str) -> Option<Algorithm> {
    name.parse().ok().filter(|_| ALGORITHMS.contains(&name))
}

/// Whether these algorithms can be used with keys of this sort. Errors: what to change.
fn check_algorithms(names: &[String], keys: &KeysAt) -> Result<Vec<Algorithm>, String> {
    let mut algorithms = Vec::new();
    for name in names {
        let found = algorithm(name).ok_or_else(|| {
            format!("{name:?} is none that can be used; there are {}", ALGORITHMS.join(", "))
        })?;
        let is_shared = found.family() == AlgorithmFamily::Hmac;
        match (is_shared, keys) {
            (true, KeysAt::SecretFile(_)) | (false, KeysAt::Url(_) | KeysAt::SetFile(_)) => {}
            (false, KeysAt::PublicKeyFile(_)) => {}
            (true, _) => {
                return Err(format!(
                    "{name} needs a secret_file; with a public key everybody who has it could sign"
                ));
            }
            (false, KeysAt::SecretFile(_)) => {
                return Err(format!("{name} needs a public key: jwks_url, jwks_file or public_key_file"));
            }
        }
        algorithms.push(found);
    }
    let first = algorithms.first().ok_or("has to name one at least, such as RS256")?;
    if matches!(keys, KeysAt::PublicKeyFile(_)) && algorithms.iter().any(|it| it.family() != first.family()) {
        return Err("are for keys of different kinds, and public_key_file holds one".to_owned());
    }
    Ok(algorithms)
}

impl Issuer {
    /// What is wrong between issuers that are each right.
    pub fn contradictions(issuers: &[Issuer]) -> Vec<String> {
        let mut found = Vec::new();
        if issuers.len() > ISSUERS_MAX {
            found.push(format!("there are {}; at most {ISSUERS_MAX} are allowed", issuers.len()));
        }
        for (at, issuer) in issuers.iter().enumerate() {
            let mut others = issuers[..at].iter();
            if others.any(|other| other.name == issuer.name || other.issuer == issuer.issuer) {
                found.push(format!("{}: there is one of this name or issuer already", issuer.place));
            }
        }
        found
    }

    /// Whether it can be one, whoever describes it; its files are not read for that. Errors: the entry of
    /// its table, and what to change.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        self.checked().map(|_| ())
    }

    /// Its algorithms, where it can be an issuer.
    pub(super) fn algorithms(&self) -> Result<Vec<Algorithm>> {
        self.checked()
            .map_err(|(entry, problem)| Error::field(entry, problem).under(&format!("issuers.{}", self.name)))
    }

    fn checked(&self) -> Result<Vec<Algorithm>, (&'static str, String)> {
        let wrong = |entry, problem: &str| Err((entry, problem.to_owned()));
        if Principal::new(Kind::Jwt, &self.name).is_err() || self.name.contains(['/', '*', ':']) {
            return wrong(
                "name",
                "has to be a word without white space, /, : and *; policies say jwt:NAME/…",
            );
        }
        if self.issuer.is_empty() {
            return wrong("issuer", "has to be what the JWTs have as iss");
        }
        self.keys.check().map_err(|problem| (self.keys.entry(), problem))?;
        let algorithms =
            check_algorithms(&self.algorithms, &self.keys).map_err(|problem| ("algorithms", problem))?;
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            return wrong(
                "audience",
                "has to be given: a JWT that was made for others is not for this server",
            );
        }
        if self.leeway > LEEWAY_MAX {
            let problem = format!("has to be {} minutes at most, such as 30s", LEEWAY_MAX.as_secs() / 60);
            return Err(("leeway", problem));
        }
        let claims =
            [("subject_claim", Some(&self.subject_claim)), ("roles_claim", self.roles_claim.as_ref())];
        match claims.into_iter().find(|(_, claim)| claim.is_some_and(String::is_empty)) {
            Some((entry, _)) => wrong(entry, "has to be the name of a claim"),
            None => Ok(algorithms),
        }
    }

    /// Its keys, read from the files it names. Errors: they cannot be read, or do not fit.
    pub fn source(&self, algorithms: &[Algorithm]) -> Result<KeySource> {
        let wrong =
            |path, problem: &str| Err(unusable(path, &format!("for the issuer {}: {problem}", self.name)));
        let set = match &self.keys {
            KeysAt::Url(url) => return Ok(KeySource::at(&self.name, Some(url))),
            KeysAt::SetFile(path) => {
                let set = match KeySet::parse(&read(path, KEY_SET_BYTES_MAX)?) {
                    Ok(set) => set,
                    Err(error) => return wrong(path, error.message()),
                };
                if let Some(problem) = set.too_weak_for(algorithms) {
                    return wrong(path, problem);
                }
                set
            }
            KeysAt::SecretFile(path) => {
                let secret = Secret::read(path)?;
                KeySet::one(DecodingKey::from_secret(secret.expose()), algorithms.to_vec())
            }
            KeysAt::PublicKeyFile(path) => {
                let key = public_key(path, algorithms)?;
                if let Err(problem) = signature::check_size(&key) {
                    return wrong(path, &format!("the key {problem}"));
                }
                KeySet::one(key, algorithms.to_vec())
            }
        };
        Ok(KeySource::fixed(&self.name, set))
    }
}

fn unusable(path: &Path, problem: &str) -> Error {
    Error::new(Code::FailedPrecondition, format!("{}: {problem}", path.display()))
}

fn read(path: &Path, bytes_max: usize) -> Result<String> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        unusable(path, &format!("cannot be read: {error}; check the path and its permissions")).because(error)
    })?;
    if text.len() > bytes_max {
        return Err(unusable(path, &format!("has more than {bytes_max} bytes; it is some other file")));
    }
    Ok(text)
}

/// A public key in PEM that fits these algorithms, all of one family.
fn public_key(path: &Path, algorithms: &[Algorithm]) -> Result<DecodingKey> {
    let text = read(path, 4 * SECRET_FILE_BYTES_MAX)?;
    if text.contains("PRIVATE KEY") {
        return Err(unusable(path, "holds a private key; give the public one alone"));
    }
    let (family, pem) = (algorithms.first().map(|it| it.family()), text.as_bytes());
    let (key, kind) = match family {
        Some(AlgorithmFamily::Rsa) => (DecodingKey::from_rsa_pem(pem), "RSA"),
        Some(AlgorithmFamily::Ec) => (DecodingKey::from_ec_pem(pem), "elliptic curve (P-256, P-384)"),
        Some(AlgorithmFamily::Ed) => (DecodingKey::from_ed_pem(pem), "Ed25519"),
        _ => return Err(unusable(path, "is for an algorithm with a public key")),
    };
    let fits = |key: &DecodingKey| {
        let bytes = key.try_get_as_bytes().map_or(0, <[u8]>::len);
        algorithms.iter().all(|algorithm| match algorithm {
            // The uncompressed point: a byte, and two numbers.
            Algorithm::ES256 => bytes == 1 + 2 * 32,
            Algorithm::ES384 => bytes == 1 + 2 * 48,
            Algorithm::EdDSA => bytes == 32,
            _ => true,
        })
    };
    key.ok().filter(fits).ok_or_else(|| {
        unusable(path, &format!("holds no {kind} public key in PEM, which the algorithms of the issuer need"))
    })
}
