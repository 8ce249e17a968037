//! Credentials of every kind, right and wrong, as they come through the one door.

mod minting;
mod strict;
mod wrong;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::auth::{Grant, KeysAt, Role, Rule, Who};
use crate::error::Code;
use minting::{Corp, EC_PUBLIC_PEM, RSA_PUBLIC_PEM, SECRET, encoded, with};

const NANOS: u64 = 1_000_000_000;
/// Seconds.
const NOW: u64 = 1_800_000_000;

struct House {
    access: Access,
    corp: Corp,
    folder: TempDir,
}

fn rule(who: &str, topic: &str, actions: &[Action]) -> Rule {
    let grant = Grant::parse("", topic, actions).unwrap();
    Rule { who: Who::parse("principal", who).unwrap(), grant, place: String::new() }
}

fn settings() -> Settings {
    let rules = vec![
        rule("jwt:corp/*", "orders.*", &[Action::Publish]),
        rule("key:backend", "orders.*", &[Action::Publish, Action::Subscribe]),
        rule("role:corp/readers", "news", &[Action::Subscribe]),
        rule("role:people", "chat", &[Action::Subscribe]),
    ];
    let members = vec![Who::parse("members", "jwt:corp/al*").unwrap()];
    let roles = vec![Role { name: "people".into(), members, place: String::new() }];
    Settings {
        policies: Policies::new(rules, roles),
        vault: Vault::open(None).unwrap(),
        token_secret: Secret::random(32).unwrap(),
    }
}

impl House {
    fn new() -> House {
        let house = House {
            access: Access::new(settings()),
            corp: Corp::new(),
            folder: tempfile::tempdir().unwrap(),
        };
        let issuers = house.access.issuers(house.all_issuers()).unwrap();
        house.access.trust(issuers);
        house
    }

    fn all_issuers(&self) -> Vec<Issuer> {
        let public = KeysAt::PublicKeyFile(self.file("rsa.pem", RSA_PUBLIC_PEM.as_bytes()));
        let shared = KeysAt::SecretFile(self.file("secret", SECRET));
        let set = KeysAt::SetFile(self.file("jwks.json", self.set().as_bytes()));
        vec![
            issuer("corp", &["RS256", "ES256", "EdDSA"], set),
            issuer("pem", &["RS256"], public),
            issuer("shared", &["HS256"], shared),
        ]
    }

