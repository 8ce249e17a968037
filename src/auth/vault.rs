//! Where API keys are kept: in memory, and in a file if there is one.
//!
//! The file is JSON, hashed secrets only, mode 0600. It is replaced as a whole: written beside itself,
//! synced, renamed, so that a crash leaves the old one or the new one. Every change begins with what
//! the file says now, since `bugle keys` may have changed it beside a running server. A file that
//! cannot be understood is refused and left as it is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use serde::{Deserialize, Serialize};

use super::key::{Hash, IssuedKey, Key, KeyId, Keys, checked_roles};
use super::secret::fill;
use super::{Kind, Principal};
use crate::error::{Code, Error, Result};
use crate::limits::KEYS_FILE_BYTES_MAX;

/// The version of the file's form.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    version: u32,
    keys: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    roles: Vec<String>,
    created_unix_nano: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_unix_nano: Option<u64>,
    sha256: String,
}

/// The keys of a server.
#[derive(Debug, Default)]
pub struct Vault {
    path: Option<PathBuf>,
    keys: ArcSwap<Keys>,
    /// Held while they change.
    changing: Mutex<()>,
}

impl Vault {
    /// Keys in this file, which does not have to exist yet; without one, in memory alone. Errors: the
    /// file cannot be read or understood.
    pub fn open(path: Option<PathBuf>) -> Result<Vault> {
        let keys = match &path {
            Some(path) => read(path)?.unwrap_or_default(),
            None => Keys::default(),
        };
        Ok(Vault { path, keys: ArcSwap::from_pointee(keys), changing: Mutex::default() })
    }

    /// The file, if there is one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The keys as they are now.
    pub fn keys(&self) -> Guard<Arc<Keys>> {
        self.keys.load()
    }

    /// Makes a key and keeps it.
    pub fn create(&self, name: &str, roles: &[String], expires: Option<u64>, now: u64) -> Result<IssuedKey> {
        let issued = Key::issue(name, roles, expires, now)?;
        self.change(|keys| keys.insert(issued.key.clone()))?;
        Ok(issued)
    }

    /// Takes a key away. Errors: there is none of this id.
    pub fn revoke(&self, id: &str) -> Result<Key> {
        let gone =
            || Error::new(Code::NotFound, "there is no API key of this id; `bugle keys list` prints them");
        let id = KeyId::parse(id).ok_or_else(gone)?;
        let mut removed = None;
        self.change(|keys| {
            removed = keys.remove(id);
            removed.as_ref().map(|_| ()).ok_or_else(gone)
        })?;
        removed.ok_or_else(gone)
    }

    /// Reads the file again. Errors: it cannot be read or understood, or is gone; then nothing changes.
    pub fn reload(&self) -> Result<()> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = self.now()?;
        self.keys.store(Arc::new(keys));
        Ok(())
    }

    /// What there is now: as the file says.
    fn now(&self) -> Result<Keys> {
        let Some(path) = &self.path else { return Ok(Keys::clone(&self.keys.load())) };
        match read(path)? {
            Some(keys) => Ok(keys),
            None if self.keys.load().is_empty() => Ok(Keys::default()),
            None => Err(unusable(path, "is gone; bring it back, or restart to begin without keys")),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Keys) -> Result<()>) -> Result<()> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys = self.now()?;
        change(&mut keys)?;
        if let Some(path) = &self.path {
            write(path, &keys).map_err(|error| {
                let problem = format!("cannot be written: {error}; check the path and its permissions");
                unusable(path, &problem).because(error)
            })?;
        }
        self.keys.store(Arc::new(keys));
        Ok(())
    }
}

fn unusable(path: &Path, problem: &str) -> Error {
    Error::new(Code::FailedPrecondition, format!("the file of API keys {} {problem}", path.display()))
}

/// The keys of a file; `None` if there is no such file.
fn read(path: &Path) -> Result<Option<Keys>> {
    let mut text = String::new();
    let outcome =
        File::open(path).and_then(|file| file.take(KEYS_FILE_BYTES_MAX + 1).read_to_string(&mut text));
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let problem = format!("cannot be read: {error}; check the path and its permissions");
            return Err(unusable(path, &problem).because(error));
        }
        Ok(bytes) if bytes as u64 > KEYS_FILE_BYTES_MAX => {
            return Err(unusable(
                path,
                &format!("has more than {KEYS_FILE_BYTES_MAX} bytes; it is some other file"),
            ));
        }
        Ok(_) => {}
    }
    let advice = "it is not changed by hand; bring back a copy";
    let content: Content = serde_json::from_str(&text).map_err(|error| {
        // Only where: what stands there may be a hash.
        let place = format!("line {}, column {}", error.line(), error.column());
        unusable(path, &format!("cannot be understood at {place}; {advice}"))
    })?;
    if content.version != VERSION {
        let problem = format!("has the version {}, and this server knows {VERSION}", content.version);
        return Err(unusable(path, &problem));
    }
    let mut keys = Keys::default();
    for (at, entry) in content.keys.into_iter().enumerate() {
        let key = key(entry).filter(|key| keys.get(key.id).is_none());
        let Some(key) = key else {
            return Err(unusable(path, &format!("has a key that is none, number {}; {advice}", at + 1)));
        };
        keys.insert(key)?;
    }
    Ok(Some(keys))
}

