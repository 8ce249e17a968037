//! Disposable tokens: what an identity hands to somebody who is to have a part of its rights, for a
//! while. A browser, a job, a partner.
//!
//! A token is a JWT that this server signs and verifies by itself. It carries its grants and who made
//! it, so nothing is kept for it; it may do what its grants say and its minter may do at that time, and
//! lives no longer than what the minter was proved by. It cannot be revoked by itself, but ends with
//! the key it was made with.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, encode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::grant::{Actions, Grant};
use super::jwt::{Unproved, invalid, valid_until};
use super::key::KeyId;
use super::secret::{Secret, fill};
use super::{Action, Identity, Kind, Pattern, Principal, Proof, refusal, signature};
use crate::error::{Code, Error, Result};
use crate::limits::{CREDENTIAL_BYTES_MAX, GRANTS_MAX, TOKEN_ID_BYTES_MAX, TOKEN_TTL_MAX, TOKEN_TTL_MIN};

/// Who makes these JWTs; no issuer can be called so.
pub const ISSUER: &str = "bugle";
const TYPE: &str = "bugle+jwt";
const NANOS: u64 = 1_000_000_000;

/// A token as it is asked for.
#[derive(Debug, Clone)]
pub struct TokenRequest<'a> {
    /// What it is for.
    pub grants: &'a [Grant],
    /// How long it lives.
    pub ttl: Duration,
    /// Who its bearer is, `token:ID`; the server makes one where it is not said.
    pub id: Option<&'a str>,
}

/// A token that was just made.
#[derive(Debug)]
pub struct IssuedToken {
    /// Whom it names.
    pub principal: Principal,
    /// What its bearer presents.
    pub credential: Secret,
    /// When it ends, unix nanoseconds.
    pub expires: u64,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    jti: String,
    iat: u64,
    exp: u64,
    grants: Vec<Granted>,
    /// Who made it.
    by: String,
    /// The roles that its credential named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    roles: Vec<String>,
    /// The API key that it was proved by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// The issuer whose JWT it was proved by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Granted {
    namespace: String,
    topic: String,
    actions: Vec<String>,
}

/// Makes tokens and verifies them.
pub struct Mint {
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
}

impl Mint {
    /// Signs with this secret.
    pub fn new(secret: &Secret) -> Mint {
        signature::install();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss"]);
        let bytes = secret.expose();
        Mint { signing: signature::signing_key(bytes), verifying: DecodingKey::from_secret(bytes), validation }
    }

    /// Makes a token. Whether the minter may do what it grants has been seen to. Errors: what it asks
    /// for cannot be, or a token asks for another.
    pub fn mint(&self, minter: &Identity, request: &TokenRequest<'_>, now: u64) -> Result<IssuedToken> {
        if minter.principal().kind() == Kind::Token {
            return Err(refusal::policy("a token makes no tokens; ask whoever made it"));
        }
        if request.grants.is_empty() || request.grants.len() > GRANTS_MAX {
            return Err(Error::field("grants", format!("have to be 1 to {GRANTS_MAX}")));
        }
        if request.ttl < TOKEN_TTL_MIN || request.ttl > TOKEN_TTL_MAX {
            return Err(Error::field("ttl", "has to be from 1s to 24h"));
        }
        let id = match request.id {
            Some(id) if id.len() > TOKEN_ID_BYTES_MAX => {
                return Err(Error::field("id", format!("has to have at most {TOKEN_ID_BYTES_MAX} bytes")));
            }
            Some(id) => id.to_owned(),
            None => random_id()?,
        };
        let principal = Principal::new(Kind::Token, &id)
            .map_err(|_| Error::field("id", "has to be without white space and invisible characters"))?;
        let ttl = request.ttl.as_secs().saturating_mul(NANOS);
        let end = now.saturating_add(ttl).min(minter.expires().unwrap_or(u64::MAX));
        // Whole seconds are what a JWT has, and it does not outlive its minter by a part of one.
        let exp = end / NANOS;
        if exp.saturating_mul(NANOS) <= now {
            return Err(refusal::expired("what you were proved by expires within the second; prove it again"));
        }
        let claims = Claims::of(minter, request.grants, id, now / NANOS, exp);
        let header = Header { typ: Some(TYPE.to_owned()), ..Header::new(Algorithm::HS256) };
        let text = encode(&header, &claims, &self.signing)
            .map_err(|error| Error::new(Code::Internal, "the token could not be signed").because(error))?;
        if text.len() > CREDENTIAL_BYTES_MAX {
            let advice = format!("make a token of more than {CREDENTIAL_BYTES_MAX} bytes; grant less in one");
            return Err(Error::field("grants", advice));
        }
        Ok(IssuedToken { principal, credential: Secret::from(text), expires: exp.saturating_mul(NANOS) })
    }

    /// Who presents this token. Errors: UNAUTHENTICATED. Whether its minter still is who it was is
    /// another matter.
    pub fn verify(&self, jwt: &Unproved<'_>, now: u64) -> Result<Identity> {
        if jwt.header.typ.as_deref() != Some(TYPE) || jwt.header.alg != Algorithm::HS256 {
            return Err(invalid("it is no token of this server"));
        }
        let claims = jwt.prove(&self.verifying, &self.validation)?;
        let expires = valid_until(&claims, 0, now)?;
        identity(claims, expires).ok_or_else(|| invalid("it is no token of this server"))
    }
}

impl Claims {
    fn of(minter: &Identity, grants: &[Grant], id: String, iat: u64, exp: u64) -> Claims {
        let granted = grants.iter().map(|grant| Granted {
            namespace: grant.namespace.to_string(),
            topic: grant.topic.to_string(),
            actions: grant.actions.iter().map(|action| action.as_str().to_owned()).collect(),
        });
        let (key, issuer) = match minter.proof() {
            Proof::Unconditional => (None, None),
            Proof::Key(id) => (Some(id.to_string()), None),
            Proof::Issuer(name) => (None, Some(name.to_string())),
        };
        Claims {
            iss: ISSUER.to_owned(),
            jti: id,
            iat,
            exp,
            grants: granted.collect(),
            by: minter.principal().to_string(),
            roles: minter.roles().iter().map(ToString::to_string).collect(),
            key,
            issuer,
        }
    }
}

fn identity(claims: Map<String, Value>, expires: u64) -> Option<Identity> {
    let claims: Claims = serde_json::from_value(Value::Object(claims)).ok()?;
    let grants: Option<Box<[Grant]>> = claims.grants.iter().map(grant).collect();
    let proof = match (claims.key, claims.issuer) {
        (None, None) => Proof::Unconditional,
        (Some(id), None) => Proof::Key(KeyId::parse(&id)?),
        (None, Some(name)) => Proof::Issuer(Arc::from(name)),
        (Some(_), Some(_)) => return None,
    };
    let roles = claims.roles.into_iter().map(Arc::from).collect();
    let minter = Identity::proved(Principal::parse(&claims.by).ok()?, Some(expires), roles, proof);
    Some(Identity::minted(Principal::new(Kind::Token, &claims.jti).ok()?, expires, grants?, minter))
}

fn grant(granted: &Granted) -> Option<Grant> {
    let actions: Option<Vec<Action>> = granted.actions.iter().map(|name| Action::parse(name)).collect();
    Some(Grant {
        namespace: Pattern::parse("namespace", &granted.namespace).ok()?,
        topic: Pattern::parse("topic", &granted.topic).ok()?,
        actions: Actions::of(&actions?),
    })
}

fn random_id() -> Result<String> {
    let mut bytes = [0; 16];
    fill(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

impl std::fmt::Debug for Mint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mint([secret])")
    }
}
