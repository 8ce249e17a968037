//! TLS on the listener: which certificate is shown, whose certificates are asked for, and how both change
//! while the server runs.
//!
//! The files are looked at every few seconds and on SIGHUP. What has changed and can be used is used from
//! the next handshake on; no connection is touched. What cannot be used is told once, and the old goes on.

mod files;
mod names;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

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

/// The only protocol that is spoken behind TLS.
const ALPN: &[u8] = b"h2";

/// TLS as it is offered now.
pub struct Tls {
    files: Files,
    offered: ArcSwap<ServerConfig>,
    /// What the files said when they were last looked at.
    seen: Mutex<Seen>,
    metrics: Arc<State>,
}

struct Seen {
    content: Vec<Vec<u8>>,
    /// Whether it is known, and told, that the files cannot be read.
    is_broken: bool,
}

impl Tls {
    /// TLS as the configuration wants it; `None` where it wants none. Errors: files that cannot be used.
    pub fn new(config: &config::Tls, metrics: Arc<State>) -> Result<Option<Arc<Tls>>> {
        let Some(files) = Files::of(config) else { return Ok(None) };
        let content = files.read()?;
        let loaded = files.load(&content)?;
        loaded.tell("TLS is on");
        metrics.tls_certificate_expiry.set(loaded.expires);
        let seen = Mutex::new(Seen { content, is_broken: false });
        Ok(Some(Arc::new(Tls { files, offered: ArcSwap::new(loaded.config), seen, metrics })))
    }

    /// Looks at the files, and uses what has changed. Errors: it cannot be used, and the old goes on; or
    /// nothing where that has been told already.
    pub fn reload(&self) -> Result<()> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let content = match self.files.read() {
            Ok(content) => content,
            Err(_) if seen.is_broken => return Ok(()),
            Err(error) => {
                seen.is_broken = true;
                return Err(error);
            }
        };
        let was_broken = std::mem::replace(&mut seen.is_broken, false);
        if content == seen.content {
            if was_broken {
                tracing::info!("the files of TLS can be read again, and say what they said before");
            }
            return Ok(());
        }
        seen.content = content;
        let loaded = self.files.load(&seen.content)?;
        loaded.tell("the files of TLS have changed and are used from now on");
        self.metrics.tls_certificate_expiry.set(loaded.expires);
        self.offered.store(loaded.config);
        Ok(())
    }

    /// Looks at the files for ever. The server runs it.
    pub async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(TLS_FILES_CHECKED_EVERY).await;
            let tls = Arc::clone(&self);
            // Files may lie on a slow disk.
            if let Ok(Err(error)) = tokio::task::spawn_blocking(move || tls.reload()).await {
                tracing::error!(%error, "the files of TLS have changed and cannot be used; the old ones go on");
            }
        }
    }

    /// The handshake of a connection, and whom its certificate names, where one was shown.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, Option<Principal>)> {
        let stream = TlsAcceptor::from(self.offered.load_full()).accept(stream).await?;
        let (_, session) = stream.get_ref();
        if session.alpn_protocol() != Some(ALPN) {
            return Err(io::Error::other("the client does not say that it speaks HTTP/2 (ALPN h2)"));
        }
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
        if let Some(problem) = &self.doubt {
            tracing::warn!(problem, "clients will not trust this certificate");
        }
    }
}
