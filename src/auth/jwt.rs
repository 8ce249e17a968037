//! JWTs of the issuers that the configuration names.
//!
//! The issuer is found by `iss`, which is believed only when the signature has been verified with its
//! keys and with one of its algorithms. Then `iss`, `aud`, `exp` and the subject have to be there and
//! right, and `nbf`, `iat` and the roles where they are: what is of a wrong type, or a time that nobody can
//! mean, is refused and not passed over. What the header says of keys is not used, but for `kid`; a header
//! that lists extensions that have to be understood (`crit`) is refused.

use std::collections::HashMap;
use std::sync::Arc;

use jsonwebtoken::{Algorithm, Header, TokenData, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::issuer::Issuer;
use super::jwks::KeySource;
use super::who::check_role;
use super::{Identity, Kind, Principal, Proof, refusal, signature};
use crate::error::{Error, Result};

const NANOS: u64 = 1_000_000_000;

/// What is known of a JWT before anything of it is believed.
pub struct Unproved<'a> {
    text: &'a str,
    /// Its header.
    pub header: Header,
    /// Who it says has made it.
    pub issuer: String,
}

impl<'a> Unproved<'a> {
    /// Takes it apart. Errors: UNAUTHENTICATED; it is no JWT that could be verified.
    pub fn parse(text: &'a str) -> Result<Unproved<'a>> {
        #[derive(Deserialize)]
        struct Claims {
            iss: String,
        }
        let malformed =
            || refusal::invalid("the credential is neither an API key nor a JWT that can be verified");
        if text.bytes().filter(|byte| *byte == b'.').count() != 2 {
            return Err(malformed());
        }
        let header = decode_header(text).map_err(|_| malformed())?;
        if header.crit.is_some() {
            return Err(invalid("its header lists extensions (crit), which are not known here"));
        }
        // Issuers sign other things too, such as notices of a logout, with the same keys.
        let typ = header.typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
        if typ.is_some_and(|typ| !["JWT", "at+jwt"].iter().any(|known| typ.eq_ignore_ascii_case(known))) {
            return Err(invalid("its type (typ) is neither JWT nor at+jwt"));
        }
        let claims: TokenData<Claims> = jsonwebtoken::dangerous::insecure_decode(text)
            .map_err(|_| invalid("it does not name its issuer (iss)"))?;
        Ok(Unproved { text, header, issuer: claims.claims.iss })
    }

    /// What it says, once its signature is verified with this key and the claims that the validation
    /// names are right.
    pub fn prove(
        &self,
        key: &jsonwebtoken::DecodingKey,
        validation: &Validation,
    ) -> Result<Map<String, Value>> {
        let proved = decode::<Map<String, Value>>(self.text, key, validation);
        proved.map(|proved| proved.claims).map_err(|error| invalid(signature::words(&error)))
    }
}

/// A refusal of a JWT, and why.
pub fn invalid(why: &str) -> Error {
    refusal::invalid(format!("the JWT cannot be used: {why}"))
}

/// An issuer, ready to verify.
#[derive(Debug)]
pub struct Verifier {
    name: Arc<str>,
    source: Arc<KeySource>,
    validations: HashMap<Algorithm, Validation>,
    settings: Issuer,
}

impl Verifier {
    /// This issuer. Where one of the sources is of the same issuer and URL, its keys are taken over.
    /// Errors: its keys cannot be read, or do not fit.
    pub fn new(settings: Issuer, sources: &[Arc<KeySource>]) -> Result<Verifier> {
        signature::install();
        let algorithms = settings.algorithms()?;
        let source = settings.source(&algorithms)?;
        let is_same = |old: &&Arc<KeySource>| {
            source.url().is_some() && old.issuer() == source.issuer() && old.url() == source.url()
        };
        let source = sources.iter().find(is_same).cloned().unwrap_or_else(|| Arc::new(source));
        let validations = algorithms.into_iter().map(|it| (it, validation(it, &settings))).collect();
        Ok(Verifier { name: Arc::from(settings.name.as_str()), source, validations, settings })
    }

    /// What the configuration says of it.
    pub fn settings(&self) -> &Issuer {
        &self.settings
    }

    /// Its keys.
    pub fn source(&self) -> &Arc<KeySource> {
        &self.source
    }

    /// Who presents this JWT. Errors: UNAUTHENTICATED.
    pub fn verify(&self, jwt: &Unproved<'_>, now: u64) -> Result<Identity> {
        let algorithm = jwt.header.alg;
        let Some(validation) = self.validations.get(&algorithm) else {
            return Err(invalid("its algorithm is not one of its issuer"));
        };
        let keys = self.source.keys();
        let mut outcome = Err(invalid("it was signed with a key that its issuer does not have"));
        for candidate in keys.candidates(jwt.header.kid.as_deref(), algorithm) {
            outcome = jwt.prove(&candidate.key, validation);
            if outcome.is_ok() {
                break;
            }
        }
        self.identity(&outcome?, now)
    }

