//! JWTs on a real server: the keys of their issuer are asked for over HTTP, again when that fails or a key is
//! new, and the policies say what the caller may do. What else an endpoint can do is borne.

mod endpoint;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bugle::client::Client;
use bugle::error::{Code, Error};
use bugle::limits::KEY_SET_INTERVAL_MIN;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::{Process, soon};
use endpoint::{Endpoint, Key, Says, answer, set, set_of};

/// A server that trusts issuers of these names, whose subjects may publish anything.
struct Trusting {
    process: Process,
    address: SocketAddr,
    _folder: TempDir,
}

impl Trusting {
    fn start(issuers: &[(&str, &Endpoint)], more: &str) -> Trusting {
        let folder = TempDir::new().unwrap();
        // The refusals of made-up JWTs would fill the pipe that nobody reads meanwhile.
        let mut text = format!("[auth]\nenabled = true\n[log]\nlevel = \"info,bugle::audit=error\"\n{more}");
        for (name, endpoint) in issuers {
            text += &format!(
                r#"
                [[issuers]]
                name = "{name}"
                issuer = "https://id.{name}"
                audience = "bugle"
                algorithms = ["ES256", "RS256"]
                jwks_url = "http://{}/jwks"
                roles_claim = "groups"
                [[policies]]
                principal = "jwt:{name}/alice"
                topic = "*"
                actions = ["publish"]
                "#,
                endpoint.address
            );
        }
        let config = folder.path().join("bugle.toml");
        std::fs::write(&config, text).unwrap();
        let (process, address) = Process::serve(&["--config", config.to_str().unwrap()]);
        Trusting { process, address, _folder: folder }
    }

    async fn publish(&self, credential: &str, topic: &str) -> Result<(), Error> {
        publish(self.address, credential, topic).await
    }

