//! Everything that a JWT can be wrong in, as far as it was thought of.

use serde_json::json;

use super::House;
use super::minting::{RSA_PUBLIC_PEM, encoded, hs256, with};
use super::{NOW, claims_of};

/// What is wrong with a JWT, itself, and what the refusal says.
type Wrong = (&'static str, String, &'static str);

/// All of them.
pub fn all(house: &House) -> Vec<Wrong> {
    [claims(house), times(house), roles(house), signatures(house), keys(house), forms(house)].concat()
}

fn claims(house: &House) -> Vec<Wrong> {
    let jwt = |header, claims| house.jwt(header, claims);
    vec![
        ("expired", jwt(json!({}), json!({"exp": NOW - 31})), "has expired"),
        ("expires now", jwt(json!({}), json!({"exp": NOW - 30})), "has expired"),
        ("expired at 0", jwt(json!({}), json!({"exp": 0})), "has expired"),
        ("not yet valid", jwt(json!({}), json!({"nbf": NOW + 31})), "not valid yet"),
        ("made in the future", jwt(json!({}), json!({"iat": NOW + 31})), "made in the future"),
        ("an iat that is no time", jwt(json!({}), json!({"iat": [1]})), "iat is no time"),
        ("a notice of a logout", jwt(json!({"typ": "logout+jwt"}), json!({})), "(typ)"),
        ("of no type", jwt(json!({"typ": ""}), json!({})), "(typ)"),
        ("an nbf that is no time", jwt(json!({}), json!({"nbf": "soon"})), "nbf is no time"),
        ("a negative exp", jwt(json!({}), json!({"exp": -1})), "exp is no time"),
        ("an exp in words", jwt(json!({}), json!({"exp": "2099-01-01"})), "exp is no time"),
        ("no exp", jwt(json!({}), json!({"exp": null})), "lacks a claim"),
        ("no aud", jwt(json!({}), json!({"aud": null})), "lacks a claim"),
        ("no sub", jwt(json!({}), json!({"sub": null})), "lacks a claim"),
        ("no iss", jwt(json!({}), json!({"iss": null})), "does not name its issuer"),
        ("another audience", jwt(json!({}), json!({"aud": "other"})), "another audience"),
        ("an audience that begins so", jwt(json!({}), json!({"aud": "bugle2"})), "another audience"),
        ("no audience of many", jwt(json!({}), json!({"aud": []})), "another audience"),
        ("an audience that is a number", jwt(json!({}), json!({"aud": 7})), "lacks a claim"),
        (
            "another issuer",
            jwt(json!({}), json!({"iss": "https://id.evil"})),
            "not one that this server trusts",
        ),
        ("an issuer with a slash more", jwt(json!({}), json!({"iss": "https://id.corp/"})), "not one that"),
        ("two issuers", jwt(json!({}), json!({"iss": ["https://id.corp"]})), "does not name its issuer"),
        (
            "the key of another issuer",
            jwt(json!({"alg": "HS256"}), json!({"iss": "https://id.pem"})),
            "algorithm",
        ),
        ("an empty subject", jwt(json!({}), json!({"sub": ""})), "subject is empty"),
        ("a subject that is a number", jwt(json!({}), json!({"sub": 7})), "lacks a claim"),
        ("a subject with a space", jwt(json!({}), json!({"sub": "ali ce"})), "its subject"),
        ("a subject with a line's end", jwt(json!({}), json!({"sub": "alice\n"})), "its subject"),
        ("a subject with no width", jwt(json!({}), json!({"sub": "alice\u{200b}"})), "its subject"),
        ("a subject that turns around", jwt(json!({}), json!({"sub": "\u{202e}ecila"})), "its subject"),
        ("a long subject", jwt(json!({}), json!({"sub": "a".repeat(300)})), "its subject"),
    ]
}

