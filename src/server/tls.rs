//! TLS on the listener: which certificate is shown, whose certificates are asked for, and how both change
//! while the server runs.
//!
//! The files are looked at every second and on SIGHUP. What has changed and can be used is used from the next
//! handshake on; no connection is touched. What cannot be used is told once, and at each SIGHUP, and the
//! old goes on.

mod files;
mod named;
mod names;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::auth::Principal;
use crate::config;
use crate::error::Result;
use crate::limits::TLS_FILES_CHECKED_EVERY;
use crate::metrics::State;
use files::{Files, Loaded};

/// TLS as it is offered now.
pub struct Tls {
    offered: ArcSwap<ServerConfig>,
    known: Mutex<Known>,
    metrics: Arc<State>,
}

/// What is known of the files.
struct Known {
    files: Files,
    /// What they said when they were used last.
    used: Vec<Vec<u8>>,
    /// What they said at the last look, where that was something else.
    seen: Option<Vec<Vec<u8>>>,
    /// Why they cannot be used, as it was told.
    told: Option<String>,
}

impl Tls {
    /// TLS as the configuration wants it; `None` where it wants none. Errors: files that cannot be used.
    pub fn new(config: &config::Tls, metrics: Arc<State>) -> Result<Option<Arc<Tls>>> {
        let Some(files) = Files::of(config) else { return Ok(None) };
        let used = files.read()?;
        let loaded = files.load(&used)?;
        loaded.tell("TLS is on");
        metrics.tls_certificate_expiry.set(loaded.expires);
        let known = Mutex::new(Known { files, used, seen: None, told: None });
        Ok(Some(Arc::new(Tls { offered: ArcSwap::new(loaded.config), known, metrics })))
    }

    /// Uses the files of this configuration from now on, as they are. Errors: they cannot be used, and the old
    /// go on. A configuration without TLS changes nothing: that waits for a restart.
    pub fn follow(&self, config: &config::Tls) -> Result<()> {
        let Some(files) = Files::of(config) else { return Ok(()) };
        let mut known = self.known();
        let content = files.read()?;
        if files != known.files || content != known.used || known.told.is_some() {
            let loaded = files.load(&content)?;
            known.files = files;
            self.offer(loaded, content, &mut known);
        }
        Ok(())
    }

    /// Looks at the files, and uses what has changed and is at rest: whoever replaces one after the other is
    /// not caught in between. Errors: it cannot be used, and was not told yet.
    fn look(&self) -> Result<()> {
        let mut known = self.known();
        match self.changed(&mut known) {
            Ok(()) => Ok(()),
            Err(error) if known.told.as_deref() == Some(error.message()) => Ok(()),
            Err(error) => {
                known.told = Some(error.message().to_owned());
                Err(error)
            }
        }
    }

    fn changed(&self, known: &mut Known) -> Result<()> {
        let content = known.files.read();
        // A file that is not there may be between two names.
        let content = match content {
            Err(_) if known.seen.replace(Vec::new()).is_none_or(|seen| !seen.is_empty()) => return Ok(()),
            content => content?,
        };
        if content == known.used {
            known.seen = None;
            if known.told.take().is_some() {
                tracing::info!("the files of TLS say again what they said before");
            }
            return Ok(());
        }
        if known.seen.as_ref() != Some(&content) {
            known.seen = Some(content);
            return Ok(());
        }
        let loaded = known.files.load(&content)?;
        self.offer(loaded, content, known);
        Ok(())
    }

    fn offer(&self, loaded: Loaded, content: Vec<Vec<u8>>, known: &mut Known) {
        loaded.tell("the files of TLS have changed and are used from now on");
        self.metrics.tls_certificate_expiry.set(loaded.expires);
        self.offered.store(loaded.config);
        (known.used, known.seen, known.told) = (content, None, None);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the files for ever. The server runs it.
    pub async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(TLS_FILES_CHECKED_EVERY).await;
            let tls = Arc::clone(&self);
            // Files may lie on a slow disk.
            if let Ok(Err(error)) = tokio::task::spawn_blocking(move || tls.look()).await {
                tracing::error!(%error, "the files of TLS have changed and cannot be used; the old ones go on");
            }
        }
    }

    /// The handshake of a connection, and whom its certificate names, where one was shown.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, Option<Principal>)> {
        let stream = TlsAcceptor::from(self.offered.load_full()).accept(stream).await?;
        let (_, session) = stream.get_ref();
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        let principal = certificate.map(|certificate| names::principal(certificate)).transpose();
        let principal = principal.map_err(io::Error::other)?;
        Ok((stream, principal))
    }
}

impl Loaded {
    fn tell(&self, what: &str) {
        let Loaded { subject, not_after, asks, crls, .. } = self;
        tracing::info!(subject, not_after, client_certificates = asks, crls, "{what}");
        for problem in &self.doubts {
            tracing::warn!(problem, "about TLS");
        }
    }
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn what_cannot_be_used_is_told_once_it_is_at_rest_and_then_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let config = config::Tls { cert: path("pem"), key: path("key"), ..config::Tls::default() };
        let (first, second) = (pair(), pair());
        let put = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
        put("pem", &first.0);
        put("key", &first.1);
        let tls = Tls::new(&config, Arc::new(State::new(0))).unwrap().unwrap();
        let was = tls.offered.load_full();
        let is_as_it_was = || Arc::ptr_eq(&was, &tls.offered.load_full());
        assert!(tls.look().is_ok());
        // The key comes first, and its certificate soon.
        put("key", &second.1);
        assert!(tls.look().is_ok());
        put("pem", &second.0);
        assert!(tls.look().is_ok());
        assert!(is_as_it_was());
        assert!(tls.look().is_ok());
        assert!(!is_as_it_was());
        // The certificate does not come.
        put("key", &first.1);
        assert!(tls.look().is_ok());
        assert!(tls.look().unwrap_err().message().contains("do not go together"));
        assert!(tls.look().is_ok());
        assert!(tls.follow(&config).is_err());
        assert!(tls.follow(&config).is_err());
        // Another problem is told again, once it is there to stay.
        std::fs::remove_file(path("key")).unwrap();
        assert!(tls.look().is_ok());
        assert!(tls.look().unwrap_err().message().contains("cannot be read"));
        assert!(tls.look().is_ok());
        put("key", &second.1);
        assert!(tls.look().is_ok());
        assert!(tls.known().told.is_none());
    }
}
