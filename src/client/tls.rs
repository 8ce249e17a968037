//! What the client trusts and shows over TLS, checked before anything is connected.
//!
//! A certificate that cannot be read is not passed over, and a key has to be that of its certificate:
//! everything is read before, and each error names the option. [`ClientBuilder`] owns it.
//!
//! [`ClientBuilder`]: super::ClientBuilder

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, InconsistentKeys, RootCertStore};
use tonic::transport::Endpoint;

use super::dialer::Dialer;
use crate::error::{Code, Error, Result};

/// The option of whom to trust.
pub(super) const CA: &str = "ca_certificate";
/// The option of the certificate to show.
pub(super) const CERT: &str = "identity.cert";
/// The option of its key.
pub(super) const KEY: &str = "identity.key";
/// The option of the name that is expected of the server.
pub(super) const DOMAIN: &str = "domain_name";

/// The port of https:// where a URL has none.
const PORT: u16 = 443;

/// The options of TLS. It has a key in it, so it is never shown.
#[derive(Clone, Default)]
pub(super) struct Tls {
    /// The authorities to trust, in PEM; the system's where there are none.
    pub authorities: Option<Vec<u8>>,
    /// The certificate to show and its key, in PEM.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// The name that is expected in the server's certificate, if it is not the URL's host.
    pub domain: Option<String>,
}

impl Tls {
    /// Whether the options are good, for a server at this URL.
    pub fn check(&self, uri: &Uri) -> Result<()> {
        if uri.scheme_str() == Some("http") {
            return match self.given() {
                None => Ok(()),
                Some(option) => {
                    let told = format!(
                        "http:// speaks plaintext, and {option} is for TLS: use https://, or leave it out"
                    );
                    Err(Error::field("server", told))
                }
            };
        }
        if let Some(pem) = self.authorities.as_deref() {
            authorities(pem)?;
        }
        if let Some((cert, key)) = &self.identity {
            identity(cert, key)?;
        }
        match &self.domain {
            Some(name) if ServerName::try_from(name.as_str()).is_err() => {
                Err(Error::field(DOMAIN, "has to be a host name or an IP address, such as bus.example"))
            }
            _ => Ok(()),
        }
    }

    /// Connects to the server at this URL, with these options of the endpoint.
    pub fn dialer(
        &self,
        uri: &Uri,
        patience: Duration,
        options: impl Fn(Endpoint) -> Endpoint,
    ) -> Result<Dialer> {
        self.check(uri)?;
        if uri.scheme_str() != Some("https") {
            return Ok(Dialer::plain(options(Endpoint::from(uri.clone())), patience));
        }
        let host = uri.host().unwrap_or_default();
        let name = self.domain.as_deref().unwrap_or(host.trim_start_matches('[').trim_end_matches(']'));
        let wrong = |_| Error::field("server", format!("{host} is no name that a certificate can be for"));
        let name = ServerName::try_from(name.to_owned()).map_err(wrong)?;
        let address = format!("http://{host}:{}", uri.port_u16().unwrap_or(PORT));
        let address =
            address.parse::<Uri>().map_err(|error| Error::field("server", "is no URL").because(error))?;
        let endpoint = options(Endpoint::from(address).origin(uri.clone()));
        Ok(Dialer::tls(endpoint, self.config()?, name, patience))
    }

    fn config(&self) -> Result<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(unusable)?.with_root_certificates(match self.authorities.as_deref() {
            Some(pem) => authorities(pem)?,
            None => system()?,
        });
        match &self.identity {
            Some((cert, key)) => {
                let (chain, key) = identity(cert, key)?;
                builder.with_client_auth_cert(chain, key).map_err(unusable)
            }
            None => Ok(builder.with_no_client_auth()),
        }
    }

    /// An option of TLS that was given.
    fn given(&self) -> Option<&'static str> {
        let options = [
            (self.authorities.is_some(), "ca_certificate (--tls-ca)"),
            (self.identity.is_some(), "identity (--tls-cert)"),
            (self.domain.is_some(), "domain_name (--tls-domain)"),
        ];
        options.into_iter().find(|(is_given, _)| *is_given).map(|(_, option)| option)
    }
}

fn unusable(error: rustls::Error) -> Error {
    Error::new(Code::Internal, format!("TLS cannot be used: {error}"))
}

