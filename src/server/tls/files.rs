//! The files of TLS: read, understood, and made into what a handshake needs. Every error names its file
//! and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use super::named::Named;
use super::names::{self, Description};
use crate::config;
use crate::error::{Code, Error, Result};
use crate::server::protocol::{ALPN_HTTP1, ALPN_HTTP2};

/// Where they are.
#[derive(Clone, PartialEq, Eq)]
pub struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    crl: Option<PathBuf>,
    is_required: bool,
}

/// What they come to.
pub struct Loaded {
    /// For handshakes.
    pub config: Arc<ServerConfig>,
    /// Whom the certificate names.
    pub subject: String,
    /// Until when, as text.
    pub not_after: String,
    /// The same, unix seconds.
    pub expires: u64,
    /// `off`, `optional` or `required`.
    pub asks: &'static str,
    /// How many lists of revoked certificates there are.
    pub crls: usize,
    /// What works, and is hardly what was meant.
    pub doubts: Vec<String>,
}

impl Files {
    /// Those of a configuration; `None` without TLS.
    pub fn of(config: &config::Tls) -> Option<Files> {
        let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
        let asks = config.client_auth != "off";
        Some(Files {
            certificate: path(&config.cert)?,
            key: path(&config.key)?,
            client_ca: path(&config.client_ca).filter(|_| asks),
            crl: path(&config.crl).filter(|_| asks),
            is_required: config.client_auth == "required",
        })
    }

    /// The bytes of all of them, in an order of their own.
    pub fn read(&self) -> Result<Vec<Vec<u8>>> {
        let paths = [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref(), self.crl.as_ref()];
        paths.into_iter().map(|path| path.map_or(Ok(Vec::new()), |path| read(path))).collect()
    }

    /// What those bytes come to.
    pub fn load(&self, content: &[Vec<u8>]) -> Result<Loaded> {
        let [certificate, key, client_ca, crl] = content else {
            return Err(Error::new(Code::Internal, "the files of TLS were not all read"));
        };
        let chain = pem::<CertificateDer<'static>>(&self.certificate, certificate, "certificate")?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| unusable(&self.key, &format!("has no private key in PEM: {error:?}")))?;
        let revoked = match &self.crl {
            Some(path) => {
                pem::<CertificateRevocationListDer<'static>>(path, crl, "list of revoked certificates")?
            }
            None => Vec::new(),
        };
        let crls = revoked.len();
        let revocations: Vec<_> = revoked.iter().map(names::next_update).collect();
        let verifier = match &self.client_ca {
            Some(path) => self.verifier(path, client_ca, revoked)?,
            None => WebPkiClientVerifier::no_client_auth(),
        };
        let own = chain.first().map(names::describe).transpose();
        let own = own.map_err(|problem| unusable(&self.certificate, &problem))?.unwrap_or_default();
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&self.certificate, &error.to_string()))?;
        let mut config =
            builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).map_err(|error| {
                let (certificate, key) = (self.certificate.display(), self.key.display());
                let message = format!(
                    "{certificate} and {key} do not go together: {error}; the key has to be that of the \
                                   first certificate"
                );
                Error::new(Code::FailedPrecondition, message).reason("TLS_FILES")
            })?;
        config.alpn_protocols = vec![ALPN_HTTP2.to_vec(), ALPN_HTTP1.to_vec()];
        if self.client_ca.is_some() {
            // A session that is resumed brings the certificate of its beginning along, unchecked: it may
            // have expired since.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        let asks = match (&self.client_ca, self.is_required) {
            (None, _) => "off",
            (Some(_), false) => "optional",
            (Some(_), true) => "required",
        };
        let doubts = self.doubts(&own, &revocations);
        let (subject, not_after, expires) = (own.names, own.not_after, own.not_after_seconds);
        Ok(Loaded { config: Arc::new(config), subject, not_after, expires, asks, crls, doubts })
    }

    /// What is to be warned of; `revocations` says of each list when the next is due.
    fn doubts(&self, own: &Description, revocations: &[Option<u64>]) -> Vec<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let certificate = self.certificate.display();
        let mut doubts = Vec::new();
        if now >= own.not_after_seconds {
            doubts.push(format!("{certificate} has expired on {}: clients do not trust it", own.not_after));
        } else if now < own.not_before_seconds {
            doubts.push(format!(
                "{certificate} is not valid before {}: clients do not trust it",
                own.not_before
            ));
        }
        if others_can_read(&self.key) {
            let key = self.key.display();
            doubts
                .push(format!("everybody on this machine can read the private key {key}: chmod o-rwx {key}"));
        }
        match (&self.client_ca, &self.crl) {
            (Some(path), None) => doubts.push(format!(
                "without tls.crl no certificate of {} can be revoked: each is good until it expires",
                path.display()
            )),
            (Some(_), Some(path)) if revocations.iter().flatten().any(|due| *due < now) => {
                doubts.push(format!(
                    "a list of revoked certificates in {} is out of date: what was revoked since is let in",
                    path.display()
                ))
            }
            _ => {}
        }
        doubts
    }

    fn verifier(
        &self,
        path: &Path,
        client_ca: &[u8],
        revoked: Vec<CertificateRevocationListDer<'static>>,
    ) -> Result<Arc<dyn ClientCertVerifier>> {
        let mut roots = RootCertStore::empty();
        for certificate in pem::<CertificateDer<'static>>(path, client_ca, "certificate")? {
            roots.add(certificate).map_err(|error| {
                unusable(path, &format!("has a certificate that is none of an authority: {error}"))
            })?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .with_crls(revoked)
            .only_check_end_entity_revocation()
            .allow_unknown_revocation_status();
        let builder = if self.is_required { builder } else { builder.allow_unauthenticated() };
        let verifier = builder.build();
        let verifier =
            verifier.map_err(|error| unusable(self.crl.as_deref().unwrap_or(path), &error.to_string()))?;
        Ok(Arc::new(Named::new(verifier)))
    }
}

fn others_can_read(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o007 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error: io::Error| {
        unusable(path, &format!("cannot be read: {error}; check the path and its permissions")).because(error)
    })
}

/// All objects of a kind in a file, of which there has to be one at least.
fn pem<T: PemObject>(path: &Path, bytes: &[u8], what: &str) -> Result<Vec<T>> {
    let found: Result<Vec<T>, _> = T::pem_slice_iter(bytes).collect();
    let found = found.map_err(|error| unusable(path, &format!("is not PEM: {error:?}")))?;
    if found.is_empty() {
        return Err(unusable(path, &format!("has no {what} in PEM")));
    }
    Ok(found)
}

fn unusable(path: &Path, problem: &str) -> Error {
    Error::new(Code::FailedPrecondition, format!("{} {problem}", path.display())).reason("TLS_FILES")
}
