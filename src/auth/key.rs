//! API keys: `bgl_ID_SECRET`, for clients that stay.
//!
//! The id is no secret: it names the key in lists and in the audit. Of the secret only its SHA-256 is
//! kept; it is 256 random bits, so a slow hash would add nothing. Several keys may have one name, which
//! is one principal: that is how a key is changed without a refused call.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::secret::{Secret, fill};
use super::who::check_role;
use super::{Identity, Kind, Principal, Proof, refusal};
use crate::error::{Code, Error, Result};
use crate::limits::{KEY_ID_BYTES, KEY_ROLES_MAX, KEY_SECRET_BYTES, KEYS_MAX};

/// What every API key begins with, so that people and scanners of sources recognize one.
pub const PREFIX: &str = "bgl_";
const HASH_BYTES: usize = 32;

/// Which key: random, and no secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; KEY_ID_BYTES]);

impl KeyId {
    /// Reads an id as it is written, in lower case.
    pub fn parse(text: &str) -> Option<KeyId> {
        hex(text).map(KeyId)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The SHA-256 of a secret. Compared in constant time, shown by no formatting.
#[derive(Clone)]
pub struct Hash([u8; HASH_BYTES]);

impl Hash {
    fn of(secret: &[u8]) -> Hash {
        let mut hash = [0; HASH_BYTES];
        hash.copy_from_slice(digest(&SHA256, secret).as_ref());
        Hash(hash)
    }

    /// Reads a hash as it is written.
    pub fn parse(text: &str) -> Option<Hash> {
        hex(text).map(Hash)
    }

    /// As it is written into the file of keys.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hash]")
    }
}

/// A key as it is kept, and as it is listed: nothing of it proves anything.
#[derive(Debug, Clone)]
pub struct Key {
    /// Which one.
    pub id: KeyId,
    /// Whom it names: `key:NAME`.
    pub principal: Principal,
    /// The roles that it has beside those that the configuration gives its name.
    pub roles: Arc<[Arc<str>]>,
    /// When it was made, unix nanoseconds.
    pub created: u64,
    /// When it ends, unix nanoseconds; `None` is never.
    pub expires: Option<u64>,
    /// What its secret is checked against.
    pub hash: Hash,
}

/// A key that was just made, with the credential that is shown this once.
#[derive(Debug)]
pub struct IssuedKey {
    /// The key.
    pub key: Key,
    /// What its bearer presents.
    pub credential: Secret,
}

impl Key {
    /// Makes a key of this name. Errors: the name or a role cannot be one, or it would end before it
    /// began.
    pub fn issue(name: &str, roles: &[String], expires: Option<u64>, now: u64) -> Result<IssuedKey> {
        let principal = Principal::new(Kind::Key, name).map_err(|error| renamed("name", &error))?;
        if expires.is_some_and(|end| end <= now) {
            return Err(Error::field("expires", "has to be in the future, or never"));
        }
        let (mut id, mut secret) = ([0; KEY_ID_BYTES], Zeroizing::new([0; KEY_SECRET_BYTES]));
        fill(&mut id)?;
        fill(&mut *secret)?;
        let id = KeyId(id);
        let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(*secret));
        let credential = Secret::from(format!("{PREFIX}{id}_{}", *text));
        let (roles, hash) = (checked_roles(roles)?, Hash::of(&*secret));
        Ok(IssuedKey { key: Key { id, principal, roles, created: now, expires, hash }, credential })
    }
}

/// Roles that a key can have: those of the configuration, whose names have no issuer.
pub fn checked_roles(roles: &[String]) -> Result<Arc<[Arc<str>]>> {
    if roles.len() > KEY_ROLES_MAX {
        return Err(Error::field(
            "roles",
            format!("are {}; at most {KEY_ROLES_MAX} are allowed", roles.len()),
        ));
    }
    for role in roles {
        check_role("roles", role)?;
        if role.contains('/') {
            return Err(Error::field(
                "roles",
                format!("{role:?} is of an issuer's tokens; a key cannot have it"),
            ));
        }
    }
    Ok(roles.iter().map(|role| Arc::from(role.as_str())).collect())
}

/// All keys at one time.
#[derive(Debug, Clone, Default)]
pub struct Keys(HashMap<KeyId, Key>);

impl Keys {
    /// With this one too. Errors: there are as many as there may be.
    pub fn insert(&mut self, key: Key) -> Result<()> {
        if self.0.len() >= KEYS_MAX {
            let message =
                format!("there are {KEYS_MAX} API keys, and that is the most; delete those nobody uses");
            return Err(Error::new(Code::ResourceExhausted, message));
        }
        self.0.insert(key.id, key);
        Ok(())
    }

    /// Without this one, if it is there.
    pub fn remove(&mut self, id: KeyId) -> Option<Key> {
        self.0.remove(&id)
    }