/// What the system trusts. Of what it has, some may be unreadable to us.
fn system() -> Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        let told = format!("has to be given: there is no certificate that this system trusts{why}");
        return Err(Error::field(CA, told));
    }
    Ok(roots)
}

fn authorities(pem: &[u8]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(CA, pem)? {
        roots.add(authority).map_err(|error| {
            Error::field(CA, format!("holds a certificate that cannot be used: {error}")).because(error)
        })?;
    }
    Ok(roots)
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(cert: &[u8], key: &[u8]) -> Result<Identity> {
    let chain = certificates(CERT, cert)?;
    // The cause may quote lines of the file, and the file holds a key: it is not kept.
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
        let told = "holds no private key in PEM that is not encrypted (-----BEGIN PRIVATE KEY-----)";
        Error::field(KEY, told)
    })?;
    let provider = rustls::crypto::ring::default_provider();
    match CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider) {
        Ok(_) => Ok((chain, key)),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(Error::field(KEY, "is not the key of the certificate: give both of one pair"))
        }
        Err(rustls::Error::InvalidCertificate(error)) => {
            Err(Error::field(CERT, format!("holds a certificate that cannot be used: {error}")))
        }
        Err(_) => {
            Err(Error::field(KEY, "holds a key that cannot be used: it has to be ECDSA, Ed25519 or RSA"))
        }
    }
}

fn certificates(option: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(Error::field(option, "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")),
        // Its cause may quote what was given, which may be a key by mistake.
        Err(_) => Err(Error::field(option, "is no PEM, or is cut off: give the whole file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    /// A certificate and its key.
    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(vec!["x".to_owned()]).unwrap().self_signed(&key).unwrap();
        (cert.pem(), key.serialize_pem())
    }

    fn refused(tls: Tls) -> Error {
        tls.check(&Uri::from_static("https://x")).unwrap_err()
    }

    fn shows(cert: &str, key: &str) -> Tls {
        let identity = Some((cert.as_bytes().into(), key.as_bytes().into()));
        Tls { identity, ..Tls::default() }
    }

    #[test]
    fn what_is_no_certificate_is_told_and_not_passed_over() {
        let (cert, key) = pair();
        let trusts = |pem: &str| Tls { authorities: Some(pem.as_bytes().into()), ..Tls::default() };
        assert!(trusts(&cert).check(&Uri::from_static("https://x")).is_ok());
        let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let cut = &cert[..cert.len() / 2];
        for (pem, expected) in [
            ("", "no certificate"),
            (key.as_str(), "no certificate"),
            (damaged, "cannot be used"),
            (cut, "cut off"),
        ] {
            let error = refused(trusts(pem));
            assert_eq!(error.violations()[0].field, CA);
            assert!(error.message().contains(expected), "{error}");
        }
    }

    #[test]
    fn a_key_has_to_be_there_and_of_its_certificate_and_is_never_shown() {
        let ((cert, key), (_, other)) = (pair(), pair());
        assert!(shows(&cert, &key).check(&Uri::from_static("https://x")).is_ok());
        for (cert, key, field, expected) in [
            ("", key.as_str(), CERT, "no certificate"),
            (&cert, "", KEY, "no private key"),
            (&cert, &cert, KEY, "no private key"),
            (&cert, &other, KEY, "both of one pair"),
            (&cert, &key[..key.len() / 2], KEY, "no private key"),
        ] {
            let error = refused(shows(cert, key));
            assert_eq!(error.violations()[0].field, field, "{error}");
            assert!(error.message().contains(expected), "{error}");
            let secret = key.lines().nth(1).unwrap_or("none");
            assert!(!format!("{error:?}").contains(secret), "{error:?}");
        }
    }

    #[test]
    fn plaintext_takes_no_option_of_tls() {
        let (cert, key) = pair();
        let named = Tls { domain: Some("x".to_owned()), ..Tls::default() };
        for (tls, option) in [(shows(&cert, &key), "--tls-cert"), (named, "--tls-domain")] {
            let error = tls.check(&Uri::from_static("http://x")).unwrap_err();
            assert!(error.message().contains(option) && error.message().contains("https://"), "{error}");
        }
        assert!(Tls::default().check(&Uri::from_static("http://x")).is_ok());
        let error = refused(Tls { domain: Some("no name".to_owned()), ..Tls::default() });
        assert_eq!(error.violations()[0].field, DOMAIN);
    }
}