/// Times that nobody can mean.
fn times(house: &House) -> Vec<Wrong> {
    let of = |claim: &str, value: serde_json::Value| house.jwt(json!({}), json!({claim: value}));
    vec![
        ("an exp of a googol and more", of("exp", json!(1e300)), "exp is no time"),
        ("the largest exp there is", of("exp", json!(u64::MAX)), "exp is no time"),
        ("an exp in milliseconds", of("exp", json!((NOW + 60) * 1000)), "exp is no time"),
        (
            "the first exp that nanoseconds do not hold",
            of("exp", json!(18_446_744_074_u64)),
            "exp is no time",
        ),
        ("the same with a fraction", of("exp", json!(18_446_744_073.8)), "exp is no time"),
        ("the last one, and the leeway", of("exp", json!(18_446_744_073_u64)), "exp is no time"),
        ("an exp that is true", of("exp", json!(true)), "exp is no time"),
        ("an exp that is a list", of("exp", json!([NOW + 60])), "not well-formed"),
        ("an exp just below 0", of("exp", json!(-0.5)), "exp is no time"),
        ("an nbf of a googol and more", of("nbf", json!(1e300)), "nbf is no time"),
        ("the largest nbf there is", of("nbf", json!(u64::MAX)), "nbf is no time"),
        ("a negative nbf", of("nbf", json!(-1)), "nbf is no time"),
        ("an nbf that is false", of("nbf", json!(false)), "nbf is no time"),
        ("an iat of a googol and more", of("iat", json!(1e300)), "iat is no time"),
        ("an iat in milliseconds", of("iat", json!(NOW * 1000)), "iat is no time"),
        ("an iat in words", of("iat", json!("now")), "iat is no time"),
    ]
}

/// Roles that are none: the claim is `realm.roles`.
fn roles(house: &House) -> Vec<Wrong> {
    let of = |realm: serde_json::Value| house.jwt(json!({}), json!({"realm": realm}));
    let words = "its roles (realm.roles) are neither";
    vec![
        ("roles that are a number", of(json!({"roles": 7})), words),
        ("roles that are true", of(json!({"roles": true})), words),
        ("roles that are an object", of(json!({"roles": {"readers": true}})), words),
        ("roles with a number among them", of(json!({"roles": ["readers", 3]})), words),
        ("roles with nothing among them", of(json!({"roles": ["readers", null]})), words),
        ("a list of lists of roles", of(json!({"roles": [["readers"]]})), words),
        ("a path that leads into a text", of(json!("readers")), words),
        ("a path that leads into a list", of(json!(["readers"])), words),
    ]
}

