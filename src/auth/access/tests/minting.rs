//! An issuer of JWTs for the tests: it signs whatever it is told to, right or wrong.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair as RsaKeyPair, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
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
    ec384: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

impl Corp {
    pub fn new() -> Corp {
        let random = SystemRandom::new();
        let body: String = RSA_PEM.lines().filter(|line| !line.starts_with('-')).collect();
        let ec = |signing: &'static EcdsaSigningAlgorithm| {
            let document = EcdsaKeyPair::generate_pkcs8(signing, &random).unwrap();
            EcdsaKeyPair::from_pkcs8(signing, document.as_ref(), &random).unwrap()
        };
        let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        Corp {
            rsa: RsaKeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap(),
            ec: ec(&ECDSA_P256_SHA256_FIXED_SIGNING),
            ec384: ec(&ECDSA_P384_SHA384_FIXED_SIGNING),
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

    /// The public key on P-384.
    pub fn ec384_jwk(&self, more: Value) -> Value {
        let point = self.ec384.public_key().as_ref();
        let (x, y) = (encoded(&point[1..49]), encoded(&point[49..]));
        with(json!({"kty": "EC", "crv": "P-384", "x": x, "y": y}), &more)
    }

    /// The public key that JWTs of this algorithm are verified with, in PEM.
    pub fn public_pem(&self, algorithm: &str) -> String {
        let (kind, key): (&[u8], &[u8]) = match algorithm {
            "ES256" => (EC256, self.ec.public_key().as_ref()),
            "ES384" => (EC384, self.ec384.public_key().as_ref()),
            "EdDSA" => (ED25519, self.ed.public_key().as_ref()),
            _ => (RSA, self.rsa.public().as_ref()),
        };
        pem("PUBLIC KEY", &spki(kind, key))
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
        let rsa = |encoding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; self.rsa.public().modulus_len()];
            self.rsa.sign(encoding, &random, text, &mut signature).unwrap();
            signature
        };
        match algorithm {
            "RS256" => rsa(&RSA_PKCS1_SHA256),
            "RS384" => rsa(&RSA_PKCS1_SHA384),
            "RS512" => rsa(&RSA_PKCS1_SHA512),
            "PS256" => rsa(&RSA_PSS_SHA256),
            "PS384" => rsa(&RSA_PSS_SHA384),
            "PS512" => rsa(&RSA_PSS_SHA512),
            "ES256" => self.ec.sign(&random, text).unwrap().as_ref().to_vec(),
            "ES384" => self.ec384.sign(&random, text).unwrap().as_ref().to_vec(),
            "EdDSA" => self.ed.sign(text).as_ref().to_vec(),
            "HS256" => hs256(SECRET, text),
            "HS384" => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA384, SECRET), text).as_ref().to_vec(),
            "HS512" => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, SECRET), text).as_ref().to_vec(),
            _ => Vec::new(),
        }
    }
}

/// The HMAC of a text with any secret.
pub fn hs256(secret: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text).as_ref().to_vec()
}

/// What a public key is of, as X.509 says it: its object identifiers.
pub const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
const EC256: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const EC384: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";
const ED25519: &[u8] = b"\x06\x03\x2b\x65\x70";

/// A value of DER.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    match content.len() {
        0..128 => [&[tag, length[1]], content].concat(),
        128..256 => [&[tag, 0x81, length[1]], content].concat(),
        _ => [&[tag, 0x82, length[0], length[1]], content].concat(),
    }
}

/// A public key with what it is of.
pub fn spki(kind: &[u8], key: &[u8]) -> Vec<u8> {
    der(0x30, &[der(0x30, kind), der(0x03, &[&[0], key].concat())].concat())
}

/// An RSA modulus of so many bits; no primes stand behind it.
pub fn modulus(bits: usize) -> Vec<u8> {
    let mut modulus = vec![0xc5; bits.div_ceil(8)];
    let top = (bits - 1) % 8;
    modulus[0] = 1 << top | (modulus[0] & ((1 << top) - 1));
    modulus
}

/// A public RSA key with such a modulus, as PKCS #1 has it.
pub fn rsa_key(bits: usize) -> Vec<u8> {
    let number = [vec![0], modulus(bits)].concat();
    let number = if number[1] < 0x80 { &number[1..] } else { &number };
    der(0x30, &[der(0x02, number), der(0x02, &[1, 0, 1])].concat())
}

/// A document of this name in PEM.
pub fn pem(name: &str, content: &[u8]) -> String {
    let text = STANDARD.encode(content);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {name}-----\n{}\n-----END {name}-----\n", lines.join("\n"))
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
