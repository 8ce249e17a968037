//! Disposable tokens: `bgt_CLAIMS.MAC`, for somebody who may do little for a short time.
//!
//! The server keeps nothing of them: what a token is for and who made it stand in it, under a MAC
//! (HMAC-SHA256) with a secret of the server's own. It is no JWT, so that nothing about it can be chosen
//! by whoever brings it: one form, one algorithm, one key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::{Deserialize, Serialize};

use super::grant::{Actions, Grant};
use super::secret::{Secret, fill};
use super::{Action, Identity, KeyId, Kind, Principal, Proof, refusal};
use crate::error::{Error, Result};
use crate::limits::{GRANTS_MAX, TOKEN_ID_BYTES_MAX};
use crate::topic::Pattern;

/// What every token begins with.
pub const PREFIX: &str = "bgt_";
/// What the MAC is of, before the claims: a MAC of these bytes is none of anything else.
const CONTEXT: &[u8] = b"bugle disposable token 1\n";
/// Bytes of an id that nobody chose.
const ID_BYTES: usize = 12;

/// Makes tokens and knows its own again.
pub struct Signer(hmac::Key);

/// A token that was just made.
#[derive(Debug)]
pub struct MintedToken {
    /// Whom it names.
    pub principal: Principal,
    /// When it ends, unix nanoseconds.
    pub expires: u64,
    /// The token.
    pub credential: Secret,
}

/// What a token says. Short names, for it travels with every call.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    id: String,
    /// When it ends, unix nanoseconds.
    exp: u64,
    /// Who made it, with which roles, and by which proof.
    by: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    roles: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// Namespace, topic, and what may be done there.
    may: Vec<(String, String, Vec<String>)>,
}

impl Signer {
    /// Signs with this secret.
    pub fn new(secret: &Secret) -> Signer {
        Signer(hmac::Key::new(hmac::HMAC_SHA256, secret.expose()))
    }

