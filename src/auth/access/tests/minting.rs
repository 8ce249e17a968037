//! An issuer of JWTs for the tests: it signs whatever it is told to, right or wrong.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair as RsaKeyPair, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
};
use serde_json::{Value, json};

/// For these tests alone: it signs nothing that anybody trusts.
const RSA_PEM: &str = include_str!("rsa.pem");
pub const RSA_PUBLIC_PEM: &str = include_str!("rsa.pub.pem");
pub const EC_PUBLIC_PEM: &str = include_str!("p256.pub.pem");
pub const SECRET: &[u8] = b"a secret of thirty-two bytes ...";

pub fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The private keys.
pub struct Corp {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

impl Corp {
    pub fn new() -> Corp {
        let random = SystemRandom::new();
        let body: String = RSA_PEM.lines().filter(|line| !line.starts_with('-')).collect();
        let signing = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let ec = EcdsaKeyPair::generate_pkcs8(signing, &random).unwrap();
        let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        Corp {
            rsa: RsaKeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap(),
            ec: EcdsaKeyPair::from_pkcs8(signing, ec.as_ref(), &random).unwrap(),
            ed: Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap(),
        }
    }

    /// The public RSA key as a key of a set, with these fields beside.
    pub fn rsa_jwk(&self, more: Value) -> Value {
        let public = PublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
        with(json!({"kty": "RSA", "n": encoded(public.n), "e": encoded(public.e)}), &more)
    }

    /// The public key on P-256.
    pub fn ec_jwk(&self, more: Value) -> Value {
        let point = self.ec.public_key().as_ref();
        let (x, y) = (encoded(&point[1..33]), encoded(&point[33..]));
        with(json!({"kty": "EC", "crv": "P-256", "x": x, "y": y}), &more)
    }

    /// The public key of Ed25519.
    pub fn ed_jwk(&self, more: Value) -> Value {
        let x = encoded(self.ed.public_key().as_ref());
        with(json!({"kty": "OKP", "crv": "Ed25519", "x": x}), &more)
    }

    /// A JWT, signed as its header says; what nobody can sign so has no signature.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let algorithm = header["alg"].as_str().unwrap_or_default().to_owned();
        self.sign_as(&algorithm, header, claims)
    }

    /// A JWT that is signed in this way, whatever its header says.
    pub fn sign_as(&self, algorithm: &str, header: &Value, claims: &Value) -> String {
        self.sign_text(algorithm, &header.to_string(), &claims.to_string())
    }

    /// The same of texts that may not even be JSON.
    pub fn sign_text(&self, algorithm: &str, header: &str, claims: &str) -> String {
        let text = format!("{}.{}", encoded(header), encoded(claims));
        format!("{text}.{}", encoded(self.signature(algorithm, text.as_bytes())))
    }

    fn signature(&self, algorithm: &str, text: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let mut rsa = vec![0; self.rsa.public().modulus_len()];
        match algorithm {
            "RS256" => {
                self.rsa.sign(&RSA_PKCS1_SHA256, &random, text, &mut rsa).unwrap();
                rsa
            }
            "PS256" => {
                self.rsa.sign(&RSA_PSS_SHA256, &random, text, &mut rsa).unwrap();
                rsa
            }
            "ES256" => self.ec.sign(&random, text).unwrap().as_ref().to_vec(),
            "EdDSA" => self.ed.sign(text).as_ref().to_vec(),
            "HS256" => hs256(SECRET, text),
            _ => Vec::new(),
        }
    }
}

/// The HMAC of a text with any secret.
pub fn hs256(secret: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text).as_ref().to_vec()
}

/// The same object with these fields; `null` takes one away.
pub fn with(mut value: Value, more: &Value) -> Value {
    let fields = value.as_object_mut().unwrap();
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => fields.remove(name),
            value => fields.insert(name.clone(), value.clone()),
        };
    }
    value
}
