//! A secret: shown by no formatting, and overwritten when it is dropped.
//!
//! Whoever needs what is in it has to say [`Secret::expose`], which is easy to find in the sources.

use std::fmt;
use std::path::Path;

use zeroize::{Zeroize, Zeroizing};

use crate::error::{Code, Error, Result};
use crate::limits::{SECRET_BYTES_MIN, SECRET_FILE_BYTES_MAX};

/// Bytes that nobody is to see.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes these bytes.
    pub fn new(bytes: Vec<u8>) -> Secret {
        Secret(Zeroizing::new(bytes))
    }

    /// So many bytes from the random source of the system. Errors: it gives none.
    pub fn random(count: usize) -> Result<Secret> {
        let mut bytes = Zeroizing::new(vec![0; count]);
        fill(&mut bytes)?;
        Ok(Secret(bytes))
    }

    /// The content of a file, without a line's end behind a text. Errors name the file: it cannot be
    /// read, or is too short to be a secret, or is a key in PEM, which is not one to share.
    pub fn read(path: &Path) -> Result<Secret> {
        let refused = |problem: String| {
            Error::new(Code::FailedPrecondition, format!("the secret in {}: {problem}", path.display()))
        };
        let mut bytes = Zeroizing::new(std::fs::read(path).map_err(|error| {
            refused(format!("cannot be read: {error}; check the path and its permissions"))
        })?);
        if std::str::from_utf8(&bytes).is_ok() {
            let ends = [b"\r\n".as_slice(), b"\n"].into_iter().find(|end| bytes.ends_with(end));
            let kept = bytes.len() - ends.map_or(0, <[u8]>::len);
            bytes.truncate(kept);
        }
        if bytes.starts_with(b"-----BEGIN") {
            return Err(refused("is a key in PEM, and a secret has to be random bytes".to_owned()));
        }
        if bytes.len() < SECRET_BYTES_MIN || bytes.len() > SECRET_FILE_BYTES_MAX {
            let (min, max) = (SECRET_BYTES_MIN, SECRET_FILE_BYTES_MAX);
            return Err(refused(format!("has {} bytes; it has to have {min} to {max}", bytes.len())));
        }
        Ok(Secret(bytes))
    }

    /// What nobody is to see.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The same as text, which the credentials made here are.
    pub fn expose_text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Fills this with random bytes of the system.
pub fn fill(bytes: &mut [u8]) -> Result<()> {
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), bytes)
        .map_err(|_| Error::new(Code::Internal, "the random source of the system does not answer"))
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret::new(text.into_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Zeroize for Secret {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Result<Secret> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        Secret::read(file.path())
    }

    #[test]
    fn formatting_shows_nothing() {
        let secret = Secret::from("hunter2".to_owned());
        assert_eq!(
            format!("{secret} {secret:?} {:#?}", Some(&secret)),
            "[secret] [secret] Some(\n    [secret],\n)"
        );
        assert_eq!(secret.expose_text(), "hunter2");
    }

    #[test]
    fn a_file_with_a_secret_is_long_enough_and_ends_where_its_text_ends() {
        let text = "s".repeat(32);
        for end in ["", "\n", "\r\n"] {
            assert_eq!(read(format!("{text}{end}").as_bytes()).unwrap().expose(), text.as_bytes());
        }
        let mut bytes = vec![0xff; 32];
        bytes.push(b'\n');
        assert_eq!(read(&bytes).unwrap().expose().len(), 33);
        for content in ["", "short", &"s".repeat(31), &format!("{}\n", "s".repeat(31)), &"s".repeat(5000)] {
            assert!(read(content.as_bytes()).unwrap_err().message().contains("32 to 4096"), "{content}");
        }
        let public = format!("-----BEGIN PUBLIC KEY-----\n{text}");
        assert!(read(public.as_bytes()).unwrap_err().message().contains("PEM"));
        assert!(
            Secret::read(Path::new("/does/not/exist")).unwrap_err().message().contains("/does/not/exist")
        );
    }
}
