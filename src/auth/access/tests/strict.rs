//! What an issuer and its keys have to be, wherever they are described, and what then counts.

use serde_json::json;

use super::minting::{RSA, SECRET, encoded, modulus, pem, rsa_key, spki, with};
use super::*;
use crate::auth::issuer::ALGORITHMS;

/// An issuer "strict" with such keys of the house.
fn strict(house: &House, algorithm: &str, in_set: bool) -> Issuer {
    let keys = match (algorithm.starts_with("HS"), in_set) {
        (true, _) => KeysAt::SecretFile(house.file("strict.secret", SECRET)),
        (false, false) => {
            let text = house.corp.public_pem(algorithm);
            KeysAt::PublicKeyFile(house.file("strict.pem", text.as_bytes()))
        }
        (false, true) => {
            let corp = &house.corp;
            let more = || json!({"kid": "1", "alg": algorithm});
            let key = match algorithm {
                "ES256" => corp.ec_jwk(more()),
                "ES384" => corp.ec384_jwk(more()),
                "EdDSA" => corp.ed_jwk(more()),
                _ => corp.rsa_jwk(more()),
            };
            KeysAt::SetFile(house.file("strict.json", json!({"keys": [key]}).to_string().as_bytes()))
        }
    };
    issuer("strict", &[algorithm], keys)
}

#[test]
fn every_algorithm_of_the_list_verifies_what_it_has_signed_and_nothing_else() {
    let house = House::new();
    let claims = claims_of("strict");
    for algorithm in ALGORITHMS {
        for in_set in [true, false] {
            house.access.trust(house.access.issuers(vec![strict(&house, algorithm, in_set)]).unwrap());
            let header = json!({"alg": algorithm, "kid": "1"});
            let good = house.corp.sign(&header, &claims);
            let identity = house.prove(&good).unwrap_or_else(|error| panic!("{algorithm} {in_set}: {error}"));
            assert_eq!(identity.principal().to_string(), "jwt:strict/alice");
            let (_, signature) = good.rsplit_once('.').unwrap();
            let admin = encoded(with(claims.clone(), &json!({"sub": "admin"})).to_string());
            let forged = format!("{}.{admin}.{signature}", encoded(header.to_string()));
            let error = house.prove(&forged).unwrap_err();
            assert!(error.message().contains("signature is not right"), "{algorithm}: {error}");
            for other in ALGORITHMS.into_iter().filter(|other| *other != algorithm) {
                let jwt = house.corp.sign(&json!({"alg": other, "kid": "1"}), &claims);
                let error = house.prove(&jwt).unwrap_err();
                assert!(error.message().contains("algorithm"), "{other} where {algorithm} counts: {error}");
                let jwt = house.corp.sign_as(other, &header, &claims);
                let error = house.prove(&jwt).unwrap_err();
                assert!(error.message().contains("signature"), "{other} called {algorithm}: {error}");
            }
        }
    }
}

#[test]
fn an_rsa_key_that_is_too_short_is_refused_with_its_issuer_and_not_first_with_a_jwt() {
    let house = House::new();
    let load = |algorithm: &str, keys| house.access.issuers(vec![issuer("corp", &[algorithm], keys)]);
    let set = |bits| {
        let key = json!({"kty": "RSA", "kid": "old", "n": encoded(modulus(bits)), "e": "AQAB"});
        let keys =
            json!({"keys": [house.corp.rsa_jwk(json!({"kid": "new"})), key, house.corp.ec_jwk(json!({}))]});
        KeysAt::SetFile(house.file(&format!("set.{bits}"), keys.to_string().as_bytes()))
    };
    let file = |name: &str, content: &[u8]| {
        KeysAt::PublicKeyFile(house.file(&name.replace(' ', "."), pem(name, content).as_bytes()))
    };
    for bits in [512, 1024, 2040, 2047, 8193, 16384] {
        for keys in [
            file("PUBLIC KEY", &spki(RSA, &rsa_key(bits))),
            file("RSA PUBLIC KEY", &rsa_key(bits)),
            set(bits),
        ] {
            let (KeysAt::PublicKeyFile(path) | KeysAt::SetFile(path)) = &keys else { panic!() };
            let path = path.display().to_string();
            let error = load("RS256", keys).unwrap_err();
            for part in
                [&path, "issuer corp", &format!("{bits} bits"), "2048 to 8192", "have the issuer make"]
            {
                assert!(error.message().contains(part), "{part} in {error}");
            }
        }
        assert!(load("ES256", set(bits)).is_ok(), "a key that nothing is verified with may be short");
    }
    for bits in [2048, 3072, 4096, 8192] {
        assert!(load("PS256", file("PUBLIC KEY", &spki(RSA, &rsa_key(bits)))).is_ok(), "{bits}");
        assert!(load("RS512", set(bits)).is_ok(), "{bits}");
    }
    let error = load("RS256", file("RSA PUBLIC KEY", &spki(RSA, &[5, 0]))).unwrap_err();
    assert!(error.message().contains("is no RSA key"), "{error}");
}

