//! The client that sends the requests: it resolves a host itself, refuses it where any of its addresses may
//! not be talked to, and connects to those addresses and no others. Nothing resolves a second time, so a
//! name cannot say one thing when it is checked and another when it is used.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use tower_service::Service;

use super::address::Allow;
use crate::error::{Code, Error, Result};

/// The client of all webhooks.
pub type Http = Client<HttpsConnector<HttpConnector<Checked>>, Full<Bytes>>;

/// Connections that are kept open for the next request, for each host.
const IDLE_CONNECTIONS: usize = 4;
/// How long they are kept.
const IDLE: std::time::Duration = std::time::Duration::from_secs(30);

/// Resolves names to addresses that may be talked to.
#[derive(Clone)]
pub struct Checked(Arc<Allow>);

impl Service<Name> for Checked {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let allow = self.0.clone();
        Box::pin(async move {
            // The port is the connector's to set.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            check(&allow, name.as_str(), found.iter().map(SocketAddr::ip))?;
            Ok(found.into_iter())
        })
    }
}

/// That every address of a host may be talked to.
fn check(allow: &Allow, host: &str, addresses: impl Iterator<Item = IpAddr>) -> io::Result<()> {
    if allow.has_host(host) {
        return Ok(());
    }
    match addresses.filter_map(|address| Some((address, allow.refuses(address)?))).next() {
        None => Ok(()),
        Some((_, why)) => {
            let message =
                format!("its host has an address that {why}; the operator can add it to webhooks.allow");
            Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
        }
    }
}

/// The client of all webhooks, made when the first of them sends: the authorities of a system lie in hundreds of
/// files, which a server without webhooks need not read.
pub struct Connecting {
    allow: Arc<Allow>,
    own: RootCertStore,
    tls: ConfigBuilder<ClientConfig, WantsVerifier>,
    http: OnceLock<Http>,
}

impl Connecting {
    /// To the public internet and to these, trusting the authorities of the system and those of this file.
    /// Errors: the file cannot be used.
    pub fn new(allow: Arc<Allow>, authorities: Option<&Path>) -> Result<Connecting> {
        let mut own = RootCertStore::empty();
        if let Some(path) = authorities {
            for authority in read(path)? {
                own.add(authority).map_err(|error| unusable(path, &error))?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::new(Code::Internal, "TLS has no version").because(error))?;
        Ok(Connecting { allow, own, tls, http: OnceLock::new() })
    }

    /// Whether it is made.
    pub fn is_made(&self) -> bool {
        self.http.get().is_some()
    }

    /// The client. The first time this reads files.
    pub fn http(&self) -> &Http {
        self.http.get_or_init(|| self.make())
    }

    fn make(&self) -> Http {
        let mut http = HttpConnector::new_with_resolver(Checked(self.allow.clone()));
        http.enforce_http(false);
        http.set_nodelay(true);
        let mut roots = self.own.clone();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let tls = self.tls.clone().with_root_certificates(roots).with_no_client_auth();
        let connector = HttpsConnector::from((http, Arc::new(tls)));
        Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector)
    }
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let text = std::fs::read(path).map_err(|error| unusable(path, &error))?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(path, &error))?;
    if found.is_empty() { Err(unusable(path, &"it has no certificate in PEM")) } else { Ok(found) }
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> Error {
    let message = format!("webhooks.ca: {} cannot be used: {why}", path.display());
    Error::new(Code::FailedPrecondition, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_that_may_not_be_talked_to_refuses_the_host() {
        let addresses = || ["8.8.8.8", "127.0.0.1"].map(|text| text.parse::<IpAddr>().unwrap()).into_iter();
        let refused = check(&Allow::default(), "rebind.example", addresses()).unwrap_err();
        assert!(refused.to_string().contains("loopback"));
        assert!(check(&Allow::parse("rebind.example").unwrap(), "rebind.example", addresses()).is_ok());
        assert!(check(&Allow::default(), "fine.example", addresses().take(1)).is_ok());
    }
}
