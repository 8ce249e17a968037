//! The cryptography of JWTs: what `jsonwebtoken` asks for, done by ring, which TLS is done by too, so
//! that the program has one library for it.
//!
//! RSA keys have 2048 to 8192 bits: [`check_size`]. Only HMAC signs, for the tokens made here; all else is verified
//! alone.

use std::sync::Once;

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, Result};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind};
use ring::hmac;
use ring::signature as public;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::RSAPublicKey;

use crate::limits::{RSA_BITS_MAX, RSA_BITS_MIN};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| {
        let key = keyed(*algorithm, key.family(), key.as_bytes())?;
        Ok(Box::new(Shared { algorithm: *algorithm, key }))
    },
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Lets the library know of it; has to be called before a JWT is made or verified. A program that this
/// server is a part of may have said which cryptography it wants; then that one is used.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = PROVIDER.install_default();
    });
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    if algorithm.family() != key.family() {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let algorithm = *algorithm;
    match algorithm.family() {
        AlgorithmFamily::Hmac => {
            let key = keyed(algorithm, key.family(), key.try_get_as_bytes()?)?;
            Ok(Box::new(Shared { algorithm, key }))
        }
        _ => Ok(Box::new(Public { algorithm, key: key.clone() })),
    }
}

/// The key of an HMAC, where both the algorithm and the key are for one.
fn keyed(algorithm: Algorithm, family: AlgorithmFamily, secret: &[u8]) -> Result<hmac::Key> {
    let hash = match algorithm {
        Algorithm::HS256 => hmac::HMAC_SHA256,
        Algorithm::HS384 => hmac::HMAC_SHA384,
        Algorithm::HS512 => hmac::HMAC_SHA512,
        _ => return Err(ErrorKind::UnsupportedAlgorithm.into()),
    };
    match family {
        AlgorithmFamily::Hmac => Ok(hmac::Key::new(hash, secret)),
        _ => Err(ErrorKind::InvalidKeyFormat.into()),
    }
}

/// A secret that both sides have.
struct Shared {
    algorithm: Algorithm,
    key: hmac::Key,
}

impl Signer<Vec<u8>> for Shared {
    fn try_sign(&self, text: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.key, text).as_ref().to_vec())
    }
}

impl JwtSigner for Shared {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for Shared {
    fn verify(&self, text: &[u8], signed: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        hmac::verify(&self.key, text, signed).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Shared {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// A key that everybody may have.
struct Public {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Public {
    fn check(&self, text: &[u8], signed: &[u8]) -> std::result::Result<(), ring::error::Unspecified> {
        let rsa: &'static public::RsaParameters = match self.algorithm {
            Algorithm::RS256 => &public::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::RS384 => &public::RSA_PKCS1_2048_8192_SHA384,
            Algorithm::RS512 => &public::RSA_PKCS1_2048_8192_SHA512,
            Algorithm::PS256 => &public::RSA_PSS_2048_8192_SHA256,
            Algorithm::PS384 => &public::RSA_PSS_2048_8192_SHA384,
            Algorithm::PS512 => &public::RSA_PSS_2048_8192_SHA512,
            Algorithm::ES256 => return self.point(&public::ECDSA_P256_SHA256_FIXED, text, signed),
            Algorithm::ES384 => return self.point(&public::ECDSA_P384_SHA384_FIXED, text, signed),
            Algorithm::EdDSA => return self.point(&public::ED25519, text, signed),
            _ => return Err(ring::error::Unspecified),
        };
        match self.key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                public::RsaPublicKeyComponents { n, e }.verify(rsa, text, signed)
            }
            DecodingKeyKind::SecretOrDer(der) => {
                public::UnparsedPublicKey::new(rsa, der).verify(text, signed)
            }
        }
    }

    fn point(
        &self,
        algorithm: &'static dyn public::VerificationAlgorithm,
        text: &[u8],
        signed: &[u8],
    ) -> std::result::Result<(), ring::error::Unspecified> {
        let point = self.key.try_get_as_bytes().map_err(|_| ring::error::Unspecified)?;
        public::UnparsedPublicKey::new(algorithm, point).verify(text, signed)
    }
}

impl Verifier<Vec<u8>> for Public {
    fn verify(&self, text: &[u8], signed: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        self.check(text, signed).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Public {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// Whether this key has a size that signatures can be verified with. Errors: what it has, and what it
/// needs.
pub fn check_size(key: &DecodingKey) -> std::result::Result<(), String> {
    if key.family() != AlgorithmFamily::Rsa {
        return Ok(());
    }
    let bits = rsa_bits(key).ok_or("is no RSA key")?;
    if (RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
        return Ok(());
    }
    Err(format!(
        "is an RSA key of {bits} bits, and {RSA_BITS_MIN} to {RSA_BITS_MAX} are needed; have the issuer make one of \
         3072, or of another algorithm such as ES256"
    ))
}

/// The bits of the modulus.
fn rsa_bits(key: &DecodingKey) -> Option<usize> {
    let modulus = match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, .. } => n,
        DecodingKeyKind::SecretOrDer(der) => RSAPublicKey::from_der(der).ok()?.1.modulus,
    };
    let start = modulus.iter().position(|byte| *byte != 0)?;
    let zeros = modulus[start].leading_zeros() as usize;
    Some(8 * (modulus.len() - start) - zeros)
}

/// What is said of a JWT without one of the claims that each has.
pub const CLAIM_MISSING: &str = "it lacks a claim: exp, iss, aud and its subject are needed";

/// What is wrong with a JWT, for whoever sent it: its cause, and nothing of what it says.
pub fn words(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::InvalidSignature => "its signature is not right",
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => {
            "its algorithm is not one of its issuer"
        }
        ErrorKind::MissingRequiredClaim(_) => CLAIM_MISSING,
        ErrorKind::InvalidIssuer => "it is of another issuer",
        ErrorKind::InvalidAudience => "it is for another audience",
        _ => "it is not well-formed",
    }
}
