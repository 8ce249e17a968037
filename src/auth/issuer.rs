//! An issuer of JWTs as the configuration describes it, and its keys as they are read from files.
//!
//! The algorithms are pinned here and a key has to fit them: a public key verifies no HMAC, for
//! whoever knows it, everybody, could sign with it then.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};

use super::jwks::{KeySet, KeySource};
use super::secret::Secret;
use crate::error::{Code, Error, Result};
use crate::limits::{KEY_SET_BYTES_MAX, SECRET_FILE_BYTES_MAX};

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

/// The algorithm of this name. `none` is not one.
pub fn algorithm(name: &str) -> Option<Algorithm> {
    name.parse().ok()
}

/// Whether these algorithms can be used with keys of this sort. Errors: what to change.
pub fn check_algorithms(names: &[String], keys: &KeysAt) -> Result<Vec<Algorithm>, String> {
    let mut algorithms = Vec::new();
    for name in names {
        let known = "HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 and EdDSA";
        let found =
            algorithm(name).ok_or_else(|| format!("{name:?} is none that can be used; there are {known}"))?;
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
    /// Its algorithms. Errors: they and its keys do not fit.
    pub fn algorithms(&self) -> Result<Vec<Algorithm>> {
        check_algorithms(&self.algorithms, &self.keys)
            .map_err(|problem| Error::field("algorithms", problem).under(&format!("issuers.{}", self.name)))
    }

    /// Its keys, read from the files it names. Errors: they cannot be read, or do not fit.
    pub fn source(&self, algorithms: &[Algorithm]) -> Result<KeySource> {
        let set = match &self.keys {
            KeysAt::Url(url) => return Ok(KeySource::at(&self.name, Some(url))),
            KeysAt::SetFile(path) => {
                let text = read(path, KEY_SET_BYTES_MAX)?;
                let set = KeySet::parse(&text);
                set.map_err(|error| unusable(path, &error.to_string()))?
            }
            KeysAt::SecretFile(path) => {
                let secret = Secret::read(path)?;
                KeySet::one(DecodingKey::from_secret(secret.expose()), algorithms.to_vec())
            }
            KeysAt::PublicKeyFile(path) => {
                let key = public_key(path, algorithms)?;
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
