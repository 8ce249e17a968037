//! An issuer of JWTs for the tests: it signs whatever it is told to, right or wrong.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair as RsaKeyPair, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaEncoding,
};
use serde_json::{Value, json};

/// For these tests alone: it signs nothing that anybody trusts.
const RSA_PEM: &str = include_str!("rsa.pem");
pub const RSA_PUBLIC_PEM: &str = include_str!("rsa.pub.pem");
/// Of 1,024 bits.
pub const SMALL_RSA_PUBLIC_PEM: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQD4fW88YguCpn0DbOUBLac8wj7R\n\
S03V2m9Pc+IL+KIrkyJGNO+RACxs2uvj1FiGALScB2SCe133pZWcM++aW9Cm0IW1\n\
SPB+IQk6ekxGMmzZWMTQ6tmJRhhJTfEwa5rYSzxz/Gx6OasCyqJKcPhHxrMGKneS\n\
CZuIy4VZ7Lx9tYf+fQIDAQAB\n\
-----END PUBLIC KEY-----\n";
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
        let signing = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let ec = EcdsaKeyPair::generate_pkcs8(signing, &random).unwrap();
        let wide = &ECDSA_P384_SHA384_FIXED_SIGNING;
        let ec384 = EcdsaKeyPair::generate_pkcs8(wide, &random).unwrap();
        let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        Corp {
            rsa: RsaKeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap(),
            ec: EcdsaKeyPair::from_pkcs8(signing, ec.as_ref(), &random).unwrap(),
            ec384: EcdsaKeyPair::from_pkcs8(wide, ec384.as_ref(), &random).unwrap(),
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
        let padding: Option<&dyn RsaEncoding> = match algorithm {
            "RS256" => Some(&RSA_PKCS1_SHA256),
            "RS384" => Some(&RSA_PKCS1_SHA384),
            "RS512" => Some(&RSA_PKCS1_SHA512),
            "PS256" => Some(&RSA_PSS_SHA256),
            "PS384" => Some(&RSA_PSS_SHA384),
            "PS512" => Some(&RSA_PSS_SHA512),
            _ => None,
        };
        if let Some(padding) = padding {
            let mut signature = vec![0; self.rsa.public().modulus_len()];
            self.rsa.sign(padding, &random, text, &mut signature).unwrap();
            return signature;
        }
        match algorithm {
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
