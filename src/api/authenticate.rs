//! Who makes a call: what the credential of its metadata proves, or else the certificate of its
//! connection.
//!
//! Proving takes microseconds and a connection mostly brings the same credential with every call, so
//! the last one that was proved is kept with the connection, until it expires or something changes
//! that it depends on.

use std::sync::{Mutex, PoisonError};

use http::header::AUTHORIZATION;
use http::{HeaderMap, Request};

use super::Peer;
use super::http::token;
use crate::auth::{Access, Identity, Presented};
use crate::error::{Code, Error, Result};
use crate::store::unix_nanos;

/// The credential that a connection has brought last, and what it proves.
#[derive(Default)]
pub struct Known(Mutex<Option<Box<Proved>>>);

struct Proved {
    credential: Box<str>,
    identity: Identity,
    generation: u64,
}

/// Who makes this call; `None` where nobody has to say. Errors: UNAUTHENTICATED.
pub fn identify<B>(access: &Access, request: &Request<B>, is_http: bool) -> Result<Option<Identity>> {
    if access.is_open() {
        return Ok(None);
    }
    let in_query = if is_http { token(request.uri())? } else { None };
    let credential = match (credential(request.headers())?, in_query.as_deref()) {
        (Some(_), Some(_)) => {
            let description = "is there beside the header authorization; send one of them";
            return Err(Error::field("token", description).reason("TWO_CREDENTIALS"));
        }
        (header, in_query) => header.or(in_query),
    };
    let peer = request.extensions().get::<Peer>();
    let (now, generation) = (unix_nanos(), access.generation());
    let known = peer.map(Peer::known).zip(credential);
    if let Some(identity) = known.and_then(|(known, credential)| known.get(credential, generation, now)) {
        return Ok(Some(identity));
    }
    let presented = Presented { credential, certificate: peer.and_then(Peer::certificate) };
    let identity = access.authenticate(presented, now)?;
    if let Some((known, credential)) = known {
        known.keep(credential, &identity, generation);
    }
    Ok(Some(identity))
}

/// The credential of a call's metadata: `Bearer` and itself, or itself alone, as clients of other
/// buses send it.
pub fn credential(headers: &HeaderMap) -> Result<Option<&str>> {
    let mut values = headers.get_all(AUTHORIZATION).into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid("the metadata has more than one authorization; send one"));
    }
    let text = value.to_str().map_err(|_| invalid("the authorization of the metadata is no text"))?.trim();
    let credential = match text.split_at_checked("Bearer ".len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("Bearer ") => rest.trim_start(),
        _ => text,
    };
    // Clients of other buses send an empty one where they have none.
    Ok(Some(credential).filter(|credential| !credential.is_empty()))
}

fn invalid(message: &str) -> Error {
    Error::new(Code::Unauthenticated, message).reason("CREDENTIAL_INVALID")
}

impl Known {
    fn get(&self, credential: &str, generation: u64, now: u64) -> Option<Identity> {
        let proved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let proved =
            proved.as_ref().filter(|it| it.generation == generation && *it.credential == *credential)?;
        Some(proved.identity.clone()).filter(|identity| identity.expires().is_none_or(|end| now < end))
    }

    fn keep(&self, credential: &str, identity: &Identity, generation: u64) {
        let proved = Proved { credential: credential.into(), identity: identity.clone(), generation };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(proved));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_credential_comes_with_or_without_its_scheme() {
        for (value, expected) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc", Some("abc")),
            ("abc", Some("abc")),
            ("Bearerabc", Some("Bearerabc")),
            ("Bearer ", Some("Bearer")),
            ("", None),
        ] {
            assert_eq!(credential(&headers(&[value])).unwrap(), expected, "{value:?}");
        }
        assert_eq!(credential(&headers(&[])).unwrap(), None);
        let error = credential(&headers(&["Bearer a", "Bearer b"])).unwrap_err();
        assert_eq!((error.code(), error.reason_code()), (Code::Unauthenticated, Some("CREDENTIAL_INVALID")));
    }

    #[test]
    fn what_was_proved_is_not_proved_again_until_something_changes() {
        let known = Known::default();
        let identity = Identity::new(crate::auth::Principal::parse("key:a").unwrap(), Some(100));
        known.keep("secret", &identity, 7);
        assert!(known.get("secret", 7, 99).is_some());
        assert!(known.get("secret", 7, 100).is_none(), "expired");
        assert!(known.get("secret", 8, 99).is_none(), "something has changed");
        assert!(known.get("secreT", 7, 99).is_none(), "another one");
    }
}