    /// The key of this id.
    pub fn get(&self, id: KeyId) -> Option<&Key> {
        self.0.get(&id)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, by id.
    pub fn list(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = self.0.values().cloned().collect();
        keys.sort_by_key(|key| key.id);
        keys
    }

    /// Who presents this API key. Errors: UNAUTHENTICATED, the same for an unknown id and a wrong
    /// secret.
    pub fn verify(&self, credential: &str, now: u64) -> Result<Identity> {
        let refused = || refusal::invalid("the API key is not valid; it may have been deleted");
        let (id, secret) = parse(credential).ok_or_else(refused)?;
        let key = self.0.get(&id).ok_or_else(refused)?;
        if !bool::from(Hash::of(&*secret).0.ct_eq(&key.hash.0)) {
            return Err(refused());
        }
        if key.expires.is_some_and(|end| end <= now) {
            return Err(refusal::expired("the API key has expired; ask for a new one"));
        }
        Ok(Identity::proved(key.principal.clone(), key.expires, key.roles.clone(), Proof::Key(id)))
    }
}

/// The two parts of a key that is written as it should be, and in no other way.
fn parse(credential: &str) -> Option<(KeyId, Zeroizing<[u8; KEY_SECRET_BYTES]>)> {
    let (id, text) = credential.strip_prefix(PREFIX)?.split_at_checked(2 * KEY_ID_BYTES)?;
    let mut secret = Zeroizing::new([0; KEY_SECRET_BYTES + 3]);
    let read = URL_SAFE_NO_PAD.decode_slice(text.strip_prefix('_')?, &mut *secret).ok()?;
    let secret = secret.first_chunk().filter(|_| read == KEY_SECRET_BYTES)?;
    Some((KeyId::parse(id)?, Zeroizing::new(*secret)))
}

/// Bytes written as digits of base 16 in lower case.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

fn renamed(field: &str, error: &Error) -> Error {
    let description =
        error.violations().first().map_or_else(|| error.message(), |violation| &violation.description);
    Error::field(field, description)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued(expires: Option<u64>) -> (Keys, String) {
        let issued = Key::issue("billing", &["writers".to_owned()], expires, 1).unwrap();
        let mut keys = Keys::default();
        keys.insert(issued.key).unwrap();
        (keys, issued.credential.expose_text().to_owned())
    }

    #[test]
    fn a_key_proves_its_name_and_roles_until_it_expires_or_is_deleted() {
        let (mut keys, credential) = issued(Some(100));
        let identity = keys.verify(&credential, 99).unwrap();
        assert_eq!(
            (identity.principal().to_string().as_str(), identity.expires()),
            ("key:billing", Some(100))
        );
        assert_eq!(identity.roles()[..], [Arc::from("writers")]);
        assert_eq!(keys.verify(&credential, 100).unwrap_err().reason_code(), Some("CREDENTIAL_EXPIRED"));
        let id = keys.list()[0].id;
        assert_eq!(identity.proof(), &Proof::Key(id));
        assert!(keys.remove(id).is_some());
        assert_eq!(keys.verify(&credential, 99).unwrap_err().reason_code(), Some("CREDENTIAL_INVALID"));
    }

    #[test]
    fn nothing_but_the_key_itself_is_the_key() {
        let (keys, credential) = issued(None);
        let (_, other) = issued(None);
        let (id, secret) = credential.split_at(PREFIX.len() + 2 * KEY_ID_BYTES);
        // The last letter carries four bits that have to be 0.
        let last = credential.len() - 1;
        for wrong in [
            other.clone(),
            format!("{id}{}", &other[id.len()..]),
            format!("{}{secret}", &other[..id.len()]),
            credential.to_uppercase(),
            format!("{credential}="),
            format!("{credential}A"),
            credential[..last].to_owned(),
            credential.replacen('_', "-", 1),
            format!(" {credential}"),
            format!("{id}_"),
            PREFIX.to_owned(),
            format!("{id}{}", "ü".repeat(secret.len() / 2)),
        ] {
            let error = keys.verify(&wrong, 1).unwrap_err();
            assert_eq!(
                (error.code(), error.reason_code()),
                (Code::Unauthenticated, Some("CREDENTIAL_INVALID"))
            );
            assert!(!error.message().contains(&wrong), "{wrong}");
        }
        assert_eq!(
            keys.verify(&other, 1).unwrap_err().message(),
            keys.verify("bgl_", 1).unwrap_err().message()
        );
    }

    #[test]
    fn formatting_shows_no_secret() {
        let issued = Key::issue("a", &[], None, 1).unwrap();
        let (text, shown) = (issued.credential.expose_text().to_owned(), format!("{issued:?}"));
        assert!(
            !shown.contains(&text[text.len() - 43..])
                && shown.contains("[secret]")
                && shown.contains("[hash]")
        );
        assert!(!shown.contains(&issued.key.hash.to_hex()));
    }

    #[test]
    fn what_a_key_cannot_be_is_refused() {
        for (name, roles, expires) in [
            ("", &[][..], None),
            ("a b", &[], None),
            ("a", &["corp/ops"], None),
            ("a", &["x*"], None),
            ("a", &[""], None),
            ("a", &["r"; KEY_ROLES_MAX + 1], None),
            ("a", &[], Some(5)),
        ] {
            let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
            assert_eq!(
                Key::issue(name, &roles, expires, 5).unwrap_err().code(),
                Code::InvalidArgument,
                "{name:?}"
            );
        }
    }

    #[test]
    fn there_are_only_so_many() {
        let mut keys = Keys::default();
        let key = Key::issue("a", &[], None, 1).unwrap().key;
        for count in 0..KEYS_MAX {
            let mut id = [0; KEY_ID_BYTES];
            id[..8].copy_from_slice(&count.to_be_bytes());
            keys.insert(Key { id: KeyId(id), ..key.clone() }).unwrap();
        }
        assert_eq!(keys.insert(key).unwrap_err().code(), Code::ResourceExhausted);
    }
}
