//! JWTs on a real server: the keys of their issuer are asked for over HTTP, again when that fails, and
//! the policies say what the caller may do.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
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
    name: &'static str,
    key: Mutex<(EcdsaKeyPair, u64)>,
    address: SocketAddr,
    answer: Arc<Mutex<String>>,
    asked: Arc<AtomicU64>,
}

fn new_key() -> EcdsaKeyPair {
    let (random, signing) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
    let document = EcdsaKeyPair::generate_pkcs8(signing, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(signing, document.as_ref(), &random).unwrap()
}

fn answer(status: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{more}content-length: {length}\r\n\r\n{body}")
}

impl Corp {
    fn start() -> Corp {
        Corp::named("corp", &answer("500 Oh no", "", ""))
    }

    /// One of this name that answers so; nothing at all where that is empty.
    fn named(name: &'static str, first: &str) -> Corp {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new(first.to_owned()));
        let (said, asked) = (answer.clone(), Arc::new(AtomicU64::new(0)));
        let count = asked.clone();
        // It ends with the process of the tests: nobody waits for it.
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for mut stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::Relaxed);
                let mut head = [0; 4096];
                let _ = stream.read(&mut head);
                let said = said.lock().unwrap().clone();
                let _ = stream.write_all(said.as_bytes());
                if said.is_empty() {
                    silent.push(stream);
                }
            }
        });
        Corp { name, key: Mutex::new((new_key(), 1)), address, answer, asked }
    }

    /// Its key as a set.
    fn set(&self) -> String {
        let (key, kid) = &*self.key.lock().unwrap();
        let point = key.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"{kid}","x":"{x}","y":"{y}"}}]}}"#)
    }

    /// From now on it tells its key.
    fn tell(&self) {
        *self.answer.lock().unwrap() = answer("200 OK", "", &self.set());
    }

    /// It has another key from now on, and tells that.
    fn change(&self) {
        let mut key = self.key.lock().unwrap();
        *key = (new_key(), key.1 + 1);
        drop(key);
        self.tell();
    }

    fn jwt(&self, subject: &str) -> String {
        let (key, kid) = &*self.key.lock().unwrap();
        self.sign(key, &kid.to_string(), subject)
    }

    fn sign(&self, key: &EcdsaKeyPair, kid: &str, subject: &str) -> String {
        let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3600;
        let name = self.name;
        let claims = format!(
            r#"{{"iss":"https://id.{name}","aud":"bugle","sub":"{subject}","exp":{end},"groups":["ops"]}}"#
        );
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#));
        let text = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Its table in the configuration.
    fn table(&self) -> String {
        let (name, address) = (self.name, self.address);
        format!(
            "[[issuers]]\nname = \"{name}\"\nissuer = \"https://id.{name}\"\naudience = \"bugle\"\n\
             algorithms = [\"ES256\"]\njwks_url = \"http://{address}/jwks\"\nroles_claim = \"groups\"\n"
        )
    }
}

/// A server that trusts these issuers; everybody of them may publish.
fn trusting(issuers: &[&Corp], level: &str) -> (Process, SocketAddr, TempDir) {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("bugle.toml");
    let tables: String = issuers.iter().map(|corp| corp.table()).collect();
    let policies: String = issuers
        .iter()
        .map(|corp| {
            format!(
                "[[policies]]\nprincipal = \"jwt:{}/*\"\ntopic = \"orders\"\nactions = [\"publish\"]\n",
                corp.name
            )
        })
        .collect();
    std::fs::write(&config, format!("[auth]\nenabled = true\n{tables}{policies}")).unwrap();
    let (process, address) = Process::serve(&["--config", config.to_str().unwrap(), "--log-level", level]);
    (process, address, folder)
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
        {}
        [[policies]]
        principal = "jwt:corp/alice"
        topic = "orders"
        actions = ["publish"]
        [[policies]]
        principal = "role:corp/ops"
        topic = "ops.*"
        actions = ["publish"]
        "#,
        corp.table()
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

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_new_is_asked_for_and_one_that_is_gone_is_not_believed() {
    let corp = Corp::start();
    corp.tell();
    // Nobody reads its log here, and refusals fill it.
    let (_process, address, _folder) = trusting(&[&corp], "error");
    let old = corp.jwt("alice");
    publish(address, &old, "orders").await.unwrap();
    corp.change();
    let stranger = new_key();
    let new = corp.jwt("alice");
    let client = |credential: &str| {
        Client::builder(format!("http://{address}")).credential(credential).connect_lazy().unwrap()
    };
    // Whoever makes up keys has the set asked for no more often.
    let made_up = ["x", "y", "z"].map(|kid| client(&corp.sign(&stranger, kid, "mallory")));
    let alice = client(&new);
    soon(async {
        while alice.publish("orders", "hello").await.is_err() {
            for mallory in &made_up {
                assert!(mallory.publish("orders", "hello").await.is_err());
            }
        }
    })
    .await;
    assert_eq!(publish(address, &old, "orders").await.unwrap_err().code(), Code::Unauthenticated);
    let forged = corp.sign(&stranger, "2", "mallory");
    assert_eq!(publish(address, &forged, "orders").await.unwrap_err().code(), Code::Unauthenticated);
    assert!(corp.asked.load(Ordering::Relaxed) <= 4, "{:?}", corp.asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_answers_badly_or_never_holds_up_no_other() {
    let (good, elsewhere) = (Corp::start(), Corp::named("elsewhere", ""));
    good.tell();
    elsewhere.tell();
    let to = format!("location: http://{}/jwks\r\n", elsewhere.address);
    let bad = [
        (Corp::named("moved", &answer("302 Found", &to, "")), "302"),
        (Corp::named("broken", &answer("500 Oh no", "", "")), "500"),
        (Corp::named("garbage", &answer("200 OK", "", "<html>sign in</html>")), "cannot be understood"),
        (Corp::named("huge", &answer("200 OK", "", &" ".repeat(1 << 20))), "cannot be read"),
        (Corp::named("cut", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"keys\""), "cannot be read"),
        (
            Corp::named("binary", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n\u{7f}\u{1}"),
            "cannot be understood",
        ),
    ];
    let silent = Corp::named("silent", "");
    let all: Vec<&Corp> = bad.iter().map(|(corp, _)| corp).chain([&good, &silent]).collect();
    let (mut process, address, _folder) = trusting(&all, "info");
    publish(address, &good.jwt("alice"), "orders").await.unwrap();
    for corp in bad.iter().map(|(corp, _)| corp).chain([&silent]) {
        let error = publish(address, &corp.jwt("alice"), "orders").await.unwrap_err();
        assert_eq!(error.code(), Code::Unauthenticated, "{}", corp.name);
    }
    let mut told = String::new();
    for _ in &bad {
        told += &process.logs("keys cannot be had");
    }
    for (corp, words) in &bad {
        let line = told.lines().find(|line| line.contains(&format!("{:?}", corp.name))).unwrap();
        assert!(line.contains(words), "{words}: {line}");
    }
    assert_eq!(elsewhere.asked.load(Ordering::Relaxed), 0, "a redirect was followed");
}