#[test]
fn an_rsa_key_that_is_too_short_is_passed_over_in_a_set_that_comes_from_a_url() {
    let house = House::new();
    let url = vec![issuer("corp", &["RS256"], KeysAt::Url("https://id.corp/keys".to_owned()))];
    house.access.trust(house.access.issuers(url).unwrap());
    let source = house.access.key_sources().remove(0);
    let short = |kid: &str, bits| json!({"kty": "RSA", "kid": kid, "n": encoded(modulus(bits)), "e": "AQAB"});
    let set =
        json!({"keys": [short("a", 1024), house.corp.rsa_jwk(json!({"kid": "rsa"})), short("b", 2047)]});
    assert_eq!(house.access.put_keys(&source, &set.to_string()).unwrap(), 1);
    assert!(house.prove(&house.jwt(json!({}), json!({}))).is_ok());
    let error = house.prove(&house.jwt(json!({"kid": "a"}), json!({}))).unwrap_err();
    assert!(error.message().contains("a key that its issuer does not have"), "{error}");
    let told = source.keys().passed_over().unwrap();
    for part in ["\"a\"", "1024 bits", "1 more"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let error = house.access.put_keys(&source, &json!({"keys": [short("a", 1024)]}).to_string()).unwrap_err();
    assert!(error.message().contains("1024 bits"), "{error}");
    assert!(house.prove(&house.jwt(json!({}), json!({}))).is_ok(), "those before go on");
}

#[test]
fn roles_that_are_not_there_are_none_and_the_last_time_that_can_be_meant_is_one() {
    let house = House::new();
    for realm in [json!(null), json!({}), json!({"roles": null}), json!({"roles": []}), json!({"roles": ""})]
    {
        let identity = house.prove(&house.jwt(json!({}), json!({"realm": realm}))).unwrap();
        assert!(identity.roles().is_empty(), "{realm}");
    }
    for roles in [json!("readers writers"), json!(["readers", "writers"])] {
        for claims in [json!({"realm": {"roles": roles}}), json!({"realm.roles": roles})] {
            let identity = house.prove(&house.jwt(json!({}), claims.clone())).unwrap();
            assert_eq!(identity.roles()[..], ["corp/readers", "corp/writers"].map(Arc::from), "{claims}");
        }
    }
    let last = u64::MAX / NANOS - 30;
    let identity = house.prove(&house.jwt(json!({}), json!({"exp": last}))).unwrap();
    assert_eq!(identity.expires(), Some((last + 30) * NANOS));
}

#[test]
fn an_issuer_that_a_program_describes_has_to_be_what_one_of_the_file_has_to_be() {
    let house = House::new();
    let good = || issuer("corp", &["RS256"], KeysAt::Url("https://id.corp/keys".to_owned()));
    let at = |url: &str| Issuer { keys: KeysAt::Url(url.to_owned()), ..good() };
    let text = |text: &str| text.to_owned();
    let never = Duration::from_secs(100 * 365 * 86_400);
    for (described, field) in [
        (at("http://id.corp/keys"), "jwks_url"),
        (at("http://127.0.0.1.evil/keys"), "jwks_url"),
        (at("http://localhost@evil/keys"), "jwks_url"),
        (at("https://name:password@id.corp/keys"), "jwks_url"),
        (at("file:///etc/passwd"), "jwks_url"),
        (at("id.corp/keys"), "jwks_url"),
        (at(""), "jwks_url"),
        (Issuer { leeway: never, ..good() }, "leeway"),
        (Issuer { leeway: Duration::MAX, ..good() }, "leeway"),
        (Issuer { leeway: Duration::from_millis(300_001), ..good() }, "leeway"),
        (Issuer { name: text("a/b"), ..good() }, "name"),
        (Issuer { name: text("*"), ..good() }, "name"),
        (Issuer { name: String::new(), ..good() }, "name"),
        (Issuer { issuer: String::new(), ..good() }, "issuer"),
        (Issuer { audiences: Vec::new(), ..good() }, "audience"),
        (Issuer { audiences: vec![text("bugle"), String::new()], ..good() }, "audience"),
        (Issuer { algorithms: Vec::new(), ..good() }, "algorithms"),
        (Issuer { algorithms: vec![text("HS256")], ..good() }, "algorithms"),
        (Issuer { subject_claim: String::new(), ..good() }, "subject_claim"),
        (Issuer { roles_claim: Some(String::new()), ..good() }, "roles_claim"),
        (Issuer { keys: KeysAt::SetFile("".into()), ..good() }, "jwks_file"),
    ] {
        let shown = format!("{described:?}");
        let error = house.access.issuers(vec![described]).expect_err(&shown);
        let place = error.violations().first().map(|violation| violation.field.clone()).unwrap_or_default();
        assert!(place.starts_with("issuers.") && place.ends_with(field), "{place:?} of {shown}");
    }
    for url in
        ["https://id.corp/keys", "http://127.0.0.1:8080/keys", "http://[::1]/keys", "http://localhost/"]
    {
        assert!(house.access.issuers(vec![at(url)]).is_ok(), "{url}");
    }
    assert!(house.access.issuers(vec![Issuer { leeway: Duration::from_secs(300), ..good() }]).is_ok());
}
