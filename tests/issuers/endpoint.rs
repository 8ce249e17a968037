//! An issuer for the tests: keys that sign JWTs, and an HTTP endpoint on a free port that says what it is
//! told to say of them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use tokio::sync::watch;

use crate::support::soon;

/// A key that signs, and its id.
pub struct Key {
    pub kid: String,
    pair: EcdsaKeyPair,
}

impl Key {
    pub fn new(kid: &str) -> Key {
        let (random, signing) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = EcdsaKeyPair::generate_pkcs8(signing, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(signing, document.as_ref(), &random).unwrap();
        Key { kid: kid.to_owned(), pair }
    }

    /// As a key set has it.
    pub fn jwk(&self) -> String {
        let point = self.pair.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        format!(r#"{{"kty":"EC","crv":"P-256","kid":"{}","x":"{x}","y":"{y}"}}"#, self.kid)
    }

    /// A JWT of this issuer for an hour.
    pub fn jwt(&self, issuer: &str, subject: &str) -> String {
        let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3600;
        let claims = format!(
            r#"{{"iss":"https://id.{issuer}","aud":"bugle","sub":"{subject}","exp":{end},"groups":["ops"]}}"#
        );
        let header = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, self.kid);
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// An answer of HTTP.
pub fn answer(status: &str, head: &str, body: &str) -> Says {
    let length = body.len();
    let text =
        format!("HTTP/1.1 {status}\r\nconnection: close\r\n{head}content-length: {length}\r\n\r\n{body}");
    Says::Text(text)
}

/// The set of these keys, as they are written.
pub fn set_of(keys: &[String]) -> Says {
    answer("200 OK", "content-type: application/json\r\n", &format!(r#"{{"keys":[{}]}}"#, keys.join(",")))
}

/// The set of these keys.
pub fn set(keys: &[&Key]) -> Says {
    set_of(&keys.iter().map(|key| key.jwk()).collect::<Vec<_>>())
}

/// What an endpoint answers.
#[derive(Clone)]
pub enum Says {
    /// This, and the end.
    Text(String),
    /// A body that never ends.
    Endless,
    /// Nothing, for as long as it is waited for.
    Nothing,
}

/// Where the keys of an issuer are asked for. Its threads end with the process of the tests.
pub struct Endpoint {
    pub address: SocketAddr,
    says: Arc<Mutex<Says>>,
    /// When it was asked.
    asked: watch::Receiver<Vec<Instant>>,
    /// How many wait for an answer that does not come.
    waiting: watch::Receiver<usize>,
}

impl Endpoint {
    pub fn start(says: Says) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let says = Arc::new(Mutex::new(says));
        let ((ask, asked), (wait, waiting)) = (watch::channel(Vec::new()), watch::channel(0));
        let told = says.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (told, ask, wait) = (told.clone(), ask.clone(), wait.clone());
                std::thread::spawn(move || {
                    if stream.read(&mut [0; 4096]).is_ok_and(|bytes| bytes > 0) {
                        let says = told.lock().unwrap().clone();
                        ask.send_modify(|all| all.push(Instant::now()));
                        serve(&mut stream, &says, &wait);
                    }
                });
            }
        });
        Endpoint { address, says, asked, waiting }
    }

    /// From now on it says this.
    pub fn say(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    /// When it was asked until now.
    pub fn asked(&self) -> Vec<Instant> {
        self.asked.borrow().clone()
    }

    /// Returns when it has been asked so often.
    pub async fn asked_times(&self, count: usize) {
        soon(self.asked.clone().wait_for(|all| all.len() >= count)).await.unwrap();
    }

    /// Whether somebody waits for an answer that does not come.
    pub fn keeps_somebody_waiting(&self) -> bool {
        *self.waiting.borrow() > 0
    }
}

fn serve(stream: &mut TcpStream, says: &Says, wait: &watch::Sender<usize>) {
    match says {
        Says::Text(text) => {
            let _ = stream.write_all(text.as_bytes());
        }
        Says::Endless => {
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            let mut alive = stream.write_all(head).is_ok();
            while alive {
                alive = stream.write_all(b"8\r\n        \r\n").is_ok();
            }
        }
        Says::Nothing => {
            wait.send_modify(|count| *count += 1);
            while stream.read(&mut [0; 64]).is_ok_and(|bytes| bytes > 0) {}
            wait.send_modify(|count| *count -= 1);
        }
    }
}
