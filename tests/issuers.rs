//! JWTs on a real server: the keys of their issuer are asked for over HTTP, again when that fails, and
//! the policies say what the caller may do.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bugle::client::Client;
use bugle::error::{Code, Error};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use tempfile::TempDir;

use crate::support::{Process, soon};

/// An issuer of JWTs that answers for its keys with whatever it is told to.
struct Corp {
    key: EcdsaKeyPair,
    address: SocketAddr,
    answer: Arc<Mutex<String>>,
}

impl Corp {
    fn start() -> Corp {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new("HTTP/1.1 500 Oh no\r\ncontent-length: 0\r\n\r\n".to_owned()));
        let said = answer.clone();
        // It ends with the process of the tests: nobody waits for it.
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head);
                let _ = stream.write_all(said.lock().unwrap().as_bytes());
            }
        });
        Corp { key, address, answer }
    }

    /// From now on it tells its key.
    fn tell(&self) {
        let point = self.key.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        let set = format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"1","x":"{x}","y":"{y}"}}]}}"#);
        let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", set.len());
        *self.answer.lock().unwrap() = head + &set;
    }

    fn jwt(&self, subject: &str) -> String {
        let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3600;
        let claims = format!(
            r#"{{"iss":"https://id.corp","aud":"bugle","sub":"{subject}","exp":{end},"groups":["ops"]}}"#
        );
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","kid":"1"}"#);
        let text = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = self.key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

async fn publish(address: SocketAddr, credential: &str, topic: &str) -> Result<(), Error> {
    let client = Client::builder(format!("http://{address}")).credential(credential).connect_lazy()?;
    soon(client.publish(topic, "hello")).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jwt_counts_as_soon_as_its_issuer_tells_its_keys() {
    let (corp, folder) = (Corp::start(), TempDir::new().unwrap());
    let config = folder.path().join("bugle.toml");
    let text = format!(
        r#"
        [auth]
        enabled = true
        [[issuers]]
        name = "corp"
        issuer = "https://id.corp"
        audience = "bugle"
        algorithms = ["ES256"]
        jwks_url = "http://{}/jwks"
        roles_claim = "groups"
        [[policies]]
        principal = "jwt:corp/alice"
        topic = "orders"
        actions = ["publish"]
        [[policies]]
        principal = "role:corp/ops"
        topic = "ops.*"
        actions = ["publish"]
        "#,
        corp.address
    );
    std::fs::write(&config, text).unwrap();
    let (mut process, address) = Process::serve(&["--config", config.to_str().unwrap()]);
    process.logs("keys cannot be had");
    let (alice, bob) = (corp.jwt("alice"), corp.jwt("bob"));
    let refused = publish(address, &alice, "orders").await.unwrap_err();
    assert_eq!((refused.code(), refused.reason_code()), (Code::Unauthenticated, Some("CREDENTIAL_INVALID")));
    corp.tell();
    process.logs("keys are there again");
    publish(address, &alice, "orders").await.unwrap();
    publish(address, &bob, "ops.restart").await.unwrap();
    let denied = publish(address, &bob, "orders").await.unwrap_err();
    assert_eq!((denied.code(), denied.reason_code()), (Code::PermissionDenied, Some("POLICY")));
}