    /// The key set of the issuer "corp": keys that verify, and others.
    fn set(&self) -> String {
        let corp = &self.corp;
        let keys = json!([
            corp.rsa_jwk(json!({"kid": "rsa", "use": "sig", "alg": "RS256"})),
            corp.ec_jwk(json!({"kid": "ec"})),
            corp.ed_jwk(json!({"kid": "ed", "key_ops": ["verify"]})),
            corp.rsa_jwk(json!({"kid": "encrypts", "use": "enc"})),
            corp.rsa_jwk(json!({"kid": "signs", "key_ops": ["sign"]})),
            corp.rsa_jwk(json!({"kid": "oaep", "alg": "RSA-OAEP"})),
            corp.rsa_jwk(json!({"kid": "pss", "alg": "PS256"})),
            {"kty": "oct", "kid": "secret", "k": encoded(SECRET)},
            {"kty": "new", "kid": "unknown"},
            {"kty": "RSA", "kid": "twice", "n": encoded([0xc5; 256]), "e": "AQAB"},
            corp.rsa_jwk(json!({"kid": "twice"})),
        ]);
        json!({"keys": keys}).to_string()
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn prove(&self, credential: &str) -> Result<Identity> {
        let presented = Presented { credential: Some(credential), certificate: None };
        self.access.authenticate(presented, NOW * NANOS)
    }

    fn jwt(&self, header: Value, claims: Value) -> String {
        let header = with(json!({"typ": "JWT", "alg": "RS256", "kid": "rsa"}), &header);
        self.corp.sign(&header, &with(claims_of("corp"), &claims))
    }
}

fn issuer(name: &str, algorithms: &[&str], keys: KeysAt) -> Issuer {
    Issuer {
        name: name.to_owned(),
        issuer: format!("https://id.{name}"),
        audiences: vec!["bugle".to_owned()],
        algorithms: algorithms.iter().map(|name| (*name).to_owned()).collect(),
        keys,
        subject_claim: "sub".to_owned(),
        roles_claim: Some("realm.roles".to_owned()),
        leeway: Duration::from_secs(30),
        place: "bugle.toml:1".to_owned(),
    }
}

fn claims_of(issuer: &str) -> Value {
    json!({"iss": format!("https://id.{issuer}"), "aud": "bugle", "sub": "alice", "exp": NOW + 60, "nbf": NOW - 60})
}

fn topic(name: &str) -> TopicName {
    TopicName::parse("", name).unwrap()
}

#[test]
fn what_is_signed_by_a_trusted_issuer_says_who_calls() {
    let house = House::new();
    let header = |alg: &str, kid: &str| json!({"alg": alg, "kid": kid});
    let (pem, shared) = (claims_of("pem"), with(claims_of("shared"), &json!({"sub": "job-7"})));
    for (credential, expected) in [
        (house.jwt(json!({}), json!({})), "jwt:corp/alice"),
        (house.jwt(header("ES256", "ec"), json!({})), "jwt:corp/alice"),
        (house.jwt(header("EdDSA", "ed"), json!({})), "jwt:corp/alice"),
        (house.jwt(json!({"alg": "ES256", "kid": null}), json!({})), "jwt:corp/alice"),
        (house.jwt(json!({"kid": "twice"}), json!({})), "jwt:corp/alice"),
        (house.jwt(json!({}), json!({"aud": ["other", "bugle"]})), "jwt:corp/alice"),
        (house.jwt(json!({}), json!({"nbf": null})), "jwt:corp/alice"),
        (house.jwt(json!({}), json!({"nbf": NOW + 29, "exp": NOW - 29})), "jwt:corp/alice"),
        (house.jwt(json!({}), json!({"exp": NOW as f64 + 0.5})), "jwt:corp/alice"),
        (house.jwt(json!({}), json!({"sub": "key:backend"})), "jwt:corp/key:backend"),
        (house.corp.sign(&json!({"alg": "RS256", "kid": "whatever"}), &pem), "jwt:pem/alice"),
        (house.corp.sign(&json!({"alg": "HS256"}), &shared), "jwt:shared/job-7"),
    ] {
        assert_eq!(house.prove(&credential).unwrap().principal().to_string(), expected, "{credential}");
    }
    let identity = house.prove(&house.jwt(json!({}), json!({}))).unwrap();
    assert_eq!(identity.expires(), Some((NOW + 90) * NANOS), "its time and the leeway");
    let roles = json!({"realm": {"roles": ["readers", "two words"]}});
    let identity = house.prove(&house.jwt(json!({}), roles)).unwrap();
    assert_eq!(identity.roles()[..], [Arc::from("corp/readers")]);
    let may = |action, name| house.access.authorise(&identity, action, Resource::Topic(&topic(name)));
    assert!(may(Action::Subscribe, "news").is_ok() && may(Action::Subscribe, "chat").is_ok());
    assert!(may(Action::Publish, "orders.1").is_ok() && may(Action::Publish, "news").is_err());
}

#[test]
fn every_jwt_that_is_not_as_it_should_be_is_refused_with_its_reason() {
    let house = House::new();
    let cases = wrong::all(&house);
    assert!(cases.len() >= 60, "{}", cases.len());
    for (what, credential, words) in cases {
        let error = house.prove(&credential).expect_err(what);
        let reason = if words == "has expired" { "CREDENTIAL_EXPIRED" } else { "CREDENTIAL_INVALID" };
        assert_eq!((error.code(), error.reason_code()), (Code::Unauthenticated, Some(reason)), "{what}");
        assert!(error.message().contains(words), "{what}: {error}");
        assert!(!error.message().contains(&credential), "{what}: {error}");
    }
}

#[test]
fn whoever_presents_nothing_is_asked_to_and_a_credential_counts_more_than_a_certificate() {
    let house = House::new();
    let certificate = Principal::parse("cert:billing.example").unwrap();
    let prove = |credential, certificate| {
        house.access.authenticate(Presented { credential, certificate }, NOW * NANOS)
    };
    assert_eq!(prove(None, None).unwrap_err().reason_code(), Some("CREDENTIAL_MISSING"));
    assert_eq!(prove(None, Some(&certificate)).unwrap().principal(), &certificate);
    let jwt = house.jwt(json!({}), json!({}));
    assert_eq!(prove(Some(&jwt), Some(&certificate)).unwrap().principal().to_string(), "jwt:corp/alice");
    assert_eq!(
        prove(Some("wrong"), Some(&certificate)).unwrap_err().reason_code(),
        Some("CREDENTIAL_INVALID")
    );
}

#[test]
fn a_token_ends_with_the_key_the_issuer_and_the_rights_it_was_made_with() {
    let house = House::new();
    let (access, orders) = (&house.access, topic("orders.1"));
    let grants = [Grant::parse("", "orders.1", &[Action::Publish]).unwrap()];
    let mint = |minter: &Identity| {
        let token = access.mint(minter, &grants, Duration::from_secs(3600), None, NOW * NANOS).unwrap();
        (token.credential.expose_text().to_owned(), token.expires)
    };
    let may = |credential: &str| {
        let identity = house.prove(credential)?;
        access.authorise(&identity, Action::Publish, Resource::Topic(&orders))
    };
    let key = access.create_key("backend", None, NOW * NANOS).unwrap();
    let minter = house.prove(key.credential.expose_text()).unwrap();
    let (of_key, _) = mint(&minter);
    let (of_jwt, end) = mint(&house.prove(&house.jwt(json!({}), json!({}))).unwrap());
    assert_eq!(end, (NOW + 90) * NANOS, "no longer than the JWT");
    let (live, generation) = (house.prove(&of_jwt).unwrap(), access.generation());
    assert!(may(&of_key).is_ok() && may(&of_jwt).is_ok());
    access.trust(access.issuers(house.all_issuers().split_off(1)).unwrap());
    assert!(access.generation() > generation);
    assert_eq!(may(&of_jwt).unwrap_err().reason_code(), Some("CREDENTIAL_INVALID"));
    let gone = access.authorise(&live, Action::Publish, Resource::Topic(&orders)).unwrap_err();
    assert_eq!((gone.code(), gone.reason_code()), (Code::Unauthenticated, Some("CREDENTIAL_INVALID")));
    access
        .replace(Policies::new(vec![rule("key:backend", "orders.2", &[Action::Publish])], Vec::new()))
        .unwrap();
    let denied = may(&of_key).unwrap_err();
    assert_eq!((denied.code(), denied.reason_code()), (Code::PermissionDenied, Some("POLICY")));
    access.delete_key(&key.key.id.to_string()).unwrap();
    assert_eq!(may(&of_key).unwrap_err().reason_code(), Some("CREDENTIAL_INVALID"));
    let other = House::new();
    assert_eq!(other.prove(&of_key).unwrap_err().reason_code(), Some("CREDENTIAL_INVALID"));
}

#[test]
fn a_key_set_from_a_url_is_asked_for_and_a_broken_one_changes_nothing() {
    let house = House::new();
    let url = || vec![issuer("corp", &["RS256"], KeysAt::Url("https://id.corp/keys".to_owned()))];
    house.access.trust(house.access.issuers(url()).unwrap());
    let source = house.access.key_sources().remove(0);
    let jwt = house.jwt(json!({}), json!({}));
    assert!(source.take_wanted() && house.prove(&jwt).is_err() && source.take_wanted());
    let generation = house.access.generation();
    house.access.put_keys(&source, &house.set()).unwrap();
    assert!(house.prove(&jwt).is_ok() && house.access.generation() > generation);
    let generation = house.access.generation();
    house.access.put_keys(&source, &house.set()).unwrap();
    assert_eq!(house.access.generation(), generation, "the same set is no news");
    for broken in ["", "{}", "{\"keys\": []}", "{\"keys\": [{\"kty\": \"oct\", \"k\": \"AAAA\"}]}", "<html>"]
    {
        assert!(house.access.put_keys(&source, broken).is_err(), "{broken}");
        assert!(house.prove(&jwt).is_ok());
    }
    assert!(!source.take_wanted());
    assert!(house.prove(&house.jwt(json!({"kid": "gone"}), json!({}))).is_err());
    assert!(source.take_wanted() && !source.take_wanted(), "a key that nobody has heard of is asked for");
    house.access.trust(house.access.issuers(url()).unwrap());
    assert!(house.prove(&jwt).is_ok(), "a configuration that is read again takes the set over");
}

#[test]
fn keys_that_do_not_fit_their_algorithms_are_no_keys() {
    let house = House::new();
    let public = |content: &str| {
        let name = format!("{}.pem", content.len());
        KeysAt::PublicKeyFile(house.file(&name, content.as_bytes()))
    };
    let private = include_str!("tests/rsa.pem");
    for (algorithms, keys, words) in [
        (&["HS256"][..], public(RSA_PUBLIC_PEM), "needs a secret_file"),
        (&["HS256"], KeysAt::Url("https://id.corp/keys".to_owned()), "needs a secret_file"),
        (&["RS256"], KeysAt::SecretFile(house.file("secret", SECRET)), "needs a public key"),
        (&["RS256", "HS256"], public(RSA_PUBLIC_PEM), "needs a secret_file"),
        (&["RS256", "ES256"], public(RSA_PUBLIC_PEM), "different kinds"),
        (&["none"], public(RSA_PUBLIC_PEM), "none that can be used"),
        (&["rs256"], public(RSA_PUBLIC_PEM), "none that can be used"),
        (&[], public(RSA_PUBLIC_PEM), "one at least"),
        (&["ES256"], public(RSA_PUBLIC_PEM), "no elliptic curve"),
        (&["RS256"], public(EC_PUBLIC_PEM), "no RSA"),
        (&["ES384"], public(EC_PUBLIC_PEM), "no elliptic curve"),
        (&["EdDSA"], public(EC_PUBLIC_PEM), "no Ed25519"),
        (&["RS256"], public(private), "private key"),
        (&["RS256"], public("hello"), "no RSA"),
        (&["HS256"], KeysAt::SecretFile(house.file("pem", RSA_PUBLIC_PEM.as_bytes())), "PEM"),
        (&["HS256"], KeysAt::SecretFile(house.file("short", b"short")), "32 to 4096"),
        (&["RS256"], KeysAt::SetFile(house.file("set", b"{\"keys\": []}")), "no key that can verify"),
        (&["RS256"], KeysAt::SetFile("/does/not/exist".into()), "cannot be read"),
    ] {
        let error = house.access.issuers(vec![issuer("corp", algorithms, keys)]).unwrap_err();
        assert!(error.message().contains(words), "{algorithms:?}: {error}");
    }
    let set = || KeysAt::SetFile(house.file("jwks.json", house.set().as_bytes()));
    let twice = vec![issuer("corp", &["RS256"], set()), issuer("corp", &["RS256"], set())];
    assert!(house.access.issuers(twice).unwrap_err().message().contains("already"));
}
