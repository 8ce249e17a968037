//! TLS of the client: whom it trusts, what it shows of itself, and what went wrong, in words that say what
//! to change.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error as TlsError};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use crate::error::{Error, Result};

/// What every certificate in PEM begins with.
const BEGINNING: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// What a client was told about TLS. Without anything the authorities that the system trusts are trusted.
#[derive(Clone, Default)]
pub struct Tls {
    /// Authorities that are trusted instead of the system's, PEM.
    pub authorities: Option<Vec<u8>>,
    /// The certificate that is shown, and its private key, PEM.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// The name that the server's certificate has to be for, where that is not the one of the URL.
    pub domain: Option<String>,
}

impl Tls {
    /// Whether anything was said.
    pub fn is_given(&self) -> bool {
        self.authorities.is_some() || self.identity.is_some() || self.domain.is_some()
    }

    /// The same for the transport, whose handshakes take so long at most. Errors: what is no PEM.
    pub fn config(&self, patience: Duration) -> Result<ClientTlsConfig> {
        let mut config = ClientTlsConfig::new().timeout(patience);
        config = match &self.authorities {
            Some(pem) => config.ca_certificate(Certificate::from_pem(certificates("ca_certificate", pem)?)),
            None => config.with_native_roots(),
        };
        if let Some((certificate, key)) = &self.identity {
            certificates("identity", certificate)?;
            if !key.windows(11).any(|part| part == b"PRIVATE KEY") {
                return Err(Error::field("identity", "has no private key in PEM"));
            }
            config = config.identity(Identity::from_pem(certificate, key));
        }
        Ok(match &self.domain {
            Some(name) => config.domain_name(name),
            None => config,
        })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shows = if self.identity.is_some() { "[secret]" } else { "none" };
        f.debug_struct("Tls").field("identity", &shows).field("domain", &self.domain).finish_non_exhaustive()
    }
}

fn certificates<'a>(field: &str, pem: &'a [u8]) -> Result<&'a [u8]> {
    match pem.windows(BEGINNING.len()).any(|part| part == BEGINNING) {
        true => Ok(pem),
        false => Err(Error::field(field, "has no certificate in PEM")),
    }
}

/// What is wrong, if this error is one of TLS; `uri` names the server.
pub fn told<'a>(chain: impl Iterator<Item = &'a (dyn StdError + 'static)>, uri: &str) -> Option<String> {
    let mut alert = None;
    for error in chain {
        if let Some(error) = tls_error(error) {
            return Some(of_tls(error, uri));
        }
        // HTTP/2 has made a text of it.
        if let Some((_, name)) = error.to_string().rsplit_once("received fatal alert: ") {
            alert = Some(name.trim_end_matches(|c: char| !c.is_alphanumeric()).to_owned());
        }
    }
    alert.map(|name| of_alert(&name, uri))
}

fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a TlsError> {
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    inner.and_then(|inner| inner.downcast_ref()).or_else(|| error.downcast_ref())
}

fn of_tls(error: &TlsError, uri: &str) -> String {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext,
        UnknownIssuer,
    };
    match error {
        TlsError::InvalidCertificate(UnknownIssuer) => format!(
            "the certificate of {uri} is of an authority that is not trusted here; name the authority's certificate \
             (--tls-ca)"
        ),
        TlsError::InvalidCertificate(Expired | ExpiredContext { .. }) => {
            format!("the certificate of {uri} has expired; whoever runs the server has to renew it")
        }
        TlsError::InvalidCertificate(NotValidYet | NotValidYetContext { .. }) => {
            format!("the certificate of {uri} is not valid yet; check the clocks of both machines")
        }
        TlsError::InvalidCertificate(NotValidForName) => {
            format!("the certificate of {uri} is for another name; use that, or say it (--tls-domain)")
        }
        TlsError::InvalidCertificate(NotValidForNameContext { presented, .. }) => format!(
            "the certificate of {uri} is for another name: {}; use that, or say it (--tls-domain)",
            presented.join(", ")
        ),
        TlsError::InvalidMessage(_) => format!("{uri} does not speak TLS; use http://"),
        TlsError::AlertReceived(alert) => of_alert(&alert_name(*alert), uri),
        other => format!("TLS with {uri} failed: {other}"),
    }
}

fn alert_name(alert: AlertDescription) -> String {
    format!("{alert:?}")
}

/// What the server has told by an alert of this name.
fn of_alert(name: &str, uri: &str) -> String {
    match name {
        "CertificateRequired" => {
            format!("{uri} wants a client certificate; give one (--tls-cert and --tls-key)")
        }
        "UnknownCA"
        | "BadCertificate"
        | "CertificateExpired"
        | "CertificateRevoked"
        | "CertificateUnknown"
        | "UnsupportedCertificate"
        | "AccessDenied"
        | "DecryptError" => {
            format!(
                "{uri} refused the client certificate: {name}; give one that its authority has signed and that is valid"
            )
        }
        "NoApplicationProtocol" => {
            format!("{uri} speaks TLS, but not HTTP/2 over it; it is some other server")
        }
        _ => format!("TLS with {uri} failed: the server said {name}"),
    }
}