    /// Publishes with this credential until the outcome is one that is waited for; meanwhile a JWT that
    /// names a key nobody has is presented now and then, so that the set is asked for again.
    async fn publish_until(
        &self,
        credential: &str,
        issuer: &str,
        is_it: impl Fn(&Result<(), Error>) -> bool,
    ) {
        let stranger = Key::new("made up").jwt(issuer, "alice");
        let awaited = async {
            loop {
                if is_it(&self.publish(credential, "orders").await) {
                    return;
                }
                unknown(self.publish(&stranger, "orders").await);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        soon(awaited).await;
    }

    /// Its log until it ends, which it is asked to.
    async fn log(mut self) -> String {
        self.process.signal(Signal::TERM);
        soon(tokio::task::spawn_blocking(move || self.process.rest())).await.unwrap()
    }
}

async fn publish(address: SocketAddr, credential: &str, topic: &str) -> Result<(), Error> {
    let client = Client::builder(format!("http://{address}")).credential(credential).connect_lazy()?;
    soon(client.publish(topic, "hello")).await.map(|_| ())
}

/// It was refused because its issuer has no such key.
fn unknown(outcome: Result<(), Error>) {
    let error = outcome.unwrap_err();
    assert_eq!((error.code(), error.reason_code()), (Code::Unauthenticated, Some("CREDENTIAL_INVALID")));
    assert!(error.message().contains("a key that its issuer does not have"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jwt_counts_as_soon_as_its_issuer_tells_its_keys() {
    let (key, corp) = (Key::new("1"), Endpoint::start(answer("500 Oh no", "", "")));
    let policy = "[[policies]]\nprincipal = \"role:corp/ops\"\ntopic = \"ops.*\"\nactions = [\"publish\"]";
    let mut server = Trusting::start(&[("corp", &corp)], policy);
    server.process.logs("keys cannot be had");
    let (alice, bob) = (key.jwt("corp", "alice"), key.jwt("corp", "bob"));
    unknown(server.publish(&alice, "orders").await);
    corp.say(set(&[&key]));
    server.process.logs("keys are there again");
    server.publish(&alice, "orders").await.unwrap();
    server.publish(&bob, "ops.restart").await.unwrap();
    let denied = server.publish(&bob, "orders").await.unwrap_err();
    assert_eq!((denied.code(), denied.reason_code()), (Code::PermissionDenied, Some("POLICY")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_counts_once_a_jwt_names_it_and_a_removed_one_no_longer() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let corp = Endpoint::start(set(&[&old]));
    let server = Trusting::start(&[("corp", &corp)], "");
    let (with_old, with_new) = (old.jwt("corp", "alice"), new.jwt("corp", "alice"));
    server.publish(&with_old, "orders").await.unwrap();
    corp.say(set(&[&old, &new]));
    // Whoever makes JWTs up chooses what they name, and does not choose how often the issuer is asked.
    for at in 0..30 {
        unknown(server.publish(&Key::new(&format!("made up {at}")).jwt("corp", "alice"), "orders").await);
    }
    server.publish_until(&with_new, "corp", Result::is_ok).await;
    server.publish(&with_old, "orders").await.unwrap();
    corp.say(set(&[&new]));
    server.publish_until(&with_old, "corp", Result::is_err).await;
    unknown(server.publish(&with_old, "orders").await);
    server.publish(&with_new, "orders").await.unwrap();
    let asked = corp.asked();
    assert_eq!(asked.len(), 3, "at the start, and once for each change");
    // Half of it, since a request may be long on its way here, and the next one not.
    let is_apart = asked.windows(2).all(|pair| pair[1] - pair[0] >= KEY_SET_INTERVAL_MIN / 2);
    assert!(is_apart, "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_hangs_holds_up_no_other_and_no_publish() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let (corp, stuck) = (Endpoint::start(set(&[&old])), Endpoint::start(Says::Nothing));
    let server = Trusting::start(&[("corp", &corp), ("stuck", &stuck)], "");
    let (with_old, with_new) = (old.jwt("corp", "alice"), new.jwt("corp", "alice"));
    server.publish(&with_old, "orders").await.unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let (ends, address, credential) = (is_over.clone(), server.address, with_old.clone());
    let publisher = tokio::spawn(async move {
        let builder = Client::builder(format!("http://{address}")).credential(credential);
        let client = builder.connect_lazy().unwrap();
        let mut count = 0;
        while !ends.load(Ordering::Relaxed) {
            soon(client.publish("orders", "hello")).await.unwrap();
            count += 1;
        }
        count
    });
    // The second time it is asked alone: the other one was answered at the start.
    stuck.asked_times(2).await;
    unknown(server.publish(&old.jwt("stuck", "alice"), "orders").await);
    corp.say(set(&[&new, &old]));
    server.publish_until(&with_new, "corp", Result::is_ok).await;
    assert!(stuck.keeps_somebody_waiting(), "the new key was had only when the other issuer was given up");
    assert_eq!(stuck.asked().len(), 2);
    is_over.store(true, Ordering::Relaxed);
    assert!(soon(publisher).await.unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_key_set_changes_nothing_and_is_told_once() {
    let (evil, elsewhere) = (Key::new("evil"), Key::new("key"));
    let target = Endpoint::start(set(&[&evil, &elsewhere]));
    let location = format!("location: http://{}/jwks\r\n", target.address);
    let key = Key::new("key");
    let weak = format!(r#"{{"kty":"RSA","kid":"weak","n":"{}","e":"AQAB"}}"#, "x".repeat(172));
    let whole = format!(r#"{{"keys":[{}]}}"#, key.jwk());
    let half = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{whole}", whole.len() + 1);
    let padded = format!("{whole}{}", " ".repeat(300 * 1024));
    let bad = [
        ("error", answer("500 Oh no", "", &whole)),
        ("page", answer("200 OK", "", "<html>Sign in</html>")),
        ("empty", answer("200 OK", "", "")),
        ("none", set(&[])),
        ("weak", set_of(std::slice::from_ref(&weak))),
        ("large", answer("200 OK", "", &padded)),
        ("endless", Says::Endless),
        ("half", Says::Text(half)),
        ("moved", answer("302 Found", &location, &whole)),
        ("gone", answer("308 Permanent Redirect", &location, &whole)),
    ];
    let good = set_of(&[key.jwk(), weak]);
    let endpoints: Vec<Endpoint> = bad.iter().map(|_| Endpoint::start(good.clone())).collect();
    let issuers: Vec<(&str, &Endpoint)> = bad.iter().map(|(name, _)| *name).zip(&endpoints).collect();
    let server = Trusting::start(&issuers, "");
    for ((name, endpoint), (_, says)) in issuers.iter().zip(&bad) {
        server.publish(&key.jwt(name, "alice"), "orders").await.unwrap();
        endpoint.say(says.clone());
    }
    // Each is asked again, twice, because somebody names a key that is not there.
    let is_done = || endpoints.iter().all(|endpoint| endpoint.asked().len() >= 3);
    let asking = async {
        while !is_done() {
            for (name, _) in &issuers {
                unknown(server.publish(&evil.jwt(name, "alice"), "orders").await);
                let outcome = server.publish(&key.jwt(name, "alice"), "orders").await;
                assert!(outcome.is_ok(), "{name}: {outcome:?}");
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    soon(asking).await;
    assert!(target.asked().is_empty(), "a redirect was followed");
    let log = server.log().await;
    for (name, _) in &issuers {
        let of_it = |text: &str| {
            let is = |line: &&str| line.contains(&format!("\"issuer\":\"{name}\"")) && line.contains(text);
            log.lines().filter(is).count()
        };
        assert_eq!(of_it("keys cannot be had"), 1, "{name}: {log}");
        assert_eq!(of_it("a key of the issuer is passed over"), 1, "{name}: {log}");
    }
    assert!(log.contains("1032 bits"), "{log}");
}