    /// A token of this minter for these grants, until then. Errors: an id that cannot be one, no grants
    /// or too many.
    pub fn mint(
        &self,
        minter: &Identity,
        grants: &[Grant],
        id: Option<&str>,
        expires: u64,
    ) -> Result<MintedToken> {
        if grants.is_empty() || grants.len() > GRANTS_MAX {
            return Err(Error::field(
                "grants",
                format!("are {}; 1 to {GRANTS_MAX} are allowed", grants.len()),
            ));
        }
        let id = id.map_or_else(random_id, |id| Ok(id.to_owned()))?;
        if id.len() > TOKEN_ID_BYTES_MAX {
            let description = format!("has {} bytes; at most {TOKEN_ID_BYTES_MAX} are allowed", id.len());
            return Err(Error::field("id", description));
        }
        let principal =
            Principal::new(Kind::Token, &id).map_err(|error| Error::field("id", error.message()))?;
        let (key, issuer) = match minter.proof() {
            Proof::Unconditional => (None, None),
            Proof::Key(id) => (Some(id.to_string()), None),
            Proof::Issuer(name) => (None, Some(name.to_string())),
        };
        let names = |actions: Actions| actions.iter().map(|action| action.as_str().to_owned()).collect();
        let claims = Claims {
            id,
            exp: expires,
            by: minter.principal().to_string(),
            roles: minter.roles().iter().map(|role| role.to_string()).collect(),
            key,
            issuer,
            may: grants
                .iter()
                .map(|grant| (grant.namespace.to_string(), grant.topic.to_string(), names(grant.actions)))
                .collect(),
        };
        let claims = serde_json::to_vec(&claims).map_err(|error| {
            Error::new(crate::error::Code::Internal, "a token cannot be written").because(error)
        })?;
        let mac = URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, &signed(&claims)));
        let credential = Secret::from(format!("{PREFIX}{}.{mac}", URL_SAFE_NO_PAD.encode(&claims)));
        Ok(MintedToken { principal, expires, credential })
    }

    /// Whom a token names, and what it may do. Errors: UNAUTHENTICATED.
    pub fn verify(&self, credential: &str, now: u64) -> Result<Identity> {
        let refused = || refusal::invalid("the token is not valid: this server did not make it");
        let claims = self.claims(credential).ok_or_else(refused)?;
        if claims.exp <= now {
            return Err(refusal::expired("the token has expired; ask for a new one"));
        }
        // Its MAC is right, so a token that cannot be understood is of another version of the bus.
        identity(claims).ok_or_else(refused)
    }

    fn claims(&self, credential: &str) -> Option<Claims> {
        let (claims, mac) = credential.strip_prefix(PREFIX)?.split_once('.')?;
        let (claims, mac) = (URL_SAFE_NO_PAD.decode(claims).ok()?, URL_SAFE_NO_PAD.decode(mac).ok()?);
        hmac::verify(&self.0, &signed(&claims), &mac).ok()?;
        serde_json::from_slice(&claims).ok()
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

fn signed(claims: &[u8]) -> Vec<u8> {
    [CONTEXT, claims].concat()
}

fn identity(claims: Claims) -> Option<Identity> {
    let Claims { id, exp, by, roles, key, issuer, may } = claims;
    let principal = Principal::new(Kind::Token, &id).ok()?;
    let proof = match (key, issuer) {
        (None, None) => Proof::Unconditional,
        (Some(key), None) => Proof::Key(KeyId::parse(&key)?),
        (None, Some(issuer)) => Proof::Issuer(issuer.into()),
        (Some(_), Some(_)) => return None,
    };
    let roles = roles.into_iter().map(Into::into).collect();
    let minter = Identity::proved(Principal::parse(&by).ok()?, None, roles, proof);
    let grants = may.iter().map(|(namespace, topic, actions)| {
        Some(Grant {
            namespace: Pattern::parse("namespace", namespace).ok()?,
            topic: Pattern::parse("topic", topic).ok()?,
            actions: Actions::of(
                &actions.iter().map(|name| Action::parse(name)).collect::<Option<Vec<_>>>()?,
            ),
        })
    });
    Some(Identity::minted(principal, exp, grants.collect::<Option<_>>()?, minter))
}

fn random_id() -> Result<String> {
    let mut id = [0; ID_BYTES];
    fill(&mut id)?;
    Ok(URL_SAFE_NO_PAD.encode(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use crate::topic::TopicName;

    fn signer(seed: u8) -> Signer {
        Signer::new(&Secret::new(vec![seed; 32]))
    }

    fn minter() -> Identity {
        let id = KeyId::parse(&"0a".repeat(16)).unwrap();
        let roles = ["writers".into()].into();
        Identity::proved(Principal::parse("key:backend").unwrap(), None, roles, Proof::Key(id))
    }

    fn minted(signer: &Signer) -> String {
        let grants = [Grant::parse("", "orders.*", &[Action::Publish]).unwrap()];
        let token = signer.mint(&minter(), &grants, Some("browser-1"), 100).unwrap();
        token.credential.expose_text().to_owned()
    }

    #[test]
    fn a_token_says_whom_it_names_what_it_is_for_and_who_made_it() {
        let signer = signer(1);
        let identity = signer.verify(&minted(&signer), 99).unwrap();
        assert_eq!(
            (identity.principal().to_string().as_str(), identity.expires()),
            ("token:browser-1", Some(100))
        );
        let (grants, by) = identity.grants().unwrap();
        let topic = TopicName::parse("", "orders.eu").unwrap();
        assert!(grants[0].allows(Action::Publish, super::super::Resource::Topic(&topic)));
        assert_eq!(by.principal().to_string(), "key:backend");
        assert_eq!((by.proof(), &by.roles()[..]), (minter().proof(), &["writers".into()][..]));
        assert_eq!(identity.proof(), minter().proof());
    }

    #[test]
    fn nothing_but_the_token_itself_is_the_token() {
        let own = signer(1);
        let good = minted(&own);
        let (claims, mac) = good.strip_prefix(PREFIX).unwrap().split_once('.').unwrap();
        let wider = URL_SAFE_NO_PAD.encode(
            String::from_utf8(URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap().replace("orders.*", "*"),
        );
        let later = URL_SAFE_NO_PAD.encode(
            String::from_utf8(URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap().replace("100", "900"),
        );
        let bare = hmac::sign(&own.0, &URL_SAFE_NO_PAD.decode(claims).unwrap());
        for wrong in [
            minted(&signer(2)),
            format!("{PREFIX}{wider}.{mac}"),
            format!("{PREFIX}{later}.{mac}"),
            format!("{PREFIX}{claims}.{}", URL_SAFE_NO_PAD.encode(bare)),
            format!("{PREFIX}{claims}."),
            format!("{PREFIX}{claims}"),
            format!("{PREFIX}.{mac}"),
            format!("{PREFIX}{claims}.{}", &mac[..mac.len() - 1]),
            format!("{PREFIX}{claims}.{mac}.{mac}"),
            format!("{PREFIX}{claims}={mac}"),
            good.to_lowercase(),
            good.replacen(PREFIX, "bgl_", 1),
            PREFIX.to_owned(),
        ] {
            let error = own.verify(&wrong, 1).unwrap_err();
            assert_eq!(
                (error.code(), error.reason_code()),
                (Code::Unauthenticated, Some("CREDENTIAL_INVALID"))
            );
            assert!(!error.message().contains(claims), "{error}");
        }
        let error = own.verify(&good, 100).unwrap_err();
        assert_eq!(error.reason_code(), Some("CREDENTIAL_EXPIRED"));
    }

    #[test]
    fn what_a_token_cannot_be_is_refused() {
        let (signer, grant) = (signer(1), Grant::parse("", "a", &[Action::Publish]).unwrap());
        let mint = |grants: &[Grant], id| signer.mint(&minter(), grants, id, 1).map(|_| ());
        for (grants, id, field) in [
            (&[][..], None, "grants"),
            (&vec![grant.clone(); GRANTS_MAX + 1][..], None, "grants"),
            (&[grant.clone()][..], Some("a b"), "id"),
            (&[grant.clone()][..], Some(&*"x".repeat(65)), "id"),
            (&[grant.clone()][..], Some(""), "id"),
        ] {
            assert_eq!(mint(grants, id).unwrap_err().violations()[0].field, field);
        }
        let [one, other] = [(); 2]
            .map(|()| signer.mint(&minter(), std::slice::from_ref(&grant), None, 1).unwrap().principal);
        assert_ne!(one, other);
    }
}