    fn identity(&self, claims: &Map<String, Value>, now: u64) -> Result<Identity> {
        let settings = &self.settings;
        // The library takes a list of issuers, and one of them would do.
        if claims.get("iss").and_then(Value::as_str) != Some(&settings.issuer) {
            return Err(invalid("it is of another issuer"));
        }
        let expires =
            valid_until(claims, u64::try_from(settings.leeway.as_nanos()).unwrap_or(u64::MAX), now)?;
        let subject = claims.get(&settings.subject_claim).and_then(Value::as_str);
        let subject = subject.ok_or_else(|| invalid("it lacks the claim that names its subject"))?;
        if subject.is_empty() {
            return Err(invalid("its subject is empty"));
        }
        let principal = Principal::new(Kind::Jwt, &format!("{}/{subject}", self.name)).map_err(|_| {
            invalid("its subject is too long, or has white space or characters that nobody sees")
        })?;
        let roles = match settings.roles_claim.as_deref() {
            Some(claim) => self.roles(claims, claim)?,
            None => Arc::from([]),
        };
        Ok(Identity::proved(principal, Some(expires), roles, Proof::Issuer(self.name.clone())))
    }

    /// The roles that it names: a list, or words with spaces between; none where the claim is not there.
    /// Those that cannot be the name of one are no role of any policy. Errors: it is something else.
    fn roles(&self, claims: &Map<String, Value>, claim: &str) -> Result<Arc<[Arc<str>]>> {
        let wrong = || {
            let problem = format!("its roles ({claim}) are neither a list of names nor words in one text");
            invalid(&problem)
        };
        let names: Vec<&str> = match find(claims, claim).map_err(|()| wrong())? {
            None => Vec::new(),
            Some(Value::String(words)) => words.split_ascii_whitespace().collect(),
            Some(Value::Array(items)) => {
                items.iter().map(Value::as_str).collect::<Option<_>>().ok_or_else(wrong)?
            }
            Some(_) => return Err(wrong()),
        };
        let full = names.into_iter().map(|name| format!("{}/{name}", self.name));
        Ok(full.filter(|name| check_role("roles", name).is_ok()).map(Arc::from).collect())
    }
}

/// The claim of this name, or at this path, whose dots lead into objects; `null` is not there. Errors:
/// the path leads into something else.
fn find<'a>(claims: &'a Map<String, Value>, claim: &str) -> Result<Option<&'a Value>, ()> {
    let mut found = claims.get(claim);
    if found.is_none() {
        let mut parts = claim.split('.');
        found = claims.get(parts.next().unwrap_or_default());
        for part in parts {
            found = match found {
                None | Some(Value::Null) => return Ok(None),
                Some(Value::Object(inner)) => inner.get(part),
                Some(_) => return Err(()),
            };
        }
    }
    Ok(found.filter(|value| !value.is_null()))
}

/// Everything but the time, which is ours to say.
fn validation(algorithm: Algorithm, issuer: &Issuer) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.set_issuer(&[&issuer.issuer]);
    validation.set_audience(&issuer.audiences);
    let mut required = vec!["iss", "aud"];
    if issuer.subject_claim == "sub" {
        required.push("sub");
    }
    validation.set_required_spec_claims(&required);
    validation
}

/// Until when these claims hold, unix nanoseconds, clocks that differ this much included. Errors: they
/// do not hold at this time.
pub fn valid_until(claims: &Map<String, Value>, leeway: u64, now: u64) -> Result<u64> {
    let expires = match claims.get("exp").filter(|it| !it.is_null()) {
        Some(value) => nanos(value),
        None => return Err(invalid(signature::CLAIM_MISSING)),
    };
    // What is later than anybody can mean does not mean never: most of those are milliseconds.
    let until = expires.and_then(|it| it.checked_add(leeway)).ok_or_else(|| invalid("its exp is no time"))?;
    if until <= now {
        return Err(refusal::expired("the JWT has expired; ask for a new one"));
    }
    match claims.get("iat").filter(|it| !it.is_null()).map(nanos) {
        Some(None) => return Err(invalid("its iat is no time")),
        Some(Some(made)) if made > now.saturating_add(leeway) => {
            return Err(invalid("it was made in the future (iat)"));
        }
        _ => {}
    }
    match claims.get("nbf").filter(|it| !it.is_null()).map(nanos) {
        Some(None) => Err(invalid("its nbf is no time")),
        Some(Some(begin)) if begin > now.saturating_add(leeway) => Err(invalid("it is not valid yet (nbf)")),
        _ => Ok(until),
    }
}

/// A time in seconds, which may have a fraction; `None` for what is none, or is too late to be counted in
/// nanoseconds.
fn nanos(value: &Value) -> Option<u64> {
    if let Some(seconds) = value.as_u64() {
        return seconds.checked_mul(NANOS);
    }
    let nanos = value.as_f64()? * NANOS as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // The first number that does not fit is a power of two, and so is no rounding.
    (0.0..u64::MAX as f64).contains(&nanos).then_some(nanos as u64)
}