fn key(entry: Entry) -> Option<Key> {
    Some(Key {
        id: KeyId::parse(&entry.id)?,
        principal: Principal::new(Kind::Key, &entry.name).ok()?,
        roles: checked_roles(&entry.roles).ok()?,
        created: entry.created_unix_nano,
        expires: entry.expires_unix_nano,
        hash: Hash::parse(&entry.sha256)?,
    })
}

/// Replaces the file as a whole, and returns when it would outlive the power.
fn write(path: &Path, keys: &Keys) -> io::Result<()> {
    let entries = keys.list().into_iter().map(|key| Entry {
        id: key.id.to_string(),
        name: key.principal.name().to_owned(),
        roles: key.roles.iter().map(ToString::to_string).collect(),
        created_unix_nano: key.created,
        expires_unix_nano: key.expires,
        sha256: key.hash.to_hex(),
    });
    let content = Content { version: VERSION, keys: entries.collect() };
    let mut text = serde_json::to_vec_pretty(&content)?;
    text.push(b'\n');
    // The link is kept where the path is one.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut random = [0; 8];
    fill(&mut random).map_err(io::Error::other)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}", u64::from_ne_bytes(random)));
    let beside = folder.join(name);
    let outcome = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        File::open(folder)?.sync_all()
    })();
    if outcome.is_err() {
        let _ = fs::remove_file(&beside);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        (folder, path)
    }

    #[test]
    fn keys_outlive_the_server_in_a_file_that_only_it_can_read() {
        let (folder, path) = folder();
        let vault = Vault::open(Some(path.clone())).unwrap();
        let kept = vault.create("billing", &["writers".to_owned()], Some(100), 1).unwrap();
        let gone = vault.create("old", &[], None, 1).unwrap();
        vault.revoke(&gone.key.id.to_string()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        let secret = &kept.credential.expose_text()[37..];
        assert!(text.contains("billing") && !text.contains(secret));
        let again = Vault::open(Some(path)).unwrap();
        let identity = again.keys().verify(kept.credential.expose_text(), 50).unwrap();
        assert_eq!((identity.principal().name(), identity.expires()), ("billing", Some(100)));
        assert!(again.keys().verify(gone.credential.expose_text(), 50).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        assert_eq!(vault.revoke("0").unwrap_err().code(), Code::NotFound);
        assert_eq!(vault.revoke(&gone.key.id.to_string()).unwrap_err().code(), Code::NotFound);
    }

    #[test]
    fn what_another_process_did_to_the_file_is_not_undone() {
        let (_folder, path) = folder();
        let (server, command) = (Vault::open(Some(path.clone())).unwrap(), Vault::open(Some(path)).unwrap());
        let one = command.create("one", &[], None, 1).unwrap();
        let two = server.create("two", &[], None, 1).unwrap();
        command.reload().unwrap();
        for vault in [&server, &command] {
            assert!(vault.keys().verify(one.credential.expose_text(), 1).is_ok());
            assert!(vault.keys().verify(two.credential.expose_text(), 1).is_ok());
        }
    }

    #[test]
    fn a_file_that_is_not_one_of_keys_is_refused_and_left_as_it_is() {
        let (_folder, path) = folder();
        let vault = Vault::open(Some(path.clone())).unwrap();
        let key = vault.create("a", &[], None, 1).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        let entry = &good[good.find('[').unwrap() + 1..good.rfind(']').unwrap()];
        for bad in [
            String::new(),
            "[]".to_owned(),
            good[..good.len() / 2].to_owned(),
            good.replace("\"version\": 1", "\"version\": 2"),
            good.replace("\"name\"", "\"label\""),
            good.replace("\"a\"", "\"a b\""),
            good.replace(entry, &format!("{entry},{entry}")),
            good.replace(&key.key.hash.to_hex(), "abc"),
        ] {
            fs::write(&path, &bad).unwrap();
            for error in [
                Vault::open(Some(path.clone())).unwrap_err(),
                vault.reload().unwrap_err(),
                vault.create("b", &[], None, 1).unwrap_err(),
            ] {
                assert!(error.message().contains("keys.json"), "{error}");
                assert!(!error.message().contains(&key.key.hash.to_hex()));
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), bad);
            assert!(vault.keys().verify(key.credential.expose_text(), 1).is_ok(), "it keeps what it had");
        }
        fs::remove_file(&path).unwrap();
        assert!(vault.reload().unwrap_err().message().contains("is gone"));
    }

    #[test]
    fn without_a_file_keys_live_in_memory() {
        let vault = Vault::open(None).unwrap();
        let key = vault.create("a", &[], None, 1).unwrap();
        vault.reload().unwrap();
        assert!(vault.keys().verify(key.credential.expose_text(), 1).is_ok());
    }
}