fn signatures(house: &House) -> Vec<Wrong> {
    let good = house.jwt(json!({}), json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("{good}") };
    let none = encoded(json!({"alg": "none"}).to_string());
    let admin = encoded(with(claims_of("corp"), &json!({"sub": "admin"})).to_string());
    let as_secret = |secret: &[u8], issuer: &str| {
        let text = format!(
            "{}.{}",
            encoded(r#"{"alg":"HS256","kid":"rsa"}"#),
            encoded(claims_of(issuer).to_string())
        );
        format!("{text}.{}", encoded(hs256(secret, text.as_bytes())))
    };
    let mut flipped = signature.as_bytes().to_vec();
    flipped[10] = if flipped[10] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    let jwt = |header, claims| house.jwt(header, claims);
    let twice = claims_of("corp").to_string().replacen('{', &format!("{{\"exp\":{},", NOW + 9999), 1);
    let twice = house.corp.sign_text("RS256", r#"{"alg":"RS256","kid":"rsa"}"#, &twice);
    vec![
        (
            "an algorithm not of its issuer",
            jwt(json!({"alg": "PS256", "kid": "pss"}), json!({})),
            "algorithm",
        ),
        ("the secret of no issuer", jwt(json!({"alg": "HS256", "kid": "secret"}), json!({})), "algorithm"),
        ("none", format!("{none}.{claims}."), "neither an API key nor a JWT"),
        ("none, with a signature", format!("{none}.{claims}.{signature}"), "neither an API key nor a JWT"),
        ("None", house.corp.sign(&json!({"alg": "None"}), &claims_of("corp")), "neither an API key"),
        ("the public key as a secret", as_secret(RSA_PUBLIC_PEM.as_bytes(), "corp"), "algorithm"),
        ("the public key as a secret of a file", as_secret(RSA_PUBLIC_PEM.as_bytes(), "pem"), "algorithm"),
        ("another secret", as_secret(b"another secret of many, many bytes", "shared"), "signature"),
        ("an empty secret", as_secret(b"", "shared"), "signature"),
        (
            "signed by another algorithm",
            house.corp.sign_as("ES256", &json!({"alg": "RS256", "kid": "rsa"}), &claims_of("corp")),
            "signature",
        ),
        (
            "a PSS signature",
            house.corp.sign_as("PS256", &json!({"alg": "RS256", "kid": "rsa"}), &claims_of("corp")),
            "signature",
        ),
        ("other claims", format!("{header}.{admin}.{signature}"), "signature"),
        ("claims twice", twice, "not well-formed"),
        (
            "another header",
            format!("{}.{claims}.{signature}", encoded(r#"{"alg":"RS256","kid":"rsa" }"#)),
            "signature",
        ),
        ("another signature", format!("{header}.{claims}.{flipped}"), "signature"),
        ("no signature", format!("{header}.{claims}."), "signature"),
        (
            "half a signature",
            format!("{header}.{claims}.{}", &signature[..signature.len() / 2 / 4 * 4]),
            "signature",
        ),
    ]
}

fn keys(house: &House) -> Vec<Wrong> {
    let jwt = |header, claims| house.jwt(header, claims);
    vec![
        ("a key nobody has", jwt(json!({"kid": "gone"}), json!({})), "a key that its issuer does not have"),
        ("an empty kid", jwt(json!({"kid": ""}), json!({})), "a key that its issuer does not have"),
        (
            "a kid of another kind",
            jwt(json!({"kid": "ec"}), json!({})),
            "a key that its issuer does not have",
        ),
        ("a key that encrypts", jwt(json!({"kid": "encrypts"}), json!({})), "a key that its issuer"),
        ("a key that only signs", jwt(json!({"kid": "signs"}), json!({})), "a key that its issuer"),
        ("a key for OAEP", jwt(json!({"kid": "oaep"}), json!({})), "a key that its issuer"),
        ("no kid where two fit", jwt(json!({"kid": null}), json!({})), "a key that its issuer"),
        (
            "its own key",
            jwt(json!({"kid": "x", "jwk": house.corp.rsa_jwk(json!({}))}), json!({})),
            "a key that its",
        ),
    ]
}

fn forms(house: &House) -> Vec<Wrong> {
    let jwt = |header, claims| house.jwt(header, claims);
    let good = house.jwt(json!({}), json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("{good}") };
    vec![
        ("crit", jwt(json!({"crit": ["exp"]}), json!({})), "crit"),
        ("an empty crit", jwt(json!({"crit": []}), json!({})), "crit"),
        ("one part", "abc".to_owned(), "neither"),
        ("two parts", format!("{header}.{claims}"), "neither"),
        ("four parts", format!("{good}.{signature}"), "neither"),
        ("no parts", "..".to_owned(), "neither"),
        ("padding", format!("{header}=.{claims}.{signature}"), "neither"),
        ("no JSON", format!("{}.{claims}.{signature}", encoded("{")), "neither"),
        ("a header that is a list", format!("{}.{claims}.{signature}", encoded("[]")), "neither"),
        (
            "claims that are a list",
            house.corp.sign(&json!({"alg": "RS256", "kid": "rsa"}), &json!([])),
            "iss",
        ),
        ("letters that look alike", good.replacen('e', "е", 1), "neither"),
        ("a space before", format!(" {good}"), "neither"),
        ("oversize", jwt(json!({}), json!({"padding": "x".repeat(9000)})), "at most 8192"),
    ]
}
